"""Devices whose program stands still at one stage, once; the watchdog ends that run.

The script below takes the firmware's place, on this machine as on an emulated board: it breaks one
part of the firmware from outside, and runs it. Memory that outlives a reset says whether it has.
"""

from moteye.camera.emulate import EmulatedDevice
from moteye.camera.simulate import SimulatedDevice

SCRIPT = """
import asyncio, sys
import restart
from micropython import const
sys.argv[1:] = [{config!r}]
_DONE = const(8)
kept = restart.kept()


def stand_still(*_, **__):
    kept[_DONE] = 1
    print("stands still")
    while True:
        pass


async def wait_for_ever(*_):
    kept[_DONE] = 1
    print("stands still")
    await asyncio.Event().wait()


def after(calls, plain):
    left = [calls]

    def counted(*args):
        left[0] -= 1
        return plain(*args) if left[0] >= 0 else stand_still()

    return counted


if not kept[_DONE]:
{breakage}
import main
sys.exit(main.main())
"""

# stage: what breaks it
BREAKAGES = {
    "start": "import eye; eye.open_eye = stand_still",
    "loop": "import mqtt; mqtt.Client._take = stand_still",
    "camera": "import camera; camera.StreamCamera.capture = wait_for_ever",
    "encode": "import eye; eye.Eye.encode = after(3, eye.Eye.encode)",
    "match": "import swap; swap.Swap.looked = stand_still",
    "publish": """import messages
plain = messages.Messages.publish
messages.Messages.publish = lambda self, name, *args, **more: (
    stand_still() if name == "embedding" else plain(self, name, *args, **more))""",
    "command": "import commands; commands.Commands.take = stand_still",
    "swap": "import swap; swap.Swap.tick = stand_still",
    "flash": "import flash; flash.FileFlash.erase = stand_still",
    "link": "import mqtt; mqtt.Client._watch = wait_for_ever",
}


class _Stalling:
    """Runs the script in place of `main.py`."""

    breakage = ""

    def _script(self, config):
        path = config.with_name("stalling.py")
        lines = "".join(f"    {line}\n" for line in self.breakage.splitlines())
        text = SCRIPT.format(config=str(config), breakage=lines)
        path.write_text(text)
        return path


class StallingDevice(_Stalling, SimulatedDevice):
    def _command(self, config):
        *words, _, _ = super()._command(config)
        return [*words, str(self._script(config))]


class StallingBoard(_Stalling, EmulatedDevice):
    def _command(self, config):
        return super()._command(self._script(config))
