"""The four levels of maturity: what each asks of a charter, and what the next one lacks.

Belongs here: the requirements, clause by clause. Must not be here: the mistake that a charter makes when it
states a level it does not reach (`governance_checks`), or what is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from orchestration.charter.governance import Maturity
from orchestration.charter.model import Charter

LEVELS: tuple[Maturity, ...] = get_args(Maturity)


@dataclass(frozen=True)
class Requirement:
    """One thing a level asks for, in the clause that would state it."""

    clause: str
    asks: str
    met: Callable[[Charter], bool]


@dataclass(frozen=True)
class Level:
    """A level by its name in the charter, with all that it asks for."""

    name: Maturity
    says: str
    requirements: tuple[Requirement, ...]

    def gaps(self, charter: Charter) -> tuple[Requirement, ...]:
        return tuple(each for each in self.requirements if not each.met(charter))


def _people_approve(charter: Charter) -> bool:
    by_right = any("request" in right.matters for right in charter.decision_rights)
    return by_right or all(each.approval is not None for each in charter.computations)


def _shape(_: Charter) -> bool:
    """No charter can be read without it."""
    return True


def _private(_: Charter) -> bool:
    """No template of the house adds noise or keeps a privacy budget yet, so no charter can meet this."""
    return False


# The two lowest are different ways to decide; from there on each level contains the one below.
_AUTOMATIC = (
    Requirement("computations", "Each names its purposes, requesters and receivers.", _shape),
    Requirement("output.aggregation_threshold", "No cell about too few units is shown.", _shape),
    Requirement("access.detail", "Each role sees what is written for it, and no more.", _shape),
)
_FORMAL = (
    *_AUTOMATIC,
    Requirement("audit.lineage", "Every stage writes lineage, and every release has a passport.", _shape),
    Requirement(
        "audit.witnesses",
        "Participants watch the log, and a quorum of them signs each checkpoint.",
        lambda charter: charter.audit.witnesses is not None,
    ),
    Requirement(
        "audit.justification_required",
        "Opening an insight needs a written reason.",
        lambda charter: charter.audit.justification_required,
    ),
)
_BY_NAME = {
    level.name: level
    for level in (
        Level(
            "manual_approvals",
            "People approve every request.",
            (Requirement("decision_rights", "One has the matter 'request'.", _people_approve),),
        ),
        Level(
            "automatic_checks", "Rules decide every request, and people where a right says so.", _AUTOMATIC
        ),
        Level("formal_audit", "Others than the operator can prove what happened.", _FORMAL),
        Level(
            "private_computation",
            "Every answer is protected by differential privacy.",
            (
                *_FORMAL,
                Requirement(
                    "computations",
                    "Each offers differential privacy; no template of the house does today.",
                    _private,
                ),
            ),
        ),
    )
}


def level(name: Maturity) -> Level:
    return _BY_NAME[name]


def reached(charter: Charter) -> tuple[Maturity, ...]:
    """The levels this charter could state."""
    return tuple(name for name in LEVELS if not level(name).gaps(charter))


def next_level(charter: Charter) -> Maturity | None:
    """The level above the stated one; None: there is none."""
    position = LEVELS.index(charter.maturity) + 1
    return LEVELS[position] if position < len(LEVELS) else None


def gaps(charter: Charter) -> tuple[Requirement, ...]:
    """What the next level asks for and this charter lacks."""
    following = next_level(charter)
    return level(following).gaps(charter) if following else ()
