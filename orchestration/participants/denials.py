"""Every way a policy says no, in words: one reason for each `@code` in `policies/`.

Belongs here: the reasons, in the order in which they are told when several apply. Must not be here: when they
apply (the policies say that), or which change would help in a given case (`explanation`).
"""

from __future__ import annotations

from orchestration.errors import Reason

UNKNOWN_MEMBER = Reason(
    "policy.unknown_member",
    "{collaboration} knows no member {member}.",
    "Have the charter name the member, and a steward of its organization enrol it.",
)
UNKNOWN_ACTION = Reason(
    "policy.unknown_action",
    "There is no action {action}.",
    "Use one of: {known}.",
)
UNKNOWN_SUBJECT = Reason(
    "policy.unknown_subject",
    "{collaboration} has no {kind} {subject}.",
    "Check the name; {known}.",
)
ERROR = Reason(
    "policy.error",
    "The policies could not answer whether {member} may {does}, so the answer is no.",
    "Report this together with the question; `glasshouse can` asks it again without acting.",
)
NO_ROLE = Reason(
    "policy.no_role",
    "No role that {member} holds ({roles}) allows to {does}.",
    "Ask a member who has such a role, or have a steward of {organization} give it.",
)
GRANT_EXPIRED = Reason(
    "policy.grant_expired",
    "{member} may no longer {does}: the role {lapsed} is not in force now.",
    "Have a steward of {organization} renew it.",
)
DENIED = Reason(
    "policy.denied",
    "No rule of {collaboration} lets {member} {does}.",
    "The charter would have to change; ask a steward of {organization} to propose it.",
)

