"""Which clauses of the charter can never be met again, because organizations left or were removed.

Belongs here: counting who is left, for whoever has to propose a new version. Must not be here: who may decide
(`participants/electorates`), or what counts as witnessed (`audit/witnessed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestration.charter.model import Charter
from orchestration.participants.state import State, participant_of

_GONE = ("left", "removed")


@dataclass(frozen=True)
class Unmet:
    """`clause` needs `needed` voices, and only `left` can still give one."""

    clause: str
    needed: int
    left: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def says(self) -> str:
        whom = ", ".join(self.gone)
        have = ", ".join(self.left) or "nobody"
        return (
            f"propose a version of the charter without {whom}:"
            f" {self.clause} needs {self.needed}, and only {have} is left"
        )


def unmet(state: State) -> list[Unmet]:
    """Every quorum of the charter in force that is out of reach for good."""
    charter = state.charter
    if charter is None or state.phase == "closed":
        return []
    return [each for each in _clauses(state, charter) if len(each.left) < each.needed]


def witnesses_left(state: State, charter: Charter) -> tuple[str, ...]:
    """The witnesses the charter names that did not leave."""
    named = charter.audit.witnesses.participants if charter.audit.witnesses else ()
    return _left(state, named)


def _clauses(state: State, charter: Charter) -> Iterator[Unmet]:
    if charter.audit.witnesses is not None:
        yield _clause(
            state, "`witnesses`", charter.audit.witnesses.quorum, charter.audit.witnesses.participants
        )
    for right in charter.decision_rights:
        if right.body == "participants" and right.rule != "unanimity" and right.matters:
            yield _clause(state, f"the right `{right.id}`", right.quorum, right.deciders)
    for name, panel in (("review_body", charter.review_body), ("ethics_panel", charter.ethics_panel)):
        if panel is not None:
            yield _clause(state, f"`{name}`", panel.quorum, panel.members)


def _clause(state: State, clause: str, needed: int, named: Iterable[str]) -> Unmet:
    """`named`: participants, or members."""
    names = tuple(named)
    left = _left(state, names)
    gone = dict.fromkeys(participant_of(each) for each in names if each not in left)
    return Unmet(clause, needed, left, tuple(gone))


def _left(state: State, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(each for each in names if state.participant_status(participant_of(each)) not in _GONE)
