"""`glasshouse participant`: organizations join, leave, and are suspended, removed or taken back.

Must not be here: what leaving does to data (`stages/`), or who may decide about another organization.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import ParticipantLeft
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.decisions import open_decision
from orchestration.cli.options import (
    CollaborationOption,
    EvidenceOption,
    confirm,
    current_state,
    evidence_digests,
)
from orchestration.cli.quorums import unmet
from orchestration.cli.signing_options import Signing, signed
from orchestration.errors import Reason
from orchestration.house import House
from orchestration.participants import enrollment
from orchestration.participants.state import State

NOT_LEFT = Reason(
    "participant.not_confirmed",
    "Nothing was signed: leaving destroys the organization's data at once.",
    "If that is meant, say --yes.",
)

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
def leave(
    signing: Signing,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again before leaving.")] = False,
) -> None:
    """Take your organization out, at once: its data is destroyed, past evidence stays verifiable."""
    with signing.opened() as signatory:
        question = f"Take {signatory.participant} out of {signatory.collaboration} and destroy its data?"
        confirm(question, NOT_LEFT, yes=yes, as_json=signing.as_json)
        payload = ParticipantLeft(participant=signatory.participant)
        signatory.records(signatory.event(payload, signatory.participant), note=_out_of_reach)


@app.command()
@signed()
def suspend(signing: Signing, participant: ParticipantArgument) -> None:
    """Ask that an organization pauses; those whom the charter names decide."""
    _ask(signing, participant, "suspend")


@app.command()
@signed()
def reinstate(
    signing: Signing,
    participant: ParticipantArgument,
    *,
    public_key: Annotated[
        Path | None, typer.Option(help="Its steward's new public file, if the old key is lost; compare it.")
    ] = None,
) -> None:
    """Ask that a suspended organization is invited again, with the key it had or with a new one."""
    key: dict[str, JsonValue] = {}
    if public_key is not None:
        key = {"key_id": str(enrollment.read_public_file(public_key).public_key["keyid"])}
    _ask(signing, participant, "reinstate", **key)


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
                "stewards": list(_stewards(state, row.participant, lent=False)),
                "lent": list(_stewards(state, row.participant, lent=True)),
                "evidence": json.loads(row.evidence),
            }
            for row in state.rows(g.participants)
        ]
    rows = [[str(p["participant"]), str(p["status"]), _lines(p["stewards"], p["lent"])] for p in found]
    emit(
        list(found),
        lambda: (
            table(["Participant", "State", "Stewards"], rows) if rows else Text("Nobody was invited yet.")
        ),
        as_json=as_json,
    )


def _ask(signing: Signing, participant: str, step: str, **more: JsonValue) -> None:
    open_decision(signing, "membership", participant, {"step": step, **more})


def _out_of_reach(house: House, collaboration: str) -> str:
    """What those who stay have to agree on anew."""
    with house.state(collaboration) as state:
        return "\n".join(f"Next, by those who stay: {each.says}." for each in unmet(state))


def _stewards(state: State, participant: str, *, lent: bool) -> tuple[str, ...]:
    """Who speaks for an organization lastingly, or because the role was lent for hours."""
    members = [row.member for row in state.rows(g.members, participant=participant)]
    lasting = tuple(m for m in members if "steward" in state.roles(m, emergency=False))
    return tuple(m for m in members if "steward" in state.roles(m) and m not in lasting) if lent else lasting


def _lines(lasting: JsonValue, lent: JsonValue) -> str:
    names = [str(each) for each in lasting] if isinstance(lasting, list) else []
    names += [f"{each} (lent)" for each in lent] if isinstance(lent, list) else []
    return "\n".join(names) or "-"
