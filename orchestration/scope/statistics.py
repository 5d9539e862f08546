"""The statistics of one contribution that later ones are compared with, and the comparison.

Belongs here: what is counted (rows; of each attribute its gaps, distinct values and a histogram), and the
population stability index. Must not be here: where statistics are kept (`engine/history`), or what a charter
allows (`expectations`).

A histogram of numbers and dates has the bounds of the deciles of the first contribution that was counted; one
of text has its `MOST_CATEGORIES` most frequent values, and the rest as one.
PSI = sum over classes of (p - q) ln(p / q), with p the share now and q the share then; a class that one of
the two lacks counts as half a row (N. Siddiqi, Credit Risk Scorecards, Wiley 2006). It is the symmetrized
divergence of Kullback and Leibler: 0 for equal shares.
"""

from __future__ import annotations

from math import log

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.charter.entities import UNIT, SqlType
from orchestration.engine.duck import quote_name

MOST_CATEGORIES = 50
MISSING, REST = "missing", "rest"


class Column(BaseModel):
    """One attribute: its gaps, about how many distinct values, and rows per class.

    `bounds` are the upper bounds of all classes but the last, as numbers (dates as days since 1970); None for
    text, whose classes are `=` and the value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nulls: int
    distinct: int
    classes: dict[str, int] = {}
    bounds: tuple[float, ...] | None = None


class Statistics(BaseModel):
    """One contribution in figures; they hold labels and small counts, so they stay encrypted in the house."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    columns: dict[str, Column]


def measure(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, SqlType],
    before: Statistics | None,
    pseudonyms: frozenset[str],
) -> Statistics:
    """Count the whole table; numbers and dates into the classes of `before`, if it has any for them.

    Args:
        table: a SQL table expression.
        pseudonyms: attributes of which only gaps and distinct values are counted.
    """
    numbers = [n for n, kind in columns.items() if kind not in ("VARCHAR", "BOOLEAN")]
    known = {
        name: then.bounds
        for name in numbers
        if before is not None and (then := before.columns.get(name)) is not None and then.bounds is not None
    }
    aggregates = ["count(*)"]
    for name in columns:
        quoted = quote_name(name)
        aggregates += [f"count({quoted})", f"approx_count_distinct({quoted})"]
    fresh = [name for name in numbers if name not in known]
    aggregates += [
        f"approx_quantile({as_number(name, columns[name])}, [.1, .2, .3, .4, .5, .6, .7, .8, .9])"
        for name in fresh
    ]
    counted = connection.execute(f"SELECT {', '.join(aggregates)} FROM {table}").fetchone() or ()
    rows = int(counted[0])
    deciles = dict(zip(fresh, counted[1 + 2 * len(columns) :], strict=True))
    bounds = {name: tuple(sorted(set(map(float, deciles[name] or [])))) for name in fresh} | known
    classes = _numbers(connection, table, columns, bounds) if numbers else {}
    found: dict[str, Column] = {}
    for position, name in enumerate(columns):
        nulls, distinct = rows - int(counted[1 + 2 * position]), int(counted[2 + 2 * position])
        if name in numbers:
            column = Column(nulls=nulls, distinct=distinct, classes=classes[name], bounds=bounds[name])
        elif name in pseudonyms or name == UNIT:
            column = Column(nulls=nulls, distinct=distinct)
        else:
            labels = None if before is None or name not in before.columns else before.columns[name].classes
            column = Column(
                nulls=nulls, distinct=distinct, classes=_labels(connection, table, name, rows - nulls, labels)
            )
        found[name] = column
    return Statistics(rows=rows, columns=found)


def stability_index(now: Column, then: Column) -> float:
    """PSI of one attribute between two contributions, gaps being a class of their own."""
    new, old = now.classes | {MISSING: now.nulls}, then.classes | {MISSING: then.nulls}
    if then.bounds is None:
        # Only labels that were frequent then are told apart; whatever is new counts with the rest.
        labels = set(old)
        extra = sum(count for label, count in new.items() if label not in labels)
        new = {label: count for label, count in new.items() if label in labels}
        new[REST] = new.get(REST, 0) + extra
    all_new, all_old = sum(new.values()), sum(old.values())
    if not all_new or not all_old:
        return 0.0 if all_new == all_old else float("inf")
    total = 0.0
    for label in new.keys() | old.keys():
        if not new.get(label) and not old.get(label):
            continue
        p = (new.get(label) or 0.5) / all_new
        q = (old.get(label) or 0.5) / all_old
        total += (p - q) * log(p / q)
    return total


def as_number(name: str, kind: SqlType) -> str:
    """The attribute as a number: dates and times as days since 1970."""
    quoted = quote_name(name)
    return f"epoch({quoted}) / 86400" if kind in ("DATE", "TIMESTAMP") else f"CAST({quoted} AS DOUBLE)"


def _numbers(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, SqlType],
    bounds: dict[str, tuple[float, ...]],
) -> dict[str, dict[str, int]]:
    """Rows per class of every number in one pass; class `n` lies below or at the n-th bound."""
    tests = []
    for name, limits in bounds.items():
        number, lower = as_number(name, columns[name]), "true"
        for limit in limits:
            tests.append(f"count(*) FILTER ({lower} AND {number} <= {limit!r})")
            lower = f"{number} > {limit!r}"
        tests.append(f"count(*) FILTER ({lower} AND {number} IS NOT NULL)")
    counted = iter(connection.execute(f"SELECT {', '.join(tests)} FROM {table}").fetchone() or ())
    return {
        name: {str(number): int(next(counted)) for number in range(len(limits) + 1)}
        for name, limits in bounds.items()
    }


def _labels(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    name: str,
    filled: int,
    before: dict[str, int] | None,
) -> dict[str, int]:
    """Rows of the most frequent values, and of those that were frequent before; the rest as one class."""
    known = [label[1:] for label in before or {} if label.startswith("=")]
    rows = connection.execute(
        f"WITH counted AS MATERIALIZED (SELECT CAST({quote_name(name)} AS VARCHAR) AS value, count(*) AS n"
        f" FROM {table} WHERE {quote_name(name)} IS NOT NULL GROUP BY ALL)"
        f" (FROM counted ORDER BY n DESC, value LIMIT {MOST_CATEGORIES:d})"
        " UNION (FROM counted WHERE list_contains(?, value))",
        [known],
    ).fetchall()
    classes = {f"={value}": int(n) for value, n in rows}
    return classes | {REST: filled - sum(classes.values())}
