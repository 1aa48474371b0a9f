# One line a happening on standard output: milliseconds since start, who, what.
from clock import Uptime

_uptime = Uptime()


def log(text):
    print("[%8d] %s" % (_uptime.ms(), text))
