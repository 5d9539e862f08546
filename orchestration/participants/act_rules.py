"""What an act has to say and show, besides that its actor may do it.

Belongs here: rules about the content of one act, each with its code; `RULES` maps payloads to them. Must not
be here: who may (`policy`), signatures (`statements`), order of states (`lifecycle`), charters as documents
(`charter_rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit.events import Event
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.stage_events import OutputAccessed, RequestSubmitted
from orchestration.audit.withdrawal_events import ContributionWithdrawn, PeopleWithdrawn
from orchestration.charter.model import ChecklistItem
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants.charter_rules import (
    charter_naming,
    require_proposable,
    require_signable,
)
from orchestration.participants.denials import CLOSED
from orchestration.participants.enrollment import is_proven
from orchestration.participants.matters import (
    CONTENTS,
    Deviation,
    Membership,
    content_of,
    reinstating_key,
)
from orchestration.participants.state import State, participant_of
from orchestration.participants.withdrawals import require_kept, require_personal

NOT_OWN = Reason(
    "statement.not_own",
    "{type} speaks for {about}, and {actor} signed it.",
    "Have {about} sign it.",
)
OTHER_SUBJECT = Reason(
    "statement.other_subject",
    "The subject of this {type} is not what it is about.",
    "Make it with the `glasshouse` command for it; it names the right subject.",
)
NOT_PROVEN = Reason(
    "key.not_proven",
    "Nothing shows that {member} holds the private half of this key.",
    "Use the public file that `glasshouse key new` wrote for {member} and this collaboration.",
)
KEY_IN_USE = Reason(
    "key.in_use",
    "This key is, or was, already one of {member}.",
    "Make a new key with `glasshouse key new`; a key never comes back.",
)
KEY_IN_FORCE = Reason(
    "key.still_in_force",
    "{member} has a key in force already.",
    "Replace it with `glasshouse key rotate`, or have a steward enrol the member again.",
)
OTHER_KEY = Reason(
    "key.not_the_agreed",
    "{participant} comes back with {wanted}, and this is another key.",
    "Sign with that key; where it is lost, have a decision to reinstate name the new one's id.",
)
EVIDENCE_MISSING = Reason(
    "participant.evidence_missing",
    "{participant} shows no evidence for {items}, which the charter asks of everybody who joins.",
    "Give the digest of a document for each: `--evidence ITEM=FILE`.",
)
ONBOARDING_MISSING = Reason(
    "dataset.evidence_missing",
    "There is no evidence for {items} of dataset {dataset}.",
    "Give the digest of a document for each: `--evidence ITEM=FILE`.",
)
ATTESTED_TOO_LONG = Reason(
    "dataset.attested_too_long",
    "An attestation of {dataset} is good for at most {days} days.",
    "Attest it until an earlier day, and again after that.",
)
GRANT_TIME = Reason(
    "grant.empty_time",
    "This grant would never be in force.",
    "Let it end after it begins, and in the future.",
)
GRANT_NAME = Reason(
    "grant.reserved_name",
    "Names with a slash belong to grants that come with enrolment.",
    "Give the grant another name.",
)
CONCLUDED = Reason(
    "decision.already_concluded",
    "Decision {decision} is {status}; votes count only while it is pending.",
    "Ask for a new decision if there is something new to decide.",
)
UNCLEAR = Reason(
    "decision.unclear_content",
    "The question does not say what a decision on {matter} has to say.",
    "Say each with `--say NAME=TEXT`: {fields}.",
)
RESERVED_ID = Reason(
    "statement.reserved_id",
    "Names that begin with `r-` belong to requests.",
    "Give it another name; the `glasshouse` command for it makes one.",
)
UNKNOWN_PARTICIPANT = Reason(
    "decision.unknown_participant",
    "{collaboration} has no participant of this name.",
    "Name one of: {known}.",
)
NO_KEY_LEFT = Reason(
    "decision.no_key_to_return_with",
    "No steward of {participant} has a key in force, so it could not come back with the one it had.",
    "Have a steward of {participant} make a new key, compare its id, and ask again naming that key.",
)
NOBODY_ANSWERS = Reason(
    "exception.no_owner",
    "The owner of an exception is an active member, and this is none.",
    "Name one who answers for it; `glasshouse member list` shows them.",
)
OVER_ALREADY = Reason(
    "exception.over_already",
    "This exception would be over before anybody could grant it.",
    "Let it end in the future.",
)
DOCUMENTED = Reason(
    "dispute.documented_already",
    "The evidence of this dispute was put together before, and is what those who decide have read.",
    "Nothing to do; for other evidence, raise a new dispute.",
)
NO_REMEDY = Reason(
    "dispute.remedy_not_agreed",
    "The charter names no remedy {remedy}.",
    "Ask for one of: {known}.",
)
OTHER_APPROVAL = Reason(
    "request.approval_mismatch",
    "This request names another approval than the charter wants for {template}.",
    "Submit it with `glasshouse request`, which reads the charter in force.",
)
TOO_MUCH_DETAIL = Reason(
    "access.more_than_agreed",
    "The charter does not give {member} {level} detail.",
    "Open it with the detail the charter gives.",
)

Rule = Callable[[State, Event, Any], None]


def _participant_accepted(state: State, event: Event, payload: e.ParticipantAccepted) -> None:
    if participant_of(payload.steward) != payload.participant:
        _refuse_not_own(event, payload.participant)
    _require_agreed_key(state, payload)
    charter = charter_naming(state, payload.participant)
    missing = _missing(charter.eligibility if charter is not None else (), payload.evidence)
    if missing:
        raise PolicyDeniedError(EVIDENCE_MISSING, participant=payload.participant, items=missing)


def _member_enrolled(state: State, event: Event, payload: e.MemberEnrolled) -> None:
    _require_future(event, payload)
    _require_proof(state, payload)
    present = state.active_key(payload.member)
    if present is None or present.id != payload.public_key["keyid"]:
        _require_unused(state, payload.public_key)


def _key_rotated(state: State, _: Event, payload: e.KeyRotated) -> None:
    _require_proof(state, payload)
    _require_unused(state, payload.public_key)


def _grant_given(_: State, event: Event, payload: e.GrantGiven) -> None:
    _require_future(event, payload)
    if payload.not_before >= payload.expires_at:
        raise PolicyDeniedError(GRANT_TIME)
    if "/" in payload.grant:
        raise PolicyDeniedError(GRANT_NAME)


def _grant_renewed(_: State, event: Event, payload: e.GrantRenewed) -> None:
    _require_future(event, payload)


def _emergency_opened(_: State, event: Event, payload: e.EmergencyOpened) -> None:
    _require_future(event, payload)
    if "/" in payload.grant:
        raise PolicyDeniedError(GRANT_NAME)
    if event.subject != payload.grant:
        raise PolicyDeniedError(OTHER_SUBJECT, type=event.type)


def _decision_opened(state: State, event: Event, payload: e.DecisionOpened) -> None:
    _require_free_name(event)
    content = content_of(payload.matter, payload.content)
    if content is None:
        wanted = CONTENTS[payload.matter].model_fields.items()
        fields = ", ".join(name for name, field in wanted if field.is_required()) or "no content"
        raise PolicyDeniedError(UNCLEAR, matter=payload.matter, fields=fields)
    if isinstance(content, Deviation):
        _require_somebody_answers(state, event, content)
    if isinstance(content, Membership) and state.participant_status(payload.about) is None:
        known = ", ".join(row.participant for row in state.rows(g.participants))
        raise PolicyDeniedError(UNKNOWN_PARTICIPANT, collaboration=state.collaboration, known=known)
    if isinstance(content, Membership):
        _require_a_way_back(state, payload.about, content)
    if payload.matter in ("thaw", "closing") and payload.about != state.collaboration:
        raise PolicyDeniedError(OTHER_SUBJECT, type=event.type)


def _require_a_way_back(state: State, participant: str, content: Membership) -> None:
    """Who has no key left comes back only with one that is named."""
    if content.step != "reinstate" or content.key_id is not None or state.charter is None:
        return
    named = [each for each in state.charter.participants if each.id == participant]
    stewards = [each.id for party in named for each in party.members if "steward" in each.roles]
    if named and not any(state.active_key(each) for each in stewards):
        raise PolicyDeniedError(NO_KEY_LEFT, participant=participant)


def _require_free_name(event: Event) -> None:
    if event.subject.startswith("r-"):
        raise PolicyDeniedError(RESERVED_ID)


def _require_somebody_answers(state: State, event: Event, content: Deviation) -> None:
    if content.expires_at <= event.time:
        raise PolicyDeniedError(OVER_ALREADY)
    statuses = (state.member_status(content.owner), state.participant_status(participant_of(content.owner)))
    if statuses != ("active", "active"):
        raise PolicyDeniedError(NOBODY_ANSWERS)


def require_first_evidence(state: State, event: Event, payload: e.DisputeDocumented) -> None:
    """Evidence is put together once: whoever has voted has voted on this.

    Raises: PolicyDeniedError (`dispute.documented_already`).
    """
    dispute = state.dispute(event.subject)
    if dispute is not None and dispute.evidence not in (None, payload.digest):
        raise PolicyDeniedError(DOCUMENTED)


def _dispute_raised(state: State, event: Event, payload: e.DisputeRaised) -> None:
    _require_free_name(event)
    remedies = state.charter.remedies if state.charter is not None else ()
    if payload.remedy not in remedies:
        raise PolicyDeniedError(NO_REMEDY, remedy=payload.remedy, known=", ".join(remedies) or "none")


def _dataset_attested(state: State, event: Event, payload: e.DatasetAttested) -> None:
    charter = state.charter or state.proposal
    if charter is None:
        return  # the policies refuse what no charter names
    dataset = charter.dataset(payload.dataset)
    missing = _missing(dataset.onboarding, payload.evidence)
    if missing:
        raise PolicyDeniedError(ONBOARDING_MISSING, dataset=payload.dataset, items=missing)
    if payload.expires_at > event.time + timedelta(days=dataset.attestation_days):
        days = dataset.attestation_days
        raise PolicyDeniedError(ATTESTED_TOO_LONG, dataset=payload.dataset, days=days)


def _request_submitted(state: State, event: Event, payload: RequestSubmitted) -> None:
    if payload.requester != event.actor or payload.participant != participant_of(event.actor):
        _refuse_not_own(event, payload.requester)
    if state.charter is not None and payload.approval != state.charter.approval_for(payload.template):
        raise PolicyDeniedError(OTHER_APPROVAL, template=payload.template)


def _output_accessed(state: State, event: Event, payload: OutputAccessed) -> None:
    if payload.member != event.actor:
        _refuse_not_own(event, payload.member)
    allowed = state.charter.access.detail_for(state.roles(event.actor)) if state.charter else None
    if allowed != "full" and payload.detail != allowed:
        raise PolicyDeniedError(TOO_MUCH_DETAIL, member=event.actor, level=payload.detail)


def _login_changed(state: State, event: Event, _: LoginChanged) -> None:
    if state.phase == "closed":
        raise PolicyDeniedError(CLOSED, collaboration=state.collaboration)
    if event.subject != event.actor:
        _refuse_not_own(event, event.subject)


RULES: Mapping[type[Any], Rule] = {
    e.CharterProposed: require_proposable,
    e.CharterSigned: require_signable,
    e.ParticipantAccepted: _participant_accepted,
    e.MemberEnrolled: _member_enrolled,
    e.KeyRotated: _key_rotated,
    e.GrantGiven: _grant_given,
    e.GrantRenewed: _grant_renewed,
    e.EmergencyOpened: _emergency_opened,
    e.DecisionOpened: _decision_opened,
    e.DisputeRaised: _dispute_raised,
    e.DatasetAttested: _dataset_attested,
    ContributionWithdrawn: require_kept,
    PeopleWithdrawn: require_personal,
    LoginChanged: _login_changed,
    RequestSubmitted: _request_submitted,
    OutputAccessed: _output_accessed,
}


def require_content(state: State, event: Event) -> None:
    """Apply the rule for this kind of act, if there is one.

    Raises: PolicyDeniedError or CharterError with the reason of that rule.
    """
    rule = RULES.get(type(event.payload))
    if rule is not None:
        rule(state, event, event.payload)


def require_undecided(state: State, event: Event, payload: e.VoteCast) -> None:
    """A vote may be changed until the decision is concluded, never after.

    Raises: PolicyDeniedError (`decision.already_concluded`, `statement.other_subject`).
    """
    if event.subject != payload.decision:
        raise PolicyDeniedError(OTHER_SUBJECT, type=event.type)
    decision = state.decision(payload.decision)
    if decision is not None and decision.status != "pending":
        raise PolicyDeniedError(CONCLUDED, decision=payload.decision, status=decision.status)


def _require_future(
    event: Event, payload: e.MemberEnrolled | e.GrantGiven | e.GrantRenewed | e.EmergencyOpened
) -> None:
    if payload.expires_at <= event.time:
        raise PolicyDeniedError(GRANT_TIME)


def _require_proof(state: State, payload: e.MemberEnrolled | e.KeyRotated) -> None:
    if not is_proven(payload.proof, payload.public_key, state.collaboration, payload.member):
        raise PolicyDeniedError(NOT_PROVEN, member=payload.member)


def _require_unused(state: State, public_key: Mapping[str, Any]) -> None:
    """A key speaks for one member, and once it has ended it never comes back."""
    known = select(g.keys.c.member).where(
        g.keys.c.collaboration == state.collaboration, g.keys.c.key_id == public_key["keyid"]
    )
    holder = state.connection.execute(known).scalar()
    if holder is not None:
        raise PolicyDeniedError(KEY_IN_USE, member=holder)


def _require_agreed_key(state: State, payload: e.ParticipantAccepted) -> None:
    """A newcomer brings a new key, which all compare when they sign the charter that names it.

    Nobody signs a charter when an old participant comes back. So the key is the one it had, or the one that
    those who reinstated it compared and named; nobody else could take its seat meanwhile.
    """
    present, brought = state.active_key(payload.steward), str(payload.public_key["keyid"])
    if not _is_in_force_for(state, payload.participant):
        if present is not None:
            raise PolicyDeniedError(KEY_IN_FORCE, member=payload.steward)
        _require_unused(state, payload.public_key)
        return
    named = reinstating_key(state, payload.participant)
    had = present.id if present is not None else None
    if brought != (named or had):
        wanted = f"the key {named}, which was agreed" if named else "the key it had"
        raise PolicyDeniedError(OTHER_KEY, participant=payload.participant, wanted=wanted)
    if brought != had:
        _require_unused(state, payload.public_key)


def _is_in_force_for(state: State, participant: str) -> bool:
    return state.charter is not None and participant in {each.id for each in state.charter.participants}


def _missing(items: Iterable[ChecklistItem], evidence: Mapping[str, str]) -> str:
    return ", ".join(item.id for item in items if item.required and item.id not in evidence)


def _refuse_not_own(event: Event, about: str) -> None:
    raise PolicyDeniedError(NOT_OWN, type=event.type, about=about, actor=event.actor)
