"""The main job, live: a camera that looks at real photos, an agent, one policy, one alert.

python examples/demo/demo.py           runs until Ctrl-C
python examples/demo/demo.py --once    ends with 0 after the first alert, 1 if none comes in 120 s
"""

import argparse
import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import structlog
from moteye.agent import Agent
from moteye.camera.emulate import MACHINES, EmulatedDevice
from moteye.camera.process import DeviceProcess
from moteye.camera.simulate import SimulatedDevice
from moteye.config import load_settings
from moteye.errors import MoteyeError
from moteye.link.connection import BrokerUrl, Connection
from moteye.topics import AGENT_TOPIC
from moteye_protocol import models, wire
from moteye_protocol.boxes import WireBox, unpack_boxes
from PIL import Image, ImageDraw
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEVICE = "windowsill"
BAR_CELLS = 24


class Show:
    """Prints what passes on the broker. Knows only public topics, as any subscriber would."""

    def __init__(self, console: Console, started: float) -> None:
        self.console = console
        self.alerted = asyncio.Event()
        self._started = started
        self._names: list[str] = []
        self._last_line = ""
        self._boxes: list[WireBox] = []

    async def receive(self, topic: str, payload: bytes, retain: bool) -> None:
        """Take one message."""
        if topic == f"{AGENT_TOPIC}/set":
            self._names = json.loads(payload)["names"]
        elif topic == f"{AGENT_TOPIC}/alert":
            self._alert(json.loads(payload))
        elif not topic.startswith(f"{wire.TOPIC_ROOT}/_") and payload:
            with contextlib.suppress(models.MessageError):
                self._device(models.parse(models.split_topic(topic)[1], payload))

    def line(self, text: str) -> None:
        """One line with the time since the start in front."""
        self.console.print(f"[dim]{time.monotonic() - self._started:6.1f} s[/]  {text}")

    def _device(self, message: models.Message) -> None:
        if isinstance(message, models.Birth):
            encoder = message.encoder.hex()
            self.line(f"device [bold]{DEVICE}[/] is there: encoder {encoder}, {message.dim}-d")
        elif isinstance(message, models.SetState) and message.state == "confirmed":
            self.line(f"prototype set [bold]{message.version}[/] swapped onto it")
        elif isinstance(message, models.Embedding):
            self._boxes = unpack_boxes(message.boxes or b"")
            if message.why in ("first", "change"):
                self._last_line = ""
                self.line(f"the picture changes (frame {message.frame})")
        elif isinstance(message, models.Detections):
            self._scores(message)
        elif isinstance(message, models.Caption):
            self.line(f"in words (frame {message.frame}): [bold]{message.text}[/]")

    def _scores(self, message: models.Detections) -> None:
        if not message.rows or message.rows[0][0] >= len(self._names):
            line = "[dim]nothing that a policy asks for[/]"
        else:
            row, _, probability = message.rows[0]
            filled = round(probability / 255 * BAR_CELLS)
            bar = "█" * filled + "[dim]" + "░" * (BAR_CELLS - filled) + "[/]"
            colour = "green" if probability >= 128 else "yellow"
            line = f"[{colour}]{bar}[/] {probability / 255:.2f}  {self._names[row]}"
        if line != self._last_line:
            self._last_line = line
            self.line(line)

    def _alert(self, alert: dict[str, object]) -> None:
        table = Table.grid(padding=(0, 2))
        for key in ("policy", "camera", "phrase", "probability", "time"):
            table.add_row(f"[dim]{key}[/]", str(alert[key]))
        picture, box = alert["picture"], self._box_of(str(alert["phrase"]))
        if box is not None:
            table.add_row("[dim]where[/]", where(box))
        self.console.print()
        if isinstance(picture, str) and self.console.is_terminal:
            self.console.print(thumbnail(Path(picture), box))
        self.console.print(
            Panel(table, title="[bold red]ALERT[/]", border_style="red", expand=False)
        )
        self.console.print(f"the picture that decided: {picture or 'none'}", soft_wrap=True)
        self.alerted.set()

    def _box_of(self, phrase: str) -> WireBox | None:
        """The best box of a phrase in the newest frame that came."""
        if phrase not in self._names:
            return None
        row = self._names.index(phrase)
        return next((box for box in self._boxes if box.row == row), None)


