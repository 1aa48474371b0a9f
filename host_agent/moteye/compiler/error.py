"""The one error of the compiler."""

from moteye.errors import MoteyeError


class ModelError(MoteyeError):
    """A model that cannot be compiled; the text names operator, tensor and what would do."""
