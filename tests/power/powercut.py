"""The proof that no power cut confuses a device: cuts at every flash operation, and inside it.

    make powercut        prints the table below and writes build/bench/powercut.json

The device's own code (swap.py, slots.py) runs over a flash that is erased in sectors and programmed
in words, whose bits go from 1 to 0 only. A scenario runs once and each of its steps is recorded: a
word programmed, an eighth of a sector erased. Then, for every step, the flash as it was before
that step, and as it is when the step was torn, is given to a device that starts. It must come up
with the set that was confirmed last, or, where the record that confirms was on its way, with the
next one; with the floor that belongs to it; or with a whole set on trial and the confirmed one to
go back to.
And it must take the set that was on its way, if somebody sends it again.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from moteye.core.codebook import widths_of
from moteye.link.swap import begin_arguments, smaller_delta
from moteye_protocol import wire
from moteye_protocol.codec import pack
from moteye_protocol.prototype_set import header_of
from moteye_protocol.signing import sign_command

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from power.scenarios import (  # noqa: E402
    DIMS,
    ENCODER,
    GOOD,
    KNOWN,
    SCENARIOS,
    Scenario,
    install,
    second,
    sha,
)
from support.figures import add_rows  # noqa: E402
from support.firmware_host import Device, flash_size, slots  # noqa: E402
from support.flash_simulator import WORD, PowerCut, SimulatedFlash  # noqa: E402
from support.sets import random_codebook, random_set, without_rows  # noqa: E402

RANDOM_RUNS = 200
RANDOM_CUTS = 5


@dataclass
class Truth:
    """What counts from step `end` on; between `start` and `end` it or what counted before."""

    start: int
    end: int
    confirmed: bytes | None
    floor: int


@dataclass
class Step:
    """One step of a scenario: what the flash held there before, and what was to be there."""

    offset: int
    before: bytes
    after: bytes
    erase: bool


class Recorder(SimulatedFlash):
    """A flash that writes down each step and what counts after each record."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size, seed=seed)
        self.first = bytes(self.bytes)
        self.trace: list[Step] = []
        self.truths = [Truth(0, 0, None, 0)]

    def _cut(self, offset: int, size: int) -> bool:
        self._close()
        self.trace.append(Step(offset, bytes(self.bytes[offset : offset + size]), b"", size > WORD))
        return super()._cut(offset, size)

    def _close(self) -> None:
        if self.trace and not self.trace[-1].after:
            last = self.trace[-1]
            last.after = bytes(self.bytes[last.offset : last.offset + len(last.before)])


def record(scenario: Scenario, seed: int) -> Recorder:
    """Run a scenario without a cut, and note what each record confirms, if it does."""
    flash = Recorder(flash_size(), seed)
    commit, confirm = slots.Slots._commit, slots.Slots.confirm
    counts = flash.truths[0]

    def noted_confirm(self: slots.Slots) -> None:
        nonlocal counts
        name = self.slots[self.open].sha256[:8]
        epoch = header_of(KNOWN[name])[1]
        counts = Truth(0, 0, name, max(counts.floor, epoch))
        confirm(self)

    def noted_commit(self: slots.Slots) -> None:
        start = flash.steps
        commit(self)
        flash.truths.append(Truth(start, flash.steps, counts.confirmed, counts.floor))

    slots.Slots._commit, slots.Slots.confirm = noted_commit, noted_confirm
    try:
        scenario(flash)
    finally:
        slots.Slots._commit, slots.Slots.confirm = commit, confirm
    flash._close()
    return flash


@dataclass
class Row:
    """What came of one scenario."""

    name: str
    steps: int = 0
    cuts: int = 0
    torn_writes: int = 0
    torn_records: int = 0
    settled: int = 0
    trial: int = 0
    completed: int = 0
    invalid: list[str] = field(default_factory=list)


def cuts_of(flash: Recorder, chosen: Callable[[int], bool]) -> Iterator[tuple[int, bytearray]]:
    """(step, what the flash holds before that step), for each chosen step and the end."""
    image = bytearray(flash.first)
    for number, step in enumerate(flash.trace):
        if chosen(number):
            yield number, image
        image[step.offset : step.offset + len(step.after)] = step.after
    yield len(flash.trace), image


