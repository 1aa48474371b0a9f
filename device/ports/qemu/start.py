# What runs when the board starts: the firmware with its configuration file, or a script.
import sys

import board


def _script(path):
    with open(path) as file:
        exec(compile(file.read(), path, "exec"), {"__name__": "__main__"})


def _run():
    path = board.argument()
    sys.argv.extend(("start.py", path))
    if path.endswith(".py"):
        _script(path)
        return 0
    import main

    return main.main()


try:
    code = _run()
except SystemExit as end:
    code = end.args[0] if end.args and isinstance(end.args[0], int) else 0
except BaseException as error:
    sys.print_exception(error)
    code = 1
board.exit(code)
