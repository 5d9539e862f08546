"""Dagster as its users meet it: sensors that start everything without a click, runs launched by hand, and
what its screens may know."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.audit import forward
from orchestration.audit.lineage import parent_run_id
from orchestration.defs.build import build_defs
from orchestration.defs.instance import open_instance
from orchestration.defs.names import (
    contribution_key,
    deidentified_key,
    deliveries_name,
    intake_job_name,
    requests_name,
)
from orchestration.defs.schedules import cron_every
from orchestration.errors import ContributionError
from orchestration.scope.manifest import NO_MANIFEST
from orchestration.stages import intake, refresh
from orchestration.stages import request as requests
from tests.integration.conftest import copy_manifest
from tests.support import TinyHouse, csv_bytes, household, make_house, product_rows

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Daemon:
    """What Dagster's daemon does, in this process: evaluate sensors, start what they request."""

    tiny: TinyHouse
    instance: dg.DagsterInstance
    repository: dg.RepositoryDefinition
    results: list[dg.ExecuteInProcessResult] = field(default_factory=list)
    asked: list[dg.RunRequest] = field(default_factory=list)

    def tick(self, sensor: str) -> Any:
        # As the daemon makes it: with a reference to the instance, which partitions are looked up in.
        with dg.SensorEvaluationContext(
            self.instance.get_ref(), None, None, None, None, repository_def=self.repository
        ) as context:
            return self.repository.get_sensor_def(f"tiny__{sensor}").evaluate_tick(context)

    def work(self, sensor: str) -> int:
        """One tick, and every run it requests; returns how many."""
        tick = self.tick(sensor)
        for partitions in tick.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(partitions.partitions_def_name, partitions.partition_keys)
        for request in tick.run_requests or ():
            name = request.job_name or "tiny__refresh"
            self.asked.append(request)
            self.results.append(
                self.repository.get_job(name).execute_in_process(
                    instance=self.instance,
                    partition_key=request.partition_key,
                    tags=request.tags,
                    run_config=QUIET,
                    raise_on_error=False,
                )
            )
        return len(tick.run_requests or ())

    def work_until_quiet(self) -> list[str]:
        """The sensors that asked for work, in the order they did."""
        order = []
        while busy := [sensor for sensor in ("landing", "refresh_due", "requests") if self.work(sensor)]:
            order += busy
            assert len(order) < 10, "the sensors never come to rest"
        return order


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, prepared_dbt: Path) -> Iterator[Daemon]:
    """A house in which deliveries and a request were handled by the sensors alone."""
    home = tmp_path_factory.mktemp("daemon")
    with pytest.MonkeyPatch.context() as patch:
        tiny = enter(home, prepared_dbt, patch)
        with open_instance(tiny.house.settings) as instance:
            made = Daemon(tiny, instance, build_defs(tiny.house.settings).get_repository_def())
            yield made
        tiny.house.log.close()


@pytest.fixture
def own(tmp_path: Path, prepared_dbt: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A fresh house of one test's own."""
    tiny = enter(tmp_path, prepared_dbt, monkeypatch)
    with open_instance(tiny.house.settings) as instance:
        yield Daemon(tiny, instance, build_defs(tiny.house.settings).get_repository_def())
    tiny.house.log.close()


def enter(home: Path, dbt: Path, patch: pytest.MonkeyPatch) -> TinyHouse:
    tiny = make_house(home)
    copy_manifest(dbt, tiny.house.settings)
    patch.setenv("GLASSHOUSE_HOME", str(tiny.root))
    patch.setenv("GLASSHOUSE_CHARTERS", str(home / "charters"))
    patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
    return tiny


def segments(tiny: TinyHouse) -> str:
    request, decision, _ = tiny.request(parameters={"rows": "age", "columns": "none"})
    decision.require()
    return request.id


def texts(results: list[dg.ExecuteInProcessResult]) -> str:
    """All that the runs' events say, metadata included."""
    return "\n".join(str(event) for result in results for event in result.all_events)


# --- the code location


def test_the_code_location_loads(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "orchestration.definitions", raising=False)
    module = importlib.import_module("orchestration.definitions")
    dg.Definitions.validate_loadable(module.defs)
    assert len(module.defs.resolve_asset_graph().get_all_asset_keys()) == 3 * 2 + 16 + 2 * 3
    monkeypatch.delitem(sys.modules, "orchestration.definitions")


def test_without_a_house_the_code_location_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from orchestration.errors import ConfigError

    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError) as refusal:
        build_defs()
    assert "glasshouse init" in refusal.value.next_step


