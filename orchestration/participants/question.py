"""What somebody asks to be allowed to do, and the question that a signed act puts.

Belongs here: the question, and reading it off an event. Must not be here: any answer (`policy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestration.audit import governance_events as g
from orchestration.audit.events import Event
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.stage_events import OutputAccessed, RequestSubmitted
from orchestration.audit.withdrawal_events import ContributionWithdrawn, PeopleWithdrawn


@dataclass(frozen=True)
class Question:
    """May `member` do `action` to `subject`? `facts`: what the act says besides: purpose, roles, until when.

    What the subject is depends on the action: see `permissions.ACTIONS`.
    """

    member: str
    action: str
    subject: str
    facts: Mapping[str, object] = field(default_factory=dict)


Asked = tuple[str, str, Mapping[str, object]]  # action, subject, facts


def question_of(event: Event) -> Question:
    """What an act asks permission for.

    Raises: ValueError for an event that is no act of a member.
    """
    asked = _of_charters_and_members(event) or _of_decisions_and_data(event)
    if asked is None:
        raise ValueError(f"an event of type {event.type} asks for nothing")
    action, subject, facts = asked
    return Question(event.actor, action, subject, facts)


def _of_charters_and_members(event: Event) -> Asked | None:
    match event.payload:
        case g.CharterProposed():
            return "propose_charter", event.collaboration, {}
        case g.CharterSigned(digest=digest, participant=participant):
            return "sign_charter", digest, {"participant": participant}
        case g.CharterWithdrawn(digest=digest):
            return "withdraw_charter", digest, {}
        case g.ParticipantAccepted(participant=participant, steward=steward):
            return "accept_invitation", participant, {"steward": steward}
        case g.ParticipantLeft(participant=participant):
            return "leave", participant, {}
        case g.MemberEnrolled(member=member, roles=roles, expires_at=until):
            return "enroll_member", member, {"roles": roles, "expires_at": until}
        case g.MemberRetired(member=member):
            return "retire_member", member, {}
        case g.KeyRotated(member=member):
            return "rotate_key", member, {}
        case g.KeyRevoked(member=member):
            return "revoke_key", member, {}
        case g.GrantGiven(member=member, role=role, expires_at=until):
            return "give_grant", member, {"role": role, "expires_at": until}
        case g.GrantRenewed(grant=grant, expires_at=until):
            return "renew_grant", grant, {"expires_at": until}
        case g.GrantRevoked(grant=grant):
            return "revoke_grant", grant, {}
        case g.EmergencyOpened(member=member, role=role, expires_at=until):
            return "open_emergency", member, {"role": role, "expires_at": until}
        case g.TermsAcknowledged(terms=terms):
            return "acknowledge_terms", event.subject, {"terms": terms}
        case LoginChanged():
            return "arrange_login", event.subject, {}
    return None


def _of_decisions_and_data(event: Event) -> Asked | None:
    match event.payload:
        case g.DecisionOpened(matter=matter, about=about):
            return "open_decision", matter, {"about": about}
        case g.VoteCast(decision=decision):
            return "vote", decision, {}
        case g.CollaborationFrozen():
            return "freeze", event.collaboration, {}
        case g.DisputeRaised(about_kind=kind, about=about):
            return "raise_dispute", about, {"kind": kind}
        case g.ReviewAttested(grant=grant, keep=keep):
            return "attest_review", grant, {"review": event.subject, "keep": keep}
        case g.DatasetAttested(dataset=dataset):
            return "attest_dataset", dataset, {}
        case ContributionWithdrawn(dataset=dataset):
            return "withdraw_contribution", dataset, {}
        case PeopleWithdrawn(dataset=dataset):
            return "withdraw_people", dataset, {}
        case RequestSubmitted(template=template, purpose=purpose, datasets=datasets):
            return "submit_request", template, {"purpose": purpose, "datasets": datasets}
        case OutputAccessed(release=release):
            return "open_insight", release, {"justification": event.justification}
    return None
