"""The figures of a table equal the published ones for Adult, and those of `pycanon` on any table."""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycanon import anonymity as oracle

from orchestration.scope.anonymity import Anonymity, measure
from tests.adult import ANJANA, ARX, anjana, arx, needs_adult

ROW = st.tuples(
    st.sampled_from(["a", "b", "ü"]),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(["flu", "cold", "ache", "none"]),
    st.integers(-4, 9),
)
COLUMNS = ("place", "size", "member", "diagnosis", "visits")
TABLE = st.lists(ROW, min_size=1, max_size=60)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def fill(connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]], columns: str) -> None:
    connection.execute(f"CREATE OR REPLACE TABLE people ({columns})")
    marks = ", ".join("?" for _ in rows[0])
    connection.executemany(f"INSERT INTO people VALUES ({marks})", rows)


def fill_people(connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]]) -> None:
    fill(connection, rows, "place VARCHAR, size INT, member BOOL, diagnosis VARCHAR, visits INT")


# --- the published figures


@needs_adult
def test_adult_has_the_uniqueness_and_risk_that_arx_publishes(connection: duckdb.DuckDBPyConnection) -> None:
    found = measure(connection, arx(), ARX)
    assert (found.rows, found.classes, found.k, found.unique) == (30_162, 19_502, 1, 15_512)
    assert found.uniqueness == 0.5142895033485844
    assert found.average_risk == 0.6465751607983555
    assert found.highest_risk == 1.0
    fewer = measure(connection, arx(), ARX[:-1])
    assert (fewer.classes, fewer.unique, round(fewer.uniqueness, 5)) == (18_109, 14_021, 0.46486)
    few = measure(connection, arx(), ("sex", "age", "race"))
    assert (few.classes, few.unique) == (528, 62)


@needs_adult
def test_the_other_adult_has_its_published_figures(connection: duckdb.DuckDBPyConnection) -> None:
    found = measure(connection, anjana(), ANJANA)
    assert (found.rows, found.classes, found.unique) == (32_561, 14_621, 10_011)
    assert round(found.uniqueness, 5) == 0.30745


@needs_adult
def test_adult_agrees_with_pycanon(connection: duckdb.DuckDBPyConnection) -> None:
    frame = connection.execute(f"SELECT * FROM {arx()}").df()
    few = ["sex", "race", "marital-status"]
    found = measure(connection, arx(), few, ["salary-class", "age"])
    assert_like_pycanon(found, frame, few, ["salary-class", "age"])


# --- any table


@settings(max_examples=60, deadline=None)
@given(rows=TABLE)
def test_any_table_has_the_figures_of_pycanon(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]]
) -> None:
    fill_people(connection, rows)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    quasi, sensitive = ["place", "size", "member"], ["diagnosis", "visits"]
    found = measure(connection, "people", quasi, sensitive)
    assert_like_pycanon(found, frame, quasi, sensitive)
    assert found.unique == int((frame.groupby(quasi).size() == 1).sum())
    assert (
        measure(connection, "people", quasi).average_risk == found.average_risk == found.classes / len(rows)
    )


def assert_like_pycanon(
    found: Anonymity, frame: pd.DataFrame, quasi: list[str], sensitive: list[str]
) -> None:
    assert found.k == oracle.k_anonymity(frame, quasi)
    assert found.classes == frame.groupby(quasi).ngroups
    for each in found.sensitive:
        assert each.distinct_l == oracle.l_diversity(frame, quasi, [each.attribute])
        # The oracle cuts to a whole number, and what it cuts may be a hair below one.
        cut = oracle.entropy_l_diversity(frame, quasi, [each.attribute])
        assert cut in {math.floor(each.entropy_l - 1e-9), math.floor(each.entropy_l + 1e-9)}
        if frame[each.attribute].nunique() > 1:
            expected = oracle.t_closeness(frame, quasi, [each.attribute])
            assert each.t == pytest.approx(expected, abs=1e-12)
        else:
            assert each.t == 0
    assert [each.attribute for each in found.sensitive] == sensitive