def tear(step: Step, chance: random.Random) -> bytes:
    """A word of which some bits were programmed, or a stretch of which some bits were erased."""
    noise = chance.randbytes(len(step.before))
    if step.erase:
        return bytes(b | n for b, n in zip(step.before, noise, strict=True))
    return bytes(b & (a | n) for b, a, n in zip(step.before, step.after, noise, strict=True))


def judge(flash: Recorder, step: int, image: bytearray, row: Row, *, finish: bool) -> None:
    """Start a device on what a cut has left, and say whether that is a valid outcome."""
    after = SimulatedFlash(len(image))
    after.bytes[:] = image
    where = f"{row.name}: cut at step {step}"
    before = [truth for truth in flash.truths if truth.end <= step][-1]
    coming = [truth for truth in flash.truths if truth.start <= step < truth.end]
    try:
        device = Device(after, ENCODER, dim=DIMS.get(row.name, 64))
    except Exception as error:  # noqa: BLE001  whatever it is, it is an outcome
        row.invalid.append(f"{where}: the device does not start: {error!r}")
        return
    floor = device.swap.fields()["floor"]
    settled = [(truth.confirmed, truth.floor) for truth in (before, *coming)]
    used = device.used
    on_trial = device.state[0] == "trial"
    confirmed = device.swap._previous.hash if on_trial and device.swap._previous else used
    if on_trial and device.swap._previous is None:
        confirmed = None
    if (confirmed, floor) not in settled:
        row.invalid.append(f"{where}: {confirmed} at floor {floor}, expected one of {settled}")
    elif used is not None and (used not in KNOWN or device.swap.active.epoch < floor):
        row.invalid.append(f"{where}: a set that nobody sent, or below the floor")
    elif on_trial:
        row.trial += 1
    else:
        row.settled += 1
    if finish:
        _finish(after, where, row, floor)


def _finish(after: SimulatedFlash, where: str, row: Row, floor: int) -> None:
    """Whatever was cut, the next set must install."""
    target = GOOD[11]
    device = Device(after, ENCODER, dim=DIMS.get(row.name, 64))
    device.live()
    device.now_ms += 30_000
    code, more = device.begin(target, sha(target))
    if code == "ok" and not more["have"]:
        device.send(target, sha(target), more["missing"])
        device.live()
    again = Device(after, ENCODER, dim=DIMS.get(row.name, 64))
    if again.used != sha(target)[:8] or again.swap.fields()["floor"] != 11:
        row.invalid.append(f"{where}: the next set does not install: {code} {device.state}")
    else:
        row.completed += 1


def prove(name: str, seed: int, share: float) -> Row:
    """Cut a scenario everywhere, or at a share of all steps chosen by chance."""
    chance = random.Random(f"{name} {seed}")
    flash = record(SCENARIOS[name], seed)
    row = Row(name, steps=len(flash.trace))
    for number, image in cuts_of(flash, lambda _: chance.random() < share):
        finish = chance.random() < 0.1
        row.cuts += 1
        judge(flash, number, image, row, finish=finish)
        if number == len(flash.trace):
            continue
        step = flash.trace[number]
        torn = bytearray(image)
        torn[step.offset : step.offset + len(step.before)] = tear(step, chance)
        row.cuts += 1
        row.torn_writes += 1
        row.torn_records += not step.erase and step.offset < 2 * flash.sector_bytes
        judge(flash, number, torn, row, finish=finish)
    return row


def prove_repeated(seed: int, runs: int) -> Row:
    """Swaps with five cuts at chance moments, each after the last; then one without."""
    row = Row("5 random cuts")
    for run in range(runs):
        chance = random.Random(f"{seed} {run}")
        flash = SimulatedFlash(flash_size(), seed=run)
        second(flash)
        targets = (GOOD[3], GOOD[4])
        allowed = {sha(data)[:8] for data in (GOOD[2], *targets)}
        floor = 2
        for _ in range(RANDOM_CUTS):
            flash.steps, flash.fail_at = 0, chance.randrange(1200)
            flash.torn = chance if chance.random() < 0.7 else None
            row.cuts += 1
            row.torn_writes += flash.torn is not None
            try:
                install(flash, chance.choice(targets))
            except PowerCut:
                row.steps += flash.steps - 1  # the last one was cut
            flash.fail_at = None
            device = Device(flash, ENCODER)
            now = device.swap.fields()["floor"]
            if device.used not in allowed or now < floor or device.swap.active.epoch < now:
                row.invalid.append(f"run {run}: {device.used} at floor {now} after {floor}")
            floor = max(floor, now)
            row.settled += 1
        _finish(flash, f"run {run}", row, floor)
    return row


