"""The agent: wires broker, devices, policies, engine and actions together.

device ─embedding─▶ Reception ─▶ inbox ─▶ Judge ─▶ Engine ─decision─▶ Ledger ─▶ Outbox ─▶ actions
policies/*.yaml ─▶ InForce ─▶ prototype set ─▶ Fleet ─▶ device
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from moteye_protocol import models, wire

from moteye import feedback, policies
from moteye.actions.alert import Alert
from moteye.actions.links import FeedbackLinks, link_key
from moteye.actions.outbox import Outbox
from moteye.actions.runner import ActionRunner
from moteye.config import Settings
from moteye.core.engine import Engine
from moteye.core.language import Policy
from moteye.core.marks import Mark
from moteye.core.ownership import Ownership
from moteye.errors import DeviceRefused, DeviceTimeout, LinkError, StoreError
from moteye.fleet import Fleet
from moteye.fleet_commands import AGENT_ID, COMMAND_TOPIC
from moteye.home.bridge import Bridge
from moteye.home.payloads import Topics
from moteye.house import AgentHouse
from moteye.in_force import InForce
from moteye.judge import Judge
from moteye.keys import load_keys
from moteye.ledger import Ledger
from moteye.link.broker import embedded_broker
from moteye.link.connection import Connection
from moteye.link.devices import Devices
from moteye.other_agents import OtherAgents
from moteye.reception import Reception
from moteye.service import AgentService
from moteye.store import state_folder
from moteye.supervision import Supervisor
from moteye.switches import PolicySwitches
from moteye.text.space import Space
from moteye.topics import (
    ACK_TOPIC,
    AGENT_TOPIC,
    FEEDBACK_TOPIC,
    SET_TOPIC,
    STATUS_TOPIC,
    Subscribers,
)

log = structlog.get_logger("moteye.agent")


class Agent:
    """One agent. `await run()` until cancelled.

    `ready` is set once policies are compiled and the broker is there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ready = asyncio.Event()
        self.counters: Counter[str] = Counter()
        self.engine = Engine()
        self.ledger = Ledger(
            settings.store_url,
            self.engine,
            record_days=settings.record_days,
            record_bytes=settings.record_mb * 1_000_000,
        )
        self._topics = Topics(AGENT_TOPIC, settings.home_assistant_prefix)
        self.connection = self._make_connection()
        subscribers = Subscribers(self.connection)
        self._subscribers = subscribers
        keys = load_keys(settings.keys)
        key_of = keys.signing_key if keys else None
        switches = PolicySwitches(_state_file(settings, "policies-off.json"))
        self._others = OtherAgents(settings.client_id, self._ownership, self.counters)
        self.devices = Devices(
            self._publish, key_of, resync=lambda name: self._ownership().owns(name)
        )
        self._links = self._make_links()
        self._runner = ActionRunner(
            self.connection.publish,
            self._picture,
            settings.actions,
            state_folder() / "pictures",
            self._links,
        )
        self.outbox = Outbox(self._runner, self)
        self.judge = Judge(self.engine, self.ledger, self.outbox.add)
        self.judge.learns = settings.camera_background
        self.judge.listener.ask = self.devices.describe_again
        self.in_force = InForce(
            settings,
            self.engine,
            self.judge,
            self.ledger,
            self.connection,
            subscribers,
            switches,
            self.devices.clock,
            epochs=keys is not None,
        )
        self._house = self._make_house(switches)
        self._home = self._make_home() if settings.home_assistant else None
        self.reception = Reception(
            settings,
            self.engine,
            self.ledger,
            self.judge,
            self.devices,
            self.in_force,
            self,
            subscribers,
            home=self._home,
            others=self._others,
            commands_key=key_of(AGENT_ID) if key_of else None,
            counters=self.counters,
        )
        self.supervisor = Supervisor(self.judge, self.outbox, self.ledger)

    @property
    def space(self) -> Space | None:
        """The embedding space, once it is loaded."""
        return self.in_force.space

    @property
    def fleet(self) -> Fleet | None:
        """Which sets devices should use, once the space is loaded."""
        return self.in_force.fleet

    def _ownership(self) -> Ownership:
        return self.fleet.ownership if self.fleet is not None else Ownership()

    def _make_connection(self) -> Connection:
        settings = self.settings
        of_devices = [
            (models.topic("+", name), qos)
            for name, (_, sender, qos, _) in wire.TOPICS.items()
            if sender == "device"
        ]
        of_others = [(ACK_TOPIC, 1), (FEEDBACK_TOPIC, 1), (COMMAND_TOPIC, 1), (SET_TOPIC, 1)]
        home = Bridge.subscriptions(self._topics) if settings.home_assistant else []
        return Connection(
            settings.broker_url,
            client_id=settings.client_id,
            subscriptions=[*of_devices, *of_others, *home],
            # It is made before what receives.
            on_message_to_ack=lambda *message: self.reception.receive(*message),
            on_connect=self._connected,
            status_topic=STATUS_TOPIC,
            keep_session=settings.broker is not None,
        )

    def _make_links(self) -> FeedbackLinks | None:
        address = self.settings.public_url
        return FeedbackLinks(address, link_key(state_folder() / "links.key")) if address else None

    def _make_house(self, switches: PolicySwitches) -> AgentHouse:
        return AgentHouse(
            self.settings,
            self.devices,
            self.judge,
            switches,
            self._others,
            fleets=lambda: self.in_force.fleets,
            load=self.in_force.reload,
            present=self.engine.present,
            waiting=lambda: self.outbox.waiting,
            feedback=self.feedback,
            picture=self._picture,
        )

    def _make_home(self) -> Bridge:
        ledger_file = _state_file(self.settings, "home-assistant.json")
        return Bridge(self._house, self.connection.publish, self._topics, ledger_file)

    async def run(self) -> None:
        """Run until cancelled.

        Then nothing new is begun, what has arrived is decided, actions under way come to their end,
        and only then the broker and the store are left. Raises LinkError when the embedded broker
        cannot listen, PolicyErrors when the policies cannot be used at the start. Later mistakes in
        policy files are logged, and the policies that were good stay in force.
        """
        await self.load_space()
        assert self.space is not None
        assert self.fleet is not None
        await self.load_policies(await asyncio.to_thread(policies.load, self.settings.policies))
        self.outbox.add(await self.ledger.open())
        for encoder in self.in_force.encoders:
            await self.restore_cameras(encoder)
        for device, session, offset_ms in self.ledger.clock_offsets():
            self.devices.resume(device, session, offset_ms)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.ledger.close)
            broker = None
            if self.settings.broker is None:
                place = self.settings.listen_address
                broker = await stack.enter_async_context(embedded_broker(*place))
            lasting = await stack.enter_async_context(asyncio.TaskGroup())
            lasting.create_task(self.connection.run(), name="connection")
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            tasks.create_task(self.judge.run(), name="judge")
            tasks.create_task(self.outbox.run(), name="outbox")
            tasks.create_task(self.ledger.keep_house(), name="housekeeping")
            tasks.create_task(self.fleet.run(), name="sets")
            tasks.create_task(self.further_sets(), name="sets of further encoders")
            tasks.create_task(self.in_force.watch(), name="policies")
            if self._home is not None:
                tasks.create_task(self._home.run(), name="home-assistant")
            if self.settings.api is not None:
                tasks.create_task(self._serve_api(self.settings.api), name="api")
            if broker is not None:
                stack.push_async_callback(broker.settle, self.settings.client_id)
            await self.connection.connected.wait()
            await self.in_force.tell_state("")
            self.ready.set()
            await self.supervisor.run()

    async def load_space(self) -> None:
        """Load the embedding space; policies can be compiled, and sets kept, from then on."""
        await self.in_force.load_space(self.devices, self._publish)

    async def further_sets(self) -> None:
        """Bring sets to the devices of further encoders, until cancelled."""
        assert self.in_force.further is not None
        await self.in_force.further.run()

    async def load_policies(self, found: list[Policy]) -> None:
        """Compile `found` and put them in force all at once; devices follow by a swap."""
        await self.in_force.load(found)

    async def restore_cameras(self, encoder_hash: bytes) -> None:
        """Go on with what cameras usually show."""
        if not self.judge.learns:
            return
        with contextlib.suppress(StoreError):
            found = await self.ledger.ask(lambda store: store.backgrounds(encoder_hash))
            self.judge.restore(found)

    async def _serve_api(self, place: str) -> None:
        from moteye.api.app import make_app
        from moteye.api.server import serve
        from moteye.api.tokens import Tokens

        service = AgentService(
            self._house,
            self.ledger,
            self.judge,
            self.devices,
            self.connection,
            counters=self.counters,
            outbox_counters=self.outbox.counters,
            acknowledge=self.acknowledge,
            feedback=self.feedback,
            ready=self.ready,
            supervisor=self.supervisor,
        )
        host, _, port = place.rpartition(":")
        tokens = Tokens(state_folder() / "tokens.json")
        await serve(make_app(service, tokens, links=self._links), host, int(port))

    async def _connected(self) -> None:
        if self._home is not None:
            self._home.connected()
        await self.in_force.announce()

    async def say_online(self) -> None:
        """Another agent's goodbye has taken the place of our word that we are there."""
        with contextlib.suppress(LinkError):
            await self.connection.say_online()

    async def _publish(self, topic: str, payload: bytes) -> None:
        await self.connection.publish(topic, payload, qos=1)

    async def acknowledge(self, what: str) -> list[str]:
        """Somebody has seen an alert, by id or tag; the ids whose escalation ends."""
        return await self.outbox.acknowledge(what)

    async def feedback(self, request: dict[str, str]) -> Mark:
        """Take what somebody says of an alert, `{"event", "said"}`, or take it back, `{"undo"}`.

        It counts from the next frame and is written down. Raises FeedbackError, StoreError.
        """
        await self.ledger.commit()
        now_ms = self.devices.clock.unix_ms()
        mark = await self.ledger.ask(
            lambda store: feedback.carried_out(store, request, time_ms=now_ms)
        )
        if mark == self.engine.marks.all.get(mark.number):
            return mark  # said again
        self.ledger.mark(mark)
        if mark.verdict in ("known", "right") and not mark.undone_ms:
            self.judge.cameras.showed(mark.device, mark.embedding)
        await self.ledger.commit()
        log.info("feedback", mark=mark.number, said=mark.text, policy=mark.policy)
        return mark

    async def delivered(self, rows: list[dict[str, Any]], *, at_once: bool = True) -> None:
        """The outbox has tried: write down what came of it."""
        await self.ledger.delivered(rows, at_once=at_once)

    async def tell(self, alert: Alert) -> None:
        """Tell subscribers of an alert. Raises LinkError."""
        await self._subscribers.say("alert", alert.json(), qos=1)
        if self._home is not None:
            await self._home.alerted(asdict(alert))

    def undelivered(self, policy: str, device: str, fired_ms: int) -> None:
        """An alert came to nobody: it does not count for the cooldown."""
        self.ledger.release(policy, device, fired_ms)

    async def asked_again(self) -> list[dict[str, Any]]:
        """Actions that a person asked to try again."""
        return await self.ledger.asked_again()

    async def waiting(self) -> list[dict[str, Any]]:
        """All actions on record that wait, oldest first. Raises StoreError."""
        return await self.ledger.ask(lambda store: store.outbox(["wait"]))

    def policy(self, name: str) -> Policy | None:
        """The policy of that name, if it is in force."""
        return self.judge.policy(name)

    async def _picture(self, device_id: str, frame: int) -> npt.NDArray[np.uint8]:
        device = self.devices.all.get(device_id)
        if device is None:
            raise DeviceTimeout(f"{device_id} is not known")
        if device.birth is not None and not device.birth.frames:
            raise DeviceRefused(device_id, "frame.get", "forbidden")
        return await self.devices.picture(device, frame)


def _state_file(settings: Settings, name: str) -> Path:
    """A file of this agent alone, where several run on one machine under ids of their own."""
    default = Settings.model_fields["client_id"].default
    mine = "" if settings.client_id == default else f"{settings.client_id}-"
    return state_folder() / f"{mine}{name}"
