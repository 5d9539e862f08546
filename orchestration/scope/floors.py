"""Whether measured figures reach the floor a charter sets, limit by limit.

Belongs here: comparing. Must not be here: measuring (`anonymity`), or doing something about a floor that is
missed (`local_suppression`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestration.charter.anonymity import AnonymityFloor
from orchestration.errors import Reason
from orchestration.scope.anonymity import Anonymity

FLOOR_MISSED = Reason(
    "anonymity.floor_missed",
    "{subject} misses its floor of anonymity: {limits}.",
    "Generalize more before delivering; `glasshouse anonymity FILE --propose` finds the least lossy way.",
)

_HAIR = 1e-9  # sums of floats: a limit that is met exactly must not be missed by rounding


@dataclass(frozen=True)
class Limit:
    """One limit of a floor, and what was found; `says` names it without figures of the data."""

    says: str
    needs: float
    found: float
    met: bool


def judge(floor: AnonymityFloor, found: Anonymity) -> tuple[Limit, ...]:
    """Every limit of the floor. An empty table, and an attribute that was not measured, miss theirs."""
    return tuple(_limits(floor, found))


def missed(limits: Iterable[Limit]) -> str:
    """The limits that are not met, for the message of a refusal: their names and no figure of the data."""
    return ", ".join(limit.says for limit in limits if not limit.met)


def _limits(floor: AnonymityFloor, found: Anonymity) -> Iterator[Limit]:
    if floor.k is not None:
        yield _at_least(f"k of at least {floor.k}", floor.k, found.k)
    empty = 1.0 if found.rows == 0 else 0.0
    if floor.uniqueness is not None:
        says = f"uniqueness of at most {floor.uniqueness}"
        yield _at_most(says, float(floor.uniqueness), max(found.uniqueness, empty))
    if floor.average_risk is not None:
        says = f"average risk of at most {floor.average_risk}"
        yield _at_most(says, float(floor.average_risk), max(found.average_risk, empty))
    measured = {each.attribute: each for each in found.sensitive}
    for wanted in floor.sensitive:
        name, has = wanted.attribute, measured.get(wanted.attribute)
        if wanted.distinct_l is not None:
            values = has.distinct_l if has else 0
            yield _at_least(
                f"distinct l of {name} of at least {wanted.distinct_l}", wanted.distinct_l, values
            )
        if wanted.entropy_l is not None:
            says, effective = (
                f"entropy l of {name} of at least {wanted.entropy_l}",
                has.entropy_l if has else 0.0,
            )
            yield _at_least(says, float(wanted.entropy_l), effective)
        if wanted.t is not None:
            distance = max(has.t, empty) if has else 1.0
            yield _at_most(f"t of {name} of at most {wanted.t}", float(wanted.t), distance)


def _at_least(says: str, needs: float, found: float) -> Limit:
    return Limit(says, needs, found, found >= needs - _HAIR)


def _at_most(says: str, needs: float, found: float) -> Limit:
    return Limit(says, needs, found, found <= needs + _HAIR)
