"""`glasshouse grant` and `review`: roles for a time, and attesting now and then that they are still right.

Must not be here: who may give or attest what (`participants/`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import GrantGiven, GrantRenewed, GrantRevoked, ReviewAttested
from orchestration.audit.vocabulary import now, timestamp
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.members import MemberArgument, RoleArgument, known_role
from orchestration.cli.options import CollaborationOption, UntilOption, current_state, end_of
from orchestration.cli.pending import new_id
from orchestration.cli.signing_options import Signatory, Signing, signed
from orchestration.cli.told import day
from orchestration.errors import ConfigError, Reason
from orchestration.participants.state import Grant, State

NO_SUCH_REVIEW = Reason(
    "review.not_found",
    "There is no review called {review}.",
    "List them with `glasshouse review list`.",
)

NO_SUCH_GRANT = Reason(
    "grant.not_found",
    "There is no grant called {grant}.",
    "List them with `glasshouse grant list --all`.",
)

GrantArgument = Annotated[str, typer.Argument(help="Grant, as `glasshouse grant list` names it.")]
ReviewArgument = Annotated[str, typer.Argument(help="Review, as `glasshouse review list` names it.")]

grants = typer.Typer(help="Roles for a time.", no_args_is_help=True)
reviews = typer.Typer(help="Attesting that roles are still right.", no_args_is_help=True)


@grants.command()
@signed()
def give(
    signing: Signing,
    member: MemberArgument,
    role: RoleArgument,
    *,
    until: UntilOption,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; default: now.")
    ] = None,
) -> None:
    """Give a member of your own organization a role that the charter gives it, for a time."""
    with signing.opened() as signatory:
        grant = new_id("grant")
        payload = GrantGiven(
            grant=grant,
            member=member,
            role=known_role(role),
            not_before=start.replace(tzinfo=UTC) if start else now(),
            expires_at=end_of(until),
        )
        signatory.records(signatory.event(payload, grant))


@grants.command()
@signed()
def renew(signing: Signing, grant: GrantArgument, *, until: UntilOption) -> None:
    """Let a role last longer."""
    with signing.opened() as signatory:
        _require_known(signatory, grant)
        signatory.records(signatory.event(GrantRenewed(grant=grant, expires_at=end_of(until)), grant))


@grants.command()
@signed()
def revoke(signing: Signing, grant: GrantArgument) -> None:
    """End a role now."""
    with signing.opened() as signatory:
        _require_known(signatory, grant)
        signatory.records(signatory.event(GrantRevoked(grant=grant), grant))


@grants.command("list")
def list_grants(
    *,
    every: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Every role in force, and until when."""
    with current_state(collaboration) as state:
        at = state.at
        found = [grant for grant in state.grants() if every or grant.in_force(at)]
    rows = [[_named(each), day(timestamp(each.expires_at)), _state(each, at)] for each in found]
    columns = ["Grant", "Until", "State"]
    emit(
        [_grant(each, at) for each in found],
        lambda: table(columns, rows) if rows else Text("No role is in force."),
        as_json=as_json,
    )


@reviews.command("list")
def list_reviews(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every review, and how much of it is done."""
    with current_state(collaboration) as state:
        found = [
            (row, state.rows(g.attestations, review=row.review))
            for row in sorted(state.rows(g.reviews), key=lambda row: int(row.seq))
        ]
    document: JsonValue = [
        {
            "review": row.review,
            "kind": row.kind,
            "status": row.status,
            "due": row.due,
            "attested": sum(1 for each in asked if each.keep is not None),
            "grants": len(asked),
        }
        for row, asked in found
    ]
    rows = [
        [
            row.review,
            row.kind,
            row.status,
            day(row.due),
            f"{sum(1 for each in asked if each.keep is not None)} of {len(asked)}",
        ]
        for row, asked in found
    ]
    columns = ["Review", "Kind", "State", "Due", "Attested"]
    emit(document, lambda: table(columns, rows) if rows else Text("No review yet."), as_json=as_json)


@reviews.command("show")
def show_review(
    review: ReviewArgument, *, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """One review: which roles it asks about, and what was said of each."""
    with current_state(collaboration) as state:
        row = next((each for each in state.rows(g.reviews) if each.review == review), None)
        if row is None:
            raise ConfigError(NO_SUCH_REVIEW, review=ascii(review[:80]))
        asked = _asked(state, review)
    document: JsonValue = {"review": review, "status": row.status, "due": row.due, "grants": [*asked]}
    emit(document, lambda: _review(review, row.status, row.due, asked), as_json=as_json)


@reviews.command()
@signed()
def attest(
    signing: Signing,
    review: ReviewArgument,
    grant: GrantArgument,
    *,
    keep: Annotated[bool, typer.Option("--keep/--revoke", help="Still right, or to be ended.")],
) -> None:
    """Say of one role that it is still right, or not. What nobody attests ends with the review."""
    with signing.opened() as signatory:
        _require_known(signatory, grant, review)
        signatory.records(signatory.event(ReviewAttested(grant=grant, keep=keep), review))


def _require_known(signatory: Signatory, grant: str, review: str | None = None) -> None:
    """A mistyped name is told at once; away from the house nobody can know.

    Raises: ConfigError (`review.not_found`, `grant.not_found`).
    """
    if signatory.house is None:
        return
    with signatory.house.state(signatory.collaboration) as state:
        if review is not None and not state.rows(g.reviews, review=review):
            raise ConfigError(NO_SUCH_REVIEW, review=ascii(review[:80]))
        if state.grant(grant) is None:
            raise ConfigError(NO_SUCH_GRANT, grant=ascii(grant[:80]))


def _named(grant: Grant) -> str:
    """The grant's id, which names member and role already unless it was given apart."""
    plain = f"{grant.member}/{grant.role}"
    return grant.id if grant.id == plain else f"{grant.id}\n  {plain}"


def _state(grant: Grant, at: datetime) -> str:
    if grant.revoked:
        return "revoked"
    if at < grant.not_before:
        return f"from {day(timestamp(grant.not_before))}"
    if not grant.in_force(at):
        return "ended"
    return "emergency" if grant.emergency else "in force"


def _grant(grant: Grant, at: datetime) -> dict[str, JsonValue]:
    return {
        "grant": grant.id,
        "member": grant.member,
        "role": grant.role,
        "not_before": timestamp(grant.not_before),
        "expires_at": timestamp(grant.expires_at),
        "emergency": grant.emergency,
        "state": _state(grant, at),
    }


def _asked(state: State, review: str) -> list[dict[str, JsonValue]]:
    said = {None: None, True: "keep", False: "revoke"}
    found: list[dict[str, JsonValue]] = []
    for row in state.rows(g.attestations, review=review):
        grant = state.grant(row.grant)
        found.append(
            {
                "grant": row.grant,
                "member": grant.member if grant else None,
                "role": grant.role if grant else None,
                "attested": said[row.keep],
                "by": row.attested_by,
            }
        )
    return found


def _review(review: str, status: str, due: str, asked: list[dict[str, JsonValue]]) -> RenderableType:
    rows = [
        [str(each["grant"]), str(each["role"]), str(each["attested"] or "waits"), str(each["by"] or "-")]
        for each in asked
    ]
    return Group(
        Text(f"{review}: {status}, due {day(due)}", style="bold"),
        table(["Grant", "Role", "Attested", "By"], rows),
    )
