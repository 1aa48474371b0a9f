"""What `moteye prototypes` asks a running agent, over the broker.

A command is the msgpack map that devices get, on `moteye/v1/_agent/cmd`; the answer is JSON on
`moteye/v1/_agent/reply`. In a fleet with keys it is signed with the key of the id `_agent`, and is
never done twice.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moteye_protocol import wire
from moteye_protocol.codec import WireError, pack, unpack
from moteye_protocol.signing import command_is_signed, sign_command

from moteye.command_answers import CommandAnswers
from moteye.core.rollout import Plan, parse_groups
from moteye.errors import AgentSilent, FleetError, MoteyeError
from moteye.fleet import Fleet
from moteye.link.connection import Connection
from moteye.spaces import Fleets

AGENT_ID = "_agent"  # no device id begins with _
COMMAND_TOPIC = f"{wire.TOPIC_ROOT}/{AGENT_ID}/cmd"
REPLY_TOPIC = f"{wire.TOPIC_ROOT}/{AGENT_ID}/reply"
STATUS_TOPIC = f"{wire.TOPIC_ROOT}/{AGENT_ID}/status"
TTL_MS = 30_000
ANSWER_S = 15.0
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


def obey(fleet: Fleet | Fleets, op: str, args: dict[str, Any]) -> dict[str, Any]:
    """Do what a command asks. Raises FleetError."""
    try:
        plan = plan_from(args)
        if op == "rollout":
            data = args.get("set")
            if data is not None and not isinstance(data, bytes):
                raise FleetError("the set is not bytes")
            return fleet.roll_out(data, plan)
        if op == "rollback":
            wanted = args.get("to")
            return fleet.roll_back(str(wanted) if wanted is not None else None, plan)
    except (TypeError, ValueError) as error:
        raise FleetError(str(error)) from error
    simple: dict[str, Callable[[], dict[str, Any]]] = {
        "status": fleet.status,
        "history": fleet.history,
        "resume": fleet.resume,
        "stop": fleet.stop,
    }
    if op not in simple:
        raise FleetError(f"{op!r} is no command of this agent")
    return simple[op]()


def plan_from(args: dict[str, Any]) -> Plan:
    """The plan of a command. Raises TypeError or ValueError."""
    keys = ("max_error", "deadline_s", "watch_s")
    given = {key: float(args[key]) for key in keys if key in args}
    groups = parse_groups(str(args["groups"])) if "groups" in args else (1.0,)
    return Plan(groups=groups, pause=bool(args.get("pause", False)), **given)


class AgentCommands:
    """The agent's side: `take` a payload, get the JSON that answers it, or None.

    `do(op, args)` may raise MoteyeError. With a `key`, commands must be signed with it. Those for
    an agent of another `client_id` are left to it. What was answered stays in the file `kept`.
    """

    def __init__(
        self, do: Ask, key: bytes | None, *, client_id: str = "", kept: Path | None = None
    ) -> None:
        self._do = do
        self._key = key
        self._client_id = client_id
        self._answers = CommandAnswers(kept, TTL_MS, _interrupted)

    def take(self, payload: bytes, retain: bool, now_ms: int) -> str | None:
        """Nothing but a whole, fresh and, where need be, signed command changes anything."""
        try:
            command = unpack(payload)
        except WireError:
            return None
        if not isinstance(command, dict) or not isinstance(command.get("tid"), str) or retain:
            return None
        tid, issued, args = command["tid"], command.get("issued"), command.get("args", {})
        if command.get("to", self._client_id) != self._client_id:
            return None
        if self._key is not None and not command_is_signed(self._key, payload):
            return _answer(
                tid, error="not signed with this fleet's key; name `keys` in moteye.yaml"
            )
        answered = self._answers.get(tid)
        if answered is not None:
            return answered
        if not isinstance(issued, int) or abs(now_ms - issued) > TTL_MS:
            return _answer(tid, error="too old, or the clocks differ by more than 30 s")
        if not isinstance(args, dict):
            return _answer(tid, error="malformed")
        if not self._answers.begin(tid, issued, now_ms):
            return _answer(tid, error="too many commands at once; wait half a minute")
        try:
            text = _answer(tid, result=self._do(str(command.get("op")), args))
        except MoteyeError as error:
            text = _answer(tid, error=str(error))
        self._answers.end(tid, text, _answer(tid, result={}))
        return text


def _answer(tid: str, **fields: Any) -> str:
    return json.dumps({"tid": tid, "ok": "error" not in fields, **fields})


def _interrupted(tid: str) -> str:
    reason = "the agent ended in the middle of it; `moteye prototypes status` shows what came of it"
    return _answer(tid, error=reason)


class AgentLine:
    """The command's side: whether an agent is there, and what it answers.

    With a `client_id` it is that agent that is meant, where there are several on the broker. Give
    `subscriptions` and `receive` to a Connection.
    """

    subscriptions = ((STATUS_TOPIC, 1), (REPLY_TOPIC, 1))

    def __init__(self, key: bytes | None, client_id: str | None = None) -> None:
        self._key = key
        self._client_id = client_id
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.agent_online = asyncio.Event()
        self.other_online = False  # it may hide that ours is: there is one retained status

    def receive(self, topic: str, payload: bytes) -> None:
        """Take one message; anything else is left alone."""
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            found = json.loads(payload) if topic in (STATUS_TOPIC, REPLY_TOPIC) else None
            if topic == STATUS_TOPIC and found is not None:
                self._heard_status(found["state"] == "online", found.get("client"))
            elif topic == REPLY_TOPIC and found is not None:
                waiting = self._replies.get(found["tid"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(found)

    def _heard_status(self, online: bool, client: object) -> None:
        ours = self._client_id is None or client == self._client_id
        if not ours:
            self.other_online = online
        elif online:
            self.agent_online.set()
        else:
            self.agent_online.clear()

    async def ask(
        self,
        connection: Connection,
        op: str,
        args: dict[str, Any],
        *,
        deadline_s: float = ANSWER_S,
    ) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises AgentSilent where none comes, FleetError for a refusal, LinkError.
        """
        tid = secrets.token_urlsafe(9)
        command = {"v": wire.VERSION, "tid": tid, "issued": time.time_ns() // 1_000_000}
        if self._client_id is not None:
            command["to"] = self._client_id
        payload = pack({**command, "op": op, "args": args})
        if self._key is not None:
            payload = sign_command(self._key, payload)
        self._replies[tid] = asyncio.get_running_loop().create_future()
        try:
            await connection.publish(COMMAND_TOPIC, payload)
            async with asyncio.timeout(deadline_s):
                reply = await self._replies[tid]
        except TimeoutError as error:
            raise AgentSilent(f"the agent did not answer {op} within {deadline_s:.0f} s") from error
        finally:
            del self._replies[tid]
        if not reply.get("ok"):
            raise FleetError(str(reply.get("error")))
        result = reply.get("result")
        return result if isinstance(result, dict) else {}
