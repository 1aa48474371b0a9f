"""`moteye run`: the agent."""

import asyncio
import contextlib
import faulthandler
import signal
from typing import Annotated

import typer

from moteye.agent import Agent
from moteye.cli.common import (
    BrokerOption,
    ConfigOption,
    PoliciesOption,
    StoreOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    set_up_logs,
)
from moteye.config import load_settings
from moteye.errors import MoteyeError
from moteye.interpreter import collect_seldom, take_turns_often


def run(
    config: ConfigOption = None,
    broker: BrokerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    policies: PoliciesOption = None,
    listen: Annotated[
        str | None, typer.Option(help="host:port of the embedded broker [default: 127.0.0.1:1883]")
    ] = None,
    store: StoreOption = None,
    home_assistant: Annotated[
        bool | None, typer.Option("--home-assistant", help="tell Home Assistant over MQTT")
    ] = None,
    sets: Annotated[
        str | None, typer.Option(help="auto: sets reach devices at once; ask: by a person's word")
    ] = None,
    api: Annotated[
        str | None, typer.Option(help="host:port of the HTTP API, 127.0.0.1:8765 [default: off]")
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="logs as JSON lines")] = False,
) -> None:
    """Run the agent: watch devices, judge policies, act. Stops cleanly on SIGINT and SIGTERM."""
    set_up_logs(as_json=log_json)
    settings = load_settings(
        config,
        broker=broker,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        policies=policies,
        listen=listen,
        store=store,
        home_assistant=home_assistant,
        sets=sets,
        api=api,
    )
    faulthandler.enable()  # where a watchdog ends the process, its journal says where it stood
    take_turns_often()
    asyncio.run(run_until_signal(Agent(settings)))


async def run_until_signal(agent: Agent) -> None:
    """Run `agent` until SIGINT or SIGTERM, and let it finish what is under way."""
    task = asyncio.ensure_future(agent.run())
    calm = asyncio.ensure_future(_calm(agent))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    except* MoteyeError as group:
        raise _first(group) from None
    finally:
        calm.cancel()


async def _calm(agent: Agent) -> None:
    await agent.ready.wait()
    collect_seldom()


def _first(group: BaseExceptionGroup[MoteyeError]) -> MoteyeError:
    """The first error of a group, however deep it lies."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
