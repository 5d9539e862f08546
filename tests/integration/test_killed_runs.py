"""A Dagster run whose process was killed: it is told apart from a living one, and ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs import liveness
from orchestration.defs.instance import open_instance
from orchestration.settings import Settings, load_settings

_KILLED = """
import os, signal, sys
from orchestration.defs import liveness
from orchestration.settings import load_settings
liveness.hold(load_settings(home=sys.argv[1]), sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def started_run(instance: dg.DagsterInstance, seconds_ago: float = 0) -> str:
    run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None,
            level=20,
            user_message="",
            run_id=run.run_id,
            timestamp=time.time() - seconds_ago,
            dagster_event=event,
        )
    )
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_killed_run_is_ended_and_a_living_one_is_not(settings: Settings) -> None:
    with open_instance(settings) as instance:
        killed, living = started_run(instance), started_run(instance)
        done = subprocess.run([sys.executable, "-c", _KILLED, str(settings.root), killed], check=False)
        assert done.returncode == -9
        liveness.hold(settings, living)
        try:
            assert liveness.end_dead_runs(instance, settings) == [killed]
            assert status(instance, killed) is dg.DagsterRunStatus.FAILURE
            assert status(instance, living) is dg.DagsterRunStatus.STARTED
        finally:
            liveness.release(settings, living)


def test_a_run_without_a_lock_is_given_time_to_reach_its_first_step(settings: Settings) -> None:
    with open_instance(settings) as instance:
        fresh, stuck = started_run(instance), started_run(instance, seconds_ago=3600)
        assert liveness.end_dead_runs(instance, settings) == [stuck]
        assert status(instance, fresh) is dg.DagsterRunStatus.STARTED
