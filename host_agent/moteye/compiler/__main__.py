"""Compile one model: python -m moteye.compiler model.tflite model.mpk."""

import sys
from pathlib import Path

from . import ModelError, compile_with_report


def main(arguments: list[str]) -> int:
    """Write the pack and print what it needs; the exit status."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = map(Path, arguments)
    try:
        pack, report = compile_with_report(source.read_bytes())
    except ModelError as error:
        print(f"{source}: {error}", file=sys.stderr)
        return 1
    target.write_bytes(pack)
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
