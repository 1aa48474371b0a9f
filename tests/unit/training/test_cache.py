"""Files that training goes on from: whole or not at all, and what fails is named."""

import resource

import numpy as np
import pytest
from moteye_training.cache import open_memmap, rows_to_do, run_parts, write_whole


def fail_on(row, folder, part, of):
    """A worker that does its rows but one."""
    done = open_memmap(folder / "done.u8", np.uint8, (8,))
    for at in rows_to_do(done, part, of):
        if at == row:
            raise ValueError(f"record {row} is no picture")


def test_full_disk_keeps_the_checkpoint_and_names_it(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_whole(path, lambda file: file.write(b"earlier"))
    (tmp_path / "checkpoint.pt.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*the earlier one is kept.*checkpoint.pt"):
        write_whole(path, lambda file: file.write(b"later"))
    assert path.read_bytes() == b"earlier"
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_writer_that_fails_keeps_the_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_whole(path, lambda file: file.write(b"earlier"))

    def half(file):
        file.write(b"la")
        raise FloatingPointError("loss is nan")

    with pytest.raises(FloatingPointError):
        write_whole(path, half)
    assert path.read_bytes() == b"earlier"


def test_memmap_of_other_photos_is_an_error(tmp_path):
    open_memmap(tmp_path / "done.u8", np.uint8, (8,))[3] = 1
    assert open_memmap(tmp_path / "done.u8", np.uint8, (8,)).tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"done.u8 is for other photos"):
        open_memmap(tmp_path / "done.u8", np.uint8, (9,))


def test_worker_that_fails_ends_the_step_and_what_is_done_stays(tmp_path, capfd):
    done = open_memmap(tmp_path / "done.u8", np.uint8, (8,))
    with pytest.raises(RuntimeError, match="a worker failed on the photos"):
        run_parts(fail_on, (5, tmp_path), done, 2, "the photos")
    assert "record 5 is no picture" in capfd.readouterr().err
    assert done.tolist() == [1, 1, 1, 1, 1, 0, 1, 0]
    run_parts(fail_on, (99, tmp_path), done, 2, "the photos")
    assert done.all()


def test_disk_without_room_for_a_cache_says_so_at_once(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))  # stands for the end of the disk
    try:
        with pytest.raises(OSError, match=r"no room for 2,097,152 bytes: .*pixels\.u8"):
            open_memmap(tmp_path / "pixels.u8", np.uint8, (2 << 20,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "pixels.u8").exists()
    assert not open_memmap(tmp_path / "pixels.u8", np.uint8, (2 << 20,)).any()
