"""How well the rows of a table are protected by looking like others: k, l, t, uniqueness, risk.

Belongs here: measuring. Must not be here: the SQL of classes (`anonymity_sql`), floors (`floors`), changing
rows (`local_suppression`), searching for a better generalization (`lattice`).

Definitions: k-anonymity (Samarati, Sweeney 1998), distinct and entropy l-diversity (Machanavajjhala et al.
2007), t-closeness (Li et al. 2007), prosecutor risk as ARX reports it. Where `pycanon` differs, on purpose:
NULL is a value of its own here (pandas leaves such rows out), entropy l is not cut to a whole number, a
sensitive attribute with a single value is at distance 0 (there a division by zero), and dates are ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from orchestration.engine.duck import quote_name
from orchestration.scope.anonymity_sql import (
    Grouping,
    SensitiveColumn,
    classes_with,
    sizes,
    smallest_class_of_each_unit,
)

_ORDERED = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "REAL", "DATE", "TIME")


@dataclass(frozen=True)
class Diversity:
    """What one sensitive attribute gives away, in the class where it gives away most.

    `distinct_l` counts values; `entropy_l` is their effective number; `t` is a distance from 0 to 1.
    """

    attribute: str
    distinct_l: int
    entropy_l: float
    t: float


@dataclass(frozen=True)
class Anonymity:
    """The figures of one table.

    `units` are privacy units, or rows where no unit was named; `unique` are those that are alone in a class;
    `average_risk` is the chance of finding a unit by the class that shows most of it, averaged over units
    (classes / rows, when each unit has one row). An empty table has k 0.
    """

    rows: int
    units: int
    classes: int
    k: int
    unique: int
    average_risk: float
    sensitive: tuple[Diversity, ...] = ()

    @property
    def uniqueness(self) -> float:
        """Share of units that are alone in a class."""
        return self.unique / self.units if self.units else 0.0

    @property
    def highest_risk(self) -> float:
        """The chance of finding the unit that is protected least."""
        return 1 / self.k if self.k else 0.0

    @property
    def l_distinct(self) -> int | None:
        """Of the worst attribute; None without any."""
        return min((each.distinct_l for each in self.sensitive), default=None)

    @property
    def l_entropy(self) -> float | None:
        """Of the worst attribute; None without any."""
        return min((each.entropy_l for each in self.sensitive), default=None)

    @property
    def t(self) -> float | None:
        """Of the worst attribute; None without any."""
        return max((each.t for each in self.sensitive), default=None)


def measure(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    unit: str | None = None,
) -> Anonymity:
    """The figures of `relation`, a SQL table expression, in one pass over its rows (two with `unit`).

    Args:
        unit: column that names a privacy unit, for tables with several rows of one. k then counts units:
            a hundred rows of one customer hide nobody.

    Raises: ValueError without quasi-identifiers, or when a column has two of these parts.
    """
    named = [*quasi_identifiers, *sensitive, *([unit] if unit else [])]
    if not quasi_identifiers or len(set(named)) != len(named):
        raise ValueError("at least one quasi-identifier, and each column in one part only")
    grouping = Grouping(relation, tuple(quasi_identifiers), unit)
    columns = sensitive_columns(connection, relation, sensitive)
    ctes = classes_with(grouping, columns) if columns else []
    figures = [_counts(grouping, columns)]
    figures += [
        f"(SELECT min(distinct_l), min(entropy_l), max(t) FROM class_{number})"
        for number in range(len(columns))
    ]
    with_clause = f"WITH {', '.join(ctes)} " if ctes else ""
    row = connection.execute(f"{with_clause}SELECT * FROM {' CROSS JOIN '.join(figures)}").fetchall()[0]
    rows, units, classes, k, unique, risk = row[:6]
    found = zip(columns, row[6::3], row[7::3], row[8::3], strict=True)
    return Anonymity(
        rows=int(rows or 0),
        units=int(units or 0),
        classes=int(classes),
        k=int(k or 0),
        unique=int(unique or 0),
        average_risk=float(risk or 0.0),
        # Sums of floats end a hair beside whole numbers; no class has an effective number below one.
        sensitive=tuple(
            Diversity(
                column.name, int(low or 0), max(float(entropy or 0.0), 1.0 if low else 0.0), float(t or 0.0)
            )
            for column, low, entropy, t in found
        ),
    )


def sensitive_columns(
    connection: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str]
) -> list[SensitiveColumn]:
    """The columns with whether their type has an order that means something: numbers and dates."""
    if not names:
        return []
    selected = ", ".join(quote_name(name) for name in names)
    described = connection.execute(f"DESCRIBE SELECT {selected} FROM {relation}").fetchall()
    return [SensitiveColumn(str(row[0]), any(part in str(row[1]) for part in _ORDERED)) for row in described]


def _counts(grouping: Grouping, columns: Sequence[SensitiveColumn]) -> str:
    """One row: rows, units, classes, k, unique, average risk."""
    if grouping.unit is None:
        # Sizes are already at hand where a sensitive attribute was counted.
        classes = "class_0" if columns else f"({sizes(grouping)})"
        return (
            "(SELECT sum(size), sum(size), count(*), min(size), count(*) FILTER (size = 1),"
            f" count(*) / sum(size) FROM {classes})"
        )
    # Units of one size together: with one row each this sums whole numbers, and is exact.
    by_size = (
        f"SELECT size, count(*) AS units, sum(n) AS n FROM ({smallest_class_of_each_unit(grouping)})"
        " GROUP BY size"
    )
    return (
        f"(SELECT sum(n), sum(units), (SELECT count(*) FROM (SELECT DISTINCT {grouping.keys}"
        f" FROM {grouping.source()})), min(size), sum(units) FILTER (size = 1),"
        f" sum(units / size) / sum(units) FROM ({by_size}))"
    )
