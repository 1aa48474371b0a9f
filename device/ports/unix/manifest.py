"""Frozen into the simulated device: only asyncio.

The firmware itself runs from its source folder (MICROPYPATH), so a changed line of it needs no
rebuild, and the cached binary depends on C and on MicroPython alone.
"""

include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
