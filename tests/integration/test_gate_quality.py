"""What a gate compares with: history, other parties, the calendar; and what it tells whom."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import duckdb
import pytest

from orchestration.audit.stage_events import GateFailed, GatePassed
from orchestration.charter.entities import ENTITIES
from orchestration.engine.sealing import open_letter, seal_letter
from orchestration.errors import IntegrityError
from orchestration.scope.expectations import Rule, Suite
from orchestration.scope.gate import Check, run_gate
from orchestration.scope.measures import Evidence
from orchestration.scope.statistics import Column, Statistics, stability_index
from orchestration.signing import SigningKey
from orchestration.stages import destruction, gate_evidence
from tests.integration.command import glasshouse
from tests.support import TinyHouse, csv_bytes, household, people_rows, sales_rows

ALWAYS = Rule(rule="rows", expectation="expect_table_row_count_to_be_between", arguments={"min_value": 0})


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A room with a good table, one that copies the other party's units, and an empty one."""
    with duckdb.connect() as opened:
        opened.execute("ATTACH ':memory:' AS room; CREATE SCHEMA room.deidentified; USE room.deidentified")
        opened.execute("""
            CREATE TABLE good AS SELECT 'u' || CAST(sqrt(i) AS INTEGER) AS unit, 'p' || i % 7 AS product,
                'remark' || i % 11 AS note, NULL::VARCHAR AS nothing,
                DATE '2024-01-01' + (i % 30)::INTEGER AS day,
                (i % 10)::BIGINT AS n FROM range(1000) AS t(i);
            CREATE TABLE bad AS SELECT 'u' || i % 100 AS unit, 'q' || i % 7 AS product,
                'mail jane' || i || '@example.org' AS note, NULL::VARCHAR AS nothing,
                DATE '2020-01-01' + (i % 30)::INTEGER AS day,
                (i // 990)::BIGINT AS n FROM range(1000) AS t(i);
            CREATE TABLE nobody AS FROM good WHERE false;
            CREATE TABLE theirs AS SELECT 'u' || i AS unit, 'p' || i % 7 AS product FROM range(200) AS t(i);
            CREATE TABLE few AS SELECT 'u' || i AS unit, 'p' || i % 7 AS product FROM range(50) AS t(i)""")
        yield opened


def statistics_of(connection: duckdb.DuckDBPyConnection, table: str) -> Statistics:
    found = run_gate(connection, table, Suite(dataset="x", rules=(ALWAYS,)), keep_statistics=True).statistics
    assert found is not None
    return found


def ask(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    expectation: str,
    evidence: Evidence | None = None,
    **arguments: object,
) -> Check:
    rule = Rule.model_validate({"rule": "asked", "expectation": expectation, "arguments": arguments})
    return run_gate(connection, table, Suite(dataset="x", rules=(rule,)), evidence).checks[0]


