"""Segregation of duties: constellations that a charter may state, and that its signers should have seen.

Belongs here: notes on who could decide about, watch or audit what is their own. Must not be here: what is
refused outright (`checks`, `governance_checks`), or how votes are counted (`participants/`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestration.charter.governance import DEFAULT_RIGHT, DecisionRight, Panel
from orchestration.charter.model import Charter, Role


@dataclass(frozen=True)
class Conflict:
    """Where it stands, who holds what, and why that matters."""

    path: str
    message: str


# Allowed in one member, because small organizations have few people; every such member is named.
_NOTABLE: tuple[tuple[Role, Role, str], ...] = (
    ("steward", "analyst", "asks, and votes on what others ask"),
    ("reviewer", "steward", "votes for the organization and reviews for all"),
    ("operator", "steward", "runs the house and signs for the organization"),
    ("operator", "analyst", "runs the house and asks it"),
    ("operator", "owner", "runs the house and answers for data in it"),
    ("auditor", "steward", "audits what it signed for"),
    ("auditor", "reviewer", "audits decisions it took part in"),
    ("auditor", "contributor", "audits data it delivered"),
    ("auditor", "owner", "audits data it answers for"),
)


def _roles(charter: Charter) -> Iterator[Conflict]:
    for participant in charter.participants:
        for member in participant.members:
            for one, other, why in _NOTABLE:
                if {one, other} <= set(member.roles):
                    path = f"participants.{participant.id}.members.{member.id}.roles"
                    yield Conflict(path, f"{member.id} is {one} and {other}: {why}.")


def _own_requests(charter: Charter) -> Iterator[Conflict]:
    """An organization that can approve what it asks for, by a colleague of the asker."""
    for computation in charter.computations:
        right_id = charter.approval_for(computation.template)
        if right_id is None:
            continue
        right = charter.right_for("request", right_id)
        for requester in dict.fromkeys(computation.requesters):
            alone = set(computation.receivers) == {requester}
            if _alone(charter, right, requester) and not (right.beneficiaries_abstain and alone):
                message = f"{requester} may ask for {computation.template}, and its own votes are enough."
                yield Conflict(f"decision_rights.{right.id}", message)


def _alone(charter: Charter, right: DecisionRight, participant: str) -> bool:
    """Whether the votes of one organization can meet the right (before who asked is taken out)."""
    if right.body == "review_body":
        return charter.review_body is not None and participant in _masters(charter.review_body)
    deciders = set(right.deciders)
    if right.rule == "unanimity":
        return deciders == {participant}
    return right.rule == "quorum" and right.quorum == 1 and participant in deciders


def _masters(panel: Panel) -> tuple[str, ...]:
    """Organizations whose members reach the panel's quorum without any other."""
    seats = Counter(member.partition(".")[0] for member in set(panel.members))
    return tuple(sorted(organization for organization, count in seats.items() if count >= panel.quorum))


def _panels(charter: Charter) -> Iterator[Conflict]:
    for name, panel in (("review_body", charter.review_body), ("ethics_panel", charter.ethics_panel)):
        for organization in _masters(panel) if panel is not None else ():
            yield Conflict(name, f"The members of {organization} reach the quorum without any other.")


def _accused(charter: Charter) -> Iterator[Conflict]:
    """A dispute waits for ever if the seats of the accused are needed to decide it."""
    body, right = charter.review_body, charter.right_for("dispute")
    if body is None or (right.body != "review_body" and right.id != DEFAULT_RIGHT.id):
        return
    seats = Counter(member.partition(".")[0] for member in set(body.members))
    for organization, count in sorted(seats.items()):
        if sum(seats.values()) - count < body.quorum:
            message = (
                f"Without the members of {organization} the quorum cannot be reached: "
                f"a dispute about {organization} stays undecided until it has expired."
            )
            yield Conflict("review_body", message)


def _watchers(charter: Charter) -> Iterator[Conflict]:
    hosts = {
        participant.id
        for participant in charter.participants
        if any("operator" in member.roles for member in participant.members)
    }
    auditors = {member.id.partition(".")[0] for member in charter.members if "auditor" in member.roles}
    if auditors and auditors <= hosts:
        message = "Every auditor belongs to an organization that runs the house."
        yield Conflict("participants", message)
    witnesses = charter.audit.witnesses
    if witnesses is None:
        return
    own = sorted(hosts.intersection(witnesses.participants))
    path = "audit.witnesses"
    if len(own) >= witnesses.quorum:
        message = f"{', '.join(own)} runs the house and is enough to witness it: nobody else has to look."
        yield Conflict(path, message)
    elif own:
        yield Conflict(
            path, f"{', '.join(own)} runs the house and watches it; the others make the difference."
        )


_NOTES: tuple[Callable[[Charter], Iterator[Conflict]], ...] = (
    _roles,
    _own_requests,
    _panels,
    _accused,
    _watchers,
)


def conflicts(charter: Charter) -> tuple[Conflict, ...]:
    """Every note on `charter`, which has passed its checks."""
    return tuple(conflict for note in _NOTES for conflict in note(charter))
