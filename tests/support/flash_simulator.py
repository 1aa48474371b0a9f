"""NOR flash that loses power: sectors erased, words programmed, bits from 1 to 0 only."""

import random

from support.failing import Failing

WORD = 4
SECTOR_BYTES = 2048  # two chunks


class PowerCut(BaseException):
    """The power is gone; nothing after it happens."""


class SimulatedFlash(Failing):
    """`size` bytes in sectors.

    Each step (a word programmed, an eighth of a sector erased) counts. At step `fail_at` the power
    goes: before it where `torn` is None, else in the middle of it, with bits left by chance from
    `torn`. With `broken` the power stays, and the step ends in an OSError with nothing done.
    """

    def __init__(self, size: int, sector_bytes: int = SECTOR_BYTES, *, seed: int = 0) -> None:
        super().__init__()
        self.size = size
        self.sector_bytes = sector_bytes
        # a new flash holds anything
        self.bytes = bytearray(random.Random(seed).randbytes(size))
        self.broken = False
        self.torn: random.Random | None = None
        self.tears: list[tuple[int, int]] = []  # (offset, size) of what was torn

    def lose_power_after(self, steps: int, torn: int | None = None) -> None:
        """Cut the power so many steps from now; in the middle of one with the seed `torn`."""
        self.fail_at = self.steps + steps
        self.torn = None if torn is None else random.Random(torn)

    def erase(self, offset: int) -> None:
        assert offset % self.sector_bytes == 0, "no sector begins there"
        part = self.sector_bytes // 8
        for start in range(offset, offset + self.sector_bytes, part):
            if self._cut(start, part):
                chance = self.torn.randbytes(part)
                for index, value in enumerate(chance):
                    self.bytes[start + index] |= value
                raise PowerCut
            self.bytes[start : start + part] = b"\xff" * part

    def program(self, offset: int, data: bytes) -> None:
        assert offset % WORD == 0, "no word begins there"
        assert len(data) % WORD == 0, "not whole words"
        for start in range(0, len(data), WORD):
            word = data[start : start + WORD]
            at = offset + start
            if self._cut(at, WORD):
                chance = self.torn.randbytes(WORD)
                for index, value in enumerate(word):
                    self.bytes[at + index] &= value | chance[index]
                raise PowerCut
            for index, value in enumerate(word):
                self.bytes[at + index] &= value

    def read_into(self, offset: int, buffer: bytearray) -> None:
        buffer[:] = self.bytes[offset : offset + len(buffer)]

    def _cut(self, offset: int, size: int) -> bool:
        if not self.due():
            return False
        if self.broken:
            raise OSError(5, "EIO")
        if self.torn is None:
            raise PowerCut
        self.tears.append((offset, size))
        return True
