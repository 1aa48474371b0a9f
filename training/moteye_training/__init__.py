"""Training of moteye's embedding space: teacher, student encoder, text tower, evaluation."""

__version__ = "0.1.0"
