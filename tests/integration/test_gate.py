"""The gate does not fail open: whatever is not a clear yes about the very table it judges counts as no."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from orchestration.audit.stage_events import GateFailed, GatePassed
from orchestration.engine.duck import quote_name
from orchestration.errors import GlasshouseError, IntegrityError, QualityGateError, ReceiptError
from orchestration.scope.expectations import Rule, Suite
from orchestration.scope.gate import run_gate
from orchestration.stages import refresh
from tests.support import TinyHouse, csv_bytes, people_rows, sales_rows

CANARY = "canary-77aa@example.org"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A room as `run_gate` finds it, with a table of ten rows and an empty one."""
    with duckdb.connect() as opened:
        opened.execute("ATTACH ':memory:' AS room; CREATE SCHEMA room.deidentified; USE room.deidentified")
        opened.execute(f"""
            CREATE TABLE full_table AS SELECT 'u' || range AS unit, range AS n, '{CANARY}' AS mail,
                NULL::VARCHAR AS nothing, CASE WHEN range > 3 THEN 1.5::DECIMAL(12,2) END AS amount,
                '2024-01-01'::DATE AS day FROM range(10)""")
        opened.execute("CREATE TABLE empty_table AS SELECT * FROM full_table WHERE false")
        yield opened


def rule(expectation: str, name: str = "rule", **arguments: object) -> Rule:
    return Rule.model_validate({"rule": name, "expectation": expectation, "arguments": arguments})


def ask(connection: duckdb.DuckDBPyConnection, *rules: Rule, table: str = "full_table") -> list[bool]:
    result = run_gate(connection, table, Suite(dataset="people", rules=rules))
    return [check.passed for check in result.checks]


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        (rule("expect_column_values_to_not_be_null", column="unit"), True),
        (rule("expect_column_values_to_not_be_null", column="amount"), False),
        (rule("expect_column_values_to_not_be_null", column="amount", mostly=1e-9), True),
        (rule("expect_column_values_to_not_be_null", column="nothing", mostly=1e-9), False),
        (rule("expect_column_values_to_be_unique", column="n"), True),
        (rule("expect_column_values_to_be_unique", column="mail"), False),
        (rule("expect_compound_columns_to_be_unique", column_list=["mail", "n"]), True),
        (rule("expect_compound_columns_to_be_unique", column_list=["mail", "day"]), False),
        (rule("expect_column_values_to_be_in_set", column="mail", value_set=[CANARY]), True),
        (rule("expect_column_values_to_be_in_set", column="mail", value_set=["x"]), False),
        (rule("expect_column_values_to_be_between", column="n", min_value=0, max_value=9), True),
        (rule("expect_column_values_to_be_between", column="n", min_value=0, max_value=8), False),
        (rule("expect_column_values_to_be_between", column="amount", min_value=1, max_value=2), True),
        (rule("expect_column_value_lengths_to_equal", column="unit", value=2), True),
        (rule("expect_column_value_lengths_to_equal", column="unit", value=64), False),
        (rule("expect_column_unique_value_count_to_be_between", column="n", min_value=10), True),
        (rule("expect_column_unique_value_count_to_be_between", column="n", min_value=11), False),
        (rule("expect_table_row_count_to_be_between", min_value=10, max_value=10), True),
        (rule("expect_table_row_count_to_be_between", min_value=11), False),
        (rule("expect_table_columns_to_match_ordered_list", column_list=["unit", "n"]), False),
    ],
)
def test_each_kind_of_rule_can_say_yes_and_no(
    connection: duckdb.DuckDBPyConnection, asked: Rule, passes: bool
) -> None:
    assert ask(connection, asked) == [passes]


def test_an_empty_suite_does_not_pass(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QualityGateError) as caught:
        ask(connection)
    assert caught.value.code == "gate.empty_suite"