def where(box: WireBox) -> str:
    """The edges of a box in percent of the picture."""
    left, top, right, bottom = (round(100 * edge / wire.BOX_GRID) for edge in box[2:])
    return f"{left}-{right} % from the left, {top}-{bottom} % from the top"


def thumbnail(path: Path, box: WireBox | None = None, columns: int = 48) -> Text:
    """The picture in half blocks, two pixels a character cell, and a frame around the thing."""
    with Image.open(path) as image:
        rows = round(columns * image.height / image.width / 2) * 2
        small = image.convert("RGB").resize((columns, rows))
    if box is not None:
        size = np.array([columns - 1, rows - 1] * 2)
        edges = np.rint(np.array(box[2:]) * size / wire.BOX_GRID).astype(int)
        ImageDraw.Draw(small).rectangle(tuple(edges.tolist()), outline=(255, 64, 64))
    pixels = np.asarray(small)
    text = Text()
    for y in range(0, rows, 2):
        for top, bottom in zip(pixels[y], pixels[y + 1], strict=True):
            text.append("▀", style=f"rgb({_rgb(top)}) on rgb({_rgb(bottom)})")
        text.append("\n")
    return text


def _rgb(pixel: np.ndarray) -> str:
    return ",".join(str(int(value)) for value in pixel)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_device(args: argparse.Namespace, port: int, flash: Path) -> DeviceProcess:
    """The device that looks at the scene: this machine's, or an emulated Arm core."""
    options = {
        "device_id": DEVICE,
        "broker_host": "127.0.0.1",
        "broker_port": port,
        "camera_spec": f"scene:{args.scene}",
        "data_dir": flash,
        "frames": True,
        "interval_ms": 250,
        "settings": {"captions": {"enabled": True}} if args.captions else {},
    }
    if args.device == "unix":
        return SimulatedDevice(**options)
    return EmulatedDevice(args.device, **options)


async def demo(args: argparse.Namespace, console: Console) -> bool:
    """Run the demo; returns whether an alert came (without --once it ends by Ctrl-C)."""
    show = Show(console, time.monotonic())
    port = free_port()
    settings = load_settings(
        policies=args.policies,
        listen=f"127.0.0.1:{port}",
        dim=args.dim,
        store="sqlite://",  # in memory: each demo is the first
    )
    agent = Agent(settings)
    watcher = Connection(
        BrokerUrl("127.0.0.1", port, tls=False),
        client_id="moteye-demo",
        subscriptions=[(f"{wire.TOPIC_ROOT}/#", 1)],
        on_message=show.receive,
    )
    with tempfile.TemporaryDirectory(prefix="moteye-demo-") as flash:
        device = make_device(args, port, Path(flash))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(agent.run())]
            await agent.ready.wait()
            show.line(
                f"agent ready: broker on 127.0.0.1:{port}, policies from {args.policies.name}"
            )
            tasks.append(group.create_task(watcher.run()))
            await watcher.connected.wait()
            async with device:
                try:
                    async with asyncio.timeout(args.timeout if args.once else None):
                        await show.alerted.wait()
                        if not args.once:
                            console.print("[dim]watching on; Ctrl-C ends the demo[/]")
                            await asyncio.Event().wait()
                except TimeoutError:
                    console.print(f"[bold red]no alert within {args.timeout:.0f} s[/]")
            for task in tasks:
                task.cancel()
    return show.alerted.is_set()


def main() -> int:
    """Parse the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the first alert")
    parser.add_argument("--device", choices=["unix", *MACHINES], default="unix")
    parser.add_argument("--captions", action="store_true", help="the camera says what it sees")
    parser.add_argument("--scene", type=Path, default=HERE / "scene.yaml")
    parser.add_argument("--policies", type=Path, default=ROOT / "policies" / "new-plant.yaml")
    parser.add_argument("--dim", type=int, default=None, help="dimension that decisions use")
    parser.add_argument("--timeout", type=float, default=120, help="s to wait with --once")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    console = Console(highlight=False)
    console.print("[bold]moteye[/] a camera that knows words")
    try:
        return 0 if asyncio.run(demo(args, console)) else 1
    except* MoteyeError as group:
        console.print(f"[bold red]error[/]: {group.exceptions[0]}")
    return 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
