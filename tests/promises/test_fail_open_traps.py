"""The traps of DESIGN §6 where a tool fails open, each held shut here.

Kept by name elsewhere: a forged passing check and a blocking check of another run
(`test_no_release_without_receipts`), engines whose errors quote values (`test_canary`), leading zeros and CSV
sniffing (`tests/unit/scope`), dead lineage backends (`tests/unit/audit/test_forward`), torn files and killed
processes (`tests/unit/engine`, `tests/integration`).
"""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from orchestration.audit import forward
from orchestration.charter import ENTITIES, load_charter
from orchestration.defs.build import build_defs
from orchestration.engine.duck import quote_name
from orchestration.engine.room import Room
from orchestration.errors import QualityGateError, ServiceError, public
from orchestration.scope.expectations import Rule, Suite, compile_suite
from orchestration.scope.gate import run_gate
from orchestration.scope.measures import Evidence
from orchestration.scope.statistics import Column, Statistics
from orchestration.settings import PROJECT_ROOT, load_settings, silence_telemetry
from orchestration.stages import refresh
from tests.promises.canary_run import Run
from tests.support import CALLER, TinyHouse, csv_bytes, open_house, people_rows

# --- Great Expectations


@pytest.fixture
def room(fresh: TinyHouse) -> Room:
    return fresh.house.room("tiny")


def rule(name: str, expectation: str, **arguments: object) -> Rule:
    return Rule.model_validate({"rule": name, "expectation": expectation, "arguments": arguments})


HOLDS = rule("holds", "expect_column_values_to_not_be_null", column="unit")


def people_table(connection: duckdb.DuckDBPyConnection) -> str:
    connection.execute(
        "CREATE TABLE people_x AS"
        " SELECT 'jane' || i || '@example.org' AS unit, 'young' AS age FROM range(120) AS t(i)"
    )
    return "people_x"


def test_gx_drops_rules_it_does_not_know_and_we_refuse_them(room: Room) -> None:
    suite = Suite(
        dataset="people", rules=(HOLDS, rule("typo", "expect_column_values_to_not_be_nul", column="unit"))
    )
    with room.open() as connection, pytest.raises(QualityGateError, match=r"gate\.not_understood"):
        run_gate(connection, people_table(connection), suite)


def test_gx_passes_an_empty_suite_and_we_refuse_it(room: Room) -> None:
    with room.open() as connection, pytest.raises(QualityGateError, match=r"gate\.empty_suite"):
        run_gate(connection, people_table(connection), Suite(dataset="people", rules=()))


@pytest.mark.parametrize(
    "dataset", [d.id for d in load_charter(PROJECT_ROOT / "charters/grocery.yaml").datasets]
)
def test_gx_passes_an_empty_table_and_our_suites_do_not(room: Room, dataset: str) -> None:
    declared = load_charter(PROJECT_ROOT / "charters" / "grocery.yaml").dataset(dataset)
    present = {field.attribute for field in declared.fields}
    columns = ", ".join(
        f"NULL::{kind} AS {quote_name(name)}"
        for name, kind in ENTITIES[declared.entity].attributes.items()
        if name in present
    )
    suite = compile_suite(declared, PROJECT_ROOT / "expectations")
    with room.open() as connection:
        connection.execute(f"CREATE TABLE nothing AS SELECT {columns} WHERE false")
        assert not run_gate(connection, "nothing", suite).passed


