"""A floor is reached within the budget or not at all; suppressed are quasi-identifiers, never rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter.anonymity import DatasetAnonymity
from orchestration.errors import ContributionError
from orchestration.scope.anonymity import measure
from orchestration.scope.local_suppression import Reached, reach_floor

QUASI, SENSITIVE = ("age", "place"), ("income",)
Row = tuple[str, str | None, str | None, str]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def reach(
    connection: duckdb.DuckDBPyConnection, rows: list[Row], /, unit: str | None = "unit", **floor: object
) -> Reached:
    connection.execute("CREATE OR REPLACE TABLE people (unit TEXT, age TEXT, place TEXT, income TEXT)")
    connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
    wanted = DatasetAnonymity.model_validate(floor)
    return reach_floor(connection, "people", QUASI, SENSITIVE, wanted, unit=unit, subject="people")


def refused(connection: duckdb.DuckDBPyConnection, rows: list[Row], **floor: object) -> ContributionError:
    with pytest.raises(ContributionError) as caught:
        reach(connection, rows, **floor)
    return caught.value


def group(size: int, age: str | None, place: str | None, incomes: str = "lh", start: int = 0) -> list[Row]:
    return [
        (f"{age}-{place}-{start + n}", age, place, "high" if incomes[n % len(incomes)] == "h" else "low")
        for n in range(size)
    ]


def test_a_table_that_reaches_its_floor_is_left_alone(connection: duckdb.DuckDBPyConnection) -> None:
    rows = group(5, "old", "a") + group(5, "young", "b")
    reached = reach(connection, rows, k=5, suppress=0.5)
    assert (reached.suppressed, reached.figures.k) == (0, 5)
    assert sorted(connection.execute("FROM people").fetchall()) == sorted(rows)


def test_without_a_budget_a_missed_floor_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    error = refused(connection, group(5, "old", "a") + group(4, "young", "b"), k=5)
    assert error.code == "anonymity.floor_missed"
    assert "k of at least 5" in error.message
    assert "young" not in error.message + error.next_step


def test_small_classes_are_emptied_and_counted_together(connection: duckdb.DuckDBPyConnection) -> None:
    rows = group(50, "old", "a") + group(3, "young", "b") + group(2, "young", "c")
    reached = reach(connection, rows, k=5, suppress=0.1)
    assert (reached.suppressed, reached.figures.k, reached.figures.rows) == (5, 5, 55)
    assert connection.execute("SELECT count(*), count(age), count(place) FROM people").fetchall() == [
        (55, 50, 50)
    ]
    units = connection.execute("SELECT count(DISTINCT unit), count(income) FROM people").fetchall()
    assert units == [(55, 55)]


def test_few_suppressed_rows_get_company(connection: duckdb.DuckDBPyConnection) -> None:
    rows = group(50, "old", "a") + group(8, "middle", "a") + group(1, "young", "b")
    reached = reach(connection, rows, k=5, suppress=0.2)
    assert (reached.suppressed, reached.figures.k, reached.figures.classes) == (9, 9, 2)


def test_the_budget_is_a_wall(connection: duckdb.DuckDBPyConnection) -> None:
    rows = group(50, "old", "a") + group(3, "young", "b") + group(3, "young", "c")
    assert reach(connection, rows, k=5, suppress=0.108).suppressed == 6
    error = refused(connection, rows, k=5, suppress=0.1)
    assert (error.code, "10 %" in error.message) == ("anonymity.budget_exceeded", True)


def test_classes_that_give_away_the_sensitive_are_suppressed_too(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = group(40, "old", "a") + group(10, "young", "b", "l") + group(6, "young", "c", "h")
    floor = [{"attribute": "income", "distinct_l": 2}]
    reached = reach(connection, rows, k=5, suppress=0.5, sensitive=floor)
    assert reached.suppressed == 16
    assert reached.figures.l_distinct == 2
    close = [{"attribute": "income", "t": 0.2, "entropy_l": 1.5}]
    reached = reach(connection, rows, suppress=0.5, sensitive=close)
    assert reached.figures.t is not None
    assert reached.figures.t <= 0.2


def test_the_unique_are_suppressed_where_uniqueness_is_limited(connection: duckdb.DuckDBPyConnection) -> None:
    rows = group(20, "old", "a") + group(1, "young", "b") + group(1, "young", "c") + group(2, "young", "d")
    assert reach(connection, rows, uniqueness=0.1, suppress=0.2).suppressed == 0
    assert reach(connection, rows, uniqueness=0.05, suppress=0.2).suppressed == 2


def test_average_risk_is_judged_and_not_suppressed_for(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [row for n in range(10) for row in group(2, str(n), "a")]
    assert refused(connection, rows, average_risk=0.2, suppress=1).code == "anonymity.floor_missed"


def test_rows_of_one_unit_are_one(connection: duckdb.DuckDBPyConnection) -> None:
    rows: list[Row] = [("ann", "old", "a", "low")] * 30 + group(40, "young", "b")
    assert refused(connection, rows, k=2).code == "anonymity.floor_missed"
    assert reach(connection, rows, None, k=2).suppressed == 0


@settings(max_examples=50, deadline=None)
@given(
    people=st.lists(
        st.tuples(
            st.sampled_from([f"u{n}" for n in range(12)]),
            st.sampled_from(["a", "b", None]),
            st.sampled_from(["x", "y", "z"]),
            st.sampled_from(["low", "high"]),
        ),
        min_size=1,
        max_size=60,
    ),
    k=st.integers(2, 4),
    suppress=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_what_is_kept_reaches_the_floor_and_nothing_else_changed(
    connection: duckdb.DuckDBPyConnection, people: list[Row], k: int, suppress: float
) -> None:
    try:
        reached = reach(connection, people, k=k, suppress=suppress)
    except ContributionError:
        return
    rows = connection.execute("FROM people").fetchall()
    assert Counter((unit, income) for unit, _, _, income in rows) == Counter(
        (unit, income) for unit, _, _, income in people
    )
    classes: dict[tuple[str | None, str | None], set[str]] = {}
    for unit, age, place, _ in rows:
        classes.setdefault((age, place), set()).add(unit)
    assert min(len(units) for units in classes.values()) >= k
    gone = sum(age is None and place is None for _, age, place, _ in rows)
    assert gone == reached.suppressed <= suppress * len(people)
    assert not Counter(rows) - Counter([*people, *((u, None, None, i) for u, _, _, i in people)])
    assert reached.figures.k == measure(connection, "people", QUASI, unit="unit").k
