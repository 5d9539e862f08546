"""What is handed to dbt, and what is believed of its outcome, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestration.computation import runner
from orchestration.computation.request import Request
from orchestration.computation.template import load_templates
from orchestration.errors import GlasshouseError
from orchestration.settings import Settings

NODE = {"name": "int_units__joined", "kind": "model", "status": "success", "seconds": 0.1}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def outcome(**changes: Any) -> dict[str, Any]:
    return {
        "success": True,
        "storage_full": False,
        "nodes": [NODE],
        "rows": {"int_units__joined": 3},
    } | changes


def test_the_child_gets_the_room_key_but_neither_the_master_key_nor_dbt_switches(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_MASTER_KEY", "m")
    monkeypatch.setenv("DBT_EMPTY", "true")
    monkeypatch.setenv("DBT_ENV_SECRET_ROOM_KEY", "of another room")
    environment = runner.room_environment(settings, tmp_path / "room.duckdb", "k")
    assert environment["DBT_ENV_SECRET_ROOM_KEY"] == "k"
    assert environment["GLASSHOUSE_ROOM"] == str(tmp_path / "room.duckdb")
    assert "GLASSHOUSE_MASTER_KEY" not in environment
    assert [name for name in environment if name.startswith("DBT_")] == ["DBT_ENV_SECRET_ROOM_KEY"]


def test_a_request_becomes_variables_with_every_parameter_stated() -> None:
    request = Request(
        id="a-1",
        collaboration="grocery",
        template="joint_segmentation",
        parameters={"rows": "income"},
        purpose="customer_insight",
        requester="retailer.analyst",
    )
    assert runner.request_variables(load_templates()["joint_segmentation"], request) == {
        "request_id": "a-1",
        "parameters": {"rows": "income", "columns": "none"},
    }


def test_a_success_tells_nodes_and_rows(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_invoke", lambda *_: outcome())
    result = runner.build(settings, tmp_path / "room.duckdb", "k")
    assert result.rows == {"int_units__joined": 3}
    assert [node.name for node in result.nodes] == ["int_units__joined"]


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        ("transform.not_started", outcome(success=False, nodes=[])),
        ("transform.not_started", outcome(success=False)),
        ("transform.nothing_selected", outcome(nodes=[])),
        ("transform.model_failed", outcome(success=False, nodes=[NODE | {"status": "error"}])),
        ("transform.model_failed", outcome(success=True, nodes=[NODE | {"status": "error"}])),
        ("transform.test_failed", outcome(success=False, nodes=[NODE | {"status": "fail", "kind": "test"}])),
        ("transform.test_failed", outcome(success=False, nodes=[NODE | {"status": "error", "kind": "test"}])),
        ("storage.full", outcome(success=False, storage_full=True, nodes=[NODE | {"status": "error"}])),
    ],
)
def test_anything_but_a_plain_success_is_a_coded_error(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, facts: dict[str, Any]
) -> None:
    monkeypatch.setattr(runner, "_invoke", lambda *_: facts)
    with pytest.raises(GlasshouseError) as caught:
        runner.build(settings, tmp_path / "room.duckdb", "k")
    assert caught.value.code == code


def test_a_child_that_dies_without_a_report_has_failed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.sys, "executable", "/bin/false")
    with pytest.raises(GlasshouseError, match=r"transform.not_started"):
        runner.build(settings, tmp_path / "room.duckdb", "k")
    assert list(settings.dbt_target.iterdir()) == []
