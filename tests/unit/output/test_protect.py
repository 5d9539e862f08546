"""What the protected table promises to the people it describes and to the people who read it."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.digests import canonical_json
from orchestration.errors import DisclosureError
from orchestration.output.bounds import protection_width
from orchestration.output.cells import TOTAL, Cell, CellTable, Dimension
from orchestration.output.protect import ProtectedRow, ProtectedTable, protect
from orchestration.output.suppression import suppress
from tests.unit.output.output_tables import (
    AMOUNT,
    MAILED,
    REDEEMED,
    TRAFFIC,
    UNITS,
    age_by_income,
    counts,
    enumerate_values,
    linear_ranges,
    traffic,
    truth,
)


@pytest.fixture(scope="module")
def segments() -> CellTable:
    return age_by_income()


@st.composite
def small_tables(draw: st.DrawFn, most: int = 7) -> CellTable:
    shape = draw(st.sampled_from([(3,), (5,), (2, 2), (2, 3), (3, 3), (2, 2, 2)]))
    labels = [[f"{letter}{i}" for i in range(size)] for letter, size in zip("abc", shape, strict=False)]
    grid: list[tuple[str, ...]] = [()]
    for axis in labels:
        grid = [(*at, label) for at in grid for label in axis]
    values = draw(st.lists(st.none() | st.integers(0, most), min_size=len(grid), max_size=len(grid)))
    cells = {at: value for at, value in zip(grid, values, strict=True) if value is not None}
    return counts(cells or {grid[0]: most}, AMOUNT)


def protected_or_none(table: CellTable, threshold: int) -> ProtectedTable | None:
    try:
        return protect(table, threshold, 1000)
    except DisclosureError as error:
        if error.code != "output.nothing_to_show":
            raise
        return None


def test_age_by_income_at_ten_hides_the_34_small_cells_and_two_complements(segments: CellTable) -> None:
    table = protect(segments, 10, 500)
    facts = truth(segments)
    summary = table.summary
    hidden = [row.coordinates for row in table.cells if row.reason == "primary"]
    assert (summary.cells, summary.cells_primary, summary.cells_complementary) == (62, 34, 2)
    assert sum(facts[at] for at in hidden) == 154
    assert sum(facts[r.coordinates] for r in table.cells if r.reason != "primary") == 647
    assert sum(1 for at in hidden if facts[at] < 5) == 17


@pytest.mark.parametrize("threshold", [5, 10, 20])
def test_shown_is_true_and_hidden_is_small_or_a_stated_complement(
    segments: CellTable, threshold: int
) -> None:
    table = protect(segments, threshold, 500)
    units, amounts = truth(segments), truth(segments, "amount")
    assert {row.coordinates for row in table.rows} == set(units)
    for row in table.rows:
        at = row.coordinates
        if row.values is not None:
            assert row.values == {"units": units[at], "amount": amounts[at]}
            assert units[at] >= threshold
        elif not row.is_total:
            assert (row.reason == "primary") == (units[at] < threshold)


@pytest.mark.parametrize("threshold", [5, 10, 20])
def test_a_solver_cannot_narrow_a_hidden_cell_of_real_data(segments: CellTable, threshold: int) -> None:
    table = protect(segments, threshold, 500)
    facts, spend = truth(segments), truth(segments, "amount")
    width = protection_width(threshold)
    for at, (low, high) in linear_ranges(table, "units").items():
        assert high - low >= min(width, threshold - 2) - 1e-6, at
    for at, (low, high) in linear_ranges(table, "amount").items():
        assert high - low >= width * float(spend[at]) / float(facts[at]) * 0.999, at


def test_the_hidden_rest_of_five_sessions_does_not_follow_from_the_total() -> None:
    table = protect(traffic(), 10, 100)
    assert table.value("units", TOTAL) == sum(TRAFFIC) == 12_330
    reasons = {row.coordinates[0]: row.reason for row in table.cells if row.reason}
    assert {kind for kind, reason in reasons.items() if reason == "primary"} == {"12", "16", "17"}
    assert reasons["18"] == "complementary"  # exactly 10: shown if it were not needed
    assert all(high - low >= 3 for low, high in linear_ranges(table, "units").values())


def test_the_attackers_see_through_primary_suppression_alone() -> None:
    careless = ProtectedTable(
        dimensions=(Dimension("d", "D"),),
        measures=(UNITS,),
        threshold=10,
        rows=tuple(
            ProtectedRow(coordinates=(label,), status=status, reason=reason, values=values)
            for label, status, reason, values in [
                ("a", "suppressed", "primary", None),
                ("b", "shown", None, {"units": 30}),
                (TOTAL, "shown", None, {"units": 34}),
            ]
        ),
    )
    assert enumerate_values(careless, 5) == {("a",): {4}}
    assert linear_ranges(careless, "units") == {("a",): (4, 4)}


@settings(max_examples=150, deadline=None)
@given(table=small_tables(), threshold=st.integers(3, 5))
def test_every_hidden_figure_stays_open_among_all_tables_that_look_the_same(
    table: CellTable, threshold: int
) -> None:
    protected = protected_or_none(table, threshold)
    if protected is None:
        return
    # Any complement is at most 7: trying up to its truth + 3 is enough to find the width.
    for at, values in enumerate_values(protected, reach=10 - threshold).items():
        assert len(values) >= 2, at
        assert max(values) - min(values) >= min(protection_width(threshold), threshold - 2), at


@settings(max_examples=150, deadline=None)
@given(table=small_tables(most=30), threshold=st.integers(2, 12))
def test_laws_of_the_protected_table(table: CellTable, threshold: int) -> None:
    protected = protected_or_none(table, threshold)
    if protected is None:
        return
    facts = truth(table)
    assert [row.coordinates for row in protected.rows] == sorted(
        facts, key=lambda at: [(a == TOTAL, a) for a in at]
    )
    for row in protected.rows:
        value = facts[row.coordinates]
        if row.values is not None:
            assert row.values["units"] == value
            assert value == 0 or value >= threshold
        elif not row.is_total:
            assert row.reason == ("primary" if 0 < value < threshold else "complementary")
            assert value > 0
    assert ProtectedTable.from_json(protected.to_json()) == protected
    shuffled = CellTable(table.dimensions, table.measures, table.rows[::-1])
    assert protect(shuffled, threshold, 1000) == protected


def test_exactly_the_threshold_is_shown_and_an_empty_group_is_a_shown_zero() -> None:
    table = protect(counts({("a",): 10, ("b",): 0, ("c",): 400}), 10, 10)
    assert table.value("units", "a") == 10
    assert table.value("units", "b") == 0
    assert table.summary.cells_shown == 3


def test_a_few_contributors_to_one_measure_hide_the_whole_cell() -> None:
    def cell(name: str, mailed: int, redeemed: int) -> Cell:
        values = {"mailed": mailed, "mailed_units": mailed, "redeemed": redeemed, "redeemed_units": redeemed}
        return Cell((name,), values)

    rows = (cell("A", 3647, 604), cell("B", 2368, 154), cell("C", 574, 7), cell("D", 30, 0))
    table = protect(CellTable((Dimension("c", "Campaign"),), (MAILED, REDEEMED), rows), 10, 10)
    assert {row.coordinates[0]: row.reason for row in table.rows} == {
        "A": None,
        "B": None,
        "C": "primary",
        "D": "complementary",
        TOTAL: None,
    }


def test_distinct_counts_that_happen_to_add_up_are_protected_too() -> None:
    """A total of 159 over 100, 50 and a hidden 9: at least 9 by the total, at most 9 by the reason."""
    reach = type(UNITS)("units", "Households", "count", "units", additive=False)
    rows = [{"d": name, "units": units} for name, units in [("a", 100), ("b", 50), ("c", 9), (TOTAL, 159)]]
    table = protect(CellTable.from_records([Dimension("d", "D")], [reach], rows), 10, 10)
    assert {row.coordinates[0] for row in table.rows if row.reason} == {"b", "c"}


def test_exact_totals_of_the_caller_decide_whether_a_total_is_shown() -> None:
    """The same 12 households in two campaigns: 24 mailings, 12 households, and below 15 all is hidden."""
    cells = [
        {"d": name, "mailed": mailed, "mailed_units": units}
        for name, mailed, units in [("a", 12, 12), ("b", 12, 12), ("c", 90, 90), (TOTAL, 114, 90)]
    ]
    table = protect(CellTable.from_records([Dimension("d", "D")], [MAILED], cells), 12, 10)
    assert table.value("mailed", TOTAL) == 114
    with pytest.raises(DisclosureError) as refusal:
        protect(CellTable.from_records([Dimension("d", "D")], [MAILED], cells[:2]), 15, 10)
    assert refusal.value.code == "output.nothing_to_show"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({("a",): 3, ("b",): 9}, "output.nothing_to_show"),
        ({("a",): 3, ("b",): 300}, "output.nothing_to_show"),
        ({(str(i),): 50 for i in range(11)}, "output.too_many_cells"),
    ],
    ids=["all small", "the only complement is the rest", "beyond max_cells"],
)
def test_tables_that_cannot_be_shown_are_withheld_whole(cells: dict[tuple[str, ...], int], code: str) -> None:
    with pytest.raises(DisclosureError) as refusal:
        protect(counts(cells), 10, 10)
    assert refusal.value.code == code


def test_no_cells_at_all_is_nothing_to_show() -> None:
    with pytest.raises(DisclosureError) as refusal:
        protect(CellTable((Dimension("d", "D"),), (UNITS,), ()), 10, 10)
    assert refusal.value.code == "output.nothing_to_show"


def test_nine_single_households_under_a_hidden_total_do_not_give_each_other_away() -> None:
    """Were the total also known to be below 10, nine cells of at least one would each be one."""
    rows = {"few": 1, "many": 40, "more": 60}
    table = protect(counts({(row, f"c{i}"): n for row, n in rows.items() for i in range(9)}), 10, 100)
    assert table.row("few", TOTAL) == ProtectedRow(
        coordinates=("few", TOTAL), status="suppressed", reason="complementary", values=None
    )
    assert all(high - low >= 3 for low, high in linear_ranges(table, "units").values())


def test_every_hidden_row_says_so_and_carries_nothing() -> None:
    for row in protect(traffic(), 10, 100).to_json()["rows"]:  # type: ignore[index,call-overload]
        assert (row["status"] == "suppressed") == (row["values"] is None) == (row["reason"] is not None)


@pytest.mark.parametrize(
    "change",
    [
        {"values": {"units": 3}},
        {"reason": None},
        {"status": "shown"},
        {"coordinates": [TOTAL]},
        {"surprise": 1},
    ],
    ids=[
        "hidden with value",
        "hidden without reason",
        "shown without value",
        "total with size",
        "unknown key",
    ],
)
def test_a_document_that_breaks_the_promise_is_no_protected_table(change: dict[str, object]) -> None:
    document = protect(traffic(), 10, 100).to_json()
    assert isinstance(document, dict)
    rows = document["rows"]
    assert isinstance(rows, list)
    hidden = next(row for row in rows if isinstance(row, dict) and row["reason"] == "primary")
    assert isinstance(hidden, dict)
    hidden.update(change)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        ProtectedTable.from_json(document)


def test_money_and_counts_survive_json_exactly() -> None:
    table = protect(counts({("a",): 40, ("b",): 24}, AMOUNT), 10, 10)
    again = ProtectedTable.from_json(table.to_json())
    assert type(again.value("units", "a")) is int
    assert again.value("amount", "b") == Decimal("300.00")
    assert canonical_json(again.to_json()) == canonical_json(table.to_json())


def test_why_explains_every_kind_of_hiding_in_plain_words(segments: CellTable) -> None:
    text = "\n".join(protect(segments, 10, 500).why("household"))
    assert "26 of 62 cells are shown" in text
    assert "34 cells are hidden because fewer than 10 households" in text
    assert "2 cells are hidden although at least 10 households" in text
    assert "2 of 19 totals are hidden" in text
    assert "never means zero" in text
    assert "hidden" not in "\n".join(protect(counts({("a",): 40}), 10, 10).why())


def test_five_hundred_cells_are_protected_within_seconds() -> None:
    cells = {
        (f"a{i}", f"b{j}", f"c{k}"): 1 + (i * 7 + j * 11 + k * 13) % 60
        for i in range(10)
        for j in range(10)
        for k in range(5)
    }
    started = time.monotonic()
    table = protect(counts(cells, AMOUNT), 10, 500)
    assert time.monotonic() - started < 20
    assert table.summary.cells_primary > 50


def test_suppression_marks_only_what_can_be_seen() -> None:
    from orchestration.output.cells import with_totals

    grid = with_totals(counts({("a",): 40, ("b",): 24}))
    assert suppress(grid, (UNITS,), 10) == (None, None, None)
