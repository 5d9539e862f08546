"""Which step may follow which: the lifecycle of everything that has one, as tables.

Belongs here: (state, event type) → the states it may be in afterwards. Must not be here: who may take a step
(`policy`), what it needs besides (`guard`), or rows (`audit/governance_projections`, which a test compares
with these tables). `unknown` is the state of what the log never heard of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from orchestration.errors import PolicyDeniedError, Reason

ILLEGAL_STEP = Reason(
    "lifecycle.illegal_step",
    "This {kind} is {state}; {step} cannot follow that.",
    "From here it can go on with: {legal}.",
)

UNKNOWN = "unknown"

Kind = Literal[
    "charter",
    "collaboration",
    "participant",
    "member",
    "grant",
    "decision",
    "dispute",
    "exception",
    "review",
    "request",
    "release",
]
Table = Mapping[tuple[str, str], tuple[str, ...]]


def _steps(*rows: tuple[Iterable[str], str, Iterable[str]]) -> Table:
    """Rows of (states, event type, states afterwards)."""
    return {(state, event): tuple(after) for states, event, after in rows for state in states}


def _staying(states: Iterable[str], event: str) -> Table:
    return {(state, event): (state,) for state in states}


TABLES: Mapping[Kind, Table] = {
    # A charter that is active becomes superseded when the one that replaces it is activated.
    "charter": _steps(
        ([UNKNOWN], "charter.proposed", ["proposed"]),
        (["proposed"], "charter.signed", ["proposed"]),
        (["proposed"], "charter.withdrawn", ["withdrawn"]),
        (["proposed"], "charter.activated", ["active"]),
        (["active"], "charter.closed", ["closed"]),
    ),
    # A new charter ends no freeze: only a decision does.
    "collaboration": {
        **_steps(
            ([UNKNOWN], "charter.proposed", ["forming"]),
            (["forming", "active"], "charter.activated", ["active"]),
            (["frozen"], "charter.activated", ["frozen"]),
            (["active"], "collaboration.frozen", ["frozen"]),
            (["frozen"], "collaboration.thawed", ["active"]),
            (["active", "frozen"], "charter.closed", ["closed"]),
        ),
        **_staying(["forming", "active", "frozen"], "charter.proposed"),
    },
    "participant": _steps(
        ([UNKNOWN], "charter.proposed", ["invited"]),
        (["invited"], "participant.accepted", ["active"]),
        (["active"], "participant.suspended", ["suspended"]),
        # Again while it has not come back: the key it was to come with may be lost too.
        (["suspended", "invited"], "participant.reinstated", ["invited"]),
        (["active", "suspended"], "participant.left", ["left"]),
        (["invited", "active", "suspended"], "participant.removed", ["removed"]),
    ),
    "member": _steps(
        ([UNKNOWN, "active", "retired"], "participant.accepted", ["active"]),
        ([UNKNOWN, "active", "retired"], "member.enrolled", ["active"]),
        (["active"], "key.rotated", ["active"]),
        (["active"], "key.revoked", ["active"]),
        (["active"], "member.retired", ["retired"]),
    ),
    # Time ends a grant too; it can be renewed after that, until somebody revokes it.
    "grant": _steps(
        ([UNKNOWN], "grant.given", ["given"]),
        ([UNKNOWN], "emergency.opened", ["given"]),
        (["given"], "grant.renewed", ["given"]),
        (["given"], "grant.revoked", ["revoked"]),
    ),
    "decision": _steps(
        ([UNKNOWN], "decision.opened", ["pending"]),
        ([UNKNOWN], "request.submitted", ["pending"]),
        ([UNKNOWN], "dispute.raised", ["pending"]),
        (["pending"], "vote.cast", ["pending"]),
        (["pending"], "decision.escalated", ["pending"]),
        (["pending"], "decision.concluded", ["approved", "rejected", "expired"]),
    ),
    "dispute": _steps(
        ([UNKNOWN], "dispute.raised", ["raised"]),
        (["raised"], "dispute.documented", ["raised"]),
        (["raised"], "dispute.resolved", ["upheld", "dismissed"]),
    ),
    "exception": _steps(
        ([UNKNOWN], "exception.granted", ["granted"]),
        (["granted"], "exception.lapsed", ["lapsed"]),
    ),
    "review": _steps(
        ([UNKNOWN], "review.opened", ["open"]),
        (["open"], "review.attested", ["open"]),
        (["open"], "review.closed", ["closed"]),
    ),
    # Computing and protecting may be done again until the release is there.
    "request": _steps(
        ([UNKNOWN], "request.submitted", ["submitted"]),
        (["submitted"], "request.decided", ["permitted", "denied"]),
        (["permitted", "computed", "protected", "withheld"], "computation.run", ["computed"]),
        (["computed", "protected"], "output.generated", ["protected"]),
        (["permitted", "computed", "protected"], "output.withheld", ["withheld"]),
        (["protected"], "output.released", ["released"]),
    ),
    "release": _steps(
        ([UNKNOWN], "output.released", ["released"]),
        (["released"], "output.accessed", ["released"]),
        (["released"], "output.recalled", ["recalled"]),
        (["released"], "output.outdated", ["released", "recalled"]),
    ),
}


def step(kind: Kind, state: str, event_type: str) -> tuple[str, ...]:
    """The states it may be in after this step.

    Raises: PolicyDeniedError (`lifecycle.illegal_step`), which names the present state and the legal steps.
    """
    after = TABLES[kind].get((state, event_type))
    if after is None:
        raise PolicyDeniedError(
            ILLEGAL_STEP, kind=kind, state=state, step=event_type, legal=_words(legal_steps(kind, state))
        )
    return after


def legal_steps(kind: Kind, state: str) -> tuple[str, ...]:
    """Event types that may follow in this state, in the order of the table."""
    return tuple(event for at, event in TABLES[kind] if at == state)


def is_repetition(kind: Kind, state: str, event_type: str) -> bool:
    """Whether this very step was taken already, so that taking it again changes nothing."""
    table = TABLES[kind]
    reached = {after for (_, event), states in table.items() if event == event_type for after in states}
    return state in reached and (state, event_type) not in table


def _words(steps: tuple[str, ...]) -> str:
    return ", ".join(steps) or "nothing, this is its end"
