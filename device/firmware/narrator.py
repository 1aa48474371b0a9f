# Captions: which frames are said in words, and the words, one at a time between frames.
import array
import asyncio
import hashlib

import vision
from clock import ticks_diff, ticks_ms
from log import log
from moteye_protocol.wire import MAX_CAPTION_BYTES
from reading import read_pack


class Narrator:
    # pack_path: None for the pack in the firmware's image. eye: its encoder's map is read.
    # every_ms: 0 for no caption by time. say(fields): publishes one.
    # Raises OSError or ImportError where there is no pack, ValueError where it is not one for
    # this encoder.
    def __init__(self, pack_path, eye, beams, on_change, every_ms):
        self._pack = read_pack(pack_path, "captions")
        self.hash = hashlib.sha256(self._pack).digest()[:8]
        self._captioner = vision.Captioner(self._pack, eye.encoder, eye.hash, beams)
        self._on_change = on_change
        self._every_ms = every_ms
        self._last_ms = None
        self._asked = False
        self._changed = False
        self._frame = None  # (id, at, why) of the caption that is being made
        self._begun = asyncio.Event()
        self._text = bytearray(MAX_CAPTION_BYTES)
        self._tokens = array.array("H", bytes(2 * self._captioner.longest))
        self.word_ms = 0  # of the slowest word so far

    # Whether the next frame is to be described; False where an earlier wish still waits for it.
    def ask(self):
        if self._asked:
            return False
        self._asked = True
        return True

    @property
    def busy(self):
        return self._frame is not None

    # The encoder has just seen a frame. gate_why: the gate's reason, or None. Returns whether a
    # caption of it begins. One under way is finished first: a wish and a change wait for it, and
    # the frame that is seen then is told.
    def looked(self, frame, at, gate_why, now_ms):
        self._changed = self._changed or gate_why in ("first", "change")
        if self.busy:
            return False
        if self._asked:
            why = "asked"
        elif self._on_change and self._changed:
            why = "change"
        elif self._every_ms and (self._last_ms is None or now_ms - self._last_ms >= self._every_ms):
            why = "time"
        else:
            return False
        if why == "asked":
            self._asked = False
        self._changed = False
        self._last_ms = now_ms
        self._frame = (frame, at, why)
        self._captioner.begin()
        self._begun.set()
        return True

    # Says what was begun, in the time that everything else leaves: whatever is ready has its turn
    # between two words, so a frame, a message or a keepalive waits for one word at most.
    # publish(kind, fields): of a caption.
    async def run(self, publish):
        while True:
            await self._begun.wait()
            self._begun.clear()
            while self.busy:
                fields = self.step()
                if fields:
                    publish("caption", fields)
                await asyncio.sleep_ms(0)

    # One word further. The fields of the `caption` message once there is no more to say, else None.
    def step(self):
        start_ms = ticks_ms()
        more = self._captioner.step()
        took_ms = ticks_diff(ticks_ms(), start_ms)
        if took_ms > self.word_ms:
            self.word_ms = took_ms
        if more:
            return None
        frame, at, why = self._frame
        self._frame = None
        captioner = self._captioner
        return {
            "frame": frame,
            "at": at,
            "text": str(memoryview(self._text)[: captioner.text(self._text)], "utf-8"),
            "tokens": list(self._tokens[: captioner.tokens(self._tokens)]),
            "logp": captioner.logp_q10,
            "model": self.hash,
            "why": why,
        }


# The narrator, or None with a line in the log that says what is wrong; a device without captions
# is one that looks all the same.
def open_narrator(config, eye):
    if not config["captions.enabled"]:
        return None
    path = config["captions.pack"]
    name = path or "the caption pack in the image"
    try:
        narrator = Narrator(
            path,
            eye,
            config["captions.beams"],
            config["captions.on_change"],
            1000 * config["captions.every_s"],
        )
    except ImportError:
        log("captions: no caption pack is built into this firmware: name a file in captions.pack")
    except OSError as error:
        log("captions: %s cannot be read: %r" % (name, error))
    except ValueError as error:
        log("captions: %s does not go with this encoder and firmware: %s" % (name, error))
    else:
        log("captions: pack %s" % narrator.hash.hex())
        return narrator
    return None
