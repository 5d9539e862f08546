"""The published figures of The Complete Journey: exact inside the room, and true wherever they are shown.

The truth is computed here with plain DuckDB on the raw files; nothing of ours takes part in it. The figures
written out are those of the project's list of published figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.computation.cells import TOTAL
from orchestration.output.protect import ProtectedTable
from tests.integration.conftest import QUESTIONS, RealHouse, build_real_house

THRESHOLD = 10
Coordinates = tuple[str, ...]
Truth = dict[Coordinates, dict[str, int | Decimal]]


@pytest.fixture(scope="module")
def raw(real_house: RealHouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """The raw files as views, identifiers as they are."""
    with duckdb.connect() as connection:
        for path in real_house.data.glob("*.parquet"):
            connection.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM '{path}'")
        connection.execute(
            "CREATE VIEW sold AS SELECT *, CAST(sales_value AS DECIMAL(12, 2)) AS amount FROM transactions"
        )
        yield connection


def inside(real: RealHouse, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query inside the room, before output control."""
    house = real.open()
    try:
        with house.room("grocery").open() as connection:
            return connection.execute(query).fetchall()
    finally:
        house.log.close()


# --- inside the room, before output control


def test_sales_baskets_stores_and_products_are_the_published_ones(real_house: RealHouse) -> None:
    found = inside(
        real_house,
        "SELECT sum(amount), count(DISTINCT basket), count(DISTINCT store), count(DISTINCT product), count(*)"
        " FROM room.staging.stg_transaction",
    )
    assert found == [(Decimal("4596039.58"), 155_848, 457, 68_509, 1_469_307)]


def test_brands_are_the_published_ones(real_house: RealHouse) -> None:
    found = inside(
        real_house,
        "SELECT p.brand, sum(t.amount), count(*) FILTER (p.product IS NULL)"
        " FROM room.staging.stg_transaction AS t LEFT JOIN room.staging.stg_product AS p USING (product)"
        " GROUP BY ALL ORDER BY 1",
    )
    assert found == [
        ("National", Decimal("3297296.71"), 0),
        ("Private", Decimal("1298570.30"), 0),
        (None, Decimal("172.57"), 4_836),
    ]


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("shopper", "shopper", 2_469),
        ("shopper", "profiled", 801),
        ("shopper", "mailed", 1_559),
        ("profiled", "mailed", 756),
        ("mailed", "redeemer", 410),
        ("profiled", "redeemer", 295),
    ],
)
def test_parties_meet_on_pseudonyms_as_often_as_on_identifiers(
    real_house: RealHouse, left: str, right: str, both: int
) -> None:
    query = f"SELECT count(*) FROM room.intermediate.int_units__joined WHERE {left} AND {right}"
    assert inside(real_house, query) == [(both,)]


def test_sales_per_household_by_age_are_the_published_ones(real_house: RealHouse) -> None:
    rows = {
        record["row_value"]: record
        for record in real_house.cells["joint_segmentation"]
        if record["column_value"] == TOTAL and record["row_value"] != TOTAL
    }
    published = {
        "19-24": (46, "2732.02"), "25-34": (142, "3192.76"), "35-44": (194, "3733.80"),
        "45-54": (288, "3374.38"), "55-64": (59, "2934.81"), "65+": (72, "2452.79"),
    }  # fmt: skip
    found = {
        age: (row["units"], str(round(Decimal(str(row["amount"])) / int(str(row["units"])), 2)))
        for age, row in rows.items()
    }
    assert found == published


def test_age_by_income_has_the_published_small_cells(real_house: RealHouse) -> None:
    cells = [
        int(str(record["units"]))
        for record in real_house.cells["joint_segmentation"]
        if TOTAL not in (record["row_value"], record["column_value"])
    ]
    small = [units for units in cells if units < THRESHOLD]
    assert (len(cells), len(small), sum(small), sum(cells) - sum(small)) == (62, 34, 154, 647)
    assert len([units for units in cells if units < 5]) == 17


def test_redeemed_and_mailed_by_campaign_type_are_the_published_ones(real_house: RealHouse) -> None:
    found = {
        record["campaign_group"]: (record["redeemed"], record["mailed"])
        for record in real_house.cells["campaign_response"]
    }
    assert found == {
        "Type A": (604, 3_647), "Type B": (154, 2_368), "Type C": (34, 574), TOTAL: (792, 6_589),
    }  # fmt: skip


def test_no_raw_identifier_is_in_the_room(real_house: RealHouse, raw: duckdb.DuckDBPyConnection) -> None:
    """No unit or basket of the room is one of the raw files."""
    households = {str(h) for (h,) in raw.execute("SELECT DISTINCT household_id FROM transactions").fetchall()}
    units = {u for (u,) in inside(real_house, "SELECT DISTINCT unit FROM room.staging.stg_transaction")}
    assert len(units) == len(households) == 2_469
    assert not units & households
    assert {len(unit) for unit in units} == {64}


# --- after output control


