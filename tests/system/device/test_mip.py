"""The firmware as a package of mip (T66): installed by mpremote, and started only when whole.

The installer is mpremote's own; it talks to MicroPython's unix port, which carries out what it asks
for on a file system of its own. The package comes over HTTP.
"""

import contextlib
import functools
import http.server
import importlib.util
import json
import random
import subprocess
import threading
import types

import pytest
from moteye.resources import checkout
from mpremote import mip
from mpremote.transport import Transport, TransportExecError
from system.device.device_bench import DEVICE

spec = importlib.util.spec_from_file_location(
    "make_package", checkout() / "device" / "mip" / "make_package.py"
)
make_package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_package)

MICROPYTHON = checkout() / "build" / "firmware" / "unix" / "micropython"
START = 'from moteye_start import moteye_start\nraise SystemExit(moteye_start("config.json"))\n'
# Runs what comes, a Python string a line, and says how it ended.
SERVE = """
import io, sys
space = {}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    kind, text = eval(line)
    try:
        said = repr(eval(text, space)) if kind == "eval" else repr(exec(text, space))
        print(repr((True, said)))
    except BaseException as error:
        told = io.StringIO()
        sys.print_exception(error, told)
        print(repr((False, told.getvalue())))
"""


class UnixTransport(Transport):
    """mpremote's way to a board, where the board is a process."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [MICROPYTHON, "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )

    def _ask(self, kind, text):
        self._process.stdin.write(repr((kind, text)) + "\n")
        self._process.stdin.flush()
        good, said = eval(self._process.stdout.readline())
        if not good:
            raise TransportExecError(1, said)
        return said

    def exec(self, command, data_consumer=None):
        self._ask("exec", command)

    def eval(self, expression, parse=True):
        return eval(self._ask("eval", expression))

    def close(self):
        self._process.stdin.close()
        self._process.wait(20)


@contextlib.contextmanager
def serving(folder):
    """The URL of a web server of these files."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def install(folder, package, index=None):
    """What `mpremote mip install` does; returns what it says it has installed."""
    transport = UnixTransport(folder)
    state = types.SimpleNamespace(
        transport=transport, ensure_raw_repl=lambda: None, did_action=lambda: None
    )
    args = types.SimpleNamespace(
        command=["install"], packages=[package], index=index, target="lib", mpy=False
    )
    transport.fs_mkdir("lib")
    mip.do_mip(state, args)
    transport.close()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mip")
    return folder, make_package.write_package(folder)


@pytest.fixture
def board(tmp_path, package):
    """A file system with the package, as a whole installation leaves it."""
    _, installed = package
    for name, data in installed.items():
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "main.py").write_text(START)
    return tmp_path


def start(folder, script="main.py"):
    """What MicroPython says when the board starts, and its exit code."""
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=1m", script],
        cwd=folder,
        env={"MICROPYPATH": "lib:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("form", ["url", "index"])
def test_t66_mip_installs_the_package_by_address_and_by_pinned_version(tmp_path, package, form):
    folder, installed = package
    version = json.loads((folder / "package.json").read_text())["version"]
    with serving(folder) as url:
        if form == "url":
            install(tmp_path, f"{url}/package.json")
        else:
            install(tmp_path, f"moteye@{version}", index=url)
    found = {
        path.relative_to(tmp_path / "lib").as_posix(): path.read_bytes()
        for path in (tmp_path / "lib").rglob("*")
        if path.is_file()
    }
    assert found == installed
    assert f'_FIRMWARE = "{version}"' in found["moteye/device.py"].decode()


async def test_t66_what_was_installed_runs(board, broker, host, camera, encoder, make_device):
    class Installed(type(make_device())):
        def _command(self, config):
            (board / "config.json").write_bytes(config.read_bytes())
            (board / "config.json").chmod(0o600)
            return ["env", "-C", str(board), *super()._command(config)[:-2], "main.py"]

        @property
        def micropypath(self):
            return "lib:.frozen"

    device = make_device()
    device.__class__ = Installed
    async with device:
        birth = await host.next("birth")
        await host.next("embedding")
        assert (await host.ask("ping")).ok
    assert (device.id, birth.reset) == (DEVICE, "power")


def test_t66_each_truncated_file_is_refused_by_name_and_nothing_is_started(board, package):
    _, installed = package
    (board / "config.json").write_text("{}")
    code, text = start(board)
    assert text.startswith("moteye: config.json: ")  # whole: the firmware itself speaks
    assert ": missing; " in text
    assert code == 2
    checked = [name for name in installed if name != "moteye_start.py"]
    (board / "try.py").write_text(
        f"""
import moteye_start
for name in {checked!r}:
    path = "lib/" + name
    with open(path, "rb") as file:
        data = file.read()
    for size in (0, 1, len(data) // 2, len(data) - 1):
        if size >= len(data):
            continue
        with open(path, "wb") as file:
            file.write(data[:size])
        try:
            moteye_start.moteye_start("config.json")
            print("STARTED with", name, size)
        except ImportError as error:
            print(name, name in str(error) and "install the package again" in str(error))
    with open(path, "wb") as file:
        file.write(data)
"""
    )
    code, text = start(board, "try.py")
    lines = text.splitlines()
    assert code == 0, text
    assert {line.split()[0] for line in lines} == {name for name in checked if installed[name]}
    assert all(line.endswith(" True") for line in lines), text


def test_t66_the_starter_itself_cut_anywhere_is_named_and_starts_nothing(board, package):
    data = package[1]["moteye_start.py"]
    (board / "config.json").write_text("{}")
    ends = [at + 1 for at, byte in enumerate(data) if byte == ord("\n")][:-1]  # whole lines
    source = random.Random(1)
    for size in [0, 1, *source.sample(ends, 8), *source.sample(range(len(data) - 2), 4)]:
        (board / "lib" / "moteye_start.py").write_bytes(data[:size])
        code, text = start(board)
        assert code == 1, (size, text)
        assert "moteye_start" in text.replace("from moteye_start", ""), (size, text)
        assert "config.json" not in text, (size, text)


def test_t66_a_file_of_another_version_is_refused_by_name(board):
    path = board / "lib" / "moteye" / "swap.py"
    path.write_text(path.read_text().replace("30000", "20000"))
    code, text = start(board)
    assert code == 1
    assert "moteye/swap.py is of another version, or changed" in text
    path.unlink()
    assert "moteye/swap.py is missing" in start(board)[1]
