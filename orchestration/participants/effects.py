"""What an approved decision changes: thaw, membership, exception, dispute, recall, closing.

Belongs here: decision in, event out. Must not be here: counting votes (`approvals`), and what time alone
brings about (`consequences`, `reviews`). A decision takes effect once: the row it changes then carries a
later number than the decision itself, and whatever changed that row in between wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.governance_events import (
    CollaborationThawed,
    DisputeResolved,
    ExceptionGranted,
    OutputRecalled,
    ParticipantReinstated,
    ParticipantRemoved,
    ParticipantSuspended,
)
from orchestration.audit.vocabulary import Payload
from orchestration.participants.matters import Deviation, Membership, Step, is_open_to, read_content
from orchestration.participants.state import State

Effect = tuple[str, Payload, str]
"""Subject, payload, and the justification in words."""

_MEMBERSHIP: dict[str, type[ParticipantSuspended | ParticipantReinstated | ParticipantRemoved]] = {
    "suspend": ParticipantSuspended,
    "reinstate": ParticipantReinstated,
    "remove": ParticipantRemoved,
}


def thaws(state: State) -> Iterator[Effect]:
    """A freeze ends by a decision that was made after it."""
    frozen = next(iter(state.rows(g.collaborations, state="frozen")), None)
    if frozen is None:
        return
    for decision in _approved(state, "thaw"):
        if decision.seq > frozen.seq:
            thawed = CollaborationThawed(decision=decision.decision)
            yield state.collaboration, thawed, "Those who may end a freeze agreed to."


def memberships(state: State) -> Iterator[Effect]:
    """Suspended, invited again, or removed. Of several ways to come back the last that was decided counts."""
    decided = [(each, read_content(each)) for each in _approved(state, "membership")]
    back = [
        (each.seq, each.about)
        for each, said in decided
        if isinstance(said, Membership) and said.step == "reinstate"
    ]
    for decision, content in decided:
        if not isinstance(content, Membership):
            continue
        newer = any(seq > decision.seq and about == decision.about for seq, about in back)
        if content.step == "reinstate" and newer:
            continue
        if _open_to(state, decision.about, content.step, decision.seq):
            payload = _MEMBERSHIP[content.step](participant=decision.about, decision=decision.decision)
            yield decision.about, payload, "Those who may decide on membership agreed to."


def suspensions(state: State) -> Iterator[Effect]:
    """The remedy `suspend` of a dispute about a participant."""
    for dispute in state.rows(g.disputes, status="upheld", remedy="suspend", about_kind="participant"):
        if _open_to(state, dispute.about, "suspend", dispute.seq):
            payload = ParticipantSuspended(participant=dispute.about, decision=dispute.dispute)
            yield dispute.about, payload, "The remedy of an upheld dispute."


def exceptions(state: State) -> Iterator[Effect]:
    known = {row.exception for row in state.rows(g.exceptions)}
    for decision in _approved(state, "exception"):
        content = read_content(decision)
        if isinstance(content, Deviation) and decision.about not in known:
            payload = ExceptionGranted(**content.model_dump(), decision=decision.decision)
            yield decision.about, payload, "Those who may grant exceptions agreed to."


def resolutions(state: State) -> Iterator[Effect]:
    """A dispute ends with its decision. One that nobody decided in time is dismissed; raise it anew."""
    for dispute in state.rows(g.disputes, status="raised"):
        decision = state.decision(dispute.dispute)
        if decision is None or decision.status == "pending":
            continue
        upheld = decision.status == "approved"
        payload = DisputeResolved(
            outcome="upheld" if upheld else "dismissed",
            remedy=dispute.remedy if upheld else None,
            decision=decision.decision,
        )
        yield dispute.dispute, payload, f"The question was {decision.status}."


def recalls(state: State) -> Iterator[Effect]:
    """The remedy `recall` takes back the release it is about, or the one that answered the request.

    So does `delete`: what is gone from the shelf stays shut, and the log says why.
    """
    for dispute in state.rows(g.disputes, status="upheld"):
        if dispute.remedy not in ("recall", "delete") or dispute.about_kind not in ("release", "request"):
            continue
        for release in state.rows(t.releases, **{dispute.about_kind: dispute.about}, recalled=False):
            payload = OutputRecalled(release=release.release, decision=dispute.dispute)
            yield release.release, payload, "The remedy of an upheld dispute."


def _approved(state: State, matter: str) -> list[Row[Any]]:
    return state.rows(g.decisions, matter=matter, status="approved")


def _open_to(state: State, participant: str, step: Step, seq: int) -> bool:
    """Whether the participant is in a state the step starts from, and not changed since event `seq`."""
    row = next(iter(state.rows(g.participants, participant=participant)), None)
    return row is not None and row.seq < seq and is_open_to(state, participant, step)