def main() -> int:
    """Print the report; 1 if an outcome is not valid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="share of all steps to cut at")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "powercut.json")
    arguments = parser.parse_args()
    rows = [prove(name, arguments.seed, arguments.share) for name in SCENARIOS]
    rows.append(prove_repeated(arguments.seed, max(1, int(RANDOM_RUNS * arguments.share))))
    print(table(rows))
    print(f"one class more in a set of 100: {delta_one_class_bytes()} bytes to the device")
    invalid = [text for row in rows for text in row.invalid]
    for text in invalid[:20]:
        print(text)
    print(f"10,000 classes at 64 dimensions: {codebook_10000x64_bytes():,} bytes of codewords")
    add_rows(arguments.json, figures(rows, arguments.seed))
    return 1 if invalid else 0


def figures(rows: list[Row], seed: int) -> list[dict[str, object]]:
    """Rows of the benchmarks' shape."""
    invalid = sum(len(row.invalid) for row in rows)
    found: list[tuple[str, int, str, int | None]] = [
        ("cuts", sum(row.cuts for row in rows), "cuts", 5000),
        ("torn_writes", sum(row.torn_writes for row in rows), "writes", None),
        ("torn_records", sum(row.torn_records for row in rows), "records", None),
        ("invalid_outcomes", invalid, "outcomes", 0),
        ("completed_afterwards", sum(row.completed for row in rows), "swaps", None),
        ("delta_one_class_bytes", delta_one_class_bytes(), "bytes", 400),
        ("set_1000x64_bytes", set_1000x64_bytes(), "bytes", 48 * 1024),
        ("codebook_10000x64_bytes", codebook_10000x64_bytes(), "bytes", 160_000),
    ]
    return [
        {"id": name, "value": value, "unit": unit, "target": target, "conditions": f"seed {seed}"}
        for name, value, unit, target in found
    ]


def codebook_10000x64_bytes() -> int:
    """10,000 classes as codewords at 64 dimensions, without names."""
    widths = widths_of(64)
    return len(random_codebook(10_000, 64, 1, widths=widths, names=False).encode())


def set_1000x64_bytes() -> int:
    """A set of 1,000 classes at 64 dimensions, without names."""
    data = random_set(1000, 64, 1).encode()
    return len(data) - int.from_bytes(data[36:40], "little")


def delta_one_class_bytes() -> int:
    """All bytes of payload that add a class to a set of 100, at 256 dimensions, signed."""
    whole = random_set(101, 256, 2)
    names = tuple(f"a phrase of {number:09}" for number in range(101))  # 21 characters
    target = replace(whole, names=names, epoch=20_000).encode()
    base = without_rows(target, 40)
    delta = smaller_delta(base, target)
    key = bytes(32)
    command = {
        "v": wire.VERSION,
        "tid": "12345678",
        "s": 100,
        "issued": 1_800_000_000_000,
        "op": "set.begin",
        "args": begin_arguments(target, base=base, delta=delta, key=key),
    }
    return len(sign_command(key, pack(command)))


def table(rows: list[Row]) -> str:
    """The report, in Markdown."""
    heads = ("scenario", "steps", "cuts", "torn writes", "of them in records")
    heads += ("confirmed set in use", "set on trial", "next set installed", "invalid")
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    total = Row("**all**")
    for row in rows:
        for name in ("steps", "cuts", "torn_writes", "torn_records", "settled", "trial"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
        total.completed += row.completed
        total.invalid += row.invalid
    for row in (*rows, total):
        counts = (row.steps, row.cuts, row.torn_writes, row.torn_records, row.settled)
        counts += (row.trial, row.completed, len(row.invalid))
        lines.append(f"| {row.name} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
