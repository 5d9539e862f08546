"""Rows whose look-alikes are too few lose their quasi-identifiers, within the charter's budget.

Their quasi-identifiers become NULL; the rows stay. Removing them instead would say more and be worth less:
the difference of two row counts in the log would tell how many were suppressed, totals of sales would be
wrong, and the whole's distribution, which t-closeness compares with, would move and break other classes.
Suppressed rows make a class of their own, which has to reach the floor like any other; where it is too
small, the next smallest class joins it.

Must not be here: what a floor asks for (`floors`), figures (`anonymity`).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from orchestration.charter.anonymity import AnonymityFloor, DatasetAnonymity
from orchestration.engine.duck import quote_name
from orchestration.errors import ContributionError, Reason
from orchestration.scope.anonymity import Anonymity, measure, sensitive_columns
from orchestration.scope.anonymity_sql import Grouping, classes_with, sizes
from orchestration.scope.floors import FLOOR_MISSED, judge, missed

BUDGET_EXCEEDED = Reason(
    "anonymity.budget_exceeded",
    "{subject} would reach its floor of anonymity only by suppressing more than {budget} of its rows.",
    "Generalize more before delivering; `glasshouse anonymity FILE --propose` finds the least lossy way.",
)

_HAIR = 1e-9
_MOST_JOINING = 20  # classes that may join the suppressed ones before we give up


@dataclass(frozen=True)
class Reached:
    """A table that reaches its floor, and how many of its rows were suppressed for it."""

    figures: Anonymity
    suppressed: int


def reach_floor(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    quasi_identifiers: tuple[str, ...],
    sensitive: tuple[str, ...],
    floor: DatasetAnonymity,
    *,
    unit: str | None,
    subject: str,
) -> Reached:
    """Suppress in `table`, a table that can be updated, until it reaches the floor.

    A limit on average risk is judged and not suppressed for: no single class is to blame for it.

    Raises: ContributionError (`anonymity.floor_missed`, `anonymity.budget_exceeded`); the table is then half
    suppressed, so the caller must not keep it.
    """
    grouping = Grouping(table, quasi_identifiers, unit)
    figures = measure(connection, table, quasi_identifiers, sensitive, unit=unit)
    budget, suppressed = float(floor.suppress or 0), 0
    for _ in range(_MOST_JOINING):
        limits = judge(floor, figures)
        if all(limit.met for limit in limits):
            return Reached(figures, suppressed)
        if not budget:
            break
        bad = _violating(connection, grouping, sensitive, floor, figures)
        rows, affected = _affected(connection, grouping, bad)
        if rows and not affected:  # only the class of those without any value is left: it needs company
            bad = _smallest(grouping)
            rows, affected = _affected(connection, grouping, bad)
        if not affected:
            break
        suppressed += affected
        if suppressed > budget * figures.rows + _HAIR:
            raise ContributionError(BUDGET_EXCEEDED, subject=subject, budget=f"{100 * budget:g} %")
        _suppress(connection, grouping, bad)
        figures = measure(connection, table, quasi_identifiers, sensitive, unit=unit)
    raise ContributionError(FLOOR_MISSED, subject=subject, limits=missed(judge(floor, figures)))


def _violating(
    connection: duckdb.DuckDBPyConnection,
    grouping: Grouping,
    sensitive: tuple[str, ...],
    floor: AnonymityFloor,
    figures: Anonymity,
) -> str:
    """SELECT of the keys of each class that misses a limit."""
    too_unique = floor.uniqueness is not None and figures.uniqueness > float(floor.uniqueness)
    fewest = floor.k or (2 if too_unique else 1)
    selects = [f"SELECT {grouping.keys} FROM ({sizes(grouping)}) WHERE size < {fewest:d}"]
    wanted = [each for each in floor.sensitive if each.attribute in sensitive]
    columns = sensitive_columns(connection, grouping.relation, [each.attribute for each in wanted])
    for number, each in enumerate(wanted):
        tests = []
        if each.distinct_l is not None:
            tests.append(f"distinct_l < {each.distinct_l:d}")
        if each.entropy_l is not None:
            tests.append(f"entropy_l < {float(each.entropy_l) - _HAIR!r}")
        if each.t is not None:
            tests.append(f"t > {float(each.t) + _HAIR!r}")
        selects.append(f"SELECT {grouping.keys} FROM class_{number} WHERE {' OR '.join(tests)}")
    ctes = f"WITH {', '.join(classes_with(grouping, columns))} " if columns else ""
    return f"{ctes}{' UNION '.join(selects)}"


def _smallest(grouping: Grouping) -> str:
    """SELECT of the keys of the smallest class that is not suppressed; keys break ties."""
    return (
        f"SELECT {grouping.keys} FROM ({sizes(grouping)}) WHERE {_any_value(grouping)}"
        f" ORDER BY size, {grouping.keys} LIMIT 1"
    )


def _affected(connection: duckdb.DuckDBPyConnection, grouping: Grouping, bad: str) -> tuple[int, int]:
    """Rows of these classes, and those of them that have anything left to suppress."""
    numbers = range(len(grouping.quasi_identifiers))
    same = " AND ".join(f"own.q{number} IS NOT DISTINCT FROM bad.q{number}" for number in numbers)
    query = (
        f"SELECT count(*), count(*) FILTER ({_any_value(grouping, 'own.')})"
        f" FROM {grouping.source()} AS own SEMI JOIN ({bad}) AS bad ON {same}"
    )
    rows, with_values = connection.execute(query).fetchall()[0]
    return int(rows), int(with_values)


def _suppress(connection: duckdb.DuckDBPyConnection, grouping: Grouping, bad: str) -> None:
    names = [quote_name(name) for name in grouping.quasi_identifiers]
    same = " AND ".join(
        f"{grouping.relation}.{name} IS NOT DISTINCT FROM bad.q{number}" for number, name in enumerate(names)
    )
    emptied = ", ".join(f"{name} = NULL" for name in names)
    connection.execute(f"UPDATE {grouping.relation} SET {emptied} FROM ({bad}) AS bad WHERE {same}")


def _any_value(grouping: Grouping, of: str = "") -> str:
    tests = (f"{of}q{number} IS NOT NULL" for number in range(len(grouping.quasi_identifiers)))
    return f"({' OR '.join(tests)})"
