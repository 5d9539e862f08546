"""Whether the collaboration runs right now: what every stage asks before it begins and before it ends.

Belongs here: asking the log for now, and the two questions about a run's or a request's own charter. Must not
be here: the rules themselves (`participants/standing`), or what happens to a stage that is refused
(`recorder`).
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.charter.model import Charter
from orchestration.errors import PolicyDeniedError
from orchestration.house import House
from orchestration.participants import standing
from orchestration.participants.standing import CHANGED_SINCE

Subject = tuple[str, str]  # (request | release | dataset | participant, its id)


def require_standing(
    house: House,
    charter: Charter,
    *,
    participants: Sequence[str] = (),
    subjects: Sequence[Subject] = (),
    started_under: str | None = None,
) -> None:
    """Refuse to go on unless `charter` is the active one and nothing stops what the stage is about.

    Args:
        participants: those whose data or question it is.
        subjects: what must not be under dispute.
        started_under: digest of the charter that the run was started under, when it says so.

    Raises: PolicyDeniedError `charter.changed_since`, `collaboration.frozen`, `collaboration.closed`,
    `charter.not_active`, `participant.not_active`, `dispute.pending`.
    """
    with house.state(charter.collaboration) as state:
        active = state.charter
        if started_under is not None and active is not None and started_under != active.digest:
            raise PolicyDeniedError(CHANGED_SINCE, collaboration=charter.collaboration, what="run")
        standing.require_running(
            state,
            charter.digest,
            participants=sorted(set(participants)),
            subjects=list(dict.fromkeys(subjects)),
        )
