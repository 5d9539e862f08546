"""What follows now from what was signed: every event that nobody decides, derived from the state.

Belongs here: the list of consequences and when each is due. Must not be here: appending them (`stages`), or
judging acts (`guard`, which admits a consequence only when it finds it here). Pure functions of the state, so
that replaying the log derives the very same events.

A collaboration that is closed has no consequences any more. One that is frozen stays frozen under a new
charter: a freeze ends by the decision the charter names for it, not by a change of the charter. Yet all may
agree on a new one meanwhile, or who is left after a departure could never reach the old one's quorum.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    CharterActivated,
    CharterClosed,
    CollaborationThawed,
    DecisionConcluded,
    DecisionEscalated,
    DisputeResolved,
    ExceptionGranted,
    ExceptionLapsed,
    OutputRecalled,
    ParticipantReinstated,
    ParticipantRemoved,
    ParticipantSuspended,
    ReviewClosed,
    ReviewOpened,
)
from orchestration.audit.vocabulary import Payload
from orchestration.audit.withdrawal_events import OutputOutdated
from orchestration.charter.model import Charter
from orchestration.participants import effects, outdated, reviews
from orchestration.participants.approvals import is_expired, right_of, tally
from orchestration.participants.effects import Effect
from orchestration.participants.state import State, moment, read_charter

ACTOR = "operator"

_GONE = ("left", "removed")


def due(state: State) -> list[Event]:
    """Every consequence that follows now, in an order in which the first can always be appended.

    Appending one may bring, change or take away others: append the first, then ask again.
    """
    return list(_derive(state, [rule for _, rule in RULES]))


def is_due(state: State, event: Event) -> bool:
    """Whether this consequence follows now; asks only the rules that can bring it about.

    What the house itself destroyed is not derived (`charter.closed`), so it is not compared.
    """
    payload = event.payload
    if isinstance(payload, CharterClosed):
        payload = payload.model_copy(update={"destroyed": ()})
        found: Iterator[Event] = iter(closing_due(state))
    else:
        found = _derive(state, [rule for kinds, rule in RULES if isinstance(payload, kinds)])
    return any((each.subject, each.payload) == (event.subject, payload) for each in found)


def closing_due(state: State) -> list[Event]:
    """`charter.closed`, once its decision is made; who shreds the keys fills in `destroyed`."""
    if state.charter is None or state.phase not in ("active", "frozen"):
        return []
    return [
        _event(
            state,
            state.collaboration,
            CharterClosed(digest=state.charter.digest, decision=decision.decision),
            "Those who may end the collaboration agreed to.",
        )
        for decision in state.rows(g.decisions, matter="closing", status="approved")[:1]
    ]


def steward_roster(state: State, charter: Charter) -> dict[str, str]:
    """Steward → key id, as the charter names them and the log knows them: what every signer compares.

    Stewards of participants that left or were removed are not among them.
    """
    roster: dict[str, str] = {}
    for participant in charter.participants:
        if state.participant_status(participant.id) in _GONE:
            continue
        for member in participant.members:
            key = state.active_key(member.id) if state.member_status(member.id) == "active" else None
            if "steward" in member.roles and key is not None:
                roster[member.id] = key.id
    return roster


def _activations(state: State) -> Iterator[Effect]:
    """A proposal that replaces the charter in force, and that all whom either names signed.

    At most one; where several are complete, the one that was proposed first.
    """
    active = state.charter.digest if state.charter is not None else None
    proposed = sorted(state.rows(g.charters, status="proposed"), key=_number)
    for row in proposed:
        if row.supersedes == active and is_signed_by_all(state, row):
            activated = CharterActivated(digest=row.digest, supersedes=active)
            yield state.collaboration, activated, "Every participant has signed it."
            return


def is_signed_by_all(state: State, proposal: Row[Any]) -> bool:
    """Whether all whom the new text names, and all who take part now, signed it seeing the same keys.

    A text that leaves somebody out counts only once that participant has left or was removed; one that is
    suspended takes part, and has to be reinstated, or removed, before.
    """
    charter = read_charter(proposal.document)
    roster = steward_roster(state, charter)
    signed = {
        row.participant: json.loads(row.stewards)
        for row in state.rows(g.charter_signatures, digest=proposal.digest)
    }
    wanted = {*taking_part(state, charter), *taking_part(state, state.charter)}
    return bool(wanted) and all(signed.get(each) == roster for each in wanted)


def taking_part(state: State, charter: Charter | None) -> tuple[str, ...]:
    """Participants of this charter that have neither left nor been removed."""
    named = charter.participants if charter is not None else ()
    return tuple(each.id for each in named if state.participant_status(each.id) not in _GONE)


def _conclusions(state: State) -> Iterator[Effect]:
    for decision in _pending(state):
        counted = tally(state, decision)
        if counted.outcome is not None:
            payload = DecisionConcluded(
                decision=decision.decision,
                outcome=counted.outcome,
                approvals=counted.approvals,
                rejections=counted.rejections,
                rule=counted.rule,
            )
            yield decision.decision, payload, f"By the charter's rule: {counted.rule}."


def _escalations(state: State) -> Iterator[Effect]:
    """A question that waits too long is brought before somebody else; it stays with those who decide it."""
    if state.charter is None:
        return
    for decision in _pending(state):
        right = right_of(state.charter, decision)
        if decision.escalated or right.escalate_hours is None or right.escalate_to is None:
            continue
        waited = moment(decision.opened_at) + timedelta(hours=right.escalate_hours) <= state.at
        if waited and not is_expired(state, decision, right):
            payload = DecisionEscalated(decision=decision.decision, to=right.escalate_to)
            yield decision.decision, payload, f"Undecided after {right.escalate_hours} hours."


def _lapses(state: State) -> Iterator[Effect]:
    for row in state.rows(g.exceptions, status="granted"):
        if moment(row.expires_at) <= state.at:
            yield row.exception, ExceptionLapsed(), "It was granted until now."


Rule = Callable[[State], Iterator[Effect]]

# In order: what was decided before takes effect before anything else is concluded.
RULES: tuple[tuple[tuple[type[Payload], ...], Rule], ...] = (
    ((CollaborationThawed,), effects.thaws),
    ((ParticipantSuspended, ParticipantReinstated, ParticipantRemoved), effects.memberships),
    ((ParticipantSuspended,), effects.suspensions),
    ((ExceptionGranted,), effects.exceptions),
    ((DisputeResolved,), effects.resolutions),
    ((OutputRecalled,), effects.recalls),
    ((OutputOutdated,), outdated.outdated),
    ((CharterActivated,), _activations),
    ((DecisionConcluded,), _conclusions),
    ((DecisionEscalated,), _escalations),
    ((ExceptionLapsed,), _lapses),
    ((ReviewOpened,), reviews.openings),
    ((ReviewClosed,), reviews.closings),
)


def _derive(state: State, rules: list[Rule]) -> Iterator[Event]:
    if state.phase == "closed":
        return
    for rule in rules:
        for subject, payload, why in rule(state):
            yield _event(state, subject, payload, why)


def _event(state: State, subject: str, payload: Payload, why: str) -> Event:
    return Event(
        collaboration=state.collaboration,
        subject=subject,
        actor=ACTOR,
        justification=why,
        time=state.at,
        payload=payload,
    )


def _pending(state: State) -> list[Row[Any]]:
    """Questions not decided yet, oldest first."""
    return sorted(state.rows(g.decisions, status="pending"), key=_number)


def _number(row: Row[Any]) -> int:
    return int(row.seq)
