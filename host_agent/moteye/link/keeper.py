"""Keeping every device on the set of classes that is wanted."""

import asyncio
from collections.abc import Callable

import structlog
from moteye_protocol.set_file import set_hash

from moteye.core.offer import Form, Offer
from moteye.errors import DeviceRefused, DeviceTimeout, LinkError
from moteye.link.devices import Device, Devices, Publish
from moteye.link.swap import swap

log = structlog.get_logger("moteye.swap")
RETRY_S = 5.0
RETRY_SLOWLY_S = 60.0
AT_ONCE = ("busy", "stale_session", "expired", "replayed")  # the time was wrong, not the set
SLOWLY = ("frames", "broker", "aborted", "internal")  # something beside the set was wrong
KNOWN_SETS = 24


class SetKeeper:
    """Brings each device that is online, and of this encoder, to the wanted classes.

    Each gets the form that it has room for, at the dimension that it matches at. `may(device id)`
    says who should have it by now; `failed(device id, code)` is told who did not take it. A device
    that refused a set is not offered it again in the same session (T27).
    """

    def __init__(
        self,
        devices: Devices,
        publish: Publish,
        encoder_hash: bytes,
        *,
        may: Callable[[str], bool] = lambda device: True,
        failed: Callable[[str, str], None] = lambda device, code: None,
    ) -> None:
        self._devices = devices
        self._publish = publish
        self._encoder_hash = encoder_hash
        self._may = may
        self._failed = failed
        self.offer: Offer | None = None
        self._known: dict[bytes, bytes] = {}  # sets by hash, newest last: bases of deltas
        self._running: dict[str, asyncio.Task[None]] = {}
        self._refused: dict[str, tuple[int, bytes]] = {}

    def want(self, offer: Offer) -> None:
        """The classes that devices should know from now on."""
        self.offer = offer
        self.remember(offer.whole.data)
        self._devices.changed.set()

    def remember(self, data: bytes) -> None:
        """A set that devices may have: a delta from it is smaller than a whole set."""
        self._known[set_hash(data)] = data
        while len(self._known) > KNOWN_SETS:
            del self._known[next(iter(self._known))]

    def has(self, device: Device) -> bool:
        """Whether a device uses the wanted classes and has said that they count."""
        if self.offer is None or device.set_hash is None:
            return False
        on_trial = device.set_state is not None and device.set_state.state in ("verified", "trial")
        return self.offer.named(device.set_hash) is not None and not on_trial

    def is_bringing(self, device: str) -> bool:
        """Whether a set is on its way to a device, or will be tried again."""
        task = self._running.get(device)
        return task is not None and not task.done()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._devices.changed.clear()
                for device in list(self._devices.all.values()):
                    if self._is_behind(device):
                        task = asyncio.create_task(self._bring(device), name=f"swap[{device.id}]")
                        self._running[device.id] = task
                await self._devices.changed.wait()
        finally:
            for task in self._running.values():
                task.cancel()

    def _is_behind(self, device: Device) -> bool:
        if self.offer is None or not device.online or self.is_bringing(device.id):
            return False
        if device.birth is None or device.birth.encoder != self._encoder_hash:
            return False
        if not self._may(device.id):
            return False
        wanted = (device.presence.session, self.offer.whole.hash)
        if self._refused.get(device.id) == wanted:
            return False
        dim, room = device.birth.dim, device.birth.max_set
        if not self.offer.is_ready(dim, room):
            return True
        form = self.offer.form(dim, room)
        return form is None or form.hash != device.set_hash or _is_left_receiving(device)

    async def _bring(self, device: Device) -> None:
        offer, birth = self.offer, device.birth
        assert offer is not None
        assert birth is not None
        try:
            need = (birth.dim, birth.max_set)
            ready = offer.is_ready(*need)
            form = offer.form(*need) if ready else await asyncio.to_thread(offer.form, *need)
            if form is None:
                self._give_up(device, offer, "too_large")
                log.error(
                    "no form of the classes fits the device",
                    device=device.id,
                    dim=birth.dim,
                    room=birth.max_set,
                    classes=offer.whole.prototypes.count,
                )
                return
            await self._swap(device, form)
        except DeviceRefused as error:
            log.error("prototype set refused", device=device.id, reason=str(error))
            if error.code in AT_ONCE:
                await asyncio.sleep(RETRY_S)
            elif error.code in SLOWLY:
                await asyncio.sleep(RETRY_SLOWLY_S)
            else:
                self._give_up(device, offer, error.code)
        except (DeviceTimeout, LinkError) as error:
            log.warning("prototype set not delivered, trying again", reason=str(error))
            await asyncio.sleep(RETRY_S)
        finally:
            # The set may have changed meanwhile: let the keeper look again once this task is over.
            asyncio.get_running_loop().call_soon(self._devices.changed.set)

    async def _swap(self, device: Device, form: Form) -> None:
        if form.hash == device.set_hash:
            if _is_left_receiving(device):
                # It has the set: its answer ends the other transfer, and no chunk goes.
                await swap(self._devices, self._publish, device, form.data)
                await asyncio.sleep(RETRY_S)
            return
        base = self._known.get(device.set_hash or b"")
        self.remember(form.data)
        await swap(self._devices, self._publish, device, form.data, base)
        name = form.hash.hex()
        log.info("prototype set in use", device=device.id, set=name, bytes=len(form.data))

    def _give_up(self, device: Device, offer: Offer, code: str) -> None:
        self._refused[device.id] = (device.presence.session, offer.whole.hash)
        self._failed(device.id, code)


def _is_left_receiving(device: Device) -> bool:
    """Whether a device that nobody is sending anything to still waits for the rest of a set."""
    state = device.set_state
    return state is not None and state.s == device.presence.session and state.state == "receiving"
