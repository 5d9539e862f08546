"""What Glasshouse's own expectations measure: each a function of the table, the evidence and its arguments.

Belongs here: SQL over the whole table, and the answer with its figures. Must not be here: Great Expectations
(`gx_expectations` gives these functions their names there), or which dataset is asked what (`expectations`,
`quality_rules`).

A measure answers yes, no, or `None`: there is nothing yet to compare with. Anything it raises counts as no.
Figures are counts and shares of one party's table: they go to that party's steward, and into no log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import duckdb

from orchestration.charter.entities import UNIT, SqlType
from orchestration.engine.duck import quote_name
from orchestration.scope.personal_data import search
from orchestration.scope.statistics import Column, Statistics, measure, stability_index

Figure = int | float | str | None


@dataclass(frozen=True)
class Measured:
    """An answer and what it rests on; `passed` None: nothing to compare with yet."""

    passed: bool | None
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What a gate may compare the table with.

    `delivered`: the day the delivery was accepted; `today`: the day of the gate; `before`: the last
    contribution of the dataset that passed; `others`: tables of the room (SQL names) by dataset, each the one
    in use; `strangers`: of those, the tables with units that other participants gave.
    """

    delivered: date | None = None
    today: date | None = None
    before: Statistics | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    pseudonyms: frozenset[str] = frozenset()


@dataclass
class Subject:
    """The table under the gate; what several measures need is counted once."""

    connection: duckdb.DuckDBPyConnection
    table: str
    evidence: Evidence
    _distinct: dict[str, str] = field(default_factory=dict)

    def one(self, query: str, parameters: Sequence[object] = ()) -> tuple[object, ...]:
        """The only row of a query."""
        found = self.connection.execute(query, list(parameters)).fetchone()
        if found is None:
            raise ValueError("no row")
        return found

    def number(self, query: str, parameters: Sequence[object] = ()) -> int:
        """The only value of a query, a whole number."""
        (value,) = self.one(query, parameters)
        return int(str(value))

    @cached_property
    def rows(self) -> int:
        return self.number(f"SELECT count(*) FROM {self.table}")

    @cached_property
    def columns(self) -> dict[str, SqlType]:
        described = self.connection.execute(f"DESCRIBE {self.table}").fetchall()
        return {str(row[0]): row[1] for row in described}

    @cached_property
    def statistics(self) -> Statistics:
        evidence = self.evidence
        return measure(self.connection, self.table, self.columns, evidence.before, evidence.pseudonyms)

    def distinct(self, column: str) -> str:
        """A temporary table of (value, rows), made at most once."""
        if column not in self._distinct:
            name = f"temp.values_{len(self._distinct)}"
            quoted = quote_name(column)
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {name.partition('.')[2]} AS"
                f" SELECT CAST({quoted} AS VARCHAR) AS value, count(*) AS rows FROM {self.table}"
                f" WHERE {quoted} IS NOT NULL GROUP BY ALL"
            )
            self._distinct[column] = name
        return self._distinct[column]

    def drop_temporary(self) -> None:
        for name in self._distinct.values():
            self.connection.execute(f"DROP TABLE {name}")
        self._distinct.clear()


def no_personal_data(subject: Subject, *, column: str) -> Measured:
    """No value holds what looks like an address, a telephone number, a card, an account, a national id."""
    found = search(subject.connection, subject.distinct(column))
    figures: dict[str, Figure] = {f"rows_with_{kind}": rows for kind, rows in sorted(found.rows.items())}
    if found.unseen:
        figures["too_many_candidates"] = 1
    return Measured(found.clean, figures)


def smallest_group(subject: Subject, *, column_list: Sequence[str], min_value: int) -> Measured:
    """k-anonymity: whoever shares all these attributes is one of at least k rows, or of k units."""
    names = ", ".join(quote_name(name) for name in column_list)
    size = f"count(DISTINCT {quote_name(UNIT)})" if UNIT in subject.columns else "count(*)"
    k, groups, rows = subject.one(
        "SELECT min(k), count(*) FILTER (k < ?), coalesce(sum(n) FILTER (k < ?), 0) FROM"
        f" (SELECT {size} AS k, count(*) AS n FROM {subject.table} GROUP BY {names})",
        [min_value, min_value],
    )
    smallest = None if k is None else int(str(k))
    figures: dict[str, Figure] = {"k": smallest, "groups": int(str(groups)), "rows": int(str(rows))}
    return Measured(smallest is not None and smallest >= min_value, figures)


