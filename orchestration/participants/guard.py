"""The one door into the log: whether an event may be recorded at all.

Belongs here: asking every rule, in order. Of acts: signature, lifecycle, permission, content; of what follows
from acts: whether it follows; of what the house does with data: whether agreed, asked and approved is just
that. Must not be here: the rules themselves. The event's time is the only clock, so replaying the log makes
the very same decisions, and a doctored log is refused where it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit import withdrawal_events as w
from orchestration.audit.events import Event
from orchestration.audit.key_events import CollaborationKeyShared
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.projections import ALREADY_RECORDED, AlreadyRecordedError
from orchestration.audit.stage_events import OutputAccessed, RequestDecided, RequestSubmitted
from orchestration.audit.vocabulary import Consequence, Handover, Payload, Signed
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants import (
    consequences,
    destruction,
    emergencies,
    house_events,
    invitation,
    lifecycle,
    policy,
    verdict,
    withdrawals,
)
from orchestration.participants.act_rules import require_content, require_first_evidence, require_undecided
from orchestration.participants.handovers import require_handover
from orchestration.participants.lifecycle import UNKNOWN, Kind
from orchestration.participants.question import question_of
from orchestration.participants.state import State, participant_of
from orchestration.participants.statements import require_signature

NOT_DUE = Reason(
    "consequence.not_due",
    "{type} does not follow from what was signed and agreed.",
    "Nobody records this by hand; it is recorded when the votes, signatures or days for it are there.",
)
NO_PARTY = Reason(
    "participant.not_a_party",
    "The charter in force does not name {participant}; until one does, it only joins and signs.",
    "Have every participant sign the charter that names {participant}.",
)

# What a member of an organization does that the charter in force does not name (yet).
_JOINING = (
    e.ParticipantAccepted,
    e.ParticipantLeft,
    e.MemberEnrolled,
    e.MemberRetired,
    e.KeyRotated,
    e.KeyRevoked,
    e.GrantGiven,
    e.GrantRenewed,
    e.GrantRevoked,
    e.TermsAcknowledged,
    e.CharterSigned,
    LoginChanged,
)


def admit(connection: Connection, event: Event) -> None:
    """Refuse an event that may not be recorded as things are; called before it changes anything.

    Raises: PolicyDeniedError, IntegrityError, CharterError, ConfigError, ReceiptError or ContributionError
    with the reason of the rule that refuses; AlreadyRecordedError for a consequence that is recorded already.
    """
    state = State(connection, event.collaboration, event.time)
    payload = event.payload
    if _needs_signature(state, event):
        require_signature(state, event)
    house_events.require_own_name(event)
    if isinstance(payload, Signed | e.CharterProposed):
        _require_legal_steps(state, event)
        _require_party(state, event)
        _require_permission(state, event)
        require_content(state, event)
        _require_complete(state, event)
        _require_told(state, event)
    elif isinstance(payload, Consequence):
        _require_legal_steps(state, event)
        if not _follows(state, event):
            raise PolicyDeniedError(NOT_DUE, type=event.type)
    elif isinstance(payload, Handover):
        require_handover(state, event, payload)
    elif type(payload) in _OF_THE_HOUSE:
        _OF_THE_HOUSE[type(payload)](state, event, payload)


# What the house records on its own, and has to have a reason for. Of the rest, refusals and failures, it is
# enough that the house says so: they open nothing.
_OF_THE_HOUSE: Mapping[type[Payload], Callable[[State, Event, Any], None]] = {
    e.DataDestroyed: destruction.require_due,
    e.DisputeDocumented: require_first_evidence,
    e.EmergencyUsed: emergencies.require_founded,
    CollaborationKeyShared: invitation.require_shareable,
    w.WithdrawalApplied: withdrawals.require_applied,
    w.PseudonymsRotated: withdrawals.require_rotation,
}


def _require_complete(state: State, event: Event) -> None:
    if isinstance(event.payload, RequestSubmitted) and state.charter is not None:
        verdict.require_complete(state, state.charter, event.subject, event.payload)


def _require_told(state: State, event: Event) -> None:
    """What a lent role alone allows is logged twice, or not at all."""
    if event.signature is not None:
        emergencies.require_told(state, emergencies.grant_used(state, event), event)


def _needs_signature(state: State, event: Event) -> bool:
    """Acts do, and proposals once there is a charter. A signature nobody asked for must hold too."""
    if isinstance(event.payload, Signed) or event.signature is not None:
        return True
    return isinstance(event.payload, e.CharterProposed) and state.phase != "forming"


def _require_permission(state: State, event: Event) -> None:
    if isinstance(event.payload, LoginChanged) or event.signature is None:
        return  # everybody arranges the own login; a first charter is put on the table by the house
    policy.decide(state, question_of(event)).require()


def _require_party(state: State, event: Event) -> None:
    """A newcomer is active before all have signed the charter naming it; until then it decides nothing."""
    participant = participant_of(event.actor)
    if state.charter is None or isinstance(event.payload, _JOINING):
        return
    if participant not in {each.id for each in state.charter.participants}:
        raise PolicyDeniedError(NO_PARTY, participant=participant)


def _require_legal_steps(state: State, event: Event) -> None:
    """A step that was taken before is left to the projector, which says so."""
    if isinstance(event.payload, e.VoteCast):
        require_undecided(state, event, event.payload)
    for kind, present in _steps(state, event):
        if not lifecycle.is_repetition(kind, present, event.type):
            lifecycle.step(kind, present, event.type)
        elif isinstance(event.payload, Consequence) and present == _outcome(event, present):
            raise AlreadyRecordedError(ALREADY_RECORDED, type=event.type, subject=event.subject)


def _outcome(event: Event, present: str) -> str:
    match event.payload:
        case e.DecisionConcluded(outcome=outcome) | e.DisputeResolved(outcome=outcome):
            return outcome
        case RequestDecided(allowed=allowed):
            return "permitted" if allowed else "denied"
    return present


def _steps(state: State, event: Event) -> Iterator[tuple[Kind, str]]:
    """Everything with a lifecycle that this event moves, and its present state."""
    yield from _steps_of_members(state, event)
    subject = event.subject
    match event.payload:
        case (
            e.CharterProposed(digest=digest)
            | e.CharterActivated(digest=digest)
            | e.CharterClosed(digest=digest)
        ):
            yield "charter", state.charter_status(digest) or UNKNOWN
            yield "collaboration", _phase(state)
        case e.CharterSigned(digest=digest) | e.CharterWithdrawn(digest=digest):
            yield "charter", state.charter_status(digest) or UNKNOWN
        case e.CollaborationFrozen() | e.CollaborationThawed():
            yield "collaboration", _phase(state)
        case e.DecisionOpened():
            yield "decision", _status(state.decision(subject))
        case e.DecisionEscalated(decision=decision) | e.DecisionConcluded(decision=decision):
            yield "decision", _status(state.decision(decision))
        case e.DisputeRaised() | e.DisputeResolved():
            yield "dispute", _status(state.dispute(subject))
        case RequestSubmitted() | RequestDecided():
            yield "request", _status(state.request(subject))
        case (
            OutputAccessed(release=release)
            | e.OutputRecalled(release=release)
            | w.OutputOutdated(release=release)
        ):
            row = state.release(release)
            yield "release", UNKNOWN if row is None else "recalled" if row.recalled else "released"
        case e.ExceptionGranted() | e.ExceptionLapsed():
            yield "exception", _first(state.rows(g.exceptions, exception=subject))
        case e.ReviewOpened() | e.ReviewAttested() | e.ReviewClosed():
            yield "review", _first(state.rows(g.reviews, review=subject))


def _steps_of_members(state: State, event: Event) -> Iterator[tuple[Kind, str]]:
    match event.payload:
        case (
            e.ParticipantAccepted(participant=participant)
            | e.ParticipantLeft(participant=participant)
            | e.ParticipantSuspended(participant=participant)
            | e.ParticipantReinstated(participant=participant)
            | e.ParticipantRemoved(participant=participant)
        ):
            yield "participant", state.participant_status(participant) or UNKNOWN
        case (
            e.MemberEnrolled(member=member)
            | e.MemberRetired(member=member)
            | e.KeyRotated(member=member)
            | e.KeyRevoked(member=member)
        ):
            yield "member", state.member_status(member) or UNKNOWN
        case (
            e.GrantGiven(grant=grant)
            | e.EmergencyOpened(grant=grant)
            | e.GrantRenewed(grant=grant)
            | e.GrantRevoked(grant=grant)
        ):
            known = state.grant(grant)
            yield "grant", UNKNOWN if known is None else "revoked" if known.revoked else "given"


def _phase(state: State) -> str:
    """A collaboration that nobody proposed yet has no row, and no phase of its own."""
    return state.phase if state.rows(g.collaborations) else UNKNOWN


def _first(rows: list[Row[Any]]) -> str:
    return _status(rows[0] if rows else None)


def _status(row: Row[Any] | None) -> str:
    return UNKNOWN if row is None else str(row.status)


def _follows(state: State, event: Event) -> bool:
    if isinstance(event.payload, RequestDecided):
        return verdict.is_due(state, event)
    return consequences.is_due(state, event)
