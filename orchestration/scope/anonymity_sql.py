"""Equivalence classes and their sensitive values, as SQL over any relation.

A class is the set of rows that agree on every quasi-identifier; NULL is a value of its own. Everything is
rolled up from the counts of one grouping by quasi-identifiers and one sensitive attribute, so the rows
themselves are scanned once, however many figures are wanted. Must not be here: what the figures mean
(`anonymity`), which of them are good enough (`floors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.engine.duck import quote_name


@dataclass(frozen=True)
class SensitiveColumn:
    """A sensitive attribute; `ordered` values (numbers, dates) have a distance, others are just different."""

    name: str
    ordered: bool


@dataclass(frozen=True)
class Grouping:
    """What is grouped, and by what.

    Args:
        relation: a SQL table expression.
        quasi_identifiers: its columns that make a class; at least one.
        unit: its column that names a privacy unit. With it, a class counts its distinct units, and a unit
            counts once for each sensitive value it has there; without it, every row is a unit.
    """

    relation: str
    quasi_identifiers: tuple[str, ...]
    unit: str | None = None

    @property
    def keys(self) -> str:
        """The quasi-identifiers under names that no column of ours has: q0, q1, …"""
        return ", ".join(f"q{number}" for number in range(len(self.quasi_identifiers)))

    def source(self, columns: Sequence[SensitiveColumn] = ()) -> str:
        """The relation with only what is grouped by: q0, q1, …, s0, s1, …, the_unit."""
        named = [f"{quote_name(name)} AS q{number}" for number, name in enumerate(self.quasi_identifiers)]
        named += [f"{quote_name(column.name)} AS s{number}" for number, column in enumerate(columns)]
        named += [f"{quote_name(self.unit)} AS the_unit"] if self.unit is not None else []
        return f"(SELECT {', '.join(named)} FROM {self.relation})"


def sizes(grouping: Grouping) -> str:
    """SELECT of the keys of each class and its `size`."""
    source = grouping.source()
    if grouping.unit is not None:
        source = f"(SELECT DISTINCT * FROM {source})"
    return f"SELECT {grouping.keys}, count(*) AS size FROM {source} GROUP BY {grouping.keys}"


def smallest_class_of_each_unit(grouping: Grouping) -> str:
    """SELECT of one row per privacy unit: its number of rows `n`, and the `size` of its smallest class."""
    return (
        f"SELECT sum(n) AS n, min(size) AS size FROM ("
        f"SELECT the_unit, n, count(*) OVER (PARTITION BY {grouping.keys}) AS size"
        f" FROM (SELECT *, count(*) AS n FROM {grouping.source()} GROUP BY ALL)"
        f") GROUP BY the_unit"
    )


def classes_with(grouping: Grouping, columns: Sequence[SensitiveColumn]) -> list[str]:
    """CTEs that give `class_<i>` for each column: keys, `size`, `distinct_l`, `entropy_l` and `t`.

    t is the earth mover's distance of Li, Li, Venkatasubramanian (2007) between a class and the whole: equal
    distance for categories, ordered distance for ordered values, both from 0 to 1. entropy_l is the
    exponential of the class's entropy (Machanavajjhala et al. 2007), the effective number of values.
    """
    ctes = [f"cells AS MATERIALIZED ({_cells(grouping, columns)})"]
    for number, column in enumerate(columns):
        ctes += _ordered(grouping, number) if column.ordered else _categorical(grouping, number)
    return ctes


def _cells(grouping: Grouping, columns: Sequence[SensitiveColumn]) -> str:
    """How often each value of each column occurs in each class; `which` is the number of the column.

    One scan of the relation counts them all (grouping sets).
    """
    source = grouping.source(columns)
    values = [f"s{number}" for number in range(len(columns))]
    also = "" if grouping.unit is None else ", the_unit"
    sets = ", ".join(f"({grouping.keys}, {value}{also})" for value in values)
    if len(values) == 1:
        which = "0"
    else:  # of the values' bits exactly one is 0: that of the value that was grouped by
        flags = " ".join(f"WHEN grouping({value}) = 0 THEN {n}" for n, value in enumerate(values))
        which = f"CASE {flags} END"
    keys = f"{grouping.keys}, {', '.join(values)}"
    # Counts as DOUBLE (exact up to 2**53): sums of BIGINT would be 128 bits wide, and slow.
    counted = (
        f"SELECT {keys}, {which} AS which, count(*)::DOUBLE AS n"
        f" FROM {source} GROUP BY GROUPING SETS ({sets})"
    )
    if grouping.unit is None:
        return counted
    return f"SELECT {keys}, which, count(*)::DOUBLE AS n FROM ({counted}) GROUP BY {keys}, which"


def _categorical(grouping: Grouping, number: int) -> list[str]:
    """Equal distance: half the sum of the differences, which is the sum of the positive ones.

    Values a class lacks have none, so only those it has are looked at.
    """
    value, cells = f"s{number}", f"(SELECT * FROM cells WHERE which = {number})"
    shares = (
        f"shares_{number} AS MATERIALIZED (SELECT {value}, sum(n) / sum(sum(n)) OVER () AS share"
        f" FROM {cells} GROUP BY {value})"
    )
    joined = (
        f"{cells} AS own JOIN shares_{number} ON own.{value} IS NOT DISTINCT FROM shares_{number}.{value}"
    )
    gathered = (
        f"SELECT {grouping.keys}, sum(n)::BIGINT AS size, count(*) AS distinct_l,"
        f" sum(n * ln(n)) AS weight, list({{'n': n, 'share': share}}) AS present"
        f" FROM {joined} GROUP BY {grouping.keys}"
    )
    distance = "list_sum(list_transform(present, lambda v: greatest(v.n / size - v.share, 0)))"
    return [shares, f"class_{number} AS (SELECT {_diversity(grouping)}, {distance} AS t FROM ({gathered}))"]


def _ordered(grouping: Grouping, number: int) -> list[str]:
    """Ordered distance: the mean of |F(class) - F(whole)| over all values but the last.

    Between two values that a class has, its F is constant and that of the whole rises, so the sum over the
    values between splits where they cross (found by an ASOF join), and sums of F give each side.
    """
    value, cells, keys = f"s{number}", f"(SELECT * FROM cells WHERE which = {number})", grouping.keys
    # place: 1, 2, … in order; upto: rows up to this value; area: the sum of `upto` up to this value.
    scale = (
        f"scale_{number} AS MATERIALIZED (SELECT *, sum(upto) OVER (ORDER BY place) AS area FROM ("
        f"SELECT {value}, row_number() OVER (ORDER BY {value} NULLS FIRST) AS place,"
        f" sum(sum(n)) OVER (ORDER BY {value} NULLS FIRST) AS upto FROM {cells} GROUP BY {value}))"
    )
    whole = (
        f"whole_{number} AS MATERIALIZED (SELECT max(place) AS places, max(upto) AS total, max(area) AS area"
        f" FROM scale_{number})"
    )
    steps = (
        f"steps_{number} AS (SELECT {keys}, n, place, before,"
        f" sum(n) OVER (PARTITION BY {keys}) AS size,"
        f" sum(n) OVER (PARTITION BY {keys} ORDER BY place) AS reached,"
        f" lead(place, 1, places + 1) OVER (PARTITION BY {keys} ORDER BY place) AS next_place,"
        f" lead(before, 1, whole_area) OVER (PARTITION BY {keys} ORDER BY place) AS next_before,"
        f" total, places FROM (SELECT own.*, place, scale_{number}.area - upto AS before, total, places,"
        f" whole_{number}.area AS whole_area FROM {cells} AS own JOIN scale_{number}"
        f" ON own.{value} IS NOT DISTINCT FROM scale_{number}.{value} CROSS JOIN whole_{number}))"
    )
    crossed = (
        f"SELECT {keys}, n, size, step.place AS here, next_place, before, next_before, total, places,"
        f" reached / size AS f,"
        f" least(greatest(coalesce(crossing.place, 0), here - 1), next_place - 1) AS split,"
        f" least(greatest(coalesce(crossing.area, 0), before), next_before) AS split_area"
        f" FROM (SELECT *, reached / size * total AS level FROM steps_{number}) AS step"
        f" ASOF LEFT JOIN (SELECT place, upto, area FROM scale_{number}) AS crossing"
        " ON step.level >= crossing.upto"
    )
    moved = (
        "f * (split - here + 1) - (split_area - before) / total"
        " + (next_before - split_area) / total - f * (next_place - 1 - split)"
    )
    gathered = (
        f"SELECT {keys}, any_value(size)::BIGINT AS size, count(*) AS distinct_l, sum(n * ln(n)) AS weight,"
        f" sum({moved}) + min(before) / any_value(total) AS work, any_value(places) AS places"
        f" FROM ({crossed}) GROUP BY {keys}"
    )
    distance = "CASE WHEN places = 1 THEN 0.0 ELSE work / (places - 1) END"
    return [
        scale,
        whole,
        steps,
        f"class_{number} AS (SELECT {_diversity(grouping)}, {distance} AS t FROM ({gathered}))",
    ]


def _diversity(grouping: Grouping) -> str:
    return f"{grouping.keys}, size, distinct_l, exp(ln(size) - weight / size) AS entropy_l"
