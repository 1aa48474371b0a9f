"""`python -m moteye_training.captions.overmod`."""

from .cli import main

main()
