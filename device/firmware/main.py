# micropython -X heapsize=8m main.py CONFIG.json
#
# Runs until standard input ends or says `stop` (there are no signals in MicroPython), or Ctrl-C;
# then it publishes `stopped`, waits for the broker's acknowledgement, and exits with 0. Exit codes:
# 0 stopped, 1 failed, 2 configuration or model pack is wrong.
import asyncio
import sys

import config
from eye import open_eye
from log import log
from narrator import open_narrator
from watchdog import Watchdog

from device import Device


async def _obey_stdin(device):
    stream = asyncio.StreamReader(sys.stdin.buffer)
    line = b""
    while True:
        byte = await stream.read(1)
        if not byte:
            break
        line = (line + byte)[-16:]
        if byte == b"\n":
            if line.strip() == b"stop":
                break
            line = b""
    device.stop()


async def _run(device, stdin):
    if stdin:
        asyncio.create_task(_obey_stdin(device))
    await device.run()


def main():
    if len(sys.argv) != 2:
        print("usage: micropython -X heapsize=8m main.py CONFIG.json")
        return 2
    try:
        settings = config.load(sys.argv[1])
    except config.ConfigError as error:
        print("moteye: %s" % error)
        return 2
    watchdog = Watchdog(settings["watchdog_s"] * 1000)
    eye = open_eye(settings["encoder"], settings["dim"])
    if eye is None:
        return 2
    narrator = open_narrator(settings, eye)
    try:
        device = Device(settings, eye, watchdog, narrator)
    except (OSError, ValueError) as error:
        print("moteye: %s: %s" % (sys.argv[1], error))
        return 2
    try:
        asyncio.run(_run(device, settings["stdin"]))
    except KeyboardInterrupt:
        log("main: interrupted")
        asyncio.run(device.goodbye())
    return 1 if device.failed else 0


if __name__ == "__main__":
    sys.exit(main())