# --- without a click


def test_a_dropped_contribution_becomes_an_insight_without_a_click(daemon: Daemon) -> None:
    """Runs first: the tests below look at what it left."""
    tiny = daemon.tiny
    for sensor, why in (
        ("landing", "No delivery is waiting."),
        ("refresh_due", "The room is up to date."),
        ("requests", "The room has not been refreshed yet."),
    ):
        assert daemon.tick(sensor).skip_message == why
    for dataset in ("sales", "products", "people"):
        tiny.deliver(dataset)
    request = segments(tiny)
    assert daemon.tick("refresh_due").skip_message == "Deliveries are still on their way in."
    assert daemon.work_until_quiet() == ["landing", "refresh_due", "requests"]
    assert all(result.success for result in daemon.results)
    assert len(daemon.results) == 3 + 1 + 1
    release = requests.release_of(tiny.house, request)
    assert release
    assert tiny.open(release).table
    assert daemon.tick("requests").skip_message == "No request is waiting."


def test_runs_say_who_why_and_under_which_charter(daemon: Daemon) -> None:
    assert daemon.asked
    for request in daemon.asked:
        assert request.tags["glasshouse/collaboration"] == "tiny"
        assert request.tags["glasshouse/charter"] == daemon.tiny.charter.digest
        assert request.tags["glasshouse/justification"]
        asker = "shop.analyst" if "request" in (request.job_name or "") else "operator"
        assert request.tags["glasshouse/actor"] == asker
    keys = [request.run_key for request in daemon.asked]
    assert len(set(keys)) == len(keys)
    assert all(keys)


def test_tags_that_anybody_can_write_make_nobody_an_actor(own: Daemon) -> None:
    """Dagster has no users: whatever a run's tags claim, it acts as the operator."""
    tiny, dataset = own.tiny, own.tiny.dataset("people")
    delivery = tiny.deliver("people")
    own.instance.add_dynamic_partitions(deliveries_name(tiny.charter, dataset), [delivery])
    job = own.repository.get_job(intake_job_name(tiny.charter, dataset))
    tags = {"glasshouse/actor": "panel.steward", "glasshouse/justification": "Because I say so."}
    assert job.execute_in_process(
        instance=own.instance, partition_key=delivery, tags=tags, run_config=QUIET
    ).success
    events = [logged.event for logged in tiny.house.log.events() if logged.event.type == "gate.passed"]
    assert [(event.actor, event.justification) for event in events] == [("operator", "Because I say so.")]


def test_partitions_are_deliveries_and_requests(daemon: Daemon) -> None:
    tiny, instance = daemon.tiny, daemon.instance
    people = deliveries_name(tiny.charter, tiny.dataset("people"))
    assert len(instance.get_dynamic_partitions(people)) == 1
    assert len(instance.get_dynamic_partitions(requests_name(tiny.charter, "joint_segmentation"))) == 1


def test_every_stage_of_a_run_has_that_run_as_its_parent(daemon: Daemon) -> None:
    lineage = daemon.tiny.house.log.lineage()
    known = {f"dagster.{result.job_def.name}" for result in daemon.results}
    parents = {e["run"]["facets"]["parent"]["job"]["name"] for e in lineage}
    assert parents <= known | {"room.refresh", "cells.joint_segmentation"}
    for result in daemon.results:
        stats = daemon.instance.get_run_stats(result.run_id)
        assert stats.start_time
        from datetime import UTC, datetime

        run_id = parent_run_id(result.run_id, datetime.fromtimestamp(stats.start_time, UTC))
        assert any(e["run"]["facets"]["parent"]["run"]["runId"] == run_id for e in lineage)


