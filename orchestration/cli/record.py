"""`glasshouse record`: recording a statement that was signed where the key is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestration.audit.stage_events import RequestSubmitted
from orchestration.audit.statement import UNREADABLE, from_envelope
from orchestration.cli.console import JsonFlag
from orchestration.cli.files import text_in
from orchestration.cli.signing_options import show_recorded
from orchestration.errors import IntegrityError
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages import governance


def record(
    file: Annotated[Path, typer.Argument(help="What a command wrote with --sign-to.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Record a signed statement; the house checks signature, key and permission as if it were signed here."""
    from orchestration.stages import request as requests

    text = text_in(file, "FILE")
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError):
        raise IntegrityError(UNREADABLE) from None
    event = from_envelope(envelope)
    with House.opened(load_settings()) as house:
        if isinstance(event.payload, RequestSubmitted):
            # A request is more than its statement: the charter answers it at once.
            before = house.log.size
            requests.submit_signed(house, event).decision.require()
            show_recorded(house.log.events(after=before - 1), as_json=as_json)
            return
        show_recorded(governance.act(house, event), as_json=as_json)
