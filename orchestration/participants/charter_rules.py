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
from orchestration.participants.consequences import steward_roster, taking_part
from orchestration.participants.matters import Purpose, read_content
from orchestration.participants.state import State, read_charter

NO_CHARTER = Reason(
    "charter.unreadable_document",
    "The proposed document is no charter, or has mistakes.",
    "Check it with `glasshouse charter check FILE`, then propose it again.",
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
DROPS_PARTICIPANT = Reason(
    "charter.drops_participant",
    "This text no longer names {participants}, who takes part: nobody is put out by a text it never signed.",
    "Name it as before. Who is to go leaves, or is removed by a decision; the next version goes without.",
)
PURPOSE_NOT_APPROVED = Reason(
    "charter.purpose_not_approved",
    "Nobody has approved the purpose {purpose} in the words of this text.",
    "Ask for a decision on exactly these words first: `glasshouse decision open purpose {purpose}`.",
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
    if active is not None:
        _require_nobody_dropped(state, active, charter)
        _require_purposes_approved(state, active, charter)


def _require_nobody_dropped(state: State, active: Charter, charter: Charter) -> None:
    named = {each.id for each in charter.participants}
    dropped = [each for each in taking_part(state, active) if each not in named]
    if dropped:
        raise PolicyDeniedError(DROPS_PARTICIPANT, participants=", ".join(dropped))


def _require_purposes_approved(state: State, active: Charter, charter: Charter) -> None:
    """With a review body, a purpose is new when its words are: what was approved is what is proposed."""
    if active.review_body is None:
        return
    agreed = {(each.id, each.title, each.description) for each in active.purposes}
    approved = {
        (row.about, content.title, content.description)
        for row in state.rows(g.decisions, matter="purpose", status="approved")
        if isinstance(content := read_content(row), Purpose)
    }
    for each in charter.purposes:
        if (each.id, each.title, each.description) not in agreed | approved:
            raise PolicyDeniedError(PURPOSE_NOT_APPROVED, purpose=each.id)


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
    """The charter in force, else the proposal that a newcomer is invited by: whichever names the participant.

    So nobody changes what is asked of who comes back by merely proposing another charter.
    """
    for charter in (state.charter, state.proposal):
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