OTHERS = {"theirs": "room.deidentified.theirs", "few": "room.deidentified.few"}
ASKED: list[tuple[str, dict[str, object]]] = [
    ("expect_column_to_hold_no_personal_data", {"column": "note"}),
    ("expect_groups_to_have_at_least", {"column_list": ["n"], "min_value": 20}),
    ("expect_rows_to_be_fresh", {"column_list": ["day"], "max_value": 40}),
    ("expect_distribution_to_be_stable", {"column": "n", "limit": 0.25}),
    ("expect_distribution_to_be_stable", {"column": "product", "limit": 0.25}),
    ("expect_values_to_exist_in_dataset", {"column": "product", "dataset": "theirs", "missing": 0}),
    ("expect_values_to_exist_in_dataset",
     {"column": "product", "dataset": "theirs", "missing": 0, "mirrored": True}),
    ("expect_segments_to_keep_their_shares", {"column": "product", "tolerance": 0.02}),
    ("expect_segments_to_keep_their_shares",
     {"column": "n", "tolerance": 0.01, "shares": {str(each): 0.1 for each in range(10)}}),
    ("expect_unit_overlap_to_be_between", {"dataset": "few", "min_value": 0.9, "max_value": 1}),
    ("expect_unit_overlap_to_be_between",
     {"dataset": "theirs", "min_value": 0, "max_value": 0.3, "mirrored": True}),
    ("expect_keyspace_not_to_be_exhausted", {"population": 60, "reach": 0.9}),
    ("expect_units_to_look_natural", {"largest_share": 0.1, "dispersion": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize(("expectation", "arguments"), ASKED)
def test_each_expectation_says_yes_and_no(
    connection: duckdb.DuckDBPyConnection, expectation: str, arguments: dict[str, object]
) -> None:
    evidence = Evidence(
        delivered=date(2024, 2, 15),
        before=statistics_of(connection, "good"),
        others=OTHERS,
        strangers=(OTHERS["few"],),
    )
    yes = ask(connection, "good", expectation, evidence, **arguments)
    no = ask(connection, "bad", expectation, evidence, **arguments)
    assert (yes.passed, yes.measured) == (True, True)
    assert (no.passed, no.measured) == (False, True)
    assert "jane" not in json.dumps(dict(no.figures))


@pytest.mark.parametrize(("expectation", "arguments"), ASKED)
def test_an_empty_table_convinces_nobody_but_of_having_no_personal_data(
    connection: duckdb.DuckDBPyConnection, expectation: str, arguments: dict[str, object]
) -> None:
    evidence = Evidence(
        delivered=date(2024, 2, 15), before=statistics_of(connection, "good"), others=OTHERS,
        strangers=(OTHERS["few"],),
    )  # fmt: skip
    empty = ask(connection, "nobody", expectation, evidence, **arguments)
    assert empty.passed is (expectation == "expect_column_to_hold_no_personal_data")


def test_what_has_nothing_to_compare_with_is_neither_yes_nor_no(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for expectation, arguments in (
        ("expect_row_count_to_change_by_at_most", {"change": 0.1}),
        ("expect_distribution_to_be_stable", {"column": "n", "limit": 0.1}),
        ("expect_values_to_exist_in_dataset", {"column": "product", "dataset": "x", "missing": 0}),
        ("expect_unit_overlap_to_be_between", {"dataset": "x", "min_value": 0.5, "max_value": 1}),
    ):
        assert not ask(connection, "good", expectation, **arguments).measured
    rule = Rule.model_validate(
        {"rule": "only", "expectation": "expect_row_count_to_change_by_at_most", "arguments": {"change": 1}}
    )
    assert not run_gate(connection, "good", Suite(dataset="x", rules=(rule,))).passed


def test_volume_and_retired_fields(connection: duckdb.DuckDBPyConnection) -> None:
    half = Evidence(before=Statistics(rows=500, columns={}), today=date(2026, 1, 2))
    volume = "expect_row_count_to_change_by_at_most"
    assert ask(connection, "good", volume, half, change=1.0).passed
    assert not ask(connection, "good", volume, half, change=0.9).passed
    gone = "expect_column_not_to_be_given"
    assert not ask(connection, "good", gone, half, column="n").passed
    assert ask(connection, "good", gone, half, column="n", after="2026-01-02").passed
    assert not ask(connection, "good", gone, half, column="n", after="2026-01-01").passed
    assert ask(connection, "good", gone, half, column="nothing", after="2026-01-01").passed


def test_the_stability_index_is_the_published_one() -> None:
    """(0.3-0.2) ln(0.3/0.2) + (0.7-0.8) ln(0.7/0.8), by hand."""
    then = Column(nulls=0, distinct=2, classes={"0": 20, "1": 80}, bounds=(1.0,))
    now = Column(nulls=0, distinct=2, classes={"0": 30, "1": 70}, bounds=(1.0,))
    assert stability_index(now, then) == pytest.approx(0.0405465 + 0.0133531, abs=1e-6)
    assert stability_index(then, then) == 0


def test_statistics_count_every_row(connection: duckdb.DuckDBPyConnection) -> None:
    found = statistics_of(connection, "good")
    assert found.rows == 1000
    assert found.columns["nothing"].nulls == 1000
    for name in ("product", "note", "day", "n"):
        assert sum(found.columns[name].classes.values()) == 1000
    assert found.columns["unit"].classes == {}


QUALITY = """
    quality:
      freshness: {days: 10, severity: warning}
      volume: {change: 0.5, severity: critical}
      drift: {limit: 0.25, attributes: [quantity], severity: critical}
      references: [{id: known_products, attribute: product, dataset: products}]
      overlap: [{id: buyers_known, dataset: people, at_least: 0.5}]
    period: {from: 2024-01-01"""


@pytest.fixture
def strict(house: TinyHouse) -> TinyHouse:
    house.amend("\n    period: {from: 2024-01-01", QUALITY)
    return house


def judged(house: TinyHouse, dataset: str, data: bytes | None = None) -> tuple[str, Mapping[str, bool]]:
    contribution: str = house.accept(dataset, house.deliver(dataset, data)).event.payload.receipt.subject  # type: ignore[attr-defined]
    house.deidentify(dataset, contribution)
    result = house.gate(dataset, contribution)
    return contribution, {check.rule.rule: check.passed for check in result.measured}


def test_deliveries_are_compared_with_the_last_that_passed(strict: TinyHouse) -> None:
    first, checks = judged(strict, "sales")
    assert "volume_steady" not in checks
    assert checks["fresh"] is False
    _, checks = judged(strict, "sales", csv_bytes([{**row, "week": 3} for row in sales_rows()]))
    assert (checks["volume_steady"], checks["quantity_stable"]) == (True, True)
    _, checks = judged(strict, "sales", csv_bytes([{**row, "quantity": 50} for row in sales_rows()]))
    assert (checks["volume_steady"], checks["quantity_stable"]) == (True, False)
    _, checks = judged(strict, "sales", csv_bytes(sales_rows(400)))
    assert checks["volume_steady"] is False
    assert strict.house.history.read(first) is not None


def test_whoever_comes_later_is_measured_against_the_other(strict: TinyHouse) -> None:
    _, checks = judged(strict, "sales")
    assert not {"buyers_known", "known_products"} & set(checks)
    others = [{**row, "household_id": f"X{n}"} for n, row in enumerate(people_rows())]
    _, checks = judged(strict, "people", csv_bytes(others))
    assert checks["buyers_known_of_sales"] is False
    _, checks = judged(strict, "people")
    assert checks["buyers_known_of_sales"] is True
    _, checks = judged(strict, "sales", csv_bytes([{**row, "week": 4} for row in sales_rows()]))
    assert checks["buyers_known"] is True


def test_neither_log_nor_lineage_say_how_many(strict: TinyHouse) -> None:
    rows = [*people_rows(), *({**row, "age": "old"} for row in people_rows()[:13])]
    judged(strict, "people", csv_bytes(rows))
    (failed,) = strict.payloads("gate.failed")
    assert isinstance(failed, GateFailed)
    assert set(failed.checks[0].model_dump()) == {"rule", "expectation", "column", "severity", "passed"}
    assert "figures" not in json.dumps(strict.house.log.lineage(), default=str)


def test_the_steward_alone_reads_how_many(strict: TinyHouse) -> None:
    rows = [*people_rows(), *({**row, "age": "old"} for row in people_rows()[:13])]
    contribution, _ = judged(strict, "people", csv_bytes(rows))
    sealed = (strict.house.letters / f"{contribution}.age").read_bytes()
    letter = json.loads(open_letter(sealed, strict.key("panel.steward")))
    by_rule = {check["rule"]: check for check in letter["checks"]}
    assert by_rule["key_unique"]["figures"]["rows"] == 26
    assert household(1).encode() not in sealed
    for stranger in (strict.key("shop.steward"), SigningKey.generate()):
        with pytest.raises(IntegrityError, match=r"sealed\.other_key"):
            open_letter(sealed, stranger)
    with pytest.raises(IntegrityError):
        open_letter(sealed[:-1], strict.key("panel.steward"))


def test_a_letter_opens_with_every_readers_key() -> None:
    readers = [SigningKey.generate() for _ in range(2)]
    sealed = seal_letter(b"text", [each.public for each in readers])
    assert [open_letter(sealed, each) for each in readers] == [b"text", b"text"]


def test_history_is_encrypted_and_tampering_stops_the_gate(strict: TinyHouse) -> None:
    contribution, _ = judged(strict, "sales")
    path = strict.house.history.path(contribution)
    content = bytearray(path.read_bytes())
    assert b"rows" not in content
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"history\.changed"):
        judged(strict, "sales", csv_bytes([{**row, "week": 3} for row in sales_rows()]))


def test_what_is_destroyed_is_forgotten(strict: TinyHouse) -> None:
    contribution, _ = judged(strict, "sales")
    gate_evidence.forget(strict.house, [contribution])
    assert strict.house.history.read(contribution) is None
    assert not strict.house.keys.holds(f"history/{contribution}")
    assert not (strict.house.letters / f"{contribution}.age").exists()
    assert destruction.destroy_due(strict.house, "tiny") == []


def test_dbt_never_holds_the_key_of_the_history(strict: TinyHouse) -> None:
    contribution, _ = judged(strict, "sales")
    room = strict.house.room("tiny")
    with room.open() as connection:
        schemas = {
            row[0] for row in connection.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()
        }
        assert "history" not in schemas
        with pytest.raises(duckdb.Error):
            connection.execute(f"FROM read_blob('{strict.house.history.path(contribution)}')")
    assert room.key != strict.house.keys.secret(f"history/{contribution}").hex()


def test_people_read_what_became_of_a_delivery(strict: TinyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*people_rows(), *({**row, "age": "old"} for row in people_rows()[:13])]
    failed, _ = judged(strict, "people", csv_bytes(rows))
    passed, _ = judged(strict, "sales")
    monkeypatch.setenv("GLASSHOUSE_HOME", str(strict.root))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(strict.house.settings.charters))
    for member in ("panel.steward",):
        strict.key(member).save(strict.house.member_keys / "tiny" / f"{member}.pem")
    listed = glasshouse("contribution", "list", "--json")
    assert [each["state"] for each in listed.document] == ["gate passed", "gate failed"]
    assert glasshouse("contribution", "list").too_wide == []
    public = glasshouse("contribution", "show", failed, "--json").document
    assert {each["rule"]: each["outcome"] for each in public["checks"]}["key_unique"] == "failed"
    assert not any(each["figures"] for each in public["checks"])
    own = glasshouse("contribution", "show", failed, "--as", "panel.steward", "--json").document
    figures: dict[str, Any] = {each["rule"]: each["figures"] for each in own["checks"]}
    assert figures["key_unique"] == {"rows": 26}
    shown = glasshouse("contribution", "show", failed, "--as", "panel.steward")
    assert "failed: key_unique (rows 26)" in shown.out
    assert "because one row per key" in shown.out
    assert shown.too_wide == []
    warned = glasshouse("contribution", "show", passed).out
    assert "warned: fresh" in warned
    waiting = {each["what"] for each in glasshouse("status", "--json").document["waiting"]}
    assert f"look at {passed}: its gate warns (1)" in waiting
    assert glasshouse("contribution", "show", "none-such").refusal == "contribution.not_found"
    refused = glasshouse("contribution", "show", passed, "--as", "panel.steward")
    assert refused.refusal == "sealed.other_key"


def test_a_warning_does_not_stop_the_gate(strict: TinyHouse) -> None:
    judged(strict, "sales")
    (passed,) = strict.payloads("gate.passed")
    assert isinstance(passed, GatePassed)
    assert [check.rule for check in passed.checks if not check.passed] == ["fresh"]
    assert "occurred_on" in ENTITIES["transaction"].attributes