CLOSED = Reason(
    "policy.closed",
    "{collaboration} is closed: its room is retired.",
    "Agree on a new collaboration; evidence of this one can still be verified.",
)
NOT_AGREED = Reason(
    "policy.not_agreed",
    "The charter of {collaboration} is not signed by every organization yet.",
    "Have a steward of each organization sign it.",
)
NOT_INVITED = Reason(
    "policy.not_invited",
    "{subject} has no invitation waiting (it is {subject_status}).",
    "Organizations are invited by a charter that names them, or by a decision to reinstate them.",
)
NOT_ONESELF = Reason(
    "policy.not_oneself",
    "{member} can do this for itself alone, not for {subject}.",
    "Have {subject} do it.",
)
SELF_APPROVAL = Reason(
    "policy.self_approval",
    "{member} {stake} and may not {does}.",
    "Somebody else has to: {others}.",
)
NOT_OWN_ORGANIZATION = Reason(
    "policy.not_own_organization",
    "{member} acts for {organization}, and this is up to {owner}.",
    "Ask a member of {owner}.",
)
NOT_A_PARTY = Reason(
    "policy.not_a_party",
    "This charter does not name {organization}.",
    "Only organizations that a charter names sign or withdraw it.",
)
PARTICIPANT_NOT_ACTIVE = Reason(
    "policy.participant_not_active",
    "{organization} is {organization_status} in {collaboration}.",
    "An organization must be active: invited ones accept first, suspended ones need a decision.",
)
MEMBER_NOT_ACTIVE = Reason(
    "policy.member_not_active",
    "{inactive} is not an active member of {collaboration}.",
    "Have a steward of its organization enrol it, with a new key.",
)
LENT_ROLE = Reason(
    "policy.lent_role",
    "{member} holds {lent} for an emergency only; that is not enough to {does}.",
    "Have a member do it to whom the charter gives such a role to last.",
)
EMERGENCY_NOT_REVIEWED = Reason(
    "policy.emergency_not_reviewed",
    "A role that {member} lent before has ended, and its review is overdue.",
    "Have somebody else attest it (`glasshouse review list` shows it), then lend again.",
)
FROZEN = Reason(
    "policy.frozen",
    "{collaboration} is frozen: nothing is contributed, asked or opened.",
    "A steward or reviewer asks for a decision to thaw it; the charter says who decides.",
)
NOT_IN_EFFECT = Reason(
    "policy.not_in_effect",
    "The charter of {collaboration} is in effect from {effective_from} until {effective_until}.",
    "Wait until it is in effect, or agree on a new version.",
)
DECIDED = Reason(
    "policy.decided",
    "The decision {subject} is concluded ({subject_status}).",
    "A vote can be changed only before; ask for a new decision.",
)
NOT_A_VOTER = Reason(
    "policy.not_a_voter",
    "{member} may not vote on {subject}: {excluded}.",
    "Those who may vote are {others}.",
)
ROLE_NOT_IN_CHARTER = Reason(
    "policy.role_not_in_charter",
    "The charter does not give {grantee} the role {role}.",
    "Agree on a new version of the charter that does, then give it.",
)
GRANT_TOO_LONG = Reason(
    "policy.grant_too_long",
    "The charter lets a role be given until {longest} at most.",
    "Give it until {longest}, or earlier.",
)
OTHER_TERMS = Reason(
    "policy.other_terms",
    "These are not the terms of the charter in force or of its newest proposal.",
    "Read the terms as they are now, and acknowledge those.",
)
COMPUTATION_NOT_AGREED = Reason(
    "policy.computation_not_agreed",
    "The charter does not allow the computation {subject}.",
    "Use one it allows ({computations}), or agree on a new version.",
)
NOT_A_REQUESTER = Reason(
    "policy.not_a_requester",
    "{organization} may not ask for {subject}.",
    "Have a member of one of these ask: {requesters}.",
)
PURPOSE_NOT_STATED = Reason(
    "policy.purpose_not_stated",
    "A question says what it is for.",
    "State one of these purposes: {purposes}.",
)
PURPOSE_NOT_PERMITTED = Reason(
    "policy.purpose_not_permitted",
    "The charter does not agree {subject} for this purpose, or not all data behind it.",
    "State one of these purposes: {purposes}.",
)
JURISDICTION = Reason(
    "policy.jurisdiction",
    "Data behind {subject} stays in {places}, and {organization} is in {jurisdiction}.",
    "Have a member of an organization there ask or open, or agree on a new version of the charter.",
)
NOT_A_RECEIVER = Reason(
    "policy.not_a_receiver",
    "{member} acts for {organization}, which is no receiver of {subject}.",
    "Receivers are: {receivers}.",
)
RECALLED = Reason(
    "policy.recalled",
    "{subject} was recalled: by a decision, or because data it rests on was taken back.",
    "It stays closed; ask the question again.",
)
REVOKED = Reason(
    "policy.revoked",
    "The decision on a dispute took away the use of {revoked}.",
    "Only a new version of the charter, which all sign, gives it back.",
)
EXPIRED = Reason(
    "policy.expired",
    "{subject} could be opened until {until}.",
    "Ask the question again: a new release is made from the room as it is now.",
)
DISPUTED = Reason(
    "policy.disputed",
    "A dispute is pending about {disputed}.",
    "Wait until it is decided.",
)
NOT_ATTESTED = Reason(
    "policy.not_attested",
    "Nobody has vouched that {subject} meets its onboarding checklist, or it is too long ago.",
    "Have a steward of {owner} attest the checklist, with evidence.",
)
TERMS_NOT_ACKNOWLEDGED = Reason(
    "policy.terms_not_acknowledged",
    "{member} has not acknowledged the charter's terms.",
    "Read them, and acknowledge them with the own key.",
)
JUSTIFICATION_MISSING = Reason(
    "policy.justification_missing",
    "The charter wants a reason for every opening.",
    "Say why with `--why TEXT`; it is kept in the log.",
)

# In the order of telling: what stops everything first, what the asker can mend alone last.
_IN_ORDER = (
    CLOSED,
    NOT_AGREED,
    NOT_INVITED,
    NOT_ONESELF,
    SELF_APPROVAL,
    NOT_OWN_ORGANIZATION,
    NOT_A_PARTY,
    PARTICIPANT_NOT_ACTIVE,
    MEMBER_NOT_ACTIVE,
    LENT_ROLE,
    EMERGENCY_NOT_REVIEWED,
    FROZEN,
    NOT_IN_EFFECT,
    DECIDED,
    NOT_A_VOTER,
    ROLE_NOT_IN_CHARTER,
    GRANT_TOO_LONG,
    OTHER_TERMS,
    COMPUTATION_NOT_AGREED,
    NOT_A_REQUESTER,
    PURPOSE_NOT_STATED,
    PURPOSE_NOT_PERMITTED,
    NOT_A_RECEIVER,
    JURISDICTION,
    RECALLED,
    REVOKED,
    EXPIRED,
    DISPUTED,
    NOT_ATTESTED,
    TERMS_NOT_ACKNOWLEDGED,
    JUSTIFICATION_MISSING,
)
BY_CODE: dict[str, Reason] = {reason.code: reason for reason in _IN_ORDER}
