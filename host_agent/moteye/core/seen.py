"""What the engine gets to see of a frame beside its margins."""

from dataclasses import dataclass

from moteye.core.boxes import Box


@dataclass(slots=True)  # not frozen: one is made for every frame, and that costs five times as much
class Observation:
    """One frame of one device: which one, and when it was taken (host clock, ms).

    `late`: it came so long after it was taken that it alerts nobody. `boxes` are what stands where
    in it; None where the device's encoder gives no positions. `embedding` int8[256] as bytes, for
    policies that remember what they saw; `infrared`: a frame without colour; `encoder`: whose
    embedding it is.
    """

    device: str
    session: int
    number: int
    frame: int
    time_ms: int
    late: bool = False
    boxes: tuple[Box, ...] | None = None
    embedding: bytes = b""
    infrared: bool = False
    encoder: bytes = b""


INFRARED_BELOW_PERCENT = 4


def is_infrared(colour: int | None) -> bool:
    """Whether a frame of so much colour (percent) was taken without; where nothing is told, not."""
    return colour is not None and 0 <= colour < INFRARED_BELOW_PERCENT
