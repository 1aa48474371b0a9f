# The wire, for hosts and devices: codec, messages, prototype set.
