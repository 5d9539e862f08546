"""Floors of anonymity: how many must look alike, and how much a look-alike may still give away.

Belongs here: the shape of the clauses. Must not be here: rules across clauses (`anonymity_checks`), measuring
and suppressing (`scope/`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Spec

from orchestration.charter.fields import Clause, Number, Slug, Whole

Share = Annotated[Number, Spec(ge=0, le=1)]


class SensitiveFloor(Clause):
    """What a class of look-alikes may reveal of one sensitive attribute; at least one limit."""

    attribute: Slug = Spec(description="Attribute of the entity, of a field classified sensitive.")
    distinct_l: Annotated[Whole, Spec(ge=2, le=10_000)] | None = Spec(
        None, description="Fewest different values in a class (distinct l-diversity)."
    )
    entropy_l: Annotated[Number, Spec(gt=1, le=10_000)] | None = Spec(
        None, description="Smallest effective number of values in a class (entropy l-diversity)."
    )
    t: Share | None = Spec(
        None, description="Largest distance between a class and the whole table, 0 to 1 (t-closeness)."
    )


class AnonymityFloor(Clause):
    """Limits on what quasi-identifiers give away; a table that misses one is refused. At least one limit."""

    k: Annotated[Whole, Spec(ge=2, le=1_000_000)] | None = Spec(
        None, description="Fewest privacy units that share all quasi-identifiers."
    )
    uniqueness: Share | None = Spec(None, description="Largest share of units that nobody looks like.")
    average_risk: Share | None = Spec(
        None, description="Largest chance, on average, to pick the right unit of a class."
    )
    sensitive: Annotated[tuple[SensitiveFloor, ...], Spec(max_length=50)] = ()


class DatasetAnonymity(AnonymityFloor):
    """The floor of one dataset, after its techniques and before its gate."""

    suppress: Share | None = Spec(
        None,
        description="Largest share of rows that may lose their quasi-identifiers to reach the floor; "
        "left out: none.",
    )
