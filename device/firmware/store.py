# The data folder. It may be empty, full, read-only or full of garbage at any time (T64): reading
# then gives None and writing False, each with a line in the log, and nothing here ever raises.
import os

from log import log

_MAX_TEXT = 64


class Store:
    def __init__(self, folder):
        self._folder = folder
        path = ""
        for part in folder.split("/"):
            path += part + "/"
            try:
                os.mkdir(path)
            except OSError:
                pass

    def _path(self, name):
        return self._folder + "/" + name

    # Bytes of the file that were put into `buffer`; None where there is no such file or it is
    # larger.
    def read_into(self, name, buffer):
        try:
            size = os.stat(self._path(name))[6]
            if size > len(buffer):
                log("store: %s has %d bytes, more than %d; not read" % (name, size, len(buffer)))
                return None
            with open(self._path(name), "rb") as file:
                return file.readinto(memoryview(buffer)[:size]) if size else 0
        except OSError as error:
            if error.args[0] != 2:
                log("store: %s cannot be read: %r" % (name, error))
            return None

    # Writes beside the old file and renames: at any moment the old bytes are there or the new ones.
    def write(self, name, data):
        path = self._path(name)
        try:
            with open(path + ".new", "wb") as file:
                file.write(data)
            os.rename(path + ".new", path)
            return True
        except OSError as error:
            log("store: %s cannot be written: %r" % (name, error))
            return False

    # The number of this start. Counts up from the stored one; where there is none to count from, or
    # the new one cannot be kept, unix time takes its place: it is larger than any count and grows
    # too.
    def next_session(self, unix_ms):
        buffer = bytearray(_MAX_TEXT)
        got = self.read_into("session", buffer)
        session = 0
        try:
            if got:
                session = max(0, int(bytes(buffer[:got])))
        except (ValueError, UnicodeError):
            log("store: session is not a number; counting from the clock")
        session = session + 1 if 0 < session < 1 << 62 else unix_ms or 1
        if not self.write("session", b"%d" % session):
            session = max(session, unix_ms or 1)
        return session
