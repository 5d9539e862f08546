"""Lineage of the repository's own dbt models, from a manifest dbt really compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit.model_lineage import trace_dbt_manifest
from orchestration.settings import PROJECT_ROOT

PROFILE = """
glasshouse:
  target: room
  outputs:
    room:
      type: duckdb
      path: ":memory:"
      threads: 1
      attach: [{path: ":memory:", alias: room}]
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("dbt")
    (folder / "profiles.yml").write_text(PROFILE)
    command = [sys.executable, "-m", "dbt.cli.main", "--quiet", "compile", "--no-send-anonymous-usage-stats"]
    command += ["--project-dir", str(PROJECT_ROOT / "dbt_project"), "--profiles-dir", str(folder)]
    command += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    command += ["--vars", json.dumps({"request_id": "r-42", "parameters": {}})]
    subprocess.run(command, check=True, cwd=folder, capture_output=True, timeout=120)
    found: dict[str, Any] = json.loads(Path(folder / "target" / "manifest.json").read_text())
    return found


def test_every_declared_column_of_every_model_has_an_origin(manifest: dict[str, Any]) -> None:
    models = trace_dbt_manifest(manifest, "grocery")
    assert set(models) >= {"stg_transaction", "int_units__joined", "cells_audience_overlap"}
    for name, model in models.items():
        reached = {edge.output for edge in model.output.edges}
        constant = {"column_value", "column_value_is_total"} if name == "cells_joint_segmentation" else set()
        assert {column.name for column in model.output.columns} - reached <= constant, name


def test_sources_of_the_models_are_the_models_before_them(manifest: dict[str, Any]) -> None:
    models = trace_dbt_manifest(manifest, "grocery")
    made = {model.output.name for model in models.values()}
    for name, model in models.items():
        for source in model.inputs:
            assert source.layer == "admitted" or source.name in made, name
            assert source.columns, name


def test_a_cells_table_is_named_after_its_template_whatever_the_request(manifest: dict[str, Any]) -> None:
    model = trace_dbt_manifest(manifest, "grocery", only={"cells_campaign_response"})[
        "cells_campaign_response"
    ]
    assert model.output.name == "cells.campaign_response"
    assert model.output.namespace == "glasshouse://grocery/room"
    found = {(e.output, e.source_column, e.kind, e.subtype, e.masking) for e in model.output.edges}
    assert found >= {
        ("campaign_group", "campaign_type", "DIRECT", "IDENTITY", False),
        ("mailed", "unit", "INDIRECT", "GROUP_BY", True),
        ("redeemed_units", "unit", "DIRECT", "AGGREGATION", True),
        ("redeemed_units", "redeemed", "INDIRECT", "FILTER", False),
        ("", "campaign_type", "INDIRECT", "GROUP_BY", False),
    }


def test_only_the_models_asked_for_are_traced(manifest: dict[str, Any]) -> None:
    assert set(trace_dbt_manifest(manifest, "grocery", only={"stg_profile"})) == {"stg_profile"}
