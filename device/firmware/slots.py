# Two slots for prototype sets in flash, and the log that says what is in them. Rules only: the
# flash is passed in (flash.py). A power cut at any moment leaves the state before or the one after.
#
#   log      2 sectors of records of 256 bytes. Each record is the whole state; the one that counts
#            has the highest generation and a good CRC, so a torn record is no record. When a sector
#            is full, the other one is erased and goes on.
#   slot 0   marks: one word a chunk, the CRC-32 of the chunk, programmed after the chunk; then data
#   slot 1   the same
#
# A word may be programmed again with the same value, after a cut in the middle of it.
import binascii
import struct

from moteye_protocol.wire import CHUNK_BYTES

_MAGIC = b"MSL1"
_RECORD_BYTES = 256
_HEAD = "<4sIBBBBI"  # magic, generation, active, open, trials, failed, floor
_SLOT = "<IIB3x32s"  # size, epoch, state, sha256
_SLOTS_AT = 16
_FAILED_AT = 104
_CRC_AT = 252
_NONE = 255
_WORD = 4
MAX_FAILED = 8

EMPTY = 0
RECEIVING = 1
CONFIRMED = 2


class SlotsError(Exception):
    pass


class Slot:
    def __init__(self):
        self.clear()

    def clear(self):
        self.state = EMPTY
        self.size = 0
        self.epoch = 0
        self.sha256 = bytes(32)


def _round_up(value, unit):
    return (value + unit - 1) // unit * unit


def _chunk_count(size):
    return (size + CHUNK_BYTES - 1) // CHUNK_BYTES


# What two slots for sets of up to max_bytes take in a flash with such sectors.
def flash_bytes(max_bytes, sector_bytes):
    marks = _round_up(_chunk_count(max_bytes) * _WORD, sector_bytes)
    return 2 * sector_bytes + 2 * (marks + _round_up(max_bytes, sector_bytes))


