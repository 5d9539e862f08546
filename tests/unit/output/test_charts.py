"""Charts show hidden cells as hidden, and hold no figure the protected table does not."""

from __future__ import annotations

import json

import pytest

from orchestration.errors import DisclosureError
from orchestration.output.cells import CellTable, Dimension
from orchestration.output.charts import Chart, draw
from orchestration.output.findings import find
from orchestration.output.protect import ProtectedTable, protect
from tests.unit.output.output_tables import AMOUNT, MAILED, REDEEMED, UNITS, counts

PNG = b"\x89PNG\r\n\x1a\n"


def segments() -> ProtectedTable:
    sizes = {("young", "rich"): 3, ("young", "poor"): 41, ("old", "rich"): 52, ("old", "poor"): 63}
    return protect(counts(sizes | {("middle", "rich"): 74, ("middle", "poor"): 85}, AMOUNT), 10, 50)


def ages() -> ProtectedTable:
    return protect(counts({("young",): 3, ("middle",): 41, ("old",): 52, ("older",): 63}, AMOUNT), 10, 50)


def audiences() -> ProtectedTable:
    sides = [Dimension("in_left", "In left"), Dimension("in_right", "In right")]
    groups = [("yes", "yes", 1200), ("yes", "no", 1400), ("no", "yes", 6)]
    records = [{"in_left": a, "in_right": b, "units": n} for a, b, n in groups]
    return protect(CellTable.from_records(sides, [UNITS], records), 10, 10)


def campaigns() -> ProtectedTable:
    names = ("mailed", "mailed_units", "redeemed", "redeemed_units")
    groups = {"A": (300, 300, 40, 40), "B": (200, 200, 3, 3), "C": (90, 90, 12, 12), "D": (80, 80, 0, 0)}
    records = [{"c": label} | dict(zip(names, values, strict=True)) for label, values in groups.items()]
    return protect(CellTable.from_records([Dimension("c", "Campaign")], [MAILED, REDEEMED], records), 10, 10)


def chart(template: str, table: ProtectedTable) -> Chart:
    return draw(template, table, find(template, table, unit="household"), "household")


CASES = {
    "heatmap": ("joint_segmentation", segments),
    "bars": ("joint_segmentation", ages),
    "overlap": ("audience_overlap", audiences),
    "rates": ("campaign_response", campaigns),
}


def drawn(spec: object) -> list[dict[str, object]]:
    """Every datum in every layer."""
    assert isinstance(spec, dict)
    own = spec.get("data", {}).get("values", [])
    named = [datum for values in spec.get("datasets", {}).values() for datum in values]
    return [*own, *named, *(datum for layer in spec.get("layer", []) for datum in drawn(layer))]


@pytest.mark.parametrize("case", CASES)
def test_a_hidden_cell_is_marked_hidden_and_has_no_number(case: str) -> None:
    template, make = CASES[case]
    data = drawn(chart(template, make()).spec)
    hidden = [datum for datum in data if datum.get("text") == "hidden"]
    assert hidden
    assert all(not isinstance(value, int | float) for datum in hidden for value in datum.values())
    places = [{k: v for k, v in datum.items() if k in ("label", "row", "column")} for datum in hidden]
    shown = [datum for datum in data if "value" in datum]
    assert shown
    assert all(not any(place.items() <= datum.items() for place in places) for datum in shown)


@pytest.mark.parametrize("case", CASES)
def test_a_chart_is_a_self_contained_specification_and_a_picture(case: str) -> None:
    template, make = CASES[case]
    first, second = chart(template, make()), chart(template, make())
    assert first.png.startswith(PNG)
    assert first == second  # same release, same bytes
    text = json.dumps(first.spec)
    assert text.count("http") == 1  # the $schema only: nothing is fetched
    assert "fewer than 10 households" in text


def test_nothing_hidden_means_nothing_hatched() -> None:
    text = json.dumps(
        chart("joint_segmentation", protect(counts({("a",): 40, ("b",): 50}, AMOUNT), 10, 9)).spec
    )
    assert "hidden" not in text


def test_a_template_without_a_chart_is_refused() -> None:
    table = ages()
    with pytest.raises(DisclosureError) as refusal:
        draw("market_basket", table, find("joint_segmentation", table))
    assert refusal.value.code == "output.unknown_template"
