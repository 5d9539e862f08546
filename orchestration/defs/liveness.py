"""Which of Dagster's unfinished runs still have a process, and ending those that do not.

A killed in-process run stays STARTED in Dagster for ever: its launcher cannot ask whether the process lives.
So each run holds a lock of its own from its first step until its process ends; the kernel lets go of it
however the process ended. An unfinished run whose lock is free is dead, and is reported as failed, so that
its work is tried again.
"""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from orchestration.settings import Settings

_GRACE_SECONDS = 600  # between the start of a run and its first step
_held: dict[str, FileLock] = {}


def hold(settings: Settings, run_id: str) -> None:
    """Say that this run lives in this process, until `release` or the end of the process."""
    if run_id not in _held:
        path = _path(settings, run_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(path)
        lock.acquire()
        _held[run_id] = lock


def release(settings: Settings, run_id: str) -> None:
    """The run has finished in a process that goes on."""
    lock = _held.pop(run_id, None)
    if lock is not None:
        lock.release()
        _path(settings, run_id).unlink(missing_ok=True)


def end_dead_runs(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    """Report unfinished runs without a process as failed; returns their ids."""
    ended = []
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for record in instance.get_run_records(unfinished):
        run = record.dagster_run
        if _is_dead(_path(settings, run.run_id), record.start_time):
            instance.report_run_failed(run, "The process of this run has ended; its work is tried again.")
            _path(settings, run.run_id).unlink(missing_ok=True)
            ended.append(run.run_id)
    return ended


def _is_dead(lock: Path, started: float | None) -> bool:
    if not lock.exists():
        return started is not None and time.time() - started > _GRACE_SECONDS
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False


def _path(settings: Settings, run_id: str) -> Path:
    return settings.root / "runs" / f"{run_id}.lock"
