"""What people agree, sign, decide and stop: one payload for each act, and for each consequence of acts.

Belongs here: payloads of governance. `Signed` ones need their actor's signature; `Consequence` ones follow
from signed ones and the charter. Must not be here: who may do what (`participants/`), or data on its way
through the house (`stage_events`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from orchestration.audit.vocabulary import (
    Consequence,
    Count,
    Digest,
    Document,
    Grown,
    Name,
    Payload,
    Signed,
    Time,
)

PublicKey = dict[str, JsonValue]
KeyId = Name
Evidence = dict[str, Digest]  # checklist item → digest of the document that shows it
Matter = Literal["request", "membership", "exception", "dispute", "thaw", "closing", "purpose"]
Verdict = Literal["approve", "reject", "abstain"]
Outcome = Literal["approved", "rejected", "expired"]
Remedy = Literal["warn", "notify", "recall", "revoke", "suspend", "delete"]
DisputeAbout = Literal["request", "release", "dataset", "participant"]

# --- charter: proposed → signed by all → active → superseded | closed; or withdrawn


class CharterProposed(Payload):
    """A text on the table, which invites those it names. Signed as soon as another charter is active.

    The subject of all charter events is the collaboration.
    """

    type: ClassVar = "charter.proposed"
    digest: Digest
    title: str
    version: Count
    document: JsonValue = Field(description="The charter's canonical document; `digest` is over it.")
    supersedes: Digest | None = None


class CharterSigned(Signed):
    """One participant's signature, by one of its stewards."""

    type: ClassVar = "charter.signed"
    digest: Digest
    participant: Name
    stewards: dict[str, KeyId] = Field(
        description="Every steward's key as the signer compared it: a key put in by somebody else shows."
    )


class CharterWithdrawn(Signed):
    type: ClassVar = "charter.withdrawn"
    digest: Digest


class CharterActivated(Consequence):
    type: ClassVar = "charter.activated"
    digest: Digest
    supersedes: Digest | None = None


class CharterClosed(Consequence):
    """The room is retired: `destroyed` names the keys that were shredded before this was written."""

    type: ClassVar = "charter.closed"
    digest: Digest
    decision: Name
    destroyed: tuple[Name, ...] = ()


# --- participants and their members


class ParticipantAccepted(Signed):
    """An invited organization joins. Signed with the very key it brings: that of its first steward."""

    type: ClassVar = "participant.accepted"
    participant: Name
    steward: Name
    public_key: PublicKey
    evidence: Evidence = Field(default_factory=dict, description="For the charter's eligibility checklist.")


class ParticipantSuspended(Consequence):
    type: ClassVar = "participant.suspended"
    participant: Name
    decision: Name


class ParticipantReinstated(Consequence):
    """Invited again: it accepts with the key it had, or with the one that the decision's content names."""

    type: ClassVar = "participant.reinstated"
    participant: Name
    decision: Name


class ParticipantRemoved(Consequence):
    type: ClassVar = "participant.removed"
    participant: Name
    decision: Name


class ParticipantLeft(Signed):
    type: ClassVar = "participant.left"
    participant: Name


class MemberEnrolled(Signed):
    """A steward vouches for a member of the same organization: key, and roles until a day.

    Enrolling somebody again replaces key and roles.
    """

    type: ClassVar = "member.enrolled"
    member: Name
    roles: tuple[Name, ...] = Field(min_length=1)
    public_key: PublicKey
    proof: Name = Field(description="Signature of the new key over collaboration, member and key, base64.")
    expires_at: Time


class MemberRetired(Signed):
    type: ClassVar = "member.retired"
    member: Name


class KeyRotated(Signed):
    """Signed with the old key, which counts no longer from here on; what it signed before stays valid."""

    type: ClassVar = "key.rotated"
    member: Name
    public_key: PublicKey
    proof: Name


class KeyRevoked(Signed):
    type: ClassVar = "key.revoked"
    member: Name
    key_id: KeyId
    reason: Literal["lost", "compromised", "retired"]


# --- grants: a role for a time


class GrantGiven(Signed):
    type: ClassVar = "grant.given"
    grant: Name
    member: Name
    role: Name
    not_before: Time
    expires_at: Time


class GrantRenewed(Signed):
    type: ClassVar = "grant.renewed"
    grant: Name
    expires_at: Time


class GrantRevoked(Signed):
    type: ClassVar = "grant.revoked"
    grant: Name


class EmergencyOpened(Signed):
    """A role for hours, without a decision before; each use is logged twice and reviewed after."""

    type: ClassVar = "emergency.opened"
    grant: Name
    member: Name
    role: Name
    expires_at: Time


class EmergencyUsed(Payload):
    """The second trace of what only an emergency grant allowed: written with the act, right before it."""

    type: ClassVar = "emergency.used"
    grant: Name
    member: Name
    action: Name = Field(description="Type of the event that follows.")
    act: Name = Field(description="Its statement id; for a contribution, the contribution's id.")


# --- decisions


class DecisionOpened(Signed):
    """A question to those who hold the right to decide it. The subject is the decision's id.

    Requests and disputes open their decision themselves.
    """

    type: ClassVar = "decision.opened"
    matter: Matter
    about: Name = Field(description="Participant, collaboration, exception or purpose it is about.")
    content: dict[str, JsonValue] = Field(default_factory=dict, description="What exactly is decided.")


