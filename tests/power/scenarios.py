"""What the power cuts are tried on: installs whole, resumed and reverted, deltas, other keys."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from moteye.link.swap import begin_arguments
from moteye_protocol.set_delta import encode_delta
from support.firmware_host import TRIAL_MS, Device, signing
from support.flash_simulator import SimulatedFlash
from support.sets import random_codebook, without_rows, working_set

ENCODER = b"encoder8"
Scenario = Callable[[SimulatedFlash], None]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


GOOD = [working_set(ENCODER, seed, epoch=seed) for seed in range(12)]
BAD = working_set(ENCODER, 99, epoch=99, works=False)
SHORTER = without_rows(GOOD[5], 7, 20, number=5, epoch=4)
CODED_DIM = 16  # a codebook of this dimension fits the small flash of this proof


def coded(rows: int, epoch: int) -> bytes:
    """A codebook set; the same codewords whatever its rows."""
    found = random_codebook(40, CODED_DIM, 3)
    parts = {"codes": found.codes[:rows], "mult": found.mult[:rows], "offset": found.offset[:rows]}
    changes = {"report_q8": -32768, "shift": 12, "epoch": epoch, "encoder_hash": ENCODER}
    return replace(found, names=found.names[:rows], **parts, **changes).encode()


CODED = [coded(30, 3), coded(40, 4)]
OLD_KEY, NEW_KEY = b"o" * 32, b"n" * 32
KNOWN = {sha(data)[:8]: data for data in (*GOOD, BAD, SHORTER, *CODED)}


def install(
    flash: SimulatedFlash, data: bytes, *, chunks: int | None = None, dim: int = 64
) -> Device:
    """Start a device and send it a set, or the first chunks of one."""
    device = Device(flash, ENCODER, dim=dim)
    code, more = device.begin(data, sha(data))
    if code != "ok" or more["have"]:
        return device
    device.send(data, sha(data), more["missing"][:chunks])
    if chunks is None:
        device.live()
    return device


def full(flash: SimulatedFlash) -> None:
    install(flash, GOOD[1])


def second(flash: SimulatedFlash) -> None:
    install(flash, GOOD[1])
    install(flash, GOOD[2])


def resumed(flash: SimulatedFlash) -> None:
    install(flash, GOOD[1])
    install(flash, GOOD[2], chunks=1)
    install(flash, GOOD[2], chunks=1)
    install(flash, GOOD[2])


def reverted(flash: SimulatedFlash) -> None:
    install(flash, GOOD[1])
    install(flash, BAD)
    install(flash, GOOD[2])


def timed_out(flash: SimulatedFlash) -> None:
    install(flash, GOOD[1])
    device = Device(flash, ENCODER)
    device.broker = False
    _, more = device.begin(GOOD[2], sha(GOOD[2]))
    device.send(GOOD[2], sha(GOOD[2]), more["missing"])
    device.live(ms=TRIAL_MS)
    install(flash, GOOD[2])


def aborted(flash: SimulatedFlash) -> None:
    install(flash, GOOD[1])
    device = install(flash, GOOD[2], chunks=2)
    device.swap.abort(sha(GOOD[2])[:8])
    install(flash, GOOD[3])


def changed(flash: SimulatedFlash) -> None:
    install(flash, SHORTER)
    device = Device(flash, ENCODER)
    delta = encode_delta(SHORTER, GOOD[5])
    code, _ = device.swap.begin(sha(GOOD[5]), len(GOOD[5]), 0, sha(SHORTER)[:8], delta)
    assert code == "ok"
    device.live()


def codebook(flash: SimulatedFlash) -> None:
    """Codewords, a delta on them, and rows of 4 bits in their place."""
    install(flash, CODED[0], dim=CODED_DIM)
    device = Device(flash, ENCODER, dim=CODED_DIM)
    delta = encode_delta(CODED[0], CODED[1])
    code, _ = device.swap.begin(sha(CODED[1]), len(CODED[1]), 0, sha(CODED[0])[:8], delta)
    assert code == "ok"
    device.live()
    install(flash, GOOD[5], dim=CODED_DIM)


def install_signed(
    flash: SimulatedFlash, data: bytes, key: bytes, keys: tuple[bytes, ...], chunks: int | None
) -> None:
    """As `install`, for a device that checks with `keys` what is signed with `key`."""
    arguments = begin_arguments(data, key=key)
    code, announced = signing.read_manifest(arguments["manifest"], arguments["mac"], keys)
    assert code == "ok"
    device = Device(flash, ENCODER)
    sha256, size, encoder, epoch, _ = announced
    assert device.swap.fits(encoder, epoch) == "ok"
    code, more = device.swap.begin(sha256, size, 0)
    if code == "ok" and not more["have"]:
        device.send(data, sha256, more["missing"][:chunks])
        if chunks is None:
            device.live()


def rotated(flash: SimulatedFlash) -> None:
    """The fleet's key changes in the middle of a transfer."""
    install_signed(flash, GOOD[1], OLD_KEY, (OLD_KEY,), None)
    install_signed(flash, GOOD[2], OLD_KEY, (OLD_KEY,), 1)
    install_signed(flash, GOOD[2], NEW_KEY, (OLD_KEY, NEW_KEY), None)
    install_signed(flash, GOOD[3], NEW_KEY, (NEW_KEY,), None)


def many(flash: SimulatedFlash) -> None:
    """So many that both sectors of the log are filled, twice."""
    for data in GOOD[1:7]:
        install(flash, data)


SCENARIOS: dict[str, Scenario] = {
    "full": full,
    "second install": second,
    "resumed": resumed,
    "delta": changed,
    "reverted": reverted,
    "reverted by deadline": timed_out,
    "aborted": aborted,
    "codebook": codebook,
    "keys rotated": rotated,
    "log full": many,
}
DIMS = {"codebook": CODED_DIM}