@pytest.mark.parametrize(
    "bad",
    [
        rule("expect_column_to_be_fancy", column="n"),
        rule("expect_column_values_to_be_betwen", column="n", min_value=0),
        rule("expect_column_values_to_be_between", column="n", min_valeu=100),
        rule("expect_column_values_to_be_between", column="n", max_value=100, min_valeu=100),
        rule("expect_column_values_to_be_between", column="n"),
        rule("expect_column_values_to_be_between", column="n", min_value="much"),
        rule("expect_table_row_count_to_be_between"),
        rule("expect_column_values_to_be_between", column="n", min_value=100, mostly=0),
        rule("expect_column_values_to_be_between", column="n", min_value=100, mostly=-1),
        rule("expect_column_values_to_be_between", column="n", min_value=100, mostly="none"),
        rule("expect_column_values_to_be_between", column="n", min_value=100, row_condition="n > 1000"),
        rule("expect_column_values_to_be_in_set", column="n"),
        rule("expect_column_values_to_be_unique"),
        rule("expect_compound_columns_to_be_unique", column_list=[]),
    ],
)
def test_a_rule_that_is_not_understood_or_cannot_fail_stops_the_whole_gate(
    connection: duckdb.DuckDBPyConnection, bad: Rule
) -> None:
    good = rule("expect_column_values_to_be_unique", "good", column="n")
    with pytest.raises(QualityGateError) as caught:
        ask(connection, good, bad)
    assert caught.value.code == "gate.not_understood"
    assert bad.expectation in caught.value.message


@pytest.mark.parametrize(
    "raising",
    [
        rule("expect_column_values_to_be_unique", column="no_such_column"),
        rule("expect_column_values_to_be_between", column="mail", min_value=0, max_value=5),
        rule("expect_column_values_to_match_regex", column="mail", regex="("),
    ],
)
def test_a_rule_whose_metric_raises_is_a_failed_check_among_others(
    connection: duckdb.DuckDBPyConnection, raising: Rule
) -> None:
    good = rule("expect_column_values_to_be_unique", "good", column="n")
    assert ask(connection, raising, good) == [False, True]


def test_an_empty_table_fails_where_rows_are_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    """GX passes every other rule on it, which is why every suite begins with this one."""
    rows = rule("expect_table_row_count_to_be_between", min_value=1)
    assert ask(connection, rows, table="empty_table") == [False]


def test_two_answers_under_one_name_are_no_answer(connection: duckdb.DuckDBPyConnection) -> None:
    unique = [rule("expect_column_values_to_be_unique", column=column) for column in ("mail", "n")]
    assert ask(connection, *unique) == [False, False]


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Every line that reaches the root logger, where an application listens."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, listener = logging.getLogger(), Listener()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(level)
    root.removeHandler(listener)


