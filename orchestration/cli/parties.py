"""`glasshouse participant`: organizations join, leave, and are suspended, removed or taken back.

Must not be here: what leaving does to data (`stages/`), or who may decide about another organization.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import ParticipantLeft
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.decisions import open_decision
from orchestration.cli.options import CollaborationOption, EvidenceOption, current_state, evidence_digests
from orchestration.cli.signing_options import Signing, signed
from orchestration.participants import enrollment
from orchestration.participants.state import State, participant_of

ParticipantArgument = Annotated[str, typer.Argument(help="Organization, as the charter names it.")]

app = typer.Typer(help="Organizations that take part.", no_args_is_help=True)


@app.command()
@signed("Accepts the invitation.")
def accept(signing: Signing, *, evidence: EvidenceOption = None) -> None:
    """Join: the steward signs with the very key that speaks for the organization from now on."""
    with signing.opened() as signatory:
        event = enrollment.accept_invitation(
            signatory.collaboration,
            signing.member,
            signatory.key,
            evidence_digests(evidence or []),
            signing.why,
        )
        note = "Next: enrol the other members (`member enroll`), then `charter sign`."
        signatory.records(event, note=note)


@app.command()
@signed()
def leave(signing: Signing) -> None:
    """Take your organization out, at once: its data is destroyed, past evidence stays verifiable."""
    with signing.opened() as signatory:
        payload = ParticipantLeft(participant=signatory.participant)
        signatory.records(signatory.event(payload, signatory.participant))


@app.command()
@signed()
def suspend(signing: Signing, participant: ParticipantArgument) -> None:
    """Ask that an organization pauses; those whom the charter names decide."""
    _ask(signing, participant, "suspend")


@app.command()
@signed()
def reinstate(signing: Signing, participant: ParticipantArgument) -> None:
    """Ask that a suspended organization is invited again, with a new key if it lost its own."""
    _ask(signing, participant, "reinstate")


@app.command()
@signed()
def remove(signing: Signing, participant: ParticipantArgument) -> None:
    """Ask that an organization goes for good, and its data with it."""
    _ask(signing, participant, "remove")


@app.command("list")
def list_(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Who takes part, in which state, and who speaks for whom."""
    with current_state(collaboration) as state:
        found: list[dict[str, JsonValue]] = [
            {
                "participant": row.participant,
                "status": row.status,
                "stewards": list(_stewards(state, row.participant)),
                "evidence": json.loads(row.evidence),
            }
            for row in state.rows(g.participants)
        ]
    rows = [[str(p["participant"]), str(p["status"]), _lines(p["stewards"])] for p in found]
    emit(
        list(found),
        lambda: (
            table(["Participant", "State", "Stewards"], rows) if rows else Text("Nobody was invited yet.")
        ),
        as_json=as_json,
    )


def _ask(signing: Signing, participant: str, step: str) -> None:
    open_decision(signing, "membership", participant, {"step": step})


def _stewards(state: State, participant: str) -> tuple[str, ...]:
    members = [row.member for row in state.rows(g.members) if participant_of(row.member) == participant]
    return tuple(member for member in members if "steward" in state.roles(member))


def _lines(names: JsonValue) -> str:
    return "\n".join(map(str, names)) if isinstance(names, list) and names else "-"
