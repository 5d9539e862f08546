"""`glasshouse destruction`: what was destroyed, and certificates of it that verify anywhere.

Must not be here: what is due (`participants/retention`), or destroying it (`stages/destruction`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import RenderableType
from rich.text import Text

from orchestration.audit.certificate import Certificate, make_certificate, verify_certificate
from orchestration.audit.governance_events import DataDestroyed
from orchestration.audit.log import LoggedEvent
from orchestration.audit.vocabulary import timestamp
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.files import public_key_in, text_in
from orchestration.cli.options import CollaborationOption, opened_house
from orchestration.cli.told import day, told
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.settings import load_settings

NOT_WRITTEN = Reason(
    "certificate.not_written",
    "The certificate cannot be written there: the file exists, or the folder cannot be written to.",
    "Choose another file for --out.",
)
NO_JSON = Reason(
    "certificate.no_json",
    "This file holds no certificate: it is no JSON document.",
    "Use the file exactly as `glasshouse destruction certificate` wrote it.",
)

app = typer.Typer(help="What was destroyed, and certificates of it.", no_args_is_help=True)


@app.command("list")
def list_destructions(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Everything that was destroyed: when, whose, and by which rule."""
    with opened_house(collaboration) as (house, state):
        found = house.log.events("data.destroyed", collaboration=state.collaboration)
    document: JsonValue = [_document(each) for each in found]
    rows = [
        [str(each.seq), day(timestamp(each.event.time)), told(each.event), _rule(each.event.payload)]
        for each in found
    ]
    columns: list[str | tuple[str, str]] = [("Event", "right"), "Day", "What", "Rule"]
    emit(document, lambda: table(columns, rows) if rows else Text("Nothing was destroyed."), as_json=as_json)


@app.command()
def certificate(
    seq: Annotated[int, typer.Argument(min=0, help="Number of the event; see `destruction list`.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Sign what the log says of one destruction; others check it with `destruction verify`."""
    with House.opened(load_settings()) as house:
        envelope: JsonValue = make_certificate(house.log, house.operator, house.checkpoints, seq)
        checked = verify_certificate(dict(envelope), house.operator.public)  # type: ignore[arg-type]
    if out is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(json.dumps(envelope, indent=1) + "\n")
        except OSError:
            raise ConfigError(NOT_WRITTEN) from None
    emit(envelope, lambda: _shown(checked, "Certified"), as_json=as_json)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The certificate.")],
    *,
    key: Annotated[
        Path | None, typer.Option(help="The operator's public key; default: that of this house.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a certificate, offline; exit code 4 when anything in it was changed."""
    if key is not None:
        public_key = public_key_in(key, "--key")
    else:
        with House.opened(load_settings()) as house:
            public_key = house.operator.public
    try:
        envelope: Any = json.loads(text_in(file, "FILE"))
    except (ValueError, RecursionError):
        raise ConfigError(NO_JSON) from None
    checked = verify_certificate(envelope, public_key)
    emit(checked.model_dump(mode="json"), lambda: _shown(checked, "The certificate holds"), as_json=as_json)


def _shown(certificate: Certificate, verb: str) -> RenderableType:
    said = certificate.destruction
    lines = [
        f"✓ {verb}: data of {certificate.about} was destroyed at {timestamp(certificate.destroyed_at)}.",
        f"  {certificate.why} Rule: {_rule(said)}.",
        f"  event {certificate.log.seq} of the log, {certificate.log.size} events signed",
    ]
    lines += [f"  key {name}" for name in said.key_ids]
    for name, digest in sorted(said.files.items()):
        lines += [f"  file {name}", f"    {digest}"]
    return Text("\n".join(lines))


def _document(logged: LoggedEvent) -> JsonValue:
    event = logged.event
    document: dict[str, JsonValue] = event.payload.model_dump(mode="json")
    document |= {"seq": logged.seq, "time": timestamp(event.time)}
    document |= {"about": event.subject, "why": event.justification}
    return document


def _rule(payload: object) -> str:
    assert isinstance(payload, DataDestroyed)  # noqa: S101  only these were asked for
    return payload.clause or payload.rule
