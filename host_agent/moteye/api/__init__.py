"""The HTTP API: what was decided, as it happens and afterwards, for other programs."""
