# moteye_start(config): starts the firmware that mip has installed, if every file of it is whole
# (T66): mip prints a failure and leaves what it has written. README.md says how.
#
# All of it stands in one `try`, so that this file, cut anywhere, is a SyntaxError that names it;
# cut to nothing it lacks the name that main.py imports.
try:
    import binascii
    import hashlib
    import os
    import sys

    _BLOCK_BYTES = 512

    def _sha256(path):
        digest = hashlib.sha256()
        block = bytearray(_BLOCK_BYTES)
        view = memoryview(block)
        with open(path, "rb") as file:
            while True:
                got = file.readinto(block)
                if not got:
                    return binascii.hexlify(digest.digest()).decode()
                digest.update(view[:got])

    def _damaged(path, what):
        return ImportError("%s %s; nothing is started: install the package again" % (path, what))

    # [(SHA-256, bytes, name)] of all files; the last line is the SHA-256 of those before.
    def _manifest(folder):
        path = folder + "/manifest.txt"
        try:
            with open(path) as file:
                lines = file.read().split("\n")
        except OSError:
            raise _damaged(path, "is missing") from None
        text = "\n".join(lines[:-2]) + "\n"
        digest = binascii.hexlify(hashlib.sha256(text.encode()).digest()).decode()
        if len(lines) < 3 or lines[-1] != "" or lines[-2] != digest:
            raise _damaged(path, "is not whole")
        return [line.split(" ") for line in lines[1:-2]]

    # Raises ImportError that names the first file that is not the manifest's.
    def check(folder):
        for sha256, size, name in _manifest(folder):
            path = folder + "/" + name
            try:
                found = os.stat(path)[6]
            except OSError:
                raise _damaged(path, "is missing") from None
            if found != int(size):
                raise _damaged(path, "has %d of %s bytes" % (found, size))
            if _sha256(path) != sha256:
                raise _damaged(path, "is of another version, or changed")

    # Runs the firmware with a configuration file, as long as it runs; returns its exit code.
    def moteye_start(config):
        folder = __file__.rsplit("/", 1)[0] + "/moteye"
        check(folder)
        sys.path.insert(0, folder)
        sys.argv[:] = ["main.py", config]
        import main

        return main.main()

finally:
    pass
