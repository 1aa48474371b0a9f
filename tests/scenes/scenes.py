"""make scenes: scripted scenes on the simulated device, and the alerts that they should give.

    python tests/scenes/scenes.py [NAME …]

Each scene is a camera in MicroPython's unix port that looks at photos of scikit-image and
scikit-learn; broker, agent, policies and store are those of everyday use. Writes docs/scenes.md
with the alerts expected and given; the exit status tells whether all are equal.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
for folder in (ROOT / "tests", ROOT / "host_agent", ROOT / "protocol"):
    sys.path.insert(0, str(folder))

import structlog  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from support.live import Listener, Mosquitto, device, listening, running_agent  # noqa: E402

COFFEE, CAT, STONES = "skimage:coffee", "skimage:chelsea", "skimage:gravel"
GREY = "#807060"
CUP = "see: a cup of coffee\ncertainty: likely\n"
KITTY = "see: a cat\ncertainty: likely\n"
IN_ZONE = """see: a cat
certainty: p >= 0.25
zones: {ZONE: {polygon: [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}}
in: ZONE
"""
TWO_CATS = 'see: a cat\ncertainty: p >= 0.15\ncount: ">= 2"\n'
AT_ONCE = 3  # scenes side by side
INTERVAL_MS = 250
SETTLE_S = 3.0  # after the last shot


@dataclass(frozen=True)
class Placed:
    """A plain grey picture with photos on it, each within left, upper, right, lower edge."""

    things: tuple[tuple[str, tuple[int, int, int, int]], ...] = ()

    def yaml(self) -> str:
        """As a shot of a scene names it."""
        placed = ", ".join(f'{{photo: "{photo}", box: {list(box)}}}' for photo, box in self.things)
        return f'photo: "{GREY}", paste: [{placed}]'


@dataclass(frozen=True)
class Scene:
    """What a camera sees, shot after shot (photo, seconds, effects), and the alerts to come of it.

    `policy` lacks `cameras` and `then`; `twins` are further cameras that see the same; with
    `restart` the agent is stopped and started again in the last shot.
    """

    name: str
    says: str
    policy: str
    shots: tuple[tuple[str | Placed, float, str], ...]
    alerts: int
    twins: tuple[str, ...] = ()
    restart: bool = False
    cameras: str = ""

    @property
    def seconds(self) -> float:
        """How long the shots take."""
        return sum(seconds for _, seconds, _ in self.shots)

    def yaml(self) -> str:
        """The scene as `moteye devices simulate --camera scene:FILE` takes it."""
        lines = ["size: [320, 240]", "loop: false", "noise: 2", "shots:"]
        for photo, seconds, effects in self.shots:
            more = f", effects: [{effects}]" if effects else ""
            shown = photo.yaml() if isinstance(photo, Placed) else f'photo: "{photo}"'
            lines.append(f"  - {{{shown}, seconds: {seconds}{more}}}")
        return "\n".join(lines) + "\n"

    def policy_yaml(self) -> str:
        """The policy file."""
        cameras = self.cameras or f"[{self.name}]"
        return f"{self.policy}cameras: {cameras}\nthen: [log]\n"


LEFT, RIGHT = (0, 30, 160, 210), (160, 30, 320, 210)
UPPER_LEFT, LOWER_RIGHT = (0, 0, 150, 115), (170, 125, 320, 240)

SCENES = [
    Scene(
        "arrival",
        "a cup is put where stones were: one alert",
        CUP,
        ((STONES, 4, ""), (COFFEE, 6, "")),
        1,
    ),
    Scene(
        "parked",
        "the cup stood there when watching began: known, no alert",
        CUP + "new: true\n",
        ((COFFEE, 8, ""),),
        0,
    ),
    Scene(
        "light",
        "the light is dimmed and comes back while the cup stays: no second alert",
        CUP + "new: true\ncooldown: 0s\n",
        ((STONES, 4, ""), (COFFEE, 4, ""), (COFFEE, 3, "dim .7"), (COFFEE, 4, "")),
        1,
    ),
    Scene(
        "infrared",
        "the camera turns to infrared while the cup stays: no second alert",
        CUP + "new: true\ncooldown: 0s\n",
        ((STONES, 4, ""), (COFFEE, 5, ""), (COFFEE, 5, "grey")),
        1,
    ),
    Scene(
        "night",
        "nothing is lit: no alert out of noise",
        CUP,
        ((STONES, 3, "dim .03"), (COFFEE, 6, "dim .03, noise 6")),
        0,
    ),
    Scene(
        "passer-by",
        "a cat passes in a second, the policy wants four: no alert",
        KITTY + "for: 4s\n",
        ((STONES, 4, ""), (CAT, 1, ""), (STONES, 5, "")),
        0,
    ),
    Scene(
        "stays",
        "the same policy, and the cat stays: one alert",
        KITTY + "for: 4s\n",
        ((STONES, 4, ""), (CAT, 9, "")),
        1,
    ),
    Scene(
        "flicker",
        "the cup comes and goes every two seconds within the cooldown: one alert",
        CUP + "cooldown: 1h\n",
        ((STONES, 4, ""), *[(COFFEE, 2, ""), (STONES, 2, "")] * 3),
        1,
    ),
    Scene(
        "returns",
        "the cat leaves and returns, and there is no cooldown: two alerts",
        KITTY + "cooldown: 0s\n",
        ((STONES, 4, ""), (CAT, 4, ""), (STONES, 4, ""), (CAT, 4, "")),
        2,
    ),
    Scene(
        "second",
        "a cat stays; then a cup stands there instead: one alert for the cup",
        CUP + "new: true\n",
        ((CAT, 6, ""), (COFFEE, 6, "")),
        1,
    ),
    Scene(
        "moved",
        "somebody knocks the camera while the cup stays: no second alert",
        CUP + "new: true\ncooldown: 0s\n",
        ((STONES, 4, ""), (COFFEE, 4, ""), (COFFEE, 6, "shift 12")),
        1,
    ),
    Scene(
        "occluded",
        "something stands before the cup for a second: one alert",
        CUP + "linger: 5s\ncooldown: 0s\n",
        ((STONES, 4, ""), (COFFEE, 4, ""), (STONES, 1, ""), (COFFEE, 5, "")),
        1,
    ),
    Scene(
        "absence",
        "the cat leaves for longer than three seconds: one alert",
        KITTY + "gone: 3s\n",
        ((CAT, 5, ""), (STONES, 8, "")),
        1,
    ),
    Scene(
        "two-cameras",
        "two cameras of a group see the same cat: one alert",
        KITTY + "cooldown: 0s\n",
        ((STONES, 4, ""), (CAT, 6, "")),
        1,
        twins=("two-cameras-b",),
        cameras="[yard]\ngroups: {yard: {cameras: [two-cameras, two-cameras-b], merge: 1m}}",
    ),
    Scene(
        "zone",
        "a cat sits left of the zone, then in it: one alert",
        IN_ZONE.replace("ZONE", "yard"),
        ((Placed(), 3, ""), (Placed(((CAT, LEFT),)), 5, ""), (Placed(((CAT, RIGHT),)), 6, "")),
        1,
    ),
    Scene(
        "outside",
        "the cat stays left of the zone: no alert",
        IN_ZONE.replace("ZONE", "lawn"),
        ((Placed(), 3, ""), (Placed(((CAT, LEFT),)), 8, "")),
        0,
    ),
    Scene(
        "two-cats",
        "one cat, then two, where two are wanted: one alert",
        TWO_CATS,
        ((CAT, 5, ""), (Placed(((CAT, UPPER_LEFT), (CAT, LOWER_RIGHT))), 6, "")),
        1,
    ),
    Scene(
        "one-cat",
        "one cat, here and there, where two are wanted: no alert",
        TWO_CATS,
        ((CAT, 5, ""), (Placed(((CAT, LEFT),)), 4, ""), (CAT, 4, "")),
        0,
    ),
    Scene(
        "restart",
        "the agent is restarted while the cup stands there: no second alert",
        CUP + "cooldown: 0s\n",
        ((STONES, 4, ""), (COFFEE, 12, "")),
        1,
        restart=True,
    ),
]


async def play(scenes: list[Scene], folder: Path) -> dict[str, list[str]]:
    """Alerts by scene: the phrase of each, in order."""
    found: dict[str, list[str]] = {}
    for restart in (False, True):
        some = [scene for scene in scenes if scene.restart == restart]
        size = 1 if restart else AT_ONCE
        for start in range(0, len(some), size):
            group = some[start : start + size]
            part = folder / group[0].name
            part.mkdir(parents=True)
            found |= await _play_together(group, part)
    return found


async def _play_together(scenes: list[Scene], folder: Path) -> dict[str, list[str]]:
    policies = folder / "policies"
    policies.mkdir()
    for scene in scenes:
        (policies / f"{scene.name}.yaml").write_text(scene.policy_yaml())
        (folder / f"{scene.name}.scene").write_text(scene.yaml())
    broker = Mosquitto(folder)
    await broker.start()
    store = str(folder / "moteye.db")
    names = [(scene, name) for scene in scenes for name in (scene.name, *scene.twins)]
    try:
        async with listening(broker.port) as heard:
            live = lambda: running_agent(policies, port=broker.port, embedded=False, store=store)
            async with live() as agent:
                running = [
                    asyncio.create_task(_camera(broker.port, scene, name, folder))
                    for scene, name in names
                ]
                await heard.until(
                    lambda: all(heard.of(name, "embedding") for _, name in names), "the cameras"
                )
                longest = max(scene.seconds for scene in scenes)
                if scenes[0].restart:
                    await heard.until(lambda: heard.alerts, "the alert before the restart")
                else:
                    await asyncio.sleep(longest + SETTLE_S)
            if scenes[0].restart:
                before = len(heard.of(scenes[0].name, "embedding"))
                async with live() as agent:
                    news = lambda: len(heard.of(scenes[0].name, "embedding")) - before >= 3
                    await heard.until(news, "frames after the restart")
                    await asyncio.sleep(SETTLE_S)
                    await heard.until(lambda: agent.judge.waiting == 0, "the inbox")
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    finally:
        await broker.stop()
    return {scene.name: _alerts(heard, scene.name) for scene in scenes}


async def _camera(port: int, scene: Scene, name: str, folder: Path) -> None:
    spec = f"scene:{folder / f'{scene.name}.scene'}"
    settings = {"device_id": name, "interval_ms": INTERVAL_MS, "settings": {"heartbeat_ms": 1000}}
    async with device(port, spec, folder / name, **settings):
        await asyncio.Event().wait()


def _alerts(heard: Listener, policy: str) -> list[str]:
    return [alert["phrase"] for alert in heard.alerts if alert["policy"] == policy]


def page(scenes: list[Scene], given: dict[str, list[str]]) -> str:
    """docs/scenes.md."""
    lines = [
        "# Scenes",
        "",
        "Written by `make scenes`: photos of scikit-image and scikit-learn before the simulated",
        "device (the firmware in MicroPython's unix port), a real broker, and the agent with the",
        "policy beside each. A photo fills the frame: this shows the rules at work, not how well a",
        "cluttered room is seen; for that see the card of the encoder.",
        "",
        "| scene | what happens | policy | alerts expected | given |",
        "|---|---|---|---|---|",
    ]
    for scene in scenes:
        policy = "; ".join(scene.policy.strip().splitlines())
        lines.append(
            f"| {scene.name} | {scene.says} | `{policy}` | {scene.alerts} | "
            f"{len(given[scene.name])} |"
        )
    equal = sum(len(given[scene.name]) == scene.alerts for scene in scenes)
    return "\n".join([*lines, "", f"Equal in {equal} of {len(scenes)}.", ""])


def main() -> int:
    """Play, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these scenes; writes nothing")
    names = parser.parse_args().names
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    scenes = [scene for scene in SCENES if not names or scene.name in names]
    with tempfile.TemporaryDirectory(prefix="moteye-scenes-") as folder:
        given = asyncio.run(play(scenes, Path(folder)))
    table = Table(title="scenes", title_justify="left")
    for heading in ("scene", "what happens", "expected", "given", ""):
        table.add_column(heading)
    for scene in scenes:
        count = len(given[scene.name])
        sign = "equal" if count == scene.alerts else "[red]differs[/]"
        table.add_row(scene.name, scene.says, str(scene.alerts), str(count), sign)
    Console(width=120).print(table)
    if not names:
        (ROOT / "docs" / "scenes.md").write_text(page(scenes, given), encoding="utf-8")
    return int(any(len(given[scene.name]) != scene.alerts for scene in scenes))


if __name__ == "__main__":
    sys.exit(main())
