# Run by MicroPython: looks at frames with the heap locked, so that any allocation is a MemoryError.
import array
import sys

import micropython
import vision
from eye import Eye
from gate import Gate
from store import Store


def look(eye, gate, prototypes, pixels, margins):
    for now_ms in range(20):
        eye.encode(pixels, 320, 240)
        gate.decide(eye.similarity_q8(), now_ms)
        prototypes.match(eye.embedding, margins)
        eye.keep()


def main():
    eye = Eye(sys.argv[1], 64)
    buffer = bytearray(65536)
    size = Store(sys.argv[2]).read_into("set.meps", buffer)
    prototypes = vision.Prototypes(memoryview(buffer)[:size], eye.hash, 64)
    gate = Gate(251, 3, 5)
    pixels = bytes(range(256)) * 900
    margins = array.array("h", bytes(2 * prototypes.count))
    look(eye, gate, prototypes, pixels, margins)
    micropython.heap_lock()
    try:
        look(eye, gate, prototypes, pixels, margins)
    finally:
        micropython.heap_unlock()
    print("nothing was allocated")


main()