def test_metadata_has_row_counts_and_schema(daemon: Daemon) -> None:
    counts = {
        event.asset_key.to_user_string(): event.materialization.metadata["dagster/row_count"].value
        for result in daemon.results
        for event in result.get_asset_materialization_events()
        if event.asset_key and "dagster/row_count" in event.materialization.metadata
    }
    assert counts["tiny/contribution/sales"] == counts["tiny/deidentified/sales"] == 240
    assert counts["tiny/deidentified/people"] == 120
    # How many households the parties share is a figure, and no figure is shown before output control.
    assert {key.split("/")[1] for key in counts} == {"contribution", "deidentified"}
    plotted = {
        event.asset_key.to_user_string(): event.materialization.metadata["anonymity/k"].value
        for result in daemon.results
        for event in result.get_asset_materialization_events()
        if event.asset_key and "anonymity/k" in event.materialization.metadata
    }
    # In steps: 40 households of each age, and 40 that nobody else resembles once all parties meet.
    assert plotted["tiny/deidentified/people"] == plotted["tiny/intermediate/int_units__joined"] == 20
    assert set(plotted) == {
        *("tiny/deidentified/people", "tiny/deidentified/sales", "tiny/intermediate/int_units__joined")
    }
    graph = daemon.repository.asset_graph
    for key in graph.get_all_asset_keys():
        if key.path[1] in ("contribution", "deidentified", "staging", "intermediate", "cells"):
            assert graph.get(key).metadata["dagster/column_schema"].columns, key


def test_screens_show_no_value_of_any_row(daemon: Daemon) -> None:
    said = texts(daemon.results)
    assert len(said) > 10_000
    for raw in (household(0), household(77), "B5-1", "Department 3", "young"):
        assert raw not in said


def test_checks_are_shown_with_what_they_assert(daemon: Daemon) -> None:
    evaluations = [each for result in daemon.results for each in result.get_asset_check_evaluations()]
    assert len(evaluations) > 15
    assert all(each.passed for each in evaluations)
    assert all(set(each.metadata) == {"expectation", "measured"} for each in evaluations)


def test_gates_are_plotted_over_time_in_numbers_that_say_nothing_of_a_row(daemon: Daemon) -> None:
    """The UI plots the numbers of observations; each is about one delivery of one dataset."""
    observed = [
        event.asset_observation_data.asset_observation
        for result in daemon.results
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION"
    ]
    assert {each.asset_key.path[-1] for each in observed} == {"sales", "people", "products"}
    for each in observed:
        assert each.partition
        shown = {name: value.value for name, value in each.metadata.items()}
        assert shown["gate/passed"] == shown["gate/share_passed"] == 1
        assert shown["gate/rules"] > 5
        assert shown["gate/warnings"] == shown["gate/failures"] == 0


def test_small_counts_are_not_shown(own: Daemon) -> None:
    own.tiny.deliver("products", csv_bytes(product_rows()[:3]))
    assert own.work("landing") == 1
    assert own.results[0].success
    assert "dagster/row_count" not in texts(own.results)


# --- with somebody's hands


def test_a_run_launched_by_hand_works_like_the_sensors(own: Daemon) -> None:
    tiny, dataset = own.tiny, own.tiny.dataset("people")
    delivery = tiny.deliver("people")
    own.instance.add_dynamic_partitions(deliveries_name(tiny.charter, dataset), [delivery])
    job = own.repository.get_job(intake_job_name(tiny.charter, dataset))
    result = job.execute_in_process(instance=own.instance, partition_key=delivery, run_config=QUIET)
    assert result.success
    assert refresh.due(tiny.house, tiny.charter)
    accepted = tiny.house.log.events(type="contribution.accepted")[0].event
    assert (accepted.actor, accepted.justification) == ("operator", "Started in Dagster.")
    assert own.tick("landing").skip_message == "No delivery is waiting."


def test_assets_materialized_one_by_one_work_too(own: Daemon) -> None:
    tiny, dataset = own.tiny, own.tiny.dataset("people")
    delivery = tiny.deliver("people")
    own.instance.add_dynamic_partitions(deliveries_name(tiny.charter, dataset), [delivery])
    definitions = build_defs(tiny.house.settings)
    for key in (contribution_key(tiny.charter, dataset), deidentified_key(tiny.charter, dataset)):
        result = dg.materialize(
            [*(definitions.assets or ()), *(definitions.asset_checks or ())],
            selection=dg.AssetSelection.assets(key),
            partition_key=delivery,
            resources=definitions.resources,
            instance=own.instance,
            run_config=QUIET,
        )
        assert result.success
    assert refresh.due(tiny.house, tiny.charter)  # the checks of the table ran with it