def test_a_rule_that_cannot_be_computed_is_a_no_without_a_word(
    room: Room, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """GX's tracebacks carry SQL and its default results carry values."""
    suite = Suite(
        dataset="people",
        rules=(HOLDS, rule("numbers", "expect_column_sum_to_be_between", column="unit", min_value=1)),
    )
    with caplog.at_level("DEBUG"), room.open() as connection:
        result = run_gate(connection, people_table(connection), suite)
    assert [check.passed for check in result.checks] == [True, False]
    out, err = capfd.readouterr()
    assert "@example.org" not in repr(result) + out + err + caplog.text


OURS: tuple[tuple[str, dict[str, object], str], ...] = (
    ("column_values_to_be_pseudonyms", {"column": "age"}, "other"),
    ("column_to_hold_no_personal_data", {"column": "unit"}, "colunm"),
    ("groups_to_have_at_least", {"column_list": ["age"], "min_value": 500}, "minimum"),
    ("rows_to_be_fresh", {"column_list": ["day"], "max_value": 1}, "days"),
    ("row_count_to_change_by_at_most", {"change": 0.1}, "share"),
    ("distribution_to_be_stable", {"column": "age", "limit": 0.1}, "psi"),
    ("values_to_exist_in_dataset", {"column": "age", "dataset": "other", "missing": 0}, "most"),
    ("segments_to_keep_their_shares", {"column": "age", "tolerance": 0, "shares": {"old": 1}}, "share"),
    ("unit_overlap_to_be_between", {"dataset": "other", "min_value": 1, "max_value": 1}, "least"),
    ("keyspace_not_to_be_exhausted", {"population": 10, "reach": 1}, "units"),
    ("units_to_look_natural", {"largest_share": 0, "dispersion": 0}, "most"),
    ("column_not_to_be_given", {"column": "age"}, "until"),
)


@pytest.mark.parametrize(("name", "arguments", "slip"), OURS, ids=[each[0] for each in OURS])
def test_our_own_expectations_stay_shut(
    room: Room, name: str, arguments: dict[str, object], slip: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A misspelt argument is not understood; a bad table, a missing column and an error inside are a no."""
    asked = f"expect_{name}"
    past = Statistics(rows=1, columns={"age": Column(nulls=0, distinct=1, classes={"=old": 1})})
    with room.open() as connection:
        people = people_table(connection)
        connection.execute("CREATE TABLE other AS SELECT 'x' AS unit, 'x' AS age")
        evidence = Evidence(delivered=date(2026, 1, 1), before=past, others={"other": "other"})
        misspelt = Suite(dataset="people", rules=(HOLDS, rule("asked", asked, **arguments, **{slip: 1})))
        with pytest.raises(QualityGateError, match=r"gate\.not_understood"):
            run_gate(connection, people, misspelt, evidence)
        suite = Suite(dataset="people", rules=(HOLDS, rule("asked", asked, **arguments)))
        assert not run_gate(connection, people, suite, evidence).passed
        connection.execute("CREATE TABLE alone AS SELECT 1 AS stranger FROM range(3)")
        broken = Evidence(before=past, others={"other": "no_such_table"})
        checks = run_gate(connection, "alone", suite, broken).checks
        assert checks[1].measured
        assert not checks[1].passed
    out, err = capfd.readouterr()
    assert "@example.org" not in out + err


@pytest.mark.parametrize(("name", "arguments", "_slip"), OURS, ids=[each[0] for each in OURS])
def test_columns_of_nothing_but_gaps_pass_no_comparison(
    room: Room, name: str, arguments: dict[str, object], _slip: str
) -> None:
    """What is not there holds no personal data and is not given; it is never fresh, known or natural."""
    past = Statistics(rows=1, columns={"age": Column(nulls=0, distinct=1, classes={"=old": 1})})
    evidence = Evidence(delivered=date(2026, 1, 1), before=past, others={"other": "other"})
    innocent = ("column_to_hold_no_personal_data", "column_not_to_be_given", "column_values_to_be_pseudonyms")
    asked = rule("asked", f"expect_{name}", **arguments)
    with room.open() as connection:
        connection.execute("CREATE TABLE other AS SELECT 'x' AS unit, 'x' AS age")
        connection.execute(
            "CREATE TABLE gaps AS SELECT NULL::VARCHAR AS unit, NULL::VARCHAR AS age, NULL::DATE AS day"
            " FROM range(10)"
        )
        (check,) = run_gate(connection, "gaps", Suite(dataset="people", rules=(asked,)), evidence).checks
    assert check.measured
    assert check.passed is (name in innocent)


def test_gx_sends_no_analytics(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GX_ANALYTICS_ENABLED", "DBT_SEND_ANONYMOUS_USAGE_STATS"):
        monkeypatch.setenv(name, "true")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    silence_telemetry()
    assert os.environ["GX_ANALYTICS_ENABLED"] == os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_gx_is_silenced_before_it_is_imported() -> None:
    body = next(
        node
        for node in ast.walk(ast.parse((PROJECT_ROOT / "orchestration/scope/gate.py").read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "_great_expectations"
    )
    silenced = [n.lineno for n in ast.walk(body) if isinstance(n, ast.Name) and n.id == "silence_telemetry"]
    imports = [n.lineno for n in ast.walk(body) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert silenced
    assert max(silenced) < min(imports)


def test_no_stage_opens_a_connection_to_anywhere(fresh: TinyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for analytics, not for an extension, and not for a lineage backend that is set and dead."""

    def refuse(_socket: socket.socket, address: object) -> None:
        raise AssertionError(f"a stage wanted to connect to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setenv("GLASSHOUSE_OPENLINEAGE_URL", "http://192.0.2.1:1")
    open_house(fresh.root.parent).contribute("people")


# --- OpenLineage


def test_lineage_cannot_be_switched_off_from_outside(
    fresh: TinyHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stray = tmp_path / "work"
    (stray / ".openlineage").mkdir(parents=True)
    for path in (stray / "openlineage.yml", stray / ".openlineage" / "openlineage.yml"):
        path.write_text("transport: {type: noop}\n")
    monkeypatch.chdir(stray)
    monkeypatch.setenv("HOME", str(stray))
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(stray / "openlineage.yml"))
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "noop")
    fresh.contribute("people")
    events = fresh.house.log.lineage()
    assert {event["eventType"] for event in events} == {"START", "COMPLETE"}
    assert len(events) == 6
    forward.forward(fresh.house.log, fresh.house.settings)
    written = forward.lineage_file(fresh.house.settings).read_text().splitlines()
    assert len(written) == len(events)


def test_attempts_that_failed_are_on_record_with_their_public_reason(canary_run: Run) -> None:
    tiny = open_house(canary_run.home)
    ends = [event for event in tiny.house.log.lineage() if event["eventType"] == "FAIL"]
    starts = [event["run"]["runId"] for event in tiny.house.log.lineage() if event["eventType"] == "START"]
    tiny.house.log.close()
    assert len(ends) > 8
    assert len(set(starts)) == len(starts)
    assert {event["run"]["runId"] for event in ends} <= set(starts)
    codes = {event["run"]["facets"]["errorMessage"]["message"].split(":")[0] for event in ends}
    assert {"gate.failed", "internal.unexpected", "transform.model_failed", "contribution.malformed"} <= codes


def test_lineage_events_carry_no_sql_no_paths_and_no_keys(canary_run: Run) -> None:
    """dbt's own OpenLineage wrapper puts whole statements into events."""
    tiny = open_house(canary_run.home)
    events = str(tiny.house.log.lineage())
    tiny.house.log.close()
    assert len(events) > 10_000
    for word in ("SELECT ", "select ", "CREATE ", str(canary_run.root), "vault/", ".parquet"):
        assert word not in events


# --- dbt


def test_dbt_obeys_neither_the_working_folder_nor_switches_from_outside(
    finished: TinyHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A relative home means the same to dbt as to us; DBT_EMPTY and the like change nothing."""
    finished.house.log.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(finished.root.parent)
    before = {path for path in finished.root.parent.rglob("*") if path.is_file()}
    monkeypatch.setenv("GLASSHOUSE_HOME", "house")
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", "charters")
    for name, value in {
        "DBT_EMPTY": "true", "DBT_DEFER": "true", "DBT_STATE": "nowhere", "DBT_TARGET": "prod",
        "DBT_FULL_REFRESH": "1", "DBT_PROFILES_DIR": str(elsewhere), "DBT_TARGET_PATH": str(elsewhere),
        "DBT_LOG_PATH": str(elsewhere), "DBT_LOG_LEVEL_FILE": "debug", "DBT_PRINT": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    tiny = TinyHouse(type(finished.house).open(load_settings()), finished.charter, finished.keys)
    refreshed = refresh.refresh(tiny.house, tiny.charter, CALLER)
    tiny.house.log.close()
    assert refreshed.result.rows["int_units__joined"] == 120
    assert not list(elsewhere.iterdir())
    appeared = {path for path in finished.root.parent.rglob("*") if path.is_file()} - before
    assert {path.relative_to(finished.root).parts[0] for path in appeared} <= {
        "tmp",
        "room",
        "control.db-wal",
        "control.db-shm",
    }


def test_a_room_is_busy_rather_than_written_twice(finished: TinyHouse) -> None:
    patient = open_house(finished.root.parent, room_wait_seconds=0.1)
    with finished.house.room("tiny").reserved(), pytest.raises(ServiceError, match=r"room\.busy"):
        # Another Room object, as another process would have: the lock is the file's.
        refresh.refresh(patient.house, patient.charter, CALLER)
    patient.house.log.close()


# --- Dagster


def test_dagster_phones_nobody_and_keeps_no_output_of_steps(canary_run: Run) -> None:
    configuration = yaml.safe_load((canary_run.root / "dagster" / "dagster.yaml").read_text())
    assert configuration["telemetry"] == {"enabled": False}
    assert configuration["nux"] == {"enabled": False}
    assert configuration["run_monitoring"]["enabled"] is True
    assert configuration["compute_logs"]["class"] == "NoOpComputeLogManager"


def test_dagsters_configuration_is_ours_at_every_start(fresh: TinyHouse) -> None:
    from orchestration.defs.instance import open_instance

    path = fresh.root / "dagster" / "dagster.yaml"
    path.write_text("telemetry: {enabled: true}\n")
    with open_instance(fresh.house.settings) as instance:
        assert not instance.telemetry_enabled
    assert yaml.safe_load(path.read_text())["telemetry"] == {"enabled": False}


def test_nothing_runs_by_an_automation_condition(fresh: TinyHouse) -> None:
    """`AutomationCondition.eager()` ignores failed blocking checks; our sensors read the log instead."""
    definitions = build_defs(fresh.house.settings)
    graph = definitions.resolve_asset_graph()
    assert graph.get_all_asset_keys()
    assert not [key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition]
    assert not [s for s in definitions.sensors or () if isinstance(s, dg.AutomationConditionSensorDefinition)]


def test_steps_run_in_one_process(fresh: TinyHouse) -> None:
    """In one process DuckDB opens a file once; between processes the room's lock decides, see above."""
    definitions = build_defs(fresh.house.settings)
    assert definitions.executor == dg.in_process_executor
    assert {job.executor_def.name for job in definitions.resolve_all_job_defs()} == {"in_process"}


# --- errors of engines


@pytest.mark.parametrize(
    "error",
    [
        duckdb.ConversionException("Could not convert string 'jane@example.org' to INT32"),
        duckdb.ConstraintException('Duplicate key "jane@example.org" violates primary key'),
        ValueError("jane@example.org"),
        KeyError("jane@example.org"),
        UnicodeDecodeError("utf-8", b"jane@example.org", 0, 1, "jane@example.org"),
    ],
)
def test_what_an_engine_says_never_becomes_public(error: Exception) -> None:
    try:
        raise error
    except type(error) as caught:
        shown = public(caught)
    assert "jane" not in str(shown)
    assert shown.code == "internal.unexpected"


def test_a_bug_at_the_command_line_shows_its_public_form_only(fresh: TinyHouse) -> None:
    """A traceback's last line is the engine's text; `main` is the last edge."""
    program = (
        "import sys; from orchestration.cli import main, state\n"
        "def broken(*a, **k): raise ValueError('jane@example.org')\n"
        "state.read_state = broken\n"
        "sys.argv = ['glasshouse', 'status']; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "internal.unexpected" in done.stderr
    assert "jane" not in done.stdout + done.stderr


def test_rows_beyond_a_limit_are_counted_never_quoted(fresh: TinyHouse) -> None:
    rows = [
        *people_rows(),
        {"household_id": "jane@example.org" * 4, "age": "jane@example.org", "income": "low"},
    ]
    payload = fresh.accept("people", fresh.deliver("people", csv_bytes(rows))).event.payload
    assert sum(payload.quarantined_rows.values()) == 1  # type: ignore[union-attr]
    assert b"jane" not in fresh.everything_on_disk()
