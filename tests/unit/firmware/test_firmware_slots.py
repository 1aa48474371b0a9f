"""Two slots and a log in flash: what is found after a start is what was confirmed."""

import hashlib

import pytest
from flash import FileFlash, RamFlash, open_flash
from slots import CONFIRMED, MAX_FAILED, Slots, SlotsError, flash_bytes
from support.flash_simulator import SimulatedFlash

MAX = 8192
SECTOR = 1024


def sha(data):
    return hashlib.sha256(data).digest()


def content(seed, size=3000):
    return bytes((seed * 7 + index * index) & 255 for index in range(size))


def put(slots, data, indices):
    seen = slots.seen()
    for index in indices:
        slots.put(index, data[index * 1024 : index * 1024 + 1024], seen)
        seen[index] = 1


def store(slots, data, epoch=0):
    slots.begin(sha(data), len(data))
    put(slots, data, range(-(-len(data) // 1024)))
    slots.begin_trial(epoch)
    slots.confirm()


@pytest.fixture(params=[512, SECTOR, 4096])
def flash(request):
    """Sectors of half a chunk, of one, and of four."""
    return SimulatedFlash(flash_bytes(MAX, request.param), request.param)


def read(slots, index):
    return bytes(slots.read(index, bytearray(MAX)))


def test_new_flash_of_garbage_holds_nothing(flash):
    slots = Slots(flash, MAX)
    assert (slots.candidates(), slots.transfer(), slots.floor) == ([], None, 0)


def test_confirmed_set_is_found_again_and_the_one_before_it(flash):
    first, second = content(1), content(2, 5001)
    slots = Slots(flash, MAX)
    store(slots, first, 3)
    store(slots, second, 5)
    again = Slots(flash, MAX)
    assert [read(again, index) for index in again.candidates()] == [second, first]
    assert again.floor == 5
    assert [slot.state for slot in again.slots] == [CONFIRMED, CONFIRMED]


def test_t25_floor_rises_at_confirm_only(flash):
    slots = Slots(flash, MAX)
    store(slots, content(1), 3)
    slots.begin(sha(content(2)), 100)
    slots.begin_trial(9)
    assert Slots(flash, MAX).floor == 3
    slots.drop(failed=True)
    again = Slots(flash, MAX)
    assert (again.floor, again.failed) == (3, [sha(content(2))[:8]])


def test_t31_chunks_are_remembered_over_a_restart(flash):
    data = content(4, 4000)
    slots = Slots(flash, MAX)
    slots.begin(sha(data), len(data))
    put(slots, data, (0, 3))
    assert list(Slots(flash, MAX).seen()) == [1, 0, 0, 1]


def test_t65_no_step_of_a_transfer_erases_more_than_a_sector_or_a_chunk(flash):
    """A slot that is erased at once takes seconds, and trips the watchdog of a real board."""
    erased = []
    plain = flash.erase
    flash.erase = lambda offset: (erased.append(offset), plain(offset))
    slots = Slots(flash, MAX)
    for seed in (1, 2, 3):
        data = content(seed, MAX)
        slots.begin(sha(data), len(data))
        seen = slots.seen()
        for index in range(8):
            del erased[:]
            slots.put(index, data[index * 1024 : index * 1024 + 1024], seen)
            seen[index] = 1
            assert len(erased) * flash.sector_bytes <= max(1024, flash.sector_bytes)
        slots.begin_trial(0)
        slots.confirm()
        assert read(Slots(flash, MAX), slots.active) == data


def test_log_goes_on_over_many_sectors(flash):
    slots = Slots(flash, MAX)
    for number in range(50):
        store(slots, content(number, 1500), number)
        assert read(Slots(flash, MAX), slots.active) == content(number, 1500)
    assert Slots(flash, MAX).generation == 150


def test_t27_last_eight_failed_hashes_are_remembered(flash):
    slots = Slots(flash, MAX)
    for number in range(10):
        slots.begin(sha(content(number)), 100)
        slots.drop(failed=True)
    wanted = [sha(content(number))[:8] for number in range(10 - MAX_FAILED, 10)]
    assert Slots(flash, MAX).failed == wanted


def test_set_of_the_other_slot_takes_the_place_of_a_damaged_one(flash):
    slots = Slots(flash, MAX)
    store(slots, content(1))
    store(slots, content(2))
    damaged = slots.active
    slots.prefer(1 - damaged)
    again = Slots(flash, MAX)
    assert (again.active, again.candidates()) == (1 - damaged, [1 - damaged])


def test_flash_that_does_not_take_a_word_is_noticed(flash):
    slots = Slots(flash, MAX)
    slots.begin(sha(content(1)), 3000)
    flash.program = lambda offset, data: None
    with pytest.raises(SlotsError, match="does not hold what was written"):
        slots.put(0, content(1, 1024), slots.seen())


def test_file_flash_keeps_what_it_holds(tmp_path):
    path = str(tmp_path / "flash.bin")
    size = flash_bytes(MAX, SECTOR)
    store(Slots(FileFlash(path, size, SECTOR), MAX), content(1))
    again = Slots(FileFlash(path, size, SECTOR), MAX)
    assert read(again, again.active) == content(1)
    assert (tmp_path / "flash.bin").stat().st_size == size


def test_t64_file_of_another_size_is_made_anew(tmp_path):
    (tmp_path / "flash.bin").write_bytes(b"garbage")
    flash = FileFlash(str(tmp_path / "flash.bin"), flash_bytes(MAX, SECTOR), SECTOR)
    assert Slots(flash, MAX).candidates() == []


def test_t64_memory_takes_the_place_of_a_folder_that_is_not_there(tmp_path):
    flash, lasting = open_flash(str(tmp_path / "none" / "flash.bin"), 65536)
    assert isinstance(flash, RamFlash)
    assert lasting is False
    store(Slots(flash, MAX), content(1))
