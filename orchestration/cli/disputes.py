"""`glasshouse dispute`: objecting to what happened.

Must not be here: what a dispute stops, or what a remedy does (`participants/`, `stages/`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.case_file import NO_SUCH_DISPUTE
from orchestration.audit.governance_events import DisputeAbout, DisputeRaised, Remedy
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import CollaborationOption, current_state
from orchestration.cli.pending import new_id, next_vote, question
from orchestration.cli.signing_options import Signing, signed
from orchestration.cli.told import short
from orchestration.errors import ConfigError

app = typer.Typer(help="Object to a request, release, dataset or participant.", no_args_is_help=True)


@app.command("raise")
@signed()
def raise_(
    signing: Signing,
    kind: Annotated[DisputeAbout, typer.Argument(help="Kind of thing.")],
    about: Annotated[str, typer.Argument(help="Its id.")],
    *,
    remedy: Annotated[Remedy, typer.Option(help="What you ask for.")],
) -> None:
    """Object: the thing rests at once, evidence is put together, and the review body decides."""
    dispute = new_id("dispute")
    with signing.opened() as signatory:
        payload = DisputeRaised(about_kind=kind, about=about, remedy=remedy)
        signatory.records(signatory.event(payload, dispute), note=next_vote(dispute))


@app.command("list")
def list_disputes(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every dispute, and how it ended."""
    with current_state(collaboration) as state:
        found = sorted(state.rows(g.disputes), key=lambda row: int(row.seq))
    rows = [[row.dispute, f"{row.about_kind} {row.about}", row.raised_by, row.status] for row in found]
    emit(
        [_dispute(row) for row in found],
        lambda: table(["Dispute", "About", "By", "State"], rows) if rows else Text("Nobody objects."),
        as_json=as_json,
    )


@app.command("show")
def show_dispute(
    dispute: Annotated[str, typer.Argument(help="Dispute, as `glasshouse dispute list` names it.")],
    *,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One dispute: what is claimed, the digest of its evidence, and who has to decide."""
    with current_state(collaboration) as state:
        row = state.dispute(dispute)
        if row is None:
            raise ConfigError(NO_SUCH_DISPUTE, dispute=ascii(dispute[:80]))
        decision = state.decision(dispute)
        waits = question(state, decision).waits_for if decision is not None else ()
    document: JsonValue = {**_dispute(row), "waits_for": list(waits)}
    emit(document, lambda: _described(row, waits), as_json=as_json)


def _dispute(row: Row[Any]) -> dict[str, JsonValue]:
    names = ("dispute", "about_kind", "about", "remedy", "status", "raised_by", "evidence")
    found: dict[str, JsonValue] = json.loads(json.dumps({name: row._mapping[name] for name in names}))
    return found


def _described(row: Row[Any], waits: tuple[str, ...]) -> RenderableType:
    lines = [
        Text(f"{row.dispute}: {row.about_kind} {row.about}", style="bold"),
        Text(f"Raised by {row.raised_by}, who asks to {row.remedy}. State: {row.status}."),
        Text(f"Evidence pack: {short(row.evidence)}" if row.evidence else "No evidence pack yet."),
    ]
    if waits:
        lines.append(Text(f"Waits for: {', '.join(waits)}."))
    return Group(*lines)
