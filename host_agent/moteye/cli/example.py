"""`moteye example`: what an alert was made on, as an example for `see: {like: …}`."""

from pathlib import Path
from typing import Annotated

import typer

from moteye.cli.common import ConfigOption, StoreOption
from moteye.config import load_settings
from moteye.errors import ConfigError
from moteye.feedback import frame_behind
from moteye.store import Store
from moteye.text.frames import SUFFIX, frame_text


def example(
    event: Annotated[str, typer.Argument(help="the id of an alert or decision, or its beginning")],
    path: Annotated[Path, typer.Argument(help=f"where to, a name ending in {SUFFIX}")],
    config: ConfigOption = None,
    store: StoreOption = None,
) -> None:
    """Keep the frame of an alert or decision as an example: see: {like: [ficus.frame]}."""
    if path.suffix != SUFFIX:
        raise ConfigError(f"{path}: a name ending in {SUFFIX} is wanted, policies/ficus{SUFFIX}")
    settings = load_settings(config, store=store)
    record = Store(settings.store_url, read_only=True)
    decision, frame = frame_behind(record, event)
    text = frame_text(frame.data, frame.encoder, camera=decision.device, decision=decision.id)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    shown = f"{decision.phrase} on {decision.device}, decision {decision.id[:8]}"
    print(f"{path}: {shown}; use it as  see: {{like: [{path.name}]}}")
