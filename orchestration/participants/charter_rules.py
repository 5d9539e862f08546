"""What a charter has to be before it can be proposed, and a signature on it before it counts.

Belongs here: rules about charters as documents, and about the keys that signers compared. Must not be here:
who may propose or sign (`policy`), or when it comes into force (`consequences`).
"""

from __future__ import annotations

from pydantic import ValidationError

from orchestration.audit import governance_tables as g
from orchestration.audit.events import Event
from orchestration.audit.governance_events import CharterProposed, CharterSigned
from orchestration.charter.checks import check
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json, digest_json
from orchestration.errors import CharterError, PolicyDeniedError, Reason
from orchestration.participants.consequences import steward_roster
from orchestration.participants.state import State, read_charter

NO_CHARTER = Reason(
    "charter.unreadable_document",
    "The proposed document is no charter, or has mistakes.",
    "Check it with `glasshouse charter validate`, then propose it again.",
)
OTHER_DOCUMENT = Reason(
    "charter.other_document",
    "Digest, title, version or collaboration of this proposal are not those of its document.",
    "Propose the charter file itself: `glasshouse charter propose`.",
)
NOT_NEWER = Reason(
    "charter.not_newer",
    "Version {version} does not follow version {active}, which is in force.",
    "Raise `version` in the charter, then propose it again.",
)
OTHER_PREDECESSOR = Reason(
    "charter.other_predecessor",
    "This proposal does not replace the charter that is in force now.",
    "Compare it with the charter in force (`glasshouse charter diff`), then propose it again.",
)
PURPOSE_NOT_APPROVED = Reason(
    "charter.purpose_not_approved",
    "The review body has not approved the new purpose {purpose}.",
    "Ask for a decision on it first: `glasshouse ask purpose {purpose}`.",
)
NOT_A_STEWARD = Reason(
    "charter.not_its_steward",
    "{member} is no steward of {participant} by the document it would sign.",
    "Have a steward sign whom the new charter names as one.",
)
OTHER_ROSTER = Reason(
    "charter.other_roster",
    "The keys compared are not the keys in force: {differing}.",
    "Ask these stewards for their public files, compare again, then sign.",
)


def require_proposable(state: State, event: Event, payload: CharterProposed) -> None:
    """Refuse what could not become the charter of this collaboration.

    Raises: CharterError or PolicyDeniedError with one of the reasons above.
    """
    charter = _parsed(payload)
    told = (payload.digest, payload.title, payload.version, event.collaboration, event.subject)
    meant = (charter.digest, charter.title, charter.version, charter.collaboration, charter.collaboration)
    if told != meant or digest_json(payload.document) != payload.digest:
        raise CharterError(OTHER_DOCUMENT)
    active = state.charter
    if active is not None and charter.version <= active.version:
        raise PolicyDeniedError(NOT_NEWER, version=charter.version, active=active.version)
    if payload.supersedes != (active.digest if active is not None else None):
        raise PolicyDeniedError(OTHER_PREDECESSOR)
    if active is not None and active.review_body is not None:
        for purpose in sorted({each.id for each in charter.purposes} - {each.id for each in active.purposes}):
            if not state.rows(g.decisions, matter="purpose", about=purpose, status="approved"):
                raise PolicyDeniedError(PURPOSE_NOT_APPROVED, purpose=purpose)


def require_signable(state: State, event: Event, payload: CharterSigned) -> None:
    """Refuse a signature that does not fit the document, or was made with other keys in view.

    Whoever holds the log could put a key of its own in a steward's place; every signer compares, so it shows.

    Raises: PolicyDeniedError (`charter.not_its_steward`, `charter.other_roster`).
    """
    charter = state.charter_version(payload.digest)
    named = {
        member.id: member.roles
        for each in (charter.participants if charter is not None else ())
        for member in each.members
        if each.id == payload.participant
    }
    if charter is None or "steward" not in named.get(event.actor, ()):
        raise PolicyDeniedError(NOT_A_STEWARD, member=event.actor, participant=payload.participant)
    roster = steward_roster(state, charter)
    if payload.stewards != roster:
        pairs = set(payload.stewards.items()) ^ set(roster.items())
        raise PolicyDeniedError(OTHER_ROSTER, differing=", ".join(sorted({each for each, _ in pairs})))


def charter_naming(state: State, participant: str) -> Charter | None:
    """The newest charter that names the participant: the proposal it is invited by, else the one in force."""
    for charter in (state.proposal, state.charter):
        if charter is not None and participant in {each.id for each in charter.participants}:
            return charter
    return None


def _parsed(payload: CharterProposed) -> Charter:
    try:
        charter = read_charter(canonical_json(payload.document).decode())
    except ValidationError as error:
        raise CharterError(NO_CHARTER) from error
    if check(charter):
        raise CharterError(NO_CHARTER)
    return charter
