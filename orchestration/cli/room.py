"""`glasshouse room`: what the operator of the house hands to those who give data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.options import CollaborationOption, chosen_charter
from orchestration.cli.signing_options import show_recorded
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages.inviting import invitation

NOT_WRITTEN = Reason(
    "room.not_written",
    "The invitation cannot be written to {file}: it exists, or the folder cannot be written to.",
    "Choose another file with --to.",
)

app = typer.Typer(help="The room: who may prepare data for it.", no_args_is_help=True)


@app.callback()
def _room() -> None:
    """A group of its own, although it has one command."""


@app.command()
def invite(
    *,
    member: Annotated[str, typer.Option("--for", help="Who will prepare data: <participant>.<name>.")],
    to: Annotated[Path | None, typer.Option(help="File to write; default: MEMBER.invitation.json.")] = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write what a steward needs to prepare data at the own desk; its key is sealed to the steward's own."""
    file = to or Path(f"{member}.invitation.json")
    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        envelope, key_id = invitation(house, charter, member)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as target:
                target.write(json.dumps(envelope, indent=1) + "\n")
        except OSError:
            raise ConfigError(NOT_WRITTEN, file=file.name) from None
        document: JsonValue = {
            "file": str(file),
            "member": member,
            "key_id": key_id,
            "house_key": house.operator.key_id,
        }
    said = (
        f"Wrote {file} for {member}; only {member}'s own key opens it.\n"
        f"Next, at {member}'s desk:\n  glasshouse prepare FILE --dataset … --invitation {file.name}"
    )
    emit(document, lambda: Text(said), as_json=as_json)


@app.command()
def rekey(
    *,
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept in the log.")],
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make the room's pseudonyms anew, under another key; desks and their key stay as they are."""
    from orchestration.stages.repseudonymizing import rotate_pseudonyms

    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        logged = rotate_pseudonyms(house, charter.collaboration, why)
    show_recorded([logged], note="Next: glasshouse run", as_json=as_json)
