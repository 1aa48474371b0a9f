"""What `make bench-host` feeds the agent: policies, devices and the messages they send. Seeded."""

from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import numpy.typing as npt
from moteye.core.language import Policy, parse_policy
from moteye.text.space import Space

PHRASES_A_POLICY = 3
HOLD_FRAMES = 20  # a device looks at one picture for so many frames
_COLOURS = ["red", "blue", "green", "yellow", "black", "white", "brown", "grey", "orange", "pink"]
_STATES = ["small", "large", "old", "new", "dirty", "clean", "broken", "shiny", "round", "long"]
_THINGS = ["cup", "bottle", "chair", "bicycle", "bag", "box", "ball", "book", "shoe", "hat"]
_THINGS += ["knife", "spoon", "bowl", "lamp", "toy", "vase", "clock", "phone", "key", "car"]
_THINGS += ["ladder", "hammer", "bucket", "umbrella", "blanket", "towel", "basket", "rope", "boat"]
_THINGS += ["bench"]


def phrases(count: int) -> list[str]:
    """`count` different phrases, such as "a small red cup"."""
    found = [f"a {s} {c} {thing}" for s in _STATES for c in _COLOURS for thing in _THINGS]
    if count > len(found):
        raise ValueError(f"{count} phrases are wanted, {len(found)} are there")
    return found[:count]


def policies(count: int, *, certainty: str = "sure", then: str = "[log]") -> list[Policy]:
    """`count` policies of PHRASES_A_POLICY phrases each."""
    return [
        parse_policy(text, name, name)
        for name, text in policy_texts(count, certainty, then).items()
    ]


def policy_texts(count: int, certainty: str = "sure", then: str = "[log]") -> dict[str, str]:
    """The same policies as files: text by name."""
    words = phrases(count * PHRASES_A_POLICY)
    return {
        f"policy{number:04}": (
            f"see: {words[PHRASES_A_POLICY * number : PHRASES_A_POLICY * (number + 1)]}\n"
            f"certainty: {certainty}\ncooldown: 1m\nthen: {then}\n"
        ).replace("'", '"')
        for number in range(count)
    }


def write_policies(folder: Path, texts: dict[str, str]) -> Path:
    """Put policies into a folder, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def views(space: Space, count: int, seed: int = 0) -> npt.NDArray[np.int8]:
    """int8[count, 256]: photos of the background bank, each seen HOLD_FRAMES times, with noise."""
    rng = np.random.default_rng(seed)
    bank = space.background.embeddings
    chosen = bank[rng.integers(0, len(bank), -(-count // HOLD_FRAMES)).repeat(HOLD_FRAMES)[:count]]
    noise = rng.integers(-2, 3, chosen.shape)
    return np.clip(chosen.astype(np.int16) + noise, -127, 127).astype(np.int8)


def device_name(number: int) -> str:
    """The id of a device of the fleet."""
    return f"cam{number:05}"


def messages(
    space: Space, count: int, devices: int, *, seed: int = 0, start: int = 0, session: int = 1
) -> Iterator[tuple[str, bytes]]:
    """(topic, payload) of `count` embeddings, device after device in turn.

    The first round of all devices has the number `start`.
    """
    rounds = -(-count // devices)
    seen = [views(space, rounds, seed + device) for device in range(min(devices, count))]
    for at in range(count):
        device, turn = at % devices, at // devices
        number = start + turn
        body = {
            "v": 1,
            "s": session,
            "n": number,
            "t": None,
            "up": 1000 * number,
            "frame": number,
            "at": 1000 * number,
            "encoder": space.encoder_hash,
            "set": None,
            "e": seen[device][turn].tobytes(),
            "why": "change",
            "sim": 0,
        }
        yield f"moteye/v1/{device_name(device)}/embedding", msgpack.packb(body)
