"""Everything Dagster shows of the grocery charter, as committed text: changed governance is a readable diff.

After a wanted change: `pytest tests/promises --update-snapshots`, and read what it changed.
"""

from __future__ import annotations

import difflib
import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.defs.build import build_defs
from orchestration.defs.resources import ACTOR_TAG, CHARTER_TAG, COLLABORATION_TAG
from orchestration.settings import PROJECT_ROOT, load_settings

SNAPSHOT = Path(__file__).with_name("definitions.json")


@pytest.fixture(scope="module")
def definitions(initialized_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    settings = load_settings(home=tmp_path_factory.mktemp("definitions"), charters=PROJECT_ROOT / "charters")
    shutil.copytree(initialized_home / "house" / "dbt", settings.home / "dbt")
    return build_defs(settings)


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """Names, dependencies, owners and so on; nothing that a run changes."""
    graph = definitions.resolve_asset_graph()
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    return {
        "assets": {
            key.to_user_string(): _asset(graph.get(key)) for key in sorted(graph.get_all_asset_keys())
        },
        "checks": {
            f"{check.asset_key.to_user_string()}:{check.name}": _check(graph.get_check_spec(check))
            for check in sorted(graph.asset_check_keys)
        },
        "jobs": {name: _job(job) for name, job in sorted(jobs.items())},
        "sensors": {
            sensor.name: {
                "jobs": sorted(job.name for job in (sensor.jobs if sensor.has_jobs else ())),
                "every seconds": sensor.minimum_interval_seconds,
                "runs by default": sensor.default_status == dg.DefaultSensorStatus.RUNNING,
                "description": sensor.description,
            }
            for sensor in sorted(definitions.sensors or (), key=lambda each: each.name)
        },
        "schedules": {
            schedule.name: {
                "cron": schedule.cron_schedule,
                "job": schedule.job_name,
                "runs by default": schedule.default_status == dg.DefaultScheduleStatus.RUNNING,
                "description": schedule.description,
            }
            for schedule in definitions.schedules or ()
        },
    }


def _asset(node: Any) -> dict[str, Any]:
    schema = node.metadata.get("dagster/column_schema")
    return {
        "deps": sorted(key.to_user_string() for key in node.parent_keys),
        "group": node.group_name,
        "owners": sorted(node.owners),
        "kinds": sorted(node.kinds),
        "tags": {k: v for k, v in sorted(node.tags.items()) if not k.startswith("dagster/kind/")},
        "partitions": node.partitions_def.name if node.partitions_def else None,
        "description": (node.description or "").split("\n")[0],
        "columns": [f"{column.name} {column.type}" for column in schema.columns] if schema else None,
    }


def _check(spec: dg.AssetCheckSpec) -> str:
    return f"{'blocking' if spec.blocking else 'warning'}: {spec.description}"


def _job(job: dg.JobDefinition) -> dict[str, Any]:
    return {
        "assets": sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys),
        "steps": sorted(node.name for node in job.graph.nodes),
        "description": job.description,
        "executor": job.executor_def.name,
    }


def test_the_definitions_are_the_committed_ones(
    definitions: dg.Definitions, request: pytest.FixtureRequest
) -> None:
    text = json.dumps(described(definitions), indent=1, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-snapshots", default=False):
        SNAPSHOT.write_text(text, encoding="utf-8")
    committed = SNAPSHOT.read_text(encoding="utf-8")
    difference = "\n".join(
        difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "now", lineterm="", n=3)
    )
    assert not difference, f"\n{difference}"


def test_every_asset_has_what_people_look_for(definitions: dg.Definitions) -> None:
    assets = described(definitions)["assets"]
    assert len(assets) == 8 * 2 + 16 + 3 * 3
    for key, asset in assets.items():
        assert asset["group"].startswith("layer_"), key
        assert asset["owners"], key
        assert asset["kinds"], key
        assert len(asset["description"]) > 10, key
        assert asset["tags"]["collaboration"] == "grocery", key


def test_every_deidentified_dataset_has_blocking_checks(definitions: dg.Definitions) -> None:
    found = described(definitions)
    deidentified = [key for key in found["assets"] if "/deidentified/" in key]
    assert len(deidentified) == 8
    for key in deidentified:
        texts = [text for check, text in found["checks"].items() if check.startswith(f"{key}:")]
        assert any(text.startswith("blocking") for text in texts), key


def test_the_path_of_every_insight_begins_at_contributions(definitions: dg.Definitions) -> None:
    assets = described(definitions)["assets"]
    insights = [key for key in assets if "/insight/" in key]
    assert len(insights) == 3
    for key in insights:
        layers, waiting = set(), [key]
        while waiting:
            asset = waiting.pop()
            layers.add(asset.split("/")[1])
            waiting += assets[asset]["deps"]
        assert layers == {
            "insight",
            "protected",
            "cells",
            "intermediate",
            "staging",
            "deidentified",
            "contribution",
        }


def test_every_run_of_a_collaboration_says_under_which_charter(definitions: dg.Definitions) -> None:
    """Also one that somebody starts in the UI, where no sensor adds tags."""
    jobs = [each for each in definitions.resolve_all_job_defs() if each.name.startswith("grocery__")]
    assert len(jobs) == 8 + 1 + 3
    for job in jobs:
        assert job.run_tags[COLLABORATION_TAG] == "grocery", job.name
        assert job.run_tags[CHARTER_TAG].startswith("sha256:"), job.name
        assert job.run_tags[ACTOR_TAG] == "operator", job.name


def test_building_definitions_reads_no_data(initialized_home: Path, definitions: dg.Definitions) -> None:
    """The code location loads without touching vault, room or log."""
    home = initialized_home / "house"
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    build_defs(load_settings(home=home, charters=PROJECT_ROOT / "charters"))
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
