"""`python -m moteye_training.captions words --out build/captions`; see training/README.md."""

from .cli import main

main()
