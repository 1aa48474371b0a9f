"""moteye: a camera that knows words. The host agent."""

__version__ = "0.1.0"
