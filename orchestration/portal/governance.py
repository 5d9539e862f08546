"""Who takes part, who may do what until when, what is being decided, and what was stopped: as values.

Belongs here: reading one collaboration's state, as far as the viewer sees the events behind it, into frozen
values for the page and its JSON twin. Must not be here: HTML, or any rule: who may decide and how it stands
is asked of `participants/`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, func, select

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.vocabulary import now
from orchestration.audit.witnessed import witnessed
from orchestration.charter.model import Charter
from orchestration.house import House
from orchestration.participants import approvals
from orchestration.participants.state import State


@dataclass(frozen=True)
class Party:
    """`signed_by`: who signed the charter now in force."""

    id: str
    name: str
    status: str
    signed_by: str | None
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Member:
    """`roles` in force; `until`: the day the first of them ends."""

    id: str
    name: str
    status: str
    roles: tuple[str, ...]
    until: str | None
    key_id: str | None


@dataclass(frozen=True)
class Voice:
    member: str
    vote: str


@dataclass(frozen=True)
class Decision:
    """`missing`: who could still decide it."""

    id: str
    matter: str
    about: str
    asked_by: str
    status: str
    opened_at: str
    rule: str
    voices: tuple[Voice, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Dispute:
    id: str
    about: str
    raised_by: str
    remedy: str
    status: str


@dataclass(frozen=True)
class Deviation:
    """An exception that was granted."""

    id: str
    what: str
    owner: str
    residual_risk: str
    expires_at: str
    status: str


@dataclass(frozen=True)
class Review:
    id: str
    kind: str
    status: str
    due: str
    attested: int
    grants: int


@dataclass(frozen=True)
class Witnessing:
    """Of the newest checkpoint. `quorum` 0: the charter asks for no witnesses."""

    size: int | None
    participants: tuple[str, ...]
    quorum: int
    met: bool


@dataclass(frozen=True)
class Governance:
    collaboration: str
    title: str
    version: int
    digest: str
    phase: str
    maturity: str
    parties: tuple[Party, ...]
    decisions: tuple[Decision, ...]
    disputes: tuple[Dispute, ...]
    exceptions: tuple[Deviation, ...]
    reviews: tuple[Review, ...]
    witnessing: Witnessing


def read_governance(house: House, charter: Charter, seen: Collection[int]) -> Governance:
    """The collaboration as it stands now, told by the events that are `seen`."""
    with house.log.read() as connection:
        state = State(connection, charter.collaboration, now())
        newest = connection.execute(select(func.max(t.checkpoints.c.size))).scalar()
        signatures = {
            row.participant: row.member for row in state.rows(g.charter_signatures, digest=charter.digest)
        }
        return Governance(
            collaboration=charter.collaboration,
            title=charter.title,
            version=charter.version,
            digest=charter.digest,
            phase=state.phase,
            maturity=charter.maturity,
            parties=tuple(
                Party(
                    id=each.id,
                    name=each.name,
                    status=state.participant_status(each.id) or "not invited",
                    signed_by=signatures.get(each.id),
                    members=tuple(_member(state, member.id, member.name) for member in each.members),
                )
                for each in charter.participants
            ),
            decisions=tuple(_decision(state, row, seen) for row in _shown(state, g.decisions, seen)),
            disputes=tuple(
                Dispute(row.dispute, f"{row.about_kind} {row.about}", row.raised_by, row.remedy, row.status)
                for row in _shown(state, g.disputes, seen)
            ),
            exceptions=tuple(
                Deviation(
                    row.exception, row.what, row.owner, row.residual_risk, row.expires_at[:10], row.status
                )
                for row in _shown(state, g.exceptions, seen)
            ),
            reviews=tuple(_review(state, row) for row in _shown(state, g.reviews, seen)),
            witnessing=_witnessing(house, charter, newest),
        )


def _member(state: State, member: str, name: str) -> Member:
    roles = sorted(state.roles(member))
    ends = [grant.expires_at for grant in state.grants(member) if grant.in_force(state.at)]
    key = state.active_key(member)
    return Member(
        id=member,
        name=name,
        status=state.member_status(member) or "not enrolled",
        roles=tuple(roles),
        until=f"{min(ends):%Y-%m-%d}" if roles and ends else None,
        key_id=key.id if key else None,
    )


def _decision(state: State, row: Row[Any], seen: Collection[int]) -> Decision:
    pending = row.status == "pending"
    tally = approvals.tally(state, row) if pending else None
    return Decision(
        id=row.decision,
        matter=row.matter,
        about=row.about,
        asked_by=row.asked_by,
        status=row.status,
        opened_at=row.opened_at[:16].replace("T", " "),
        rule=tally.rule if tally else "",
        voices=tuple(Voice(vote.member, vote.vote) for vote in state.votes(row.decision) if vote.seq in seen),
        missing=tally.missing if tally else (),
    )


def _review(state: State, row: Row[Any]) -> Review:
    grants = state.rows(g.attestations, review=row.review)
    attested = sum(grant.keep is not None for grant in grants)
    return Review(row.review, row.kind, row.status, row.due[:10], attested, len(grants))


def _witnessing(house: House, charter: Charter, size: int | None) -> Witnessing:
    if size is None or charter.audit.witnesses is None:
        return Witnessing(size, (), 0, met=False)
    found = witnessed(house.log, charter, size)
    return Witnessing(size, tuple(found.participants), found.quorum, found.met)


def _shown(state: State, table: Table, seen: Collection[int]) -> list[Row[Any]]:
    """The rows that an event the viewer sees has made what they are, newest first."""
    return sorted((row for row in state.rows(table) if row.seq in seen), key=lambda row: -row.seq)