class VoteCast(Signed):
    """May be cast anew until the decision is concluded."""

    type: ClassVar = "vote.cast"
    decision: Name
    vote: Verdict


class DecisionEscalated(Consequence):
    type: ClassVar = "decision.escalated"
    decision: Name
    to: Name


class DecisionConcluded(Consequence):
    type: ClassVar = "decision.concluded"
    decision: Name
    outcome: Outcome
    approvals: tuple[Name, ...] = ()
    rejections: tuple[Name, ...] = ()
    rule: str = Field(description="The rule that was applied, in words.")


# --- stops, disputes, exceptions


class CollaborationFrozen(Signed):
    type: ClassVar = "collaboration.frozen"


class CollaborationThawed(Consequence):
    type: ClassVar = "collaboration.thawed"
    decision: Name


class DisputeRaised(Signed):
    """Freezes what it is about until the review body has decided. Its decision has the dispute's id."""

    type: ClassVar = "dispute.raised"
    about_kind: DisputeAbout
    about: Name
    remedy: Remedy = Field(description="What the claimant asks for.")


class DisputeDocumented(Payload):
    """The evidence pack the house made for this dispute: approved scope beside what ran."""

    type: ClassVar = "dispute.documented"
    digest: Digest


class DisputeResolved(Consequence):
    type: ClassVar = "dispute.resolved"
    outcome: Literal["upheld", "dismissed"]
    remedy: Remedy | None = None
    decision: Name


class OutputRecalled(Consequence):
    """The subject is the release."""

    type: ClassVar = "output.recalled"
    release: Name
    decision: Name


class ExceptionGranted(Consequence):
    """A deviation that was agreed: who answers for it, what risk stays, and until when."""

    type: ClassVar = "exception.granted"
    what: str
    owner: Name
    residual_risk: str
    expires_at: Time
    decision: Name


class ExceptionLapsed(Consequence):
    type: ClassVar = "exception.lapsed"


# --- access reviews


class ReviewGrant(Document):
    grant: Name
    member: Name
    role: Name


class ReviewOpened(Consequence):
    """Every grant in force is to be attested until `due`; or those of an emergency, after it."""

    type: ClassVar = "review.opened"
    kind: Literal["access", "emergency"]
    grants: tuple[ReviewGrant, ...]
    due: Time


class ReviewAttested(Signed):
    """The subject is the review's id."""

    type: ClassVar = "review.attested"
    grant: Name
    keep: bool


class ReviewClosed(Consequence):
    """Grants that nobody attested, or that were attested against, end here."""

    type: ClassVar = "review.closed"
    lapsed: tuple[Name, ...]


# --- onboarding, terms, destruction


class DatasetAttested(Signed):
    """The contributor's evidence for the dataset's onboarding checklist, good until a day."""

    type: ClassVar = "dataset.attested"
    dataset: Name
    evidence: Evidence
    expires_at: Time


class TermsAcknowledged(Signed):
    """A member read the charter's terms. The subject is the member."""

    type: ClassVar = "terms.acknowledged"
    terms: Digest


DestructionRule = Literal["left", "removed", "remedy", "closed", "withdrawn", "retention", "repaired"]


class DataDestroyed(Grown):
    """What was shredded, and why. The subject is the participant, or the collaboration."""

    later: ClassVar = frozenset({"clause", "quarantined", "releases", "files"})
    type: ClassVar = "data.destroyed"
    rule: DestructionRule
    dispute: Name | None = Field(default=None, description="The upheld dispute whose remedy this is.")
    contributions: tuple[Name, ...] = ()
    key_ids: tuple[Name, ...] = ()
    clause: Name | None = Field(default=None, description="The charter's clause whose days are over.")
    quarantined: tuple[Name, ...] = Field(
        default=(), description="Contributions and refused deliveries whose sealed copies were removed."
    )
    releases: tuple[Name, ...] = Field(default=(), description="Releases whose files left the shelf.")
    files: dict[str, Digest] = Field(
        default_factory=dict, description="Each removed file or folder → its digest, as recorded when made."
    )


PAYLOADS: tuple[type[Payload], ...] = (
    CharterProposed,
    CharterSigned,
    CharterWithdrawn,
    CharterActivated,
    CharterClosed,
    ParticipantAccepted,
    ParticipantSuspended,
    ParticipantReinstated,
    ParticipantRemoved,
    ParticipantLeft,
    MemberEnrolled,
    MemberRetired,
    KeyRotated,
    KeyRevoked,
    GrantGiven,
    GrantRenewed,
    GrantRevoked,
    EmergencyOpened,
    EmergencyUsed,
    DecisionOpened,
    VoteCast,
    DecisionEscalated,
    DecisionConcluded,
    CollaborationFrozen,
    CollaborationThawed,
    DisputeRaised,
    DisputeDocumented,
    DisputeResolved,
    OutputRecalled,
    ExceptionGranted,
    ExceptionLapsed,
    ReviewOpened,
    ReviewAttested,
    ReviewClosed,
    DatasetAttested,
    TermsAcknowledged,
    DataDestroyed,
)
