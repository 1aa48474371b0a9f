"""Compile one model: python -m moteye.compiler [--remove-dead] [--report] model.tflite model.mpk.

--remove-dead takes channels out that are constant whatever the input (the same outputs, another
encoder hash); --report says which.
"""

import argparse
import sys
from pathlib import Path

from . import ModelError, compile_with_report


def main(arguments: list[str]) -> int:
    """Write the pack and print what it needs; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m moteye.compiler", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--remove-dead", action="store_true")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args(arguments)
    try:
        pack, report = compile_with_report(given.source.read_bytes(), remove_dead=given.remove_dead)
    except ModelError as error:
        print(f"{given.source}: {error}", file=sys.stderr)
        return 1
    given.target.write_bytes(pack)
    print(report)
    if given.report:
        for line in report.removed:
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
