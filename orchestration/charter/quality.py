"""What a charter asks of the quality of a dataset, beyond what its fields say already.

Belongs here: the shape of the `quality` clause. Must not be here: how a part is measured (`scope/measures`),
its rules in the gate (`scope/quality_rules`), or rules between clauses (`quality_checks`).

Each part is optional. `severity` critical stops the dataset; warning is told to its steward, no more.
What is compared with an earlier delivery, or with another dataset, is measured once there is one to compare.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field as Spec

from orchestration.charter.fields import Clause, Days, Label, Number, Slug, Whole

Severity = Literal["critical", "warning"]
Share = Annotated[Number, Spec(ge=0, le=1)]


class Freshness(Clause):
    """The newest date among the rows may be at most this old when the delivery is accepted."""

    days: Days
    severity: Severity = "warning"


class Volume(Clause):
    """The number of rows, against the last delivery that passed."""

    change: Annotated[Number, Spec(gt=0, le=1000)] = Spec(description="0.5: by at most half, up or down.")
    severity: Severity = "warning"


class Drift(Clause):
    """The population stability index of each attribute, against the last delivery that passed."""

    limit: Annotated[Number, Spec(gt=0, le=100)] = Spec(
        Decimal("0.25"), description="Below 0.1 is stable, above 0.25 another population."
    )
    attributes: tuple[Slug, ...] = Spec((), description="Left out: every attribute that is no pseudonym.")
    severity: Severity = "warning"


class Reference(Clause):
    """Values of an attribute that another dataset has to know."""

    id: Slug
    attribute: Slug
    dataset: Slug
    missing: Share = Spec(Decimal(0), description="At most this share of the rows may refer to nothing.")
    severity: Severity = "warning"


class Segment(Clause):
    """A part of the rows whose share is known, or is the one it had."""

    label: Label
    share: Share


class Bias(Clause):
    """How the rows divide into segments: as stated, or else as in the last delivery that passed."""

    id: Slug
    attribute: Slug
    tolerance: Share = Spec(description="Each share may be off by at most this.")
    segments: tuple[Segment, ...] = Spec((), max_length=500, description="Left out: as last time.")
    severity: Severity = "warning"


class Overlap(Clause):
    """Which share of the units another personal dataset knows too; far off is a sign of made-up units."""

    id: Slug
    dataset: Slug
    at_least: Share = Decimal(0)
    at_most: Share = Decimal(1)
    severity: Severity = "critical"


class Keyspace(Clause):
    """Signs of a dictionary attack: who delivers every possible identifier learns who else knows them."""

    population: Annotated[Whole, Spec(ge=1, le=10**11)] = Spec(description="There are no more units.")
    reach: Share = Spec(
        Decimal("0.99"), description="At most this share of all the units that other participants gave."
    )
    severity: Severity = "critical"


class Identifiers(Clause):
    """Signs of made-up units: one with too many of the rows, or all with nearly the same number."""

    largest_share: Share = Spec(Decimal("0.05"), description="At most this share of the rows for one unit.")
    dispersion: Annotated[Number, Spec(ge=0, le=1000)] = Spec(
        Decimal("0.5"), description="At least this variance-to-mean ratio of rows per unit; 0: do not ask."
    )
    severity: Severity = "warning"


class Quality(Clause):
    """What the gate asserts about a dataset as a whole."""

    freshness: Freshness | None = None
    volume: Volume | None = None
    drift: Drift | None = None
    references: tuple[Reference, ...] = Spec((), max_length=100)
    bias: tuple[Bias, ...] = Spec((), max_length=100)
    overlap: tuple[Overlap, ...] = Spec((), max_length=100)
    keyspace: Keyspace | None = None
    identifiers: Identifiers | None = None
