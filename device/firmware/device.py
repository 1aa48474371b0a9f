# The device: wires camera, eye, gate, prototype set, commands and the connection together.
import asyncio
import gc
import sys

from camera import StreamCamera
from clock import unix_ms
from colour import colour_percent
from flash import SECTOR_BYTES, open_flash
from frames import FrameRing
from gate import Gate
from inbox import Inbox
from log import log
from messages import Messages
from micropython import const
from moteye_protocol.wire import MAX_FRAME_AGE_MS, MAX_PAYLOAD_BYTES
from mqtt import Client
from slots import flash_bytes
from store import Store
from stream import open_stream, tls_context
from swap import Swap
from watchdog import (
    CAMERA,
    COMMAND,
    ENCODE,
    HANDSHAKES,
    LINK,
    LOOP,
    MATCH,
    PUBLISH,
    SWAP,
    WatchedFlash,
)

_FIRMWARE = "0.1.0"
_FIRST_FRAME_MS = const(1000)
_GOODBYE_MS = const(3000)
_TURN_MS = const(100)
_TRIAL_INTERVAL_MS = const(100)


class Device:
    # config: see config.py.   eye: see eye.py.   watchdog: see watchdog.py.
    # narrator: see narrator.py; None for no captions.
    def __init__(self, config, eye, watchdog, narrator=None):
        self.failed = False
        self._config = config
        self._eye = eye
        self._watchdog = watchdog
        self._narrator = narrator
        self._had_rows = False
        self._stopping = False
        if watchdog.stage:
            log("device: the watchdog ended the run before in stage %s" % watchdog.stage)
        store = Store(config["data_dir"])
        session = store.next_session(unix_ms())
        log("device: %s, session %d" % (config["id"], session))
        self._messages = Messages(config["id"], session)
        self._uptime = self._messages.uptime
        self._client = self._messages.client = self._make_client()
        self._camera = StreamCamera(config)
        self._gate = Gate(
            config["change_below_q8"], config["settle_frames"], config["heartbeat_ms"]
        )
        self._frames = FrameRing() if config["frames"] else None
        self._make_swap()
        self._keys = tuple([bytes.fromhex(key) for key in config["keys"]])
        self._inbox = Inbox(
            self._messages, self._swap, self._frames, eye, self._publish_state, self._keys, narrator
        )

    def _make_client(self):
        config = self._config
        topics = self._messages.topics
        context = tls_context(config) if config["broker.tls"] else None
        client = Client(
            config["id"],
            lambda: self._open_stream(context),
            (topics["status"], self._messages.status("offline")),
            (
                (topics["command"], 1, True),
                (topics["set_chunk"], 1, True),
                (topics["status"], 1, False),
            ),
            self._connected,
            self._receive,
            MAX_PAYLOAD_BYTES,
        )
        client.secure = context is not None
        client.user = config["broker.user"]
        client.password = config["broker.password"]
        client.healthy_ms = config["healthy_s"] * 1000
        return client

    # A name server that does not answer holds up everything.
    def _open_stream(self, context):
        before = self._watchdog.enter(LINK)
        try:
            return open_stream(self._config, context)
        finally:
            self._watchdog.enter(before)

    def _make_swap(self):
        config = self._config
        most = config["max_set_bytes"]
        path = config["data_dir"] + "/flash.bin"
        flash, lasting = open_flash(path, flash_bytes(most, SECTOR_BYTES))
        flash = WatchedFlash(flash, self._watchdog)
        trial_ms = config["trial_s"] * 1000
        swap = self._swap = Swap(
            flash, lasting, self._eye.hash, config["dim"], most, trial_ms, self._publish_set_state
        )
        if config["factory_set"]:
            folder, name = config["factory_set"].rsplit("/", 1)
            swap.boot(Store(folder), name, self._uptime.ms())
        else:
            swap.boot(None, None, self._uptime.ms())

    # --- the program

    # Until stop(); says goodbye before it returns. self.failed tells whether it ended by itself.
    async def run(self):
        self._watchdog.enter(LOOP)
        working = [asyncio.create_task(self._until_failure(self._see_on()))]
        if self._narrator:
            narrating = self._narrator.run(self._messages.publish)
            working.append(asyncio.create_task(self._until_failure(narrating)))
        for _ in range(_FIRST_FRAME_MS // 20):
            await asyncio.sleep_ms(20)
            if self._camera.width:
                break
        self._derive_keepalive()
        linking = asyncio.create_task(self._client.run())
        self._watch()
        await self._until_failure(self._turns())
        for task in working:
            task.cancel()
        await self.goodbye()
        linking.cancel()

    def stop(self):
        self._stopping = True

    # What has to get on, or the watchdog is not fed: beside the waits that are known each gets
    # watchdog_s. A camera that is away is asked again and again, a broker too.
    def _watch(self):
        config, camera, client = self._config, self._camera, self._client
        most_ms = config["watchdog_s"] * 1000
        look_ms = config["interval_ms"] + config["camera.timeout_ms"] + most_ms
        now = self._uptime.ms()
        self._watchdog.watch(CAMERA, look_ms, lambda: camera.tries, now)
        self._watchdog.watch(LINK, most_ms, lambda: client.turns, now)

    # The main loop: it alone feeds the watchdog.
    async def _turns(self):
        while not self._stopping:
            self._turn()
            await asyncio.sleep_ms(_TURN_MS)

    def _turn(self):
        now = self._uptime.ms()
        self._watchdog.enter(SWAP)
        self._swap.tick(now)
        self._watchdog.enter(LOOP)
        if self._client.failed_handshakes >= self._config["max_handshakes"]:
            self._client.failed_handshakes = 0
            self._watchdog.restart(HANDSHAKES)
        self._watchdog.feed(now)

    def _fail(self, error):
        sys.print_exception(error)
        log("device: FAILED: %r" % error)
        self.failed = True
        self.stop()

    # A clean DISCONNECT makes the broker forget the will, so the last word is said before (T02).
    async def goodbye(self):
        if not self._client.is_online():
            log("device: stopped without a connection")
            return
        told = await self._client.settled(self._messages.publish_status("stopped"), _GOODBYE_MS)
        await self._client.disconnect()
        log("device: stopped%s" % ("" if told else "; the broker did not acknowledge it"))

    async def _see_on(self):
        while True:
            await self._see()

    async def _until_failure(self, work):
        try:
            await work
        except Exception as error:
            self._fail(error)

    async def _see(self):
        started = self._uptime.ms()
        camera = self._camera
        eye = self._eye
        width, height = camera.width, camera.height
        await camera.capture()
        if camera.age_ms > MAX_FRAME_AGE_MS:
            if eye.stale_frames == 0:
                log("camera: a frame of %d ms ago is not looked at" % camera.age_ms)
            eye.stale_frames += 1
            await asyncio.sleep_ms(self._config["interval_ms"])
            return
        at = max(0, self._uptime.ms() - camera.age_ms)
        if (camera.width, camera.height) != (width, height) and self._client.is_online():
            self._publish_birth()
        self._watchdog.enter(ENCODE)
        eye.encode(camera.buffer, camera.width, camera.height)
        self._watchdog.enter(MATCH)
        self._swap.looked(eye.embedding)
        self._watchdog.enter(LOOP)
        await asyncio.sleep_ms(0)
        sim = eye.similarity_q8()
        why = self._gate.decide(sim, self._uptime.ms())
        if self._narrator:
            self._narrator.looked(camera.id, at, why, self._uptime.ms())
        if why:
            self._watchdog.enter(PUBLISH)
            self._tell(why, 0 if why == "first" else sim, at)
            eye.keep()
            gc.collect()
            self._watchdog.enter(LOOP)
        self._derive_keepalive()
        interval = self._config["interval_ms"]
        if self._swap.on_trial():
            interval = min(interval, _TRIAL_INTERVAL_MS)
        await asyncio.sleep_ms(max(0, interval - (self._uptime.ms() - started)))

    def _tell(self, why, sim, at):
        eye = self._eye
        camera = self._camera
        frame = camera.id
        active = self._swap.active
        if self._frames:
            self._frames.keep(camera, at)
        self._messages.publish(
            "embedding",
            {
                "frame": frame,
                "at": at,
                "encoder": eye.hash,
                "set": active.hash if active else None,
                "e": eye.embedding,
                "why": why,
                "sim": sim,
                "colour": colour_percent(camera.buffer, camera.width, camera.height),
                "boxes": eye.boxes(active),
            },
            telemetry=True,
        )
        if active is None:
            return
        self._watchdog.enter(MATCH)
        rows = eye.rows(active)
        self._watchdog.enter(PUBLISH)
        # An empty list is told once, so that a host sees them go.
        if rows or self._had_rows:
            fields = {"frame": frame, "at": at, "set": active.hash, "dim": self._config["dim"]}
            fields["rows"] = rows
            self._messages.publish("detections", fields)
        self._had_rows = bool(rows)

    # Brokers cut after 1.5 x keepalive, and an encode holds up everything (T11).
    def _derive_keepalive(self):
        seconds = max(self._config["keepalive_s"], self._eye.encode_ms * 3 // 1000 + 1)
        if seconds != self._client.keepalive_s:
            log("device: keepalive %d s" % seconds)
            self._client.keepalive_s = seconds

    # --- the connection

    def _connected(self):
        log("device: online")
        self._messages.publish_status("online")
        self._publish_state()

    def _receive(self, topic, payload, retain, dup):
        if not self._stopping:
            self._watchdog.enter(COMMAND)
            self._inbox.take(topic, payload, retain)
            self._watchdog.enter(LOOP)

    def _publish_state(self):
        self._publish_birth()
        self._publish_set_state()

    def _publish_birth(self):
        active = self._swap.active
        self._messages.publish(
            "birth",
            {
                "fw": _FIRMWARE,
                "encoder": self._eye.hash,
                "dim": self._config["dim"],
                "width": self._camera.width,
                "height": self._camera.height,
                "set": active.hash if active else None,
                "set_version": active.version if active else "",
                "frames": self._config["frames"],
                "max_set": self._config["max_set_bytes"],
                "keys": len(self._config["keys"]),
                "ops": self._inbox.operations,
                "interval": self._config["interval_ms"],
                "reset": self._watchdog.reset,
                "stage": self._watchdog.stage,
                "captions": self._narrator.hash if self._narrator else None,
            },
        )

    def _publish_set_state(self):
        if self._client.is_online():
            self._swap.told = self._messages.publish("set_state", self._swap.fields())
