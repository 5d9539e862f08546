"""Figures of anonymity, made so coarse that everybody may see them: in the log, in lineage, on screens.

Must not be here: exact figures, which only the contributor sees, at their own desk.

Why this is safe to publish. No class is named, so no figure is about somebody in particular. What is left is
a small count read off a share, and a change of one unit read off two versions. Therefore shares are rounded
up to a step that is worth at least as many units as the smallest cell that output control would show: 1 unit
in 120 and 9 units in 120 look the same, and one unit more or less changes nothing but at a border. k is
rounded down to 1, 2, 5, 10, 20, 50, … and so is no exact small count. Rounding always goes to the bad side: a
figure never promises more protection than there is. A table that is too small for any step publishes nothing.
"""

from __future__ import annotations

import math

from orchestration.audit.stage_events import AnonymityFigures
from orchestration.scope.anonymity import Anonymity

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_HAIR = 1e-9


def published(found: Anonymity, threshold: int, *, suppressed: int = 0) -> AnonymityFigures | None:
    """What may be told of these figures; None: nothing.

    Args:
        threshold: fewest privacy units of a cell that output control shows.
        suppressed: rows that lost their quasi-identifiers.
    """
    if not found.units:
        return None
    step = next((step for step in _STEPS if step * found.units >= threshold), None)
    if step is None:
        return None
    return AnonymityFigures(
        k=_rounded_k(found.k),
        uniqueness=_up(found.uniqueness, step),
        average_risk=_up(found.average_risk, step),
        suppressed=_up(suppressed / found.rows, step),
        l_distinct={each.attribute: each.distinct_l for each in found.sensitive},
        l_entropy={each.attribute: _down(each.entropy_l, 0.1) for each in found.sensitive},
        t={each.attribute: _up(each.t, max(step, 0.05)) for each in found.sensitive},
    )


def numbers(figures: AnonymityFigures | None) -> dict[str, float]:
    """The figures by name, one number each, for those who plot them over time."""
    if figures is None:
        return {}
    found: dict[str, float] = {
        "anonymity/k": figures.k,
        "anonymity/uniqueness": figures.uniqueness,
        "anonymity/average_risk": figures.average_risk,
        "anonymity/suppressed": figures.suppressed,
    }
    for name, by_attribute in (
        ("l_distinct", figures.l_distinct),
        ("l_entropy", figures.l_entropy),
        ("t", figures.t),
    ):
        found |= {f"anonymity/{name}/{attribute}": value for attribute, value in by_attribute.items()}
    return found


def _rounded_k(k: int) -> int:
    power = int("1" + "0" * (len(str(max(k, 1))) - 1))
    return next(lead * power for lead in (5, 2, 1) if lead * power <= max(k, 1))


def _up(share: float, step: float) -> float:
    return round(min(1.0, math.ceil(share / step - _HAIR) * step), 4)


def _down(number: float, step: float) -> float:
    return round(math.floor(number / step + _HAIR) * step, 4)