def fresh(subject: Subject, *, column_list: Sequence[str], max_value: int) -> Measured:
    """The newest date that is not in the future is at most so many days before the delivery."""
    delivered = subject.evidence.delivered
    if delivered is None:
        return Measured(False)
    newest = [
        f"max(CAST({name} AS DATE)) FILTER (CAST({name} AS DATE) <= ?)"
        for name in map(quote_name, column_list)
    ]
    together = newest[0] if len(newest) == 1 else f"greatest({', '.join(newest)})"
    (age,) = subject.one(
        f"SELECT date_diff('day', {together}, ?) FROM {subject.table}",
        [*[delivered] * len(newest), delivered],
    )
    days = None if age is None else int(str(age))
    return Measured(days is not None and days <= max_value, {"days_old": days})


def volume(subject: Subject, *, change: float) -> Measured:
    """Rows against the last contribution that passed, in either direction."""
    before = subject.evidence.before
    if before is None:
        return Measured(None, {"rows": subject.rows})
    ratio = subject.rows / before.rows if before.rows else float("inf")
    figures: dict[str, Figure] = {"rows": subject.rows, "rows_before": before.rows}
    return Measured(abs(ratio - 1) <= change, figures)


def drift(subject: Subject, *, column: str, limit: float) -> Measured:
    """Population stability index of one attribute."""
    then = _before(subject, column)
    if then is None:
        return Measured(None)
    index = stability_index(subject.statistics.columns[column], then)
    return Measured(index <= limit, {"stability_index": round(index, 4)})


def referring(
    subject: Subject, *, column: str, dataset: str, missing: float, mirrored: bool = False
) -> Measured:
    """Rows whose value another dataset knows under the same attribute; a missing value refers to nothing.

    `mirrored`: it is the other dataset that refers to this one.
    """
    other = subject.evidence.others.get(dataset)
    if other is None:
        return Measured(None)
    quoted = quote_name(column)
    theirs = (
        f"(SELECT CAST({quoted} AS VARCHAR) AS value, count(*) AS rows FROM {other}"
        f" WHERE {quoted} IS NOT NULL GROUP BY ALL)"
    )
    referrer, known = (theirs, subject.distinct(column)) if mirrored else (subject.distinct(column), theirs)
    found, filled = subject.one(
        f"SELECT coalesce(sum(rows) FILTER (value IN (SELECT value FROM {known})), 0),"
        f" coalesce(sum(rows), 0) FROM {referrer}"
    )
    rows = int(str(filled))
    lost = rows - int(str(found))
    # The referring party's figure: the other's steward learns no count of its rows, and nobody one of units.
    figures: dict[str, Figure] = (
        {} if mirrored or column == UNIT else {"rows_referring_to_nothing": lost, "rows": rows}
    )
    return Measured(rows > 0 and lost <= missing * rows, figures)


def segments(
    subject: Subject, *, column: str, tolerance: float, shares: Mapping[str, float] | None = None
) -> Measured:
    """The share of every segment, missing values being one of their own."""
    now = subject.statistics.columns[column]
    if shares is None:
        then = _before(subject, column)
        if then is None:
            return Measured(None)
        expected = _shares(then)
    else:
        # Every stated label, and nothing else: what is not stated is expected to have no share.
        expected = {f"={label}": share for label, share in shares.items()}
    found = _exact_shares(subject, column) if shares is not None else _shares(now)
    off = {
        label: abs(found.get(label, 0.0) - expected.get(label, 0.0))
        for label in found.keys() | expected.keys()
    }
    worst = max(off.values(), default=1.0)
    figures: dict[str, Figure] = {
        "largest_deviation": round(worst, 4),
        "segments_off": sum(each > tolerance for each in off.values()),
    }
    return Measured(bool(found) and worst <= tolerance, figures)


