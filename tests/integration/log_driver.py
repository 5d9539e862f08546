"""Processes that write to a log at once, or are killed while they do, and what they leave behind.

python -m tests.integration.log_driver write URL NAME COUNT   append, and print what was appended as JSON
python -m tests.integration.log_driver kill URL               see `killed_everywhere`
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy import event as hooks

from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.replay import replay
from orchestration.audit.stage_events import OutputAccessed, RequestDecided, RequestSubmitted
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import Payload

_RUN = {"eventType": "COMPLETE", "run": {"runId": "run"}, "job": {"namespace": "x", "name": "y"}}


def event(subject: str, payload: Payload) -> Event:
    return Event(collaboration="grocery", subject=subject, actor="house", payload=payload)


def submitted(request: str) -> Event:
    payload = RequestSubmitted(
        template="audience_overlap",
        parameters={"left": "shoppers", "right": "mailed"},
        purpose="customer_insight",
        requester="brand_agency.analyst",
        participant="brand_agency",
        datasets=("transactions",),
        approval="everybody",
    )
    return event(request, payload)


def opened(release: str) -> Event:
    return event(release, OutputAccessed(release=release, member="retailer.analyst", detail="full"))


def decided(request: str) -> Event:
    return event(request, RequestDecided(allowed=True, message="Permitted."))


# --- many at once


def write(url: str, name: str, count: int) -> None:
    """One event, then two and a half in one go, over and over; a step that depends on the one before it."""
    written: list[LoggedEvent] = []
    with AuditLog(url) as log:
        _say("ready")
        sys.stdin.readline()  # all start together
        for number in range(count):
            request = f"{name}-{number}"
            written.append(log.append(submitted(request)))
            written += log.append_many([decided(request), opened(request)], lineage=[_RUN])
    _say(json.dumps([(each.seq, each.receipt_id, each.event.subject) for each in written]))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- killed between any two statements


def killed_everywhere(url: str) -> int:
    """Append the same way again and again, killed one statement later each time; returns how many there were.

    After each death the log holds all of the append or nothing of it, and verifies; at the end, what no
    statement could stop has been appended.
    """
    with AuditLog(url) as log:
        log.append_many([submitted("first"), decided("first")])
    point = 0
    while True:
        with AuditLog(url) as log:
            before = log.size
        status = _in_child(lambda point=point: _append_and_die(url, f"r{point}", point))  # type: ignore[misc]
        with AuditLog(url) as log:
            grown = log.size - before
            _check(log)
        if status == 0:
            assert grown == 3
            return point
        assert status == -signal.SIGKILL, status
        assert grown in (0, 3), (point, grown)
        point += 1


def _append_and_die(url: str, request: str, point: int) -> None:
    left = point
    armed = False

    def step(*_: Any) -> None:
        nonlocal left
        if armed and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= armed

    hooks.listen(Engine, "connect", lambda connection, _: _watch(connection, step))
    with AuditLog(url) as log:
        armed = True
        log.append_many([submitted(request), decided(request), opened(request)], lineage=[_RUN])
        step()  # it is committed, and nobody was told yet
        armed = False


def _watch(connection: Any, step: Callable[..., None]) -> None:
    """Call `step` just before the database is given each statement, BEGIN and COMMIT included."""
    if isinstance(connection, sqlite3.Connection):
        connection.set_trace_callback(step)
        return

    class Watched(psycopg.Cursor[Any]):
        def execute(self, *arguments: Any, **options: Any) -> Any:
            step()
            return super().execute(*arguments, **options)

        def executemany(self, *arguments: Any, **options: Any) -> None:
            step()
            super().executemany(*arguments, **options)

    commit = connection.commit

    def committed() -> None:
        step()
        commit()

    connection.cursor_factory = Watched
    connection.commit = committed


def _check(log: AuditLog) -> None:
    found = verify_log(log, Path("no checkpoints"), {})
    assert found.ok, found.problems
    again = replay(log)
    assert again.ok, again.first


def _in_child(work: Callable[[], None]) -> int:
    """Exit status of a forked child that does `work`; negative when a signal ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs fails the test and does not outlive it
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        _say(str(killed_everywhere(sys.argv[2])))
