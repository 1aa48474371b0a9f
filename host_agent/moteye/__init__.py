"""moteye: a camera that knows words. The host agent."""

import os

# The products are small: on one core they take a tenth of what threads take that wait for others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
