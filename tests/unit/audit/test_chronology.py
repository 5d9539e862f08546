"""Time in the log only goes on: at the door, for the guard, in a replay, and before a witness."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from orchestration.audit import checkpoint, cosignature, witnessed
from orchestration.audit import log as audit_log
from orchestration.audit.chronology import DRIFT
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.replay import replay
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.verify import Verification, verify_log
from orchestration.audit.vocabulary import now
from orchestration.errors import GlasshouseError
from tests.postgres import both_databases
from tests.unit.audit.audit_story import Desk
from tests.unit.audit.witness_story import Room

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)


def opened(release: str, time: datetime) -> Event:
    payload = OutputAccessed(release=release, member="m", detail="full")
    return Event(collaboration="grocery", subject=release, actor="house", time=time, payload=payload)


def refusal(log: AuditLog, *events: Event) -> str:
    size = log.size
    with pytest.raises(GlasshouseError) as caught:
        log.append_many(events)
    assert log.size == size
    return caught.value.code


def forge(log: AuditLog, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write it as who rewrites the database would: all hashes are right."""
    with monkeypatch.context() as patched:
        patched.setattr(audit_log, "in_order", lambda event, *_: event)
        log.append(event)


def check(desk: Desk | Room, key: Any) -> Verification:
    return verify_log(desk.log, desk.checkpoints, key.public)


@pytest.fixture
def log(desk: Desk) -> AuditLog:
    desk.log.clock = lambda: NOON
    return desk.log


@both_databases
def test_an_event_is_not_dated_back(log: AuditLog) -> None:
    log.append(opened("r1", NOON))
    assert refusal(log, opened("r2", NOON - DRIFT - MOMENT)) == "log.time_backwards"
    assert refusal(log, opened("r2", NOON - timedelta(days=60))) == "log.time_backwards"


@both_databases
def test_an_event_is_not_dated_ahead(log: AuditLog) -> None:
    assert refusal(log, opened("r1", NOON + DRIFT + MOMENT)) == "log.time_ahead"
    log.append(opened("r1", NOON + DRIFT))


def test_what_is_slightly_behind_is_recorded_as_of_the_newest_event(log: AuditLog) -> None:
    """Two machines append at once, and the clock of one is behind."""
    log.append(opened("r1", NOON))
    behind = log.append(opened("r2", NOON - DRIFT))
    assert behind.event.time == log.event(1).event.time == NOON
    log.append(opened("r3", NOON + MOMENT))
    assert replay(log).ok


def test_events_of_one_batch_are_in_order_too(log: AuditLog) -> None:
    late, early = opened("r1", NOON), opened("r2", NOON - MOMENT)
    assert refusal(log, late, opened("r2", NOON - timedelta(hours=1))) == "log.time_backwards"
    assert [each.event.time for each in log.append_many([late, early])] == [NOON, NOON]


@both_databases
def test_what_another_process_appended_counts(log: AuditLog, control_url: str) -> None:
    log.append(opened("r1", NOON - timedelta(hours=2)))
    with AuditLog(control_url, clock=lambda: NOON) as other:
        other.append(opened("r2", NOON))
    assert refusal(log, opened("r3", NOON - timedelta(hours=1))) == "log.time_backwards"


def test_the_guard_judges_the_time_that_is_recorded(log: AuditLog) -> None:
    judged: list[datetime] = []

    def admit(_: Connection, event: Event) -> None:
        judged.append(event.time)

    log.admit = admit
    log.append(opened("r1", NOON))
    log.append(opened("r2", NOON - MOMENT))
    assert judged == [NOON, NOON]


def test_the_present_is_never_before_the_newest_event(log: AuditLog) -> None:
    def present() -> datetime:
        with log.read() as connection:
            return log.present(connection)

    assert present() == NOON
    log.append(opened("r1", NOON + DRIFT))
    assert present() == NOON + DRIFT


@both_databases
def test_replay_and_verify_find_an_event_that_was_dated_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log.append(opened("r1", now()))
    forge(desk.log, opened("r2", now() - timedelta(minutes=1)), monkeypatch)
    refused = replay(desk.log).refused
    assert refused is not None
    assert (refused.seq, refused.code) == (1, "log.time_backwards")
    found = check(desk, desk.key).problems
    assert [problem.where for problem in found] == ["event 1"]
    assert "log.time_backwards" in found[0].what


def test_replay_finds_an_event_of_the_future(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    forge(desk.log, opened("r1", now() + timedelta(days=40)), monkeypatch)
    refused = replay(desk.log).refused
    assert refused is not None
    assert refused.code == "log.time_ahead"


@pytest.fixture
def room(desk: Desk) -> Room:
    room = Room(desk.folder, desk.log)
    room.found()
    return room


def cosigned(room: Room, at: datetime) -> str:
    head = room.seal()
    line = cosignature.make(head, "grocery", "data_provider", room.keys["data_provider.auditor"], at)
    return checkpoint.with_lines(head, [line.line])


def test_a_witness_whose_clock_is_behind_is_told(room: Room) -> None:
    for at in (now() - timedelta(hours=1), now() + timedelta(hours=1)):
        with pytest.raises(GlasshouseError) as caught:
            witnessed.add_cosignatures(room.log, room.checkpoints, cosigned(room, at), now())
        assert caught.value.code == "cosignature.clock"


def test_an_event_dated_later_than_a_witness_saw_it_is_found(room: Room) -> None:
    """The house's clock is two days ahead; the witness's cosignature is of the true time."""
    true = now() + timedelta(minutes=1)
    room.log.clock = lambda: true + timedelta(days=2)
    room.log.append(opened("r1", true + timedelta(days=2)))
    head = room.seal()
    line = cosignature.make(head, "grocery", "data_provider", room.keys["data_provider.auditor"], true)
    row = {"size": head.size, "participant": "data_provider", "collaboration": "grocery", "line": line.line}
    with room.log.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO cosignatures (size, participant, collaboration, line)"
            " VALUES (:size, :participant, :collaboration, :line)",
            row,
        )
    (room.checkpoints / head.filename).write_text(checkpoint.with_lines(head, [line.line]), encoding="utf-8")
    found = check(room, room.operator).problems
    assert [problem.what for problem in found] == [
        f"event {head.size - 1} is dated later than the witness saw it"
    ]