def test_a_run_repeated_by_hand_changes_nothing(own: Daemon) -> None:
    tiny, dataset = own.tiny, own.tiny.dataset("people")
    delivery = tiny.deliver("people")
    assert own.work("landing") == 1
    due = refresh.due(tiny.house, tiny.charter)
    job = own.repository.get_job(intake_job_name(tiny.charter, dataset))
    assert job.execute_in_process(
        instance=own.instance, partition_key=delivery, run_config=QUIET, raise_on_error=False
    ).success
    assert len(tiny.house.log.events(type="contribution.accepted")) == 1
    assert len(due) == 1


# --- what goes wrong


def test_a_refused_delivery_harms_no_other(own: Daemon) -> None:
    tiny = own.tiny
    tiny.deliver("people", sha256=f"sha256:{'0' * 64}")
    tiny.deliver("products")
    tiny.deliver("sales", envelope=b"not a manifest")
    assert own.work("landing") == 2
    assert sorted(result.success for result in own.results) == [False, True]
    assert {p.code for p in tiny.payloads("contribution.refused")} == {  # type: ignore[attr-defined]
        "contribution.wrong_digest",
        NO_MANIFEST.code,
    }
    assert own.work("landing") == 0


def test_a_failing_step_says_its_public_reason_only(own: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ValueError("could not convert 'jane@example.org'")

    own.tiny.deliver("people")
    monkeypatch.setattr(intake, "checked_manifest", broken)
    own.work("landing")
    failed = [event for event in own.results[0].all_events if event.is_step_failure]
    assert failed
    data = failed[0].step_failure_data
    assert data.user_failure_data
    assert str(data.user_failure_data.description).startswith("internal.unexpected: An unexpected ValueError")
    assert set(data.user_failure_data.metadata) == {"code", "next step"}
    stored = "\n".join(str(entry) for entry in own.instance.all_logs(own.results[0].run_id))
    assert len(stored) > 1_000
    assert "jane" not in stored + texts(own.results)


def test_a_refusal_reaches_the_screen_with_its_next_step(
    own: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: object) -> None:
        raise ContributionError(NO_MANIFEST, detail="jane@example.org")

    own.tiny.deliver("people")
    monkeypatch.setattr(intake, "checked_manifest", refused)
    own.work("landing")
    said = texts(own.results)
    assert NO_MANIFEST.message in said
    assert NO_MANIFEST.next_step in said
    assert "jane" not in said


def test_a_step_that_keeps_failing_is_not_tried_for_ever(
    own: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    own.tiny.deliver("people")
    monkeypatch.setattr(intake, "checked_manifest", broken)
    attempts = 0
    while own.work("landing"):
        attempts += 1
        assert attempts < 10
    assert attempts > 1


# --- by the clock


def test_the_checkpoint_job_signs_the_log_and_forwards_lineage(own: Daemon) -> None:
    own.tiny.contribute("people")
    result = own.repository.get_job("log_checkpoint").execute_in_process(
        instance=own.instance, run_config=QUIET
    )
    assert result.success
    size = own.tiny.house.log.size
    assert [path.name for path in own.tiny.house.checkpoints.iterdir()] == [f"checkpoint-{size:010d}.txt"]
    assert forward.lineage_file(own.tiny.house.settings).read_text()


def test_the_schedule_keeps_the_charters_promise(daemon: Daemon) -> None:
    schedule = daemon.repository.get_schedule_def("log_checkpoint_due")
    assert daemon.tiny.charter.audit.checkpoint_minutes == 60
    assert schedule.cron_schedule == cron_every(60)
    assert schedule.job_name == "log_checkpoint"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize(
    ("minutes", "cron"),
    [
        (1, "*/1 * * * *"), (7, "*/6 * * * *"), (45, "*/30 * * * *"), (60, "0 */1 * * *"),
        (300, "0 */4 * * *"), (1440, "0 0 * * *"), (100_000, "0 0 * * *"),
    ],
)  # fmt: skip
def test_the_rhythm_is_never_slower_than_promised(minutes: int, cron: str) -> None:
    assert cron_every(minutes) == cron
