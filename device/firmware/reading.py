import os


# A pack: a file, or for a path of None what the firmware's own image has by that name.
def read_pack(path, name):
    if path is not None:
        return read_file(path)
    import board

    return getattr(board, name)()


# A whole file: in place in a ROMFS, else in one buffer of its size, since reading without a size
# would need twice the memory.
def read_file(path):
    with open(path, "rb") as file:
        try:
            return memoryview(file)  # only files of a ROMFS have an address
        except TypeError:
            buffer = bytearray(os.stat(path)[6])
            file.readinto(buffer)
    return buffer