def truth(template: str, raw: duckdb.DuckDBPyConnection) -> Truth:
    """Figures and contributors of every cell and total, straight from the raw files."""
    queries = {
        "audience_overlap": """
            SELECT coalesce(in_left, 'TOTAL'), coalesce(in_right, 'TOTAL'),
                count(*) AS units, count(*) AS contributors
            FROM (
                SELECT
                    if(household_id IN (SELECT household_id FROM transactions), 'yes', 'no') AS in_left,
                    if(household_id IN (SELECT household_id FROM campaigns), 'yes', 'no') AS in_right
                FROM (SELECT household_id FROM transactions UNION SELECT household_id FROM campaigns)
            ) GROUP BY CUBE (in_left, in_right)""",
        "joint_segmentation": """
            SELECT coalesce(age, 'TOTAL'), coalesce(income, 'TOTAL'), count(DISTINCT household_id) AS units,
                sum(amount) AS amount, count(DISTINCT household_id) AS contributors
            FROM sold JOIN demographics USING (household_id) GROUP BY CUBE (age, income)""",
        "campaign_response": """
            SELECT coalesce(campaign_type, 'TOTAL'), count(*) AS mailed, count(r.campaign_id) AS redeemed,
                count(DISTINCT r.household_id) AS contributors
            FROM campaigns AS c JOIN campaign_descriptions USING (campaign_id)
                LEFT JOIN (SELECT DISTINCT household_id, campaign_id FROM coupon_redemptions) AS r
                ON r.household_id = c.household_id AND r.campaign_id = c.campaign_id
            GROUP BY ROLLUP (campaign_type)""",
    }
    cursor = raw.execute(queries[template])
    names = [column[0] for column in cursor.description or ()]
    depth = 1 if template == "campaign_response" else 2
    return {
        tuple(row[:depth]): dict(zip(names[depth:], row[depth:], strict=True)) for row in cursor.fetchall()
    }


@pytest.fixture(params=QUESTIONS)
def released(request: pytest.FixtureRequest, real_house: RealHouse) -> tuple[str, ProtectedTable]:
    """Template and table as they lie on the shelf."""
    template = str(request.param)
    path = real_house.settings.root / "shelf" / real_house.releases[template] / "table.json"
    return template, ProtectedTable.from_json(json.loads(path.read_bytes()))


def test_every_shown_figure_is_true(
    released: tuple[str, ProtectedTable], raw: duckdb.DuckDBPyConnection
) -> None:
    template, table = released
    expected = truth(template, raw)
    assert {row.coordinates for row in table.rows} == expected.keys()
    shown = {row.coordinates: row.values for row in table.rows if row.values is not None}
    assert shown
    for coordinates, values in shown.items():
        figures = {name: value for name, value in expected[coordinates].items() if name != "contributors"}
        assert values == figures, coordinates


def test_every_hidden_cell_is_small_or_a_stated_complement(
    released: tuple[str, ProtectedTable], raw: duckdb.DuckDBPyConnection
) -> None:
    template, table = released
    expected = truth(template, raw)
    for row in table.rows:
        contributors = expected[row.coordinates]["contributors"]
        if row.is_total:
            assert row.reason in (None, "complementary")
        elif row.reason == "complementary":
            assert contributors >= THRESHOLD
        else:
            assert (row.reason == "primary") == (contributors < THRESHOLD), row.coordinates
        assert row.values is None or contributors >= THRESHOLD


def test_age_by_income_hides_what_the_published_list_says(real_house: RealHouse) -> None:
    folder = real_house.settings.root / "shelf" / real_house.releases["joint_segmentation"]
    summary = ProtectedTable.from_json(json.loads((folder / "table.json").read_bytes())).summary
    assert (summary.cells, summary.cells_primary) == (62, 34)
    assert summary.cells_complementary >= 1
    assert summary.cells_shown + summary.cells_complementary == 28


def test_no_hidden_figure_follows_from_the_totals(
    real_house: RealHouse, raw: duckdb.DuckDBPyConnection
) -> None:
    """In every row and column of the table that hides anything, at least two cells are hidden."""
    folder = real_house.settings.root / "shelf" / real_house.releases["joint_segmentation"]
    table = ProtectedTable.from_json(json.loads((folder / "table.json").read_bytes()))
    for dimension in (0, 1):
        for label in (*table.labels(dimension), TOTAL):
            line = [row for row in table.rows if row.coordinates[dimension] == label]
            assert sum(row.values is None for row in line) != 1, label


def test_all_formats_of_a_release_say_the_same(
    released: tuple[str, ProtectedTable], real_house: RealHouse
) -> None:
    template, table = released
    folder = real_house.settings.root / "shelf" / real_house.releases[template]
    with duckdb.connect() as connection:
        parquet = connection.execute(f"SELECT * FROM '{folder}/table.parquet'").fetchall()
        csv = connection.execute(
            f"SELECT * FROM read_csv('{folder}/table.csv', all_varchar = true)"
        ).fetchall()
    names = [measure.name for measure in table.measures]
    expected = [
        (*row.coordinates, row.status, row.reason, *((row.values or {}).get(name) for name in names))
        for row in table.rows
    ]
    assert parquet == expected
    assert len(csv) == len(expected)
    for text, row in zip(csv, table.rows, strict=True):
        figures = text[-len(names) :]
        assert figures == tuple("hidden" if row.values is None else str(row.values[n]) for n in names)
    spec = json.loads((folder / "chart.vl.json").read_bytes())
    assert "usermeta" not in spec or "http" not in json.dumps(spec["usermeta"])
    assert (folder / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_with_all_eight_datasets_nothing_changes(
    real_house: RealHouse, prepared_dbt: Path, tmp_path: Path
) -> None:
    """The 20.9 million promotions too: about nobody, and so without influence on any figure."""
    whole = build_real_house(tmp_path / "house", prepared_dbt)
    assert whole.cells == real_house.cells
    found = inside(whole, "SELECT count(*), count(DISTINCT week) FROM room.staging.stg_placement")
    assert found[0][0] == 20_940_529