# Methods that write raise OSError or SlotsError where the flash does not hold what it was given;
# reload() then goes back to what it holds.
class Slots:
    def __init__(self, flash, max_bytes):
        self._flash = flash
        self._sector = flash.sector_bytes
        self._marks_bytes = _round_up(_chunk_count(max_bytes) * _WORD, self._sector)
        self._slot_bytes = self._marks_bytes + _round_up(max_bytes, self._sector)
        self._max_bytes = max_bytes
        self.slots = (Slot(), Slot())
        self.reload()

    # Takes the state that the flash holds.
    def reload(self):
        self._reset()
        self._load()

    def _reset(self):
        self.generation = 0
        self.active = None  # slot of the set that was confirmed last
        self.open = None  # slot of the transfer under way
        self.trials = 0  # of the open one
        self.floor = 0  # highest epoch that was ever confirmed
        self.failed = []  # hash8 of sets whose trial failed, oldest first
        for slot in self.slots:
            slot.clear()

    # --- the log

    def _load(self):
        raw = bytearray(_RECORD_BYTES)
        best = None
        for at in range(0, 2 * self._sector, _RECORD_BYTES):
            generation = self._generation_at(at, raw)
            if generation > self.generation:
                self.generation = generation
                best = at
        self._next = 0 if best is None else best + _RECORD_BYTES
        self._fresh = best is None
        if best is not None:
            self._generation_at(best, raw)
            self._unpack(raw)

    # The generation of the record there, read into raw; 0 where there is none.
    def _generation_at(self, at, raw):
        self._flash.read_into(at, raw)
        if raw[:4] != _MAGIC:
            return 0
        if struct.unpack_from("<I", raw, _CRC_AT)[0] != binascii.crc32(memoryview(raw)[:_CRC_AT]):
            return 0
        return struct.unpack_from("<I", raw, 4)[0]

    def _unpack(self, raw):
        _, _, active, opened, self.trials, failed, self.floor = struct.unpack_from(_HEAD, raw, 0)
        self.active = None if active == _NONE else active
        self.open = None if opened == _NONE else opened
        for index, slot in enumerate(self.slots):
            at = _SLOTS_AT + index * struct.calcsize(_SLOT)
            slot.size, slot.epoch, slot.state, slot.sha256 = struct.unpack_from(_SLOT, raw, at)
        self.failed = [
            bytes(raw[_FAILED_AT + 8 * i : _FAILED_AT + 8 * i + 8]) for i in range(failed)
        ]

    def _pack(self):
        raw = bytearray(_RECORD_BYTES)
        struct.pack_into(
            _HEAD,
            raw,
            0,
            _MAGIC,
            self.generation,
            _NONE if self.active is None else self.active,
            _NONE if self.open is None else self.open,
            self.trials,
            len(self.failed),
            self.floor,
        )
        for index, slot in enumerate(self.slots):
            at = _SLOTS_AT + index * struct.calcsize(_SLOT)
            struct.pack_into(_SLOT, raw, at, slot.size, slot.epoch, slot.state, slot.sha256)
        for index, name in enumerate(self.failed):
            raw[_FAILED_AT + 8 * index : _FAILED_AT + 8 * index + 8] = name
        struct.pack_into("<I", raw, _CRC_AT, binascii.crc32(memoryview(raw)[:_CRC_AT]))
        return raw

    # Makes the state as it is now the one that counts.
    def _commit(self):
        self.generation += 1
        raw = self._pack()
        at = self._place()
        self._next = at + _RECORD_BYTES
        self._program(at, raw)
        self._fresh = False

    # Where the next record goes: behind the last one, past torn ones, or in the other sector.
    def _place(self):
        at = self._next
        if not self._fresh:
            first = (at - _RECORD_BYTES) // self._sector
            while at < (first + 1) * self._sector:
                if self._is_blank(at, _RECORD_BYTES):
                    return at
                at += _RECORD_BYTES
            at = (1 - first) * self._sector
        self._flash.erase(at)
        return at

    def _is_blank(self, at, size):
        raw = bytearray(size)
        self._flash.read_into(at, raw)
        return raw == b"\xff" * size

    def _program(self, at, data):
        self._flash.program(at, data)
        again = bytearray(len(data))
        self._flash.read_into(at, again)
        if again != data:
            raise SlotsError("the flash does not hold what was written at %d" % at)

    # --- reading

    # Slots with a confirmed set, the one that counts first. The caller verifies what it reads.
    def candidates(self):
        if self.active is None:
            return []
        order = (self.active, 1 - self.active)
        return [index for index in order if self.slots[index].state == CONFIRMED]

    # The bytes of a slot, put into the start of `buffer`; a view of them, or None where it is too
    # small.
    def read(self, index, buffer):
        slot = self.slots[index]
        if slot.size > len(buffer):
            return None
        view = memoryview(buffer)[: slot.size]
        self._flash.read_into(self._data_at(index), view)
        return view

    def _slot_at(self, index):
        return 2 * self._sector + index * self._slot_bytes

    def _data_at(self, index):
        return self._slot_at(index) + self._marks_bytes

    # --- the transfer under way

    # The set that is being received, or None.
    def transfer(self):
        return None if self.open is None else self.slots[self.open]

    # Makes the slot that is not in use ready for a set. Its marks are erased before it is said to
    # be receiving, so that none of an older set can pass for one of this; put() erases the rest,
    # a sector at a time, since the whole slot at once would take seconds (T65).
    def begin(self, sha256, size):
        index = 0 if self.active is None else 1 - self.active
        start = self._slot_at(index)
        for at in range(0, _round_up(_chunk_count(size) * _WORD, self._sector), self._sector):
            self._flash.erase(start + at)
        slot = self.slots[index]
        slot.state = RECEIVING
        slot.size = size
        slot.epoch = 0
        slot.sha256 = sha256
        self.open = index
        self.trials = 0
        self._commit()

    # A flag for each chunk: whether it is there, whole.
    def seen(self):
        slot = self.slots[self.open]
        found = bytearray(_chunk_count(slot.size))
        mark = bytearray(_WORD)
        chunk = bytearray(CHUNK_BYTES)
        for index in range(len(found)):
            view = memoryview(chunk)[: min(CHUNK_BYTES, slot.size - index * CHUNK_BYTES)]
            self._flash.read_into(self._data_at(self.open) + index * CHUNK_BYTES, view)
            self._flash.read_into(self._slot_at(self.open) + index * _WORD, mark)
            found[index] = struct.unpack("<I", mark)[0] == binascii.crc32(view)
        return found

    # Stores one chunk, then its mark. seen: flags of all chunks; the first of a sector erases it.
    def put(self, index, data, seen):
        each = max(1, self._sector // CHUNK_BYTES)  # chunks in a sector
        first = index // each * each
        if not any(seen[first : first + each]):
            for at in range(0, CHUNK_BYTES, self._sector):
                self._flash.erase(self._data_at(self.open) + first * CHUNK_BYTES + at)
        mark = struct.pack("<I", binascii.crc32(data))
        rest = len(data) % _WORD
        if rest:
            data = bytes(data) + b"\xff" * (_WORD - rest)
        self._program(self._data_at(self.open) + index * CHUNK_BYTES, data)
        self._program(self._slot_at(self.open) + index * _WORD, mark)

    # A trial of the received set begins; its epoch is what it says itself.
    def begin_trial(self, epoch):
        self.slots[self.open].epoch = epoch
        self.trials = min(255, self.trials + 1)
        self._commit()

    # The received set is the one that counts from now on. Only here the floor rises.
    def confirm(self):
        slot = self.slots[self.open]
        slot.state = CONFIRMED
        self.active = self.open
        self.open = None
        self.trials = 0
        self.floor = max(self.floor, slot.epoch)
        self._commit()

    # The set of another slot counts from now on; the one that did is damaged.
    def prefer(self, index):
        self.slots[self.active].clear()
        if self.open == self.active:
            self.open = None
        self.active = index
        self._commit()

    # Forgets the transfer; with `failed`, the set is remembered as one that does not work.
    def drop(self, failed=False):
        slot = self.slots[self.open]
        if failed:
            self.failed = (self.failed + [slot.sha256[:8]])[-MAX_FAILED:]
        slot.clear()
        self.open = None
        self.trials = 0
        self._commit()