def overlap(
    subject: Subject, *, dataset: str, min_value: float, max_value: float, mirrored: bool = False
) -> Measured:
    """The share of this table's units that another dataset knows.

    `mirrored`: of the other's, that this one knows. How many are shared is a figure between two parties
    before output control: nobody is told.
    """
    other = subject.evidence.others.get(dataset)
    if other is None:
        return Measured(None)
    units = subject.distinct(UNIT)
    own = subject.number(f"SELECT count(*) FROM {units}")
    theirs, shared = subject.one(
        f"SELECT count(*), count(*) FILTER ({UNIT} IN (SELECT value FROM {units}))"
        f" FROM (SELECT DISTINCT {UNIT} FROM {other})"
    )
    all_units = int(str(theirs)) if mirrored else own
    share = int(str(shared)) / all_units if all_units else -1.0
    return Measured(own > 0 and min_value <= share <= max_value, {"units": own})


def keyspace(subject: Subject, *, population: int, reach: float) -> Measured:
    """No more units than exist, and not nearly all that the others gave."""
    units = subject.distinct(UNIT)
    own = subject.number(f"SELECT count(*) FROM {units}")
    figures: dict[str, Figure] = {"units": own}
    passed = 0 < own <= population
    if subject.evidence.strangers:
        tables = " UNION ".join(f"SELECT {UNIT} FROM {each}" for each in subject.evidence.strangers)
        theirs, reached = subject.one(
            f"SELECT count(*), count(*) FILTER ({UNIT} IN (SELECT value FROM {units})) FROM ({tables})"
        )
        share = int(str(reached)) / int(str(theirs)) if int(str(theirs)) else 0.0
        passed = passed and share <= reach
    return Measured(passed, figures)


def natural_units(subject: Subject, *, largest_share: float, dispersion: float) -> Measured:
    """No unit with too many rows, and rows per unit that differ as behaviour does.

    Fisher's index of dispersion (variance by mean) is 0 where every unit has the same number of rows and 1
    where rows fall on units at random. With about one row per unit it says nothing and is not asked.
    """
    most, mean, variance, units = subject.one(
        f"SELECT max(rows), avg(rows), var_pop(rows), count(*) FROM {subject.distinct(UNIT)}"
    )
    if not subject.rows or most is None:
        return Measured(False)
    share, average = int(str(most)) / subject.rows, float(str(mean))
    figures: dict[str, Figure] = {"largest_share": round(share, 4), "units": int(str(units))}
    passed = share <= largest_share
    if average >= 1.5:
        index = float(str(variance)) / average
        figures["dispersion"] = round(index, 3)
        passed = passed and index >= dispersion
    return Measured(passed, figures)


def not_given(subject: Subject, *, column: str, after: str | None = None) -> Measured:
    """The attribute is empty; with `after`, only from the day after that date on."""
    today = subject.evidence.today
    if after is not None and today is not None and today <= date.fromisoformat(after):
        return Measured(True)
    given = subject.number(f"SELECT count({quote_name(column)}) FROM {subject.table}")
    return Measured(given == 0, {"rows": given})


def _before(subject: Subject, column: str) -> Column | None:
    before = subject.evidence.before
    return None if before is None else before.columns.get(column)


def _shares(column: Column) -> dict[str, float]:
    counts = column.classes | {"missing": column.nulls}
    total = sum(counts.values())
    return {label: count / total for label, count in counts.items()} if total else {}


def _exact_shares(subject: Subject, column: str) -> dict[str, float]:
    if not subject.rows:
        return {}
    counted = subject.connection.execute(f"SELECT value, rows FROM {subject.distinct(column)}").fetchall()
    shares = {f"={value}": int(rows) / subject.rows for value, rows in counted}
    gaps = subject.rows - sum(int(rows) for _, rows in counted)
    return shares | ({"missing": gaps / subject.rows} if gaps else {})
