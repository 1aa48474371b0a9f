"""Seconds from a saved policy to a device that has confirmed its set: real agent, broker, device.

Puts the row `policy_to_confirmed_s`, the median of the runs, into build/bench/powercut.json.

python tests/bench/policy_to_confirmed.py [--runs 7]
"""

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from support.figures import add_rows  # noqa: E402
from support.live import device, free_port, running_agent, scene, write_policy  # noqa: E402

WORDS = ("dog", "horse", "bicycle", "red car", "umbrella", "flower", "laptop", "kettle", "ladder")
TARGET_S = 2.0


async def measure(folder: Path, runs: int) -> list[float]:
    """Save one policy more, `runs` times; seconds until the device has said `confirmed`."""
    port = free_port()
    policies = write_policy(folder / "policies", "cat", "see: a cat\nthen: [log]\n")
    camera = scene(folder, ("skimage:chelsea", 600))
    found = []
    async with running_agent(policies, port=port, embedded=True) as agent:
        async with device(port, camera, folder):
            await _settled(agent, "")
            for word in WORDS[:runs]:
                before = agent.fleet.archive.current.version
                started = time.monotonic()
                write_policy(policies, word.replace(" ", "-"), f"see: a {word}\nthen: [log]\n")
                await _settled(agent, before)
                found.append(time.monotonic() - started)
    return found


async def _settled(agent: object, before: str) -> None:
    """Until the device uses a set other than `before`, and has confirmed it."""
    fleet = agent.fleet  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        while True:
            current = fleet.archive.current
            devices = fleet.status()["devices"]
            if current and current.version != before and devices and devices[0]["current"]:
                return
            await asyncio.sleep(0.005)


def main() -> None:
    """Measure, print, and write the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, choices=range(1, len(WORDS) + 1))
    runs = parser.parse_args().runs
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), runs))
    value = statistics.median(found)
    print(f"policy saved to confirmed: {value:.2f} s median of {runs}, {max(found):.2f} s at most")
    conditions = f"median of {runs}, {max(found):.2f} s at most, one simulated device"
    row: dict[str, object] = {"id": "policy_to_confirmed_s", "value": round(value, 3), "unit": "s"}
    row |= {"target": TARGET_S, "conditions": conditions}
    add_rows(ROOT / "build" / "bench" / "powercut.json", [row])


if __name__ == "__main__":
    main()
