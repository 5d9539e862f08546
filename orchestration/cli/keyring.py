"""`glasshouse keyring`: the keys of the house itself, by name and number, never by value.

Belongs here: showing them, and having them rotated. Must not be here: members' keys (`keys`).
"""

from __future__ import annotations

import typer
from pydantic import JsonValue
from rich.console import Group
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.options import CollaborationOption, only_collaboration
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages import key_rotation

_PROTECTS = {
    "blinding": "second layer of a room's pseudonyms",
    "fingerprint": "marks by which receipts vouch for tables",
    "history": "figures of one contribution each",
    "login": "second factors of portal logins",
    "operator": "signs checkpoints and passports",
    "package": "opens packages sealed to a room",
    "pseudonym": "first layer of pseudonyms, shared with desks",
    "quarantine": "opens deliveries refused before any steward was known",
    "room": "a room's tables",
    "vault": "one contribution, or list of people, each",
}

app = typer.Typer(help="The keys of this house: what wraps them, and a new master key.", no_args_is_help=True)


@app.command()
def status(*, as_json: JsonFlag = False) -> None:
    """Which keys this house has, how many of each kind, and which master key wraps them."""
    with House.opened(load_settings()) as house:
        service, versions = house.keys.service, house.keys.versions()
        kinds, wrapped_by = house.keys.kinds(), house.keys.wrapped_by()
    document: JsonValue = {
        "service": service,
        "master_keys": list(versions),
        "wraps_now": versions[-1],
        "wrapped_by": {**wrapped_by},
        "keys": {**kinds},
    }
    unfinished = set(wrapped_by) - {versions[-1]}
    rows = [[kind, str(count), _PROTECTS.get(kind, "")] for kind, count in kinds.items()]
    lines = [f"Key service: {service}", f"Master key:  {versions[-1]}"]
    if unfinished or len(versions) > 1:
        lines.append("Not all is wrapped by it: `glasshouse keyring rotate` moves the rest.")
    emit(
        document,
        lambda: Group(Text("\n".join(lines)), table(["Keys", "Number", "What for"], rows)),
        as_json=as_json,
    )


@app.command()
def rotate(*, as_json: JsonFlag = False) -> None:
    """Wrap every key by a new master key and destroy the former one; also moves to another key service.

    Backups of the keys folder open no more: make a new one.
    """
    with House.opened(load_settings()) as house, err.status("Wrapping every key anew…"):
        rotation = key_rotation.rotate(house)
    document: JsonValue = {
        "service": rotation.service,
        "former": list(rotation.former),
        "current": rotation.current,
        "rewrapped": rotation.rewrapped,
    }
    lines = (
        f"{rotation.rewrapped} keys are wrapped by {rotation.current} now ({rotation.service}).",
        f"Former master key: {', '.join(rotation.former) or 'none'}",
        "Next: back up the keys folder; its earlier backups open no more.",
    )
    emit(document, lambda: Text("\n".join(lines)), as_json=as_json)


@app.command()
def recipient(
    *,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The public key that packages for a room are sealed to (age); it may be given to anybody."""
    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        public = str(house.package_recipient(chosen))
    document: JsonValue = {"collaboration": chosen, "recipient": public}
    emit(document, lambda: Text(public), as_json=as_json)
