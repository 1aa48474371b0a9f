# One frame: encode, compare with the last published one, match. Blocks for the time of an encode.
import array
import hashlib

import vision
from clock import ticks_diff, ticks_ms
from log import log
from moteye_protocol.wire import MAX_BOXES
from reading import read_pack

_EMBEDDING_BYTES = 256
_MAX_ROWS_TOLD = 16
_BOX_BYTES = 12
_GREY = 128


class Eye:
    # Raises OSError or ImportError where there is no pack, ValueError where it is not one.
    def __init__(self, pack_path, dim):
        self._pack = read_pack(pack_path, "pack")
        self.hash = hashlib.sha256(self._pack).digest()[:8]
        self.encoder = vision.Encoder(self._pack)
        if self.encoder.dim != _EMBEDDING_BYTES:
            raise ValueError("%d numbers instead of %d" % (self.encoder.dim, _EMBEDDING_BYTES))
        size, self._side = self.encoder.out_bytes, self.encoder.side
        # What an encode fills: the embedding, and cells behind it where the encoder has any.
        self._out, self._published_out = bytearray(size), bytearray(size)
        self.embedding = memoryview(self._out)[:_EMBEDDING_BYTES]
        self._published = memoryview(self._published_out)[:_EMBEDDING_BYTES]
        self._boxes = bytearray(MAX_BOXES * _BOX_BYTES)
        self._best = array.array("H", bytes(2 * _MAX_ROWS_TOLD))
        self._dim = dim
        self.encode_ms = 0  # of the slowest so far
        self.stale_frames = 0  # that were too old to be looked at (T22)
        self._measure()

    # A first encode, so that keepalive can be derived from it before the first connect (T11).
    def _measure(self):
        width, height = self.encoder.width, self.encoder.height
        self.encode(bytes((_GREY,)) * (width * height * 3), width, height)

    def encode(self, pixels, width, height):
        start = ticks_ms()
        self.encoder.encode(pixels, width, height, self._out)
        took_ms = ticks_diff(ticks_ms(), start)
        if took_ms > self.encode_ms:
            self.encode_ms = took_ms

    # Similarity x 256 of the frame just encoded to the one published last, on the first `dim`
    # bytes. Rounding takes equal ones a little above 256, which the wire does not carry.
    def similarity_q8(self):
        return max(-256, min(256, vision.similarity_q8(self.embedding, self._published, self._dim)))

    # The frame just encoded is the one to compare with from now on; `embedding` is free again.
    def keep(self):
        self.embedding, self._published = self._published, self.embedding
        self._out, self._published_out = self._published_out, self._out

    # [[row, margin_q8, prob_q8]] of the rows that the frame just encoded reaches, best first.
    def rows(self, active):
        margins = active.margins
        active.prototypes.match(self.embedding, margins)
        best = self._best
        count = active.prototypes.best(margins, best)
        return [[best[i], margins[best[i]], vision.prob_q8(margins[best[i]])] for i in range(count)]

    # What stands where in the frame just encoded, as the wire has it; None where nothing tells.
    def boxes(self, active):
        if not self._side or active is None:
            return None
        count = active.prototypes.boxes(self._out, self._side, self._boxes)
        return memoryview(self._boxes)[: count * _BOX_BYTES]


# The eye, or None with a line in the log that says what is wrong with the pack.
def open_eye(pack_path, dim):
    try:
        eye = Eye(pack_path, dim)
    except ImportError:
        log("eye: no model pack is built into this firmware: `encoder` has to name a file")
        return None
    except OSError as error:
        log("eye: %s cannot be read: %r" % (pack_path, error))
        return None
    except ValueError as error:
        name = pack_path or "the pack in the image"
        log("eye: %s is not a model pack for this firmware: %s" % (name, error))
        return None
    log("eye: encoder %s, %d ms a frame" % (eye.hash.hex(), eye.encode_ms))
    return eye