# --- where we differ on purpose, and what pycanon has no word for


def test_no_value_is_a_value_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [(None, 1, True, "flu", None), (None, 1, True, None, 3), ("a", 1, True, None, None)]
    fill_people(connection, rows)  # type: ignore[arg-type]
    found = measure(connection, "people", ["place", "size"], ["diagnosis", "visits"])
    assert (found.rows, found.classes, found.k, found.unique) == (3, 2, 1, 1)
    assert [each.distinct_l for each in found.sensitive] == [1, 1]
    assert found.l_distinct == 1


def test_the_effective_number_of_values_is_not_cut(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [("a", 1, True, value, 0) for value in ("flu", "flu", "flu", "cold")]
    fill_people(connection, rows)  # type: ignore[arg-type]
    (found,) = measure(connection, "people", ["place"], ["diagnosis"]).sensitive
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert found.entropy_l == pytest.approx(expected, abs=1e-12)
    assert found.t == 0


def test_dates_are_ordered_and_categories_are_not(connection: duckdb.DuckDBPyConnection) -> None:
    """The worked example of Li et al. 2007: salaries 3k..11k, a class {3k, 4k, 5k} is at distance 0.375."""
    rows = [(number // 3, f"2024-01-{number + 3:02d}", str(number)) for number in range(9)]
    fill(connection, rows, "band INT, day DATE, word VARCHAR")  # type: ignore[arg-type]
    day, word = measure(connection, "people", ["band"], ["day", "word"]).sensitive
    assert day.t == pytest.approx(0.375)
    assert word.t == pytest.approx(2 / 3)


def test_rows_of_one_unit_do_not_hide_each_other(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [("ann", "mon", "a")] * 50 + [("ann", "tue", "a"), ("bob", "tue", "b"), ("cid", "tue", "b")]
    fill(connection, rows, "unit VARCHAR, day VARCHAR, thing VARCHAR")  # type: ignore[arg-type]
    by_row = measure(connection, "people", ["day"], ["thing"])
    by_unit = measure(connection, "people", ["day"], ["thing"], unit="unit")
    assert (by_row.k, by_row.unique) == (3, 0)
    assert (by_unit.k, by_unit.unique, by_unit.units, by_unit.rows) == (1, 1, 3, 53)
    assert by_unit.classes == 2
    assert by_unit.average_risk == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert by_unit.uniqueness == pytest.approx(1 / 3)
    assert by_unit.sensitive[0].distinct_l == 1


def test_units_of_one_row_have_the_figures_of_rows(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [(f"u{n}", n % 3, n % 5, n % 2) for n in range(40)]
    fill(connection, rows, "unit VARCHAR, a INT, b INT, s INT")  # type: ignore[arg-type]
    by_unit = measure(connection, "people", ["a", "b"], ["s"], unit="unit")
    by_row = measure(connection, "people", ["a", "b"], ["s"])
    assert by_unit.average_risk == by_row.average_risk
    assert by_unit.sensitive == by_row.sensitive
    assert (by_unit.k, by_unit.unique, by_unit.classes) == (by_row.k, by_row.unique, by_row.classes)


def test_an_empty_table_protects_nobody(connection: duckdb.DuckDBPyConnection) -> None:
    empty = "(SELECT 1 AS a, 'x' AS s WHERE false)"
    found = measure(connection, empty, ["a"], ["s"])
    assert (found.rows, found.k, found.classes, found.uniqueness, found.highest_risk) == (0, 0, 0, 0.0, 0.0)
    assert found.l_distinct == 0
    assert measure(connection, empty, ["a"], unit="s").k == 0


@pytest.mark.parametrize("names", [((), ()), (("a", "a"), ()), (("a",), ("a",))])
def test_a_column_has_one_part(
    connection: duckdb.DuckDBPyConnection, names: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    with pytest.raises(ValueError, match="quasi-identifier"):
        measure(connection, "(SELECT 1 AS a)", *names)
