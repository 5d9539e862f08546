"""Findings reach the published figures of the real data, and cope with what is hidden."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from orchestration.errors import DisclosureError
from orchestration.output.cells import CellTable, Dimension
from orchestration.output.findings import Finding, find, wilson
from orchestration.output.protect import protect
from tests.unit.output.output_tables import (
    AMOUNT,
    DATA,
    MAILED,
    REDEEMED,
    UNITS,
    age_by_income,
    counts,
    query,
)

SIDES = [Dimension("in_left", "In left"), Dimension("in_right", "In right")]


def overlap(both: int, left_only: int, right_only: int, threshold: int = 10) -> Finding:
    groups = [("yes", "yes", both), ("yes", "no", left_only), ("no", "yes", right_only)]
    records = [{"in_left": a, "in_right": b, "units": n} for a, b, n in groups if n]
    table = protect(CellTable.from_records(SIDES, [UNITS], records), threshold, 10)
    return find("audience_overlap", table, {"left": "profiled", "right": "mailed"}, "household")


def test_overlap_of_profiled_and_mailed_households() -> None:
    rows = query(f"""
        select d.household_id is not null as l, c.household_id is not null as r, count(*)::int as n
        from (select distinct household_id from '{DATA / "demographics.parquet"}') d
        full join (select distinct household_id from '{DATA / "campaigns.parquet"}') c using (household_id)
        group by all
    """)
    sizes = {(row["l"], row["r"]): row["n"] for row in rows}
    finding = overlap(sizes[True, True], sizes[True, False], sizes[False, True])  # type: ignore[arg-type]
    assert [finding.figure(name).value for name in ("overlap", "left", "right")] == [756, 801, 1559]
    assert finding.figure("share_of_left").value == Decimal("0.943820")
    assert finding.figure("jaccard").value == (Decimal(756) / 1604).quantize(Decimal("0.000001"))
    assert finding.headline.startswith("756 households are in both audiences: 94.4 % of the profiled")


def test_audiences_without_anybody_in_common_overlap_by_zero() -> None:
    finding = overlap(0, 40, 60)
    assert (finding.figure("overlap").value, finding.figure("jaccard").value) == (0, 0)


def test_a_hidden_overlap_gives_no_figure_that_needs_it() -> None:
    finding = overlap(1200, 1400, 6)
    assert "hidden" in finding.headline
    for name in ("overlap", "left", "share_of_left", "share_of_right", "jaccard"):
        assert finding.figure(name).value is None
    assert finding.figure("right").value == 1206
    assert finding.caveats[-1].startswith("2 of 3 cells are hidden")


def test_spend_per_household_by_age_and_the_extremes_of_what_is_shown() -> None:
    finding = find("joint_segmentation", protect(age_by_income(), 10, 500), unit="household")
    expected = {
        "19-24": "2732.02",
        "25-34": "3192.76",
        "35-44": "3733.80",
        "45-54": "3374.38",
        "55-64": "2934.81",
        "65+": "2452.79",
    }
    assert {f"per_household:{age}": Decimal(value) for age, value in expected.items()} == {
        f.name: f.value for f in finding.figures if f.name.startswith("per_household:")
    }
    assert finding.figure("strongest").title.endswith("45-54 / 125-149K")
    assert finding.figure("weakest").title.endswith("65+ / 15-24K")


def test_a_dimension_nobody_asked_for_is_not_named() -> None:
    cells = {("young", "none"): 40, ("old", "none"): 30}
    finding = find("joint_segmentation", protect(counts(cells, AMOUNT), 10, 10))
    assert "none" not in finding.headline


def test_redemption_by_campaign_type_with_wilson_intervals() -> None:
    rows = query(f"""
        with redeemed as (
            select distinct household_id, campaign_id from '{DATA / "coupon_redemptions.parquet"}'
        )
        select campaign_type, count(*) as mailed, count(distinct c.household_id) as mailed_units,
            count(r.household_id) as redeemed, count(distinct r.household_id) as redeemed_units
        from '{DATA / "campaigns.parquet"}' c
        join '{DATA / "campaign_descriptions.parquet"}' using (campaign_id)
        left join redeemed r using (household_id, campaign_id) group by all
    """)
    table = protect(
        CellTable.from_records([Dimension("campaign_type", "Type")], [MAILED, REDEEMED], rows), 10, 10
    )
    assert {
        r.coordinates[0]: (r.values["redeemed"], r.values["mailed"]) for r in table.cells if r.values
    } == {
        "Type A": (604, 3647),
        "Type B": (154, 2368),
        "Type C": (34, 574),
    }
    finding = find("campaign_response", table, unit="household")
    assert finding.figure("rate:Type A").value == Decimal("0.165616")
    reference = binomtest(34, 574).proportion_ci(method="wilson")
    assert float(finding.figure("low:Type C").value or 0) == pytest.approx(reference.low, abs=1e-6)
    assert float(finding.figure("high:Type C").value or 0) == pytest.approx(reference.high, abs=1e-6)
    assert "targeted, not randomised" in " ".join(finding.caveats)
    assert "highest in Type A: 16.6 %" in finding.headline


def test_a_hidden_campaign_has_no_rate_and_the_headline_says_among_the_shown() -> None:
    names = ("mailed", "mailed_units", "redeemed", "redeemed_units")
    groups = {"1": (300, 300, 40, 40), "2": (200, 200, 3, 3), "3": (90, 90, 12, 12), "4": (80, 80, 30, 30)}
    records = [{"c": label} | dict(zip(names, values, strict=True)) for label, values in groups.items()]
    table = protect(CellTable.from_records([Dimension("c", "Campaign")], [MAILED, REDEEMED], records), 10, 10)
    finding = find("campaign_response", table)
    assert finding.figure("rate:2").value is None
    assert "among the shown in campaign" in finding.headline


@given(trials=st.integers(1, 10_000), part=st.floats(0, 1))
def test_wilson_agrees_with_scipy(trials: int, part: float) -> None:
    successes = round(trials * part)
    reference = binomtest(successes, trials).proportion_ci(method="wilson")
    low, high = wilson(successes, trials)
    assert math.isclose(low, reference.low, abs_tol=1e-12)
    assert math.isclose(high, reference.high, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("template", "code"),
    [("market_basket", "output.unknown_template"), ("campaign_response", "output.finding_mismatch")],
)
def test_a_table_no_finding_fits_is_refused(template: str, code: str) -> None:
    with pytest.raises(DisclosureError) as refusal:
        find(template, protect(counts({("a",): 40}), 10, 10))
    assert refusal.value.code == code
    assert refusal.value.message


def test_a_finding_survives_json() -> None:
    finding = overlap(756, 45, 803)
    assert Finding.from_json(finding.to_json()) == finding
