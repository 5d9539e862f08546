"""`glasshouse report`: what the log has to tell contributors, executives, auditors and the council.

Must not be here: what a report says (`orchestration/audit/`), or how it is laid out (`report_view`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.agenda import agenda, contribution_ledger
from orchestration.audit.case_file import FORMAT, check_case_file, make_case_file
from orchestration.audit.decision_log import decision_log
from orchestration.audit.report import check_report, contributor_report, executive_summary, sign_report
from orchestration.audit.verify import verify_log
from orchestration.cli import report_view as shown
from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.files import public_key_in, text_in
from orchestration.cli.options import CollaborationOption, opened_house
from orchestration.digests import canonical_json, digest_bytes
from orchestration.engine.files import write_durably
from orchestration.errors import IntegrityError, Reason
from orchestration.house import House
from orchestration.participants.state import State
from orchestration.settings import load_settings
from orchestration.stages.governance import case_path

CHANGED_CASE_FILE = Reason(
    "case_file.changed",
    "The evidence pack kept for {dispute} is not the one whose digest the log holds.",
    "Treat it as tampering; restore the house's folder `cases` from its backup.",
)

OutOption = Annotated[Path | None, typer.Option(help="Write it to this file, signed by the operator.")]

app = typer.Typer(
    help="Reports for contributors, executives, auditors and the council.", no_args_is_help=True
)


@app.command()
def contributor(
    participant: Annotated[str, typer.Argument(help="Organization.")],
    *,
    out: OutOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What it gave, what was made of that, who opened the results, and whether limits were kept."""
    with opened_house(collaboration) as (house, state):
        document = contributor_report(house.log, state, participant)
        _hand_out(house, document, shown.contributor(document), out, as_json=as_json)


@app.command()
def summary(
    *, out: OutOption = None, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """The collaboration on one page, without any detail of a result."""
    with opened_house(collaboration) as (house, state):
        verified = verify_log(house.log, house.checkpoints, house.operator.public)
        document = executive_summary(state, verified)
        _hand_out(house, document, shown.summary(document), out, as_json=as_json)


@app.command()
def decisions(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every decision: question, rule, votes with their reasons, outcome."""
    with opened_house(collaboration) as (house, state):
        found = decision_log(house.log, state)
    emit(found, lambda: shown.decisions(found), as_json=as_json)


@app.command()
def shares(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Who contributed what, and the fair share of each in the results."""
    _show(contribution_ledger, shown.shares, collaboration, as_json=as_json)


@app.command()
def council(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """The agenda: everything open, due, or about to end."""
    _show(agenda, shown.council, collaboration, as_json=as_json)


@app.command()
def dispute(
    dispute: Annotated[str, typer.Argument(help="Dispute, as `glasshouse dispute list` names it.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the evidence pack to this file.")] = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The evidence pack of a dispute: approved scope beside what ran, each event with its proof."""
    with opened_house(collaboration) as (house, state):
        document = _case_file(house, state, dispute)
    check_case_file(document)
    if out is not None:
        write_durably(out, canonical_json(document), mode=0o600)
    emit(document, lambda: shown.case(document, str(out) if out else None), as_json=as_json)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A signed report, or the evidence pack of a dispute.")],
    *,
    operator_key: Annotated[
        Path | None, typer.Option(help="The operator's public key; default: this house's.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a report offline: its signature, or the proofs of an evidence pack. Exit code 4 if it fails."""
    text = text_in(file, "FILE")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and document.get("format") == FORMAT:
        size, root = check_case_file(document)
        told: JsonValue = {"ok": True, "digest": digest_bytes(canonical_json(document))}
        told |= {"size": size, "root": root.hex()}  # type: ignore[operator]  # an object, as above
        emit(told, lambda: shown.case_checked(told), as_json=as_json)
        return
    report = check_report(document, _operator_key(operator_key))
    emit(report, lambda: shown.report_checked(report), as_json=as_json)


def _show(
    make: Callable[[State], dict[str, JsonValue]],
    render: Callable[[Any], RenderableType],
    collaboration: str | None,
    *,
    as_json: bool,
) -> None:
    with opened_house(collaboration) as (_house, state):
        document = make(state)
    emit(document, lambda: render(document), as_json=as_json)


def _hand_out(
    house: House, document: dict[str, JsonValue], view: RenderableType, out: Path | None, *, as_json: bool
) -> None:
    """Print a report; as JSON, or into a file, it is signed."""
    envelope = sign_report(document, house.operator)
    if out is not None:
        write_durably(out, canonical_json(envelope), mode=0o600)
        view = Group(view, Text(f"Signed and written to {out}; others check it with", style="dim"))
        view = Group(view, Text(f"glasshouse report check {out} --operator-key KEY", style="dim"))
    emit(envelope, lambda: view, as_json=as_json)


def _case_file(house: House, state: State, dispute: str) -> dict[str, JsonValue]:
    """The pack as it was recorded, or one made now where none was yet.

    Raises: IntegrityError (`case_file.changed`).
    """
    row = state.dispute(dispute)
    if row is None or row.evidence is None:
        return make_case_file(house.log, state, dispute)
    try:
        content = case_path(house, dispute).read_bytes()
    except OSError:
        content = b""
    if digest_bytes(content) != row.evidence:
        raise IntegrityError(CHANGED_CASE_FILE, dispute=ascii(dispute[:80]))
    document: dict[str, JsonValue] = json.loads(content)
    return document


def _operator_key(path: Path | None) -> dict[str, Any]:
    if path is not None:
        return public_key_in(path, "--operator-key")
    with House.opened(load_settings()) as house:
        return house.operator.public