def test_no_value_leaves_in_result_log_or_warning(
    connection: duckdb.DuckDBPyConnection, heard: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    failing = rule("expect_column_values_to_be_in_set", column="mail", value_set=["x"])
    raising = rule("expect_column_values_to_be_between", "other", column="mail", min_value=0)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = run_gate(connection, "full_table", Suite(dataset="people", rules=(failing, raising)))
    with pytest.raises(QualityGateError) as caught:
        result.require()
    said = f"{result!r} {caught.value} {heard} {capfd.readouterr()} {[str(each.message) for each in warned]}"
    assert CANARY not in said
    assert "SELECT" not in said


def failing_sales() -> bytes:
    """Too few households for the entity's suite."""
    return csv_bytes(sales_rows(20))


def judged(house: TinyHouse, dataset: str, data: bytes | None = None) -> tuple[str, bool]:
    contribution: str = house.accept(dataset, house.deliver(dataset, data)).event.payload.receipt.subject  # type: ignore[attr-defined]
    house.deidentify(dataset, contribution)
    return contribution, house.gate(dataset, contribution).passed


def admitted(house: TinyHouse) -> dict[str, str]:
    return {dataset.id: receipt.subject for dataset, receipt in refresh._passed(house.house, house.charter)}


def test_a_failed_gate_leaves_the_last_contribution_that_passed_in_use(house: TinyHouse) -> None:
    good, passed = judged(house, "sales")
    assert passed
    assert admitted(house) == {"sales": good}
    bad, passed = judged(house, "sales", failing_sales())
    assert not passed
    assert admitted(house) == {"sales": good}
    (failed,) = house.payloads("gate.failed")
    assert isinstance(failed, GateFailed)
    assert failed.contribution == bad
    assert [check.rule for check in failed.checks if not check.passed] == ["many_units"]
    with pytest.raises(ReceiptError):
        refresh.receipts.require(house.house.log, "gate", bad)


def test_another_datasets_failure_touches_nobody_else(house: TinyHouse) -> None:
    judged(house, "sales", failing_sales())
    people, passed = judged(house, "people")
    assert passed
    assert admitted(house) == {"people": people}


def test_a_pass_is_recorded_with_every_rule_and_no_value(house: TinyHouse) -> None:
    judged(house, "people")
    (passed,) = house.payloads("gate.passed")
    assert isinstance(passed, GatePassed)
    assert {"has_rows", "unit_pseudonymous", "one_row_per_unit", "age_in_set"} <= {
        c.rule for c in passed.checks
    }
    said = passed.model_dump_json()
    assert not any(str(row["age"]) in said for row in people_rows())


def test_a_column_that_is_empty_throughout_does_not_pass(house: TinyHouse) -> None:
    rows = [{**row, "income": ""} for row in people_rows()]
    _, passed = judged(house, "people", csv_bytes(rows))
    assert not passed
    (failed,) = house.payloads("gate.failed")
    assert isinstance(failed, GateFailed)
    assert "income_not_all_missing" in {check.rule for check in failed.checks if not check.passed}


def test_a_doubled_household_does_not_pass(house: TinyHouse) -> None:
    rows = people_rows()
    assert judged(house, "people", csv_bytes([*rows, {**rows[0], "age": "old"}]))[1] is False


def change(house: TinyHouse, contribution: str, statement: str) -> None:
    with house.house.room("tiny").open() as connection:
        connection.execute(statement.format(table=quote_name(contribution.replace("-", "_"))))


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(GlasshouseError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET age = 'old' WHERE age = 'young'",
        "DELETE FROM {table} WHERE age = 'young'",
        "INSERT INTO {table} SELECT * FROM {table} LIMIT 1",
    ],
)
def test_a_table_changed_after_deidentification_is_found(house: TinyHouse, statement: str) -> None:
    contribution: str = house.accept("people", house.deliver("people")).event.payload.receipt.subject  # type: ignore[attr-defined]
    house.deidentify("people", contribution)
    change(house, contribution, statement)
    assert code_of(house.gate, "people", contribution) == "room.table_changed"
    assert house.payloads("gate.passed") == []
    house.deidentify("people", contribution)
    assert house.gate("people", contribution).passed


def test_stages_do_not_run_without_the_receipts_before_them(house: TinyHouse) -> None:
    assert code_of(house.deidentify, "people", "people-000000000000") == "receipt.missing"
    assert code_of(house.gate, "people", "people-000000000000") == "receipt.missing"
    contribution: str = house.accept("people", house.deliver("people")).event.payload.receipt.subject  # type: ignore[attr-defined]
    assert code_of(house.gate, "people", contribution) == "receipt.missing"


def test_a_flipped_bit_in_the_vault_is_found(house: TinyHouse) -> None:
    contribution: str = house.accept("people", house.deliver("people")).event.payload.receipt.subject  # type: ignore[attr-defined]
    path = house.house.vault.path(contribution)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        house.deidentify("people", contribution)
    assert caught.value.code == "vault.changed"
    (failed,) = house.payloads("stage.failed")
    assert failed.code == "vault.changed"  # type: ignore[attr-defined]


def test_a_table_made_anew_has_to_pass_anew(house: TinyHouse) -> None:
    contribution, _ = judged(house, "people")
    change(house, contribution, "DELETE FROM {table} WHERE age = 'young'")
    house.deidentify("people", contribution)
    assert admitted(house) == {}
    house.gate("people", contribution)
    assert admitted(house) == {"people": contribution}


def test_an_unusable_suite_is_put_on_record(
    house: TinyHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contribution: str = house.accept("people", house.deliver("people")).event.payload.receipt.subject  # type: ignore[attr-defined]
    house.deidentify("people", contribution)
    monkeypatch.setattr(type(house.house.settings), "expectations", tmp_path)
    for text, code in (
        ("entity: profile", "gate.bad_suite"),
        ("entity: profile\nrules: [{rule: a, expectation: expect_nonsense}]", "gate.not_understood"),
    ):
        (tmp_path / "profile.yaml").write_text(text)
        assert code_of(house.gate, "people", contribution) == code
        assert house.payloads("stage.failed")[-1].code == code  # type: ignore[attr-defined]
    assert admitted(house) == {}
