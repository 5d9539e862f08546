"""Figures that came aggregated: about nobody by name, and never about too few."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from orchestration.charter import CharterMistakesError, parse_charter
from orchestration.charter.entities import ENTITIES
from orchestration.scope.expectations import Suite, compile_suite
from orchestration.scope.gate import run_gate
from orchestration.settings import PROJECT_ROOT
from tests.support import CHARTER

FIGURES = """
  - id: figures
    participant: shop
    entity: aggregate
    title: Figures
    description: One row per segment, month and measure.
    classification: commercial
    purposes: [insight]
    lawful_basis: not_personal_data
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 100
    max_bytes: 100000
    threshold: 20
    fields:
      - {name: segment, as: segment, type: string, required: true, max_length: 20,
         classification: reference, technique: pass}
      - {name: month, as: period, type: date, required: true,
         classification: reference, technique: {kind: generalize, to: month}}
      - {name: measure, as: measure, type: string, required: true, values: [sales, visits],
         classification: reference, technique: pass}
      - {name: value, as: value, type: decimal, required: true, classification: behavioural, technique: pass}
      - {name: units, as: units, type: integer, required: true, classification: reference, technique: pass}
"""
AT = CHARTER.index("purposes:\n  - {id: insight")


def charter(figures: str) -> bytes:
    return (CHARTER[:AT].rstrip() + figures + CHARTER[AT:]).encode()


@pytest.fixture
def suite() -> Suite:
    return compile_suite(parse_charter(charter(FIGURES)).dataset("figures"), PROJECT_ROOT / "expectations")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("ATTACH ':memory:' AS room; CREATE SCHEMA room.deidentified; USE room.deidentified")
        yield opened


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    threshold: 20\n", "", "'threshold' is missing"),
        ("    threshold: 20\n", "    threshold: 4\n", "would weaken the aggregation threshold"),
        ("type: integer, required: true,", "type: integer,", "'units' must be required and passed"),
        ("as: units, type: integer, required: true, classification: reference, technique: pass",
         "as: units, type: integer, required: true, classification: reference,"
         " technique: {kind: round, multiple: 5}", "a count that was changed protects nobody"),
        ("- {name: units, as: units, type: integer, required: true, classification: reference,"
         " technique: pass}", "", "No field becomes 'units'"),
        ("- {name: segment,",
         "- {name: mail, type: string, classification: direct_identifier, technique: drop}\n"
         "      - {name: segment,", "it has no direct identifier"),
        ("classification: commercial", "classification: personal", "is about nobody."),
    ],
)  # fmt: skip
def test_an_aggregate_has_rules_of_its_own(old: str, new: str, says: str) -> None:
    assert old in FIGURES
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(charter(FIGURES.replace(old, new)))
    assert any(says in mistake.message for mistake in caught.value.mistakes), caught.value.mistakes


@pytest.mark.parametrize(("units", "passes"), [(20, True), (19, False), (None, False)])
def test_a_row_about_too_few_does_not_pass(
    connection: duckdb.DuckDBPyConnection, suite: Suite, units: int | None, passes: bool
) -> None:
    connection.execute(
        "CREATE TABLE t (segment VARCHAR, period DATE, measure VARCHAR, value DECIMAL(12,2), units BIGINT)"
    )
    for measure, behind in (("sales", 500), ("visits", units)):
        connection.execute("INSERT INTO t VALUES ('young', '2024-01-01', ?, 12.5, ?)", [measure, behind])
    result = run_gate(connection, "t", suite)
    assert result.passed is passes, result.failed
    assert {check.rule.rule for check in result.failed} <= {"units_enough", "units_present"}


def test_every_entity_has_a_suite_and_only_an_aggregate_counts_its_units() -> None:
    for name, entity in ENTITIES.items():
        assert (PROJECT_ROOT / "expectations" / f"{name}.yaml").exists()
        assert not (entity.privacy_unit and entity.aggregated)
    assert [name for name, entity in ENTITIES.items() if entity.aggregated] == ["aggregate"]
