"""Whether work may go on: what every stage asks before it begins and before it ends.

Belongs here: rules about a collaboration as a whole, its participants, and what is under dispute. Must not be
here: what one member may do (`policy`).
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants.state import State

FROZEN = Reason(
    "collaboration.frozen",
    "{collaboration} is frozen: nothing runs and nothing opens.",
    "A steward can ask for a decision to thaw it; nothing is lost meanwhile.",
)
CLOSED = Reason(
    "collaboration.closed",
    "{collaboration} is closed: its room is retired.",
    "Agree on a new collaboration; the evidence of this one can still be verified.",
)
NOT_ACTIVE = Reason(
    "charter.not_active",
    "This charter of {collaboration} is not the one in force ({status}).",
    "Have every participant sign it, or work under the charter in force.",
)
NO_PARTICIPANT = Reason(
    "participant.not_active",
    "{participant} takes no part in {collaboration} at present ({status}).",
    "It goes on once the participant has accepted, or is reinstated.",
)
CHANGED_SINCE = Reason(
    "charter.changed_since",
    "The charter of {collaboration} was amended since this {what} was started.",
    "Start it again: deliver, or submit the request anew, under the charter now active.",
)
DISPUTED = Reason(
    "dispute.pending",
    "The {kind} {subject} is under dispute.",
    "Wait for the decision of dispute {dispute}.",
)


REVOKED = Reason(
    "dispute.use_revoked",
    "By the decision on a dispute the {kind} {subject} is used no more.",
    "Only a new version of the charter, which all sign, gives it back.",
)


def require_running(
    state: State,
    charter_digest: str,
    *,
    participants: Sequence[str] = (),
    subjects: Sequence[tuple[str, str]] = (),
) -> None:
    """Refuse to go on under this charter, with these participants, about these subjects.

    Args:
        charter_digest: the charter the work is done under.
        participants: those whose data or question it is.
        subjects: (request | release | dataset | participant, its id) that must not be under dispute.

    Raises: PolicyDeniedError with one of the reasons above.
    """
    collaboration = state.collaboration
    if state.phase == "closed":
        raise PolicyDeniedError(CLOSED, collaboration=collaboration)
    if state.phase == "frozen":
        raise PolicyDeniedError(FROZEN, collaboration=collaboration)
    status = state.charter_status(charter_digest)
    if status != "active":
        raise PolicyDeniedError(NOT_ACTIVE, collaboration=collaboration, status=status or "never proposed")
    for participant in participants:
        present = state.participant_status(participant)
        if present != "active":
            raise PolicyDeniedError(
                NO_PARTICIPANT,
                participant=participant,
                collaboration=collaboration,
                status=present or "never invited",
            )
    for kind, subject in (*(("participant", each) for each in participants), *subjects):
        disputes = state.open_disputes(kind, subject)
        if disputes:
            raise PolicyDeniedError(DISPUTED, kind=kind, subject=subject, dispute=disputes[0].dispute)
        if (kind, subject) in state.revoked:
            raise PolicyDeniedError(REVOKED, kind=kind, subject=subject)
