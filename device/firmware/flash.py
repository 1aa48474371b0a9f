# Flash that the slots lie in. A flash is whatever has these:
#
#   sector_bytes, size
#   erase(offset)               one sector to 0xFF
#   program(offset, data)       whole words of 4 bytes; bits go from 1 to 0 only
#   read_into(offset, buffer)   fills the buffer
#
# A board brings a class of its own. Here: a file of fixed size, and memory for where no file can
# be had.
import os

from log import log

SECTOR_BYTES = 4096


class RamFlash:
    def __init__(self, size, sector_bytes=SECTOR_BYTES):
        self.size = size
        self.sector_bytes = sector_bytes
        self._bytes = bytearray(size)

    def erase(self, offset):
        self._bytes[offset : offset + self.sector_bytes] = b"\xff" * self.sector_bytes

    def program(self, offset, data):
        self._bytes[offset : offset + len(data)] = data

    def read_into(self, offset, buffer):
        buffer[:] = memoryview(self._bytes)[offset : offset + len(buffer)]


# Writes reach the operating system before a call returns: they outlive the process, and the machine
# as far as its file system does.
class FileFlash:
    # Raises OSError where the file cannot be made. One of another size is made anew.
    def __init__(self, path, size, sector_bytes=SECTOR_BYTES):
        self.size = size
        self.sector_bytes = sector_bytes
        try:
            found = os.stat(path)[6]
        except OSError:
            found = -1
        if found != size:
            if found >= 0:
                log("flash: %s has %d bytes instead of %d; made anew" % (path, found, size))
            with open(path, "wb") as file:
                for _ in range(size // sector_bytes):
                    file.write(b"\xff" * sector_bytes)
        self._file = open(path, "r+b")  # stays open as long as the device runs

    def erase(self, offset):
        self.program(offset, b"\xff" * self.sector_bytes)

    def program(self, offset, data):
        self._file.seek(offset)
        self._file.write(data)
        self._file.flush()

    def read_into(self, offset, buffer):
        self._file.seek(offset)
        if self._file.readinto(buffer) != len(buffer):
            raise OSError("flash: short read")


# (flash, whether it outlives this run) with `size` bytes in the file `path`.
def open_flash(path, size):
    try:
        return FileFlash(path, size), True
    except OSError as error:
        log("flash: %s cannot be used, memory takes its place: %r" % (path, error))
        return RamFlash(size), False
