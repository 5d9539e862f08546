"""Who may decide a question.

Belongs here: electorates, as pure functions of the state. Must not be here: what votes come to (`approvals`).

Segregation of duties comes before every rule of the charter: who asked does not decide, and nobody decides
its own case. Roles lent in an emergency do not vote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import Matter
from orchestration.charter.model import DEFAULT_RIGHT, Charter, DecisionRight, Panel
from orchestration.errors import CharterError, Reason
from orchestration.participants.state import State, participant_of

NO_CHARTER = Reason(
    "decision.no_charter",
    "No charter is active, so nobody holds the right to decide.",
    "Have the proposed charter signed by every participant first.",
)

VOTING_ROLES: frozenset[str] = frozenset({"steward", "owner", "reviewer"})

ASKED = "asked for it"
OWN_CASE = "it is about {participant}"
BENEFITS = "{participant} alone receives the result"
NO_ROLE = "holds no role in force"
TERM_OVER = "the panel's term is over"


@dataclass(frozen=True)
class Electorate:
    """Who decides.

    `parties` count with one voice each when participants decide, and `speakers` are the members who speak for
    them; `body` are the members of the review body when it decides; `affected` are the parties that must all
    agree; members of `ethics` must agree besides. `excluded`: member → why.
    """

    right: DecisionRight
    voters: tuple[str, ...]
    excluded: Mapping[str, str]
    parties: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    affected: tuple[str, ...] = ()
    ethics: tuple[str, ...] = ()
    body_quorum: int = 0
    ethics_quorum: int = 0


@dataclass
class _Circle:
    """Who is kept out, while an electorate is put together."""

    state: State
    asker: str
    benefits: str | None
    accused: str | None
    excluded: dict[str, str] = field(default_factory=dict)

    def admits(self, member: str, roles: frozenset[str] | None = None) -> bool:
        """Whether the member may decide; `roles`: it needs one of these, not just any."""
        why = self._why_not(member, roles)
        if why is not None:
            self.excluded[member] = why
        return why is None

    def _why_not(self, member: str, roles: frozenset[str] | None) -> str | None:
        participant = participant_of(member)
        if member == self.asker:
            return ASKED
        if not self.holds(member, roles):
            return NO_ROLE
        if participant == self.accused:
            return OWN_CASE.format(participant=participant)
        if participant == self.benefits:
            return BENEFITS.format(participant=participant)
        return None

    def holds(self, member: str, roles: frozenset[str] | None) -> bool:
        held = frozenset[str](self.state.roles(member, emergency=False))
        return bool(held if roles is None else held & roles)


def electorate(state: State, decision: Row[Any]) -> Electorate:
    """Who may decide this question, as things are now.

    Raises: CharterError (`charter.unknown_name`) when the charter no longer names what the question is about,
    or `decision.no_charter`.
    """
    charter = _charter(state)
    right = right_of(charter, decision)
    datasets = _datasets(state, decision)
    circle = _Circle(
        state, decision.asked_by, _beneficiary(state, charter, right, decision), _accused(state, decision)
    )
    circle.excluded[decision.asked_by] = ASKED
    body = parties = speakers = affected = cast("tuple[str, ...]", ())
    if right.body == "review_body":
        body = _panel(charter.review_body, circle)
    else:
        owners = (
            {charter.dataset(each).participant for each in datasets} if right.rule == "affected" else set()
        )
        parties, speakers = _parties(circle, set(right.deciders), owners)
        affected = tuple(party for party in parties if party in owners)
    asks_ethics = any(
        each.classification in right.ethics_for for name in datasets for each in charter.dataset(name).fields
    )
    ethics = _panel(charter.ethics_panel, circle) if asks_ethics else ()
    return Electorate(
        right,
        tuple(sorted({*body, *speakers, *ethics})),
        dict(sorted(circle.excluded.items())),
        parties,
        speakers,
        body,
        affected,
        ethics,
        # A panel that is needed but not there can never agree.
        charter.review_body.quorum if charter.review_body else 1,
        (charter.ethics_panel.quorum if charter.ethics_panel else 1) if asks_ethics else 0,
    )


def right_of(charter: Charter, decision: Row[Any]) -> DecisionRight:
    """The decision right a question is decided under.

    A charter with a review body gives it disputes even when no right says so.
    """
    known = {DEFAULT_RIGHT.id, *(right.id for right in charter.decision_rights)}
    named = decision.right if decision.right in known else None  # a later charter may have dropped it
    right = charter.right_for(cast("Matter", decision.matter), named)
    if decision.matter == "dispute" and right.id == DEFAULT_RIGHT.id and charter.review_body is not None:
        return right.model_copy(update={"body": "review_body", "rule": "quorum"})
    return right


def _charter(state: State) -> Charter:
    if state.charter is None:
        raise CharterError(NO_CHARTER)
    return state.charter


def _datasets(state: State, decision: Row[Any]) -> tuple[str, ...]:
    request = state.request(decision.about) if decision.matter == "request" else None
    return tuple(json.loads(request.datasets)) if request is not None else ()


def _beneficiary(state: State, charter: Charter, right: DecisionRight, decision: Row[Any]) -> str | None:
    """The asker's organization, where the charter wants it to abstain and it alone receives the result."""
    request = state.request(decision.about) if decision.matter == "request" else None
    if request is None or not right.beneficiaries_abstain:
        return None
    asker = participant_of(decision.asked_by)
    receivers = set(charter.computation(request.template).receivers)
    return asker if receivers == {asker} else None


def _accused(state: State, decision: Row[Any]) -> str | None:
    """The participant that the question itself is about: nobody decides its own case."""
    if decision.matter == "membership":
        return str(decision.about)
    dispute = state.dispute(decision.about) if decision.matter == "dispute" else None
    return dispute.about if dispute is not None and dispute.about_kind == "participant" else None


def _panel(panel: Panel | None, circle: _Circle) -> tuple[str, ...]:
    """The members of a panel that may decide now. An organization that left sends nobody."""
    if panel is None:
        return ()
    if panel.term_until is not None and circle.state.at.date() > panel.term_until:
        circle.excluded |= dict.fromkeys(panel.members, TERM_OVER)
        return ()
    return tuple(member for member in sorted(panel.members) if circle.admits(member))


def _parties(
    circle: _Circle, deciders: set[str], owners: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The participants whose voice counts, and the members who speak for them.

    A participant drops out, and blocks nothing, when it is not active, when the question is its own case or
    for its sole benefit, or when its only voter is the asker. One that merely has nobody to speak for it
    today stays: others must not decide in its absence. So does an owner of data that is read, whatever its
    status: it is silent while it is suspended, and nobody agrees for it meanwhile.
    """
    state = circle.state
    active = {each for each in deciders | owners if state.participant_status(each) == "active"}
    candidates = {
        row.member
        for role in sorted(VOTING_ROLES)
        for row in state.rows(g.grants, role=role, revoked=False)
        if participant_of(row.member) in active
    }
    speakers = tuple(member for member in sorted(candidates) if circle.admits(member, VOTING_ROLES))
    mute = {circle.accused, circle.benefits}
    asking = participant_of(circle.asker)
    if asking not in map(participant_of, speakers) and circle.holds(circle.asker, VOTING_ROLES):
        mute.add(asking)
    return tuple(sorted((active | owners) - mute)), speakers
