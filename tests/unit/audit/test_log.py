from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from orchestration.audit import merkle
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.verify import verify_log
from orchestration.digests import digest_json
from orchestration.errors import ConfigError, IntegrityError, PolicyDeniedError, Reason, ServiceError
from tests.postgres import both_databases
from tests.unit.audit.audit_story import RUN, Desk, accepted, openlineage, refused, submitted

DENIED = Reason("test.log_denied", "No.", "Nothing.")

WRITER = """
import sys
from orchestration.audit.events import Event
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.log import AuditLog
with AuditLog(sys.argv[1]) as log:
    print("ready", flush=True)
    for number in range(int(sys.argv[3])):
        payload = OutputAccessed(release=f"{sys.argv[2]}-{number}", member="m", detail="full")
        log.append(Event(collaboration="grocery", subject="s", actor="a", payload=payload))
"""


def writer(url: str, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def opened(release: str) -> OutputAccessed:
    return OutputAccessed(release=release, member="m", detail="full")


def contents(log: AuditLog) -> dict[str, list[tuple[object, ...]]]:
    with log.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in t.metadata.tables.values()
        }


@both_databases
def test_events_are_numbered_from_zero_and_read_back(desk: Desk) -> None:
    first, second = desk.say("r1", submitted()), desk.say("c1", refused())
    assert (first.seq, second.seq, desk.log.size) == (0, 1, 2)
    assert desk.log.event(1) == second
    assert desk.log.events() == [first, second]
    assert first.receipt_id == merkle.leaf_hash(first.commitment).hex()


@both_databases
def test_events_are_found_by_type_subject_collaboration_and_place(full_desk: Desk) -> None:
    log = full_desk.log
    assert [logged.event.type for logged in log.events("gate.passed")] == ["gate.passed"]
    assert {logged.event.subject for logged in log.events(subject="r1")} == {"r1"}
    assert log.events(collaboration="elsewhere") == []
    assert [logged.seq for logged in log.events(after=2, limit=2)] == [3, 4]
    assert [logged.seq for logged in log.events(limit=1, newest_first=True)] == [log.size - 1]


@both_databases
def test_an_event_that_is_not_there_is_said_to_be_missing(desk: Desk) -> None:
    with pytest.raises(ConfigError) as caught:
        desk.log.event(0)
    assert caught.value.code == "log.no_such_event"


@both_databases
def test_roots_and_proofs_of_the_log_are_those_of_the_tree(full_desk: Desk) -> None:
    log = full_desk.log
    leaves = [merkle.leaf_hash(logged.commitment) for logged in log.events()]
    for size in range(1, log.size + 1):
        for seq in range(size):
            proof = log.inclusion_proof(seq, size)
            assert merkle.verify_inclusion(leaves[seq], seq, size, proof, log.root(size))
        proof = log.consistency_proof(size)
        assert merkle.verify_consistency(size, log.size, log.root(size), log.root(), proof)


@both_databases
def test_what_cannot_be_projected_leaves_nothing_behind(desk: Desk) -> None:
    desk.contribute("c1")
    before = contents(desk.log)
    with pytest.raises(AlreadyRecordedError) as caught:
        desk.say("c2", accepted("c2", source=b"c1"), (openlineage("c2"),))
    assert caught.value.code == "log.already_recorded"
    assert contents(desk.log) == before


@both_databases
def test_several_events_are_appended_together_or_not_at_all(desk: Desk) -> None:
    good = Event(collaboration="grocery", subject="r1", actor="a", payload=submitted())
    with pytest.raises(AlreadyRecordedError):
        desk.log.append_many([good, good])
    assert desk.log.size == 0
    other = good.model_copy(update={"subject": "r2"})
    assert [logged.seq for logged in desk.log.append_many([good, other])] == [0, 1]
    assert desk.log.append_many([]) == []


@both_databases
def test_an_event_commits_to_the_lineage_stored_with_it(desk: Desk) -> None:
    rows = (openlineage("a"), openlineage("b"))
    logged = desk.say("r1", submitted(), rows)
    assert logged.event.lineage == digest_json(list(rows))
    assert desk.log.event(0) == logged
    assert desk.log.lineage() == desk.log.lineage(RUN) == list(rows)
    assert desk.log.lineage("another run") == []


@both_databases
def test_rebuilding_the_tables_changes_nothing(full_desk: Desk) -> None:
    before = contents(full_desk.log)
    full_desk.log.rebuild()
    assert contents(full_desk.log) == before


@both_databases
def test_rebuilding_mends_a_changed_table(full_desk: Desk) -> None:
    before = contents(full_desk.log)
    with full_desk.log.write() as connection:
        connection.execute(t.releases.update().values(expires_at="2999"))
        connection.execute(t.contributions.delete())
    full_desk.log.rebuild()
    assert contents(full_desk.log) == before


@both_databases
def test_a_reader_cannot_write(full_desk: Desk) -> None:
    before = contents(full_desk.log)
    with pytest.raises(ServiceError), full_desk.log.read() as connection:
        connection.execute(t.events.delete())
    assert contents(full_desk.log) == before


@both_databases
def test_a_reader_sees_one_moment(desk: Desk) -> None:
    count = select(func.count()).select_from(t.events)
    with desk.log.read() as connection:
        before = connection.execute(count).scalar()
        desk.say("r1", submitted())
        assert connection.execute(count).scalar() == before
    assert desk.log.size == 1


@both_databases
def test_a_log_outlives_its_process(desk: Desk, control_url: str) -> None:
    logged = desk.say("r1", submitted())
    with AuditLog(control_url) as again:
        assert again.events() == [logged]


@both_databases
def test_threads_append_without_gaps(desk: Desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        logged = list(pool.map(lambda number: desk.say("s", opened(f"r{number}")), range(80)))
    assert sorted(entry.seq for entry in logged) == list(range(80))
    assert verify_log(desk.log, desk.checkpoints, desk.key.public).ok


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Let the other process get somewhere first, however busy the machine is."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@both_databases
def test_a_killed_writer_leaves_no_half(control_url: str, tmp_path: Path) -> None:
    sizes: list[int] = []
    for delay in (0.01, 0.05, 0.15):
        process = writer(control_url, f"after {delay}", 100_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with AuditLog(control_url) as log:
            wait_for(lambda log=log: log.size > max(sizes, default=0))
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        with AuditLog(control_url) as log:
            assert verify_log(log, tmp_path / "checkpoints", {}).ok
            sizes.append(log.size)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] > 0


def test_a_full_disk_is_told_as_such_and_keeps_what_was_there(desk: Desk) -> None:
    desk.say("r1", submitted())
    with desk.log.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(1000):
            desk.say(f"{number}", refused("x" * 1000))

    with pytest.raises(ServiceError) as caught:
        fill()
    assert caught.value.code == "storage.full"
    assert verify_log(desk.log, desk.checkpoints, desk.key.public).ok


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(IntegrityError) as caught:
        AuditLog(f"sqlite:///{tmp_path / 'control.db'}")
    assert caught.value.code == "log.damaged"


def test_a_database_that_cannot_be_opened_is_a_missing_service(tmp_path: Path) -> None:
    (tmp_path / "control.db").mkdir()
    with pytest.raises(ServiceError) as caught:
        AuditLog(f"sqlite:///{tmp_path / 'control.db'}")
    assert caught.value.code == "log.unavailable"


@both_databases
def test_the_guard_judges_each_event_by_what_those_before_it_did(control_url: str) -> None:
    seen = []

    def admit(connection: Connection, event: Event) -> None:
        known = connection.execute(select(func.count()).select_from(t.accesses)).scalar_one()
        seen.append((event.subject, known))
        if event.subject == "refused":
            raise PolicyDeniedError(DENIED)

    def event(subject: str) -> Event:
        return Event(collaboration="grocery", subject=subject, actor="a", payload=opened("r"))

    with AuditLog(control_url, admit=admit) as log:
        log.append_many([event("first"), event("second")])
        before = contents(log)
        with pytest.raises(PolicyDeniedError):
            log.append_many([event("third"), event("refused")])
        assert contents(log) == before
    assert seen == [("first", 0), ("second", 1), ("third", 2), ("refused", 3)]


@both_databases
def test_another_process_may_have_appended_meanwhile(desk: Desk, control_url: str) -> None:
    """What a log remembers of the tree's edge counts only while the log still ends where it ended."""
    with AuditLog(control_url) as other:
        for number in range(12):
            (other if number % 3 else desk.log).append_many(
                [
                    Event(collaboration="g", subject="s", actor="a", payload=opened(f"r{number}-{part}"))
                    for part in range(number % 4 + 1)
                ]
            )
    assert verify_log(desk.log, desk.checkpoints, desk.key.public).ok


def test_a_backup_put_back_under_an_open_log_is_noticed(desk: Desk, tmp_path: Path) -> None:
    """It may have as many events as the log had, so the number alone tells nothing."""
    backup = tmp_path / "backup.db"
    desk.say("r1", submitted())
    with AuditLog(f"sqlite:///{backup}") as other:
        other.append(Event(collaboration="g", subject="s", actor="a", payload=opened("other")))
        rows = contents(other)
    with desk.log.write() as connection:
        for table in (t.events, t.nodes, t.accesses, t.requests):
            connection.execute(table.delete())
        connection.execute(t.events.insert().values(rows["events"]))
        connection.execute(t.nodes.insert().values(rows["nodes"]))
        connection.execute(t.accesses.insert().values(rows["accesses"]))
    desk.say("r1", submitted())
    assert verify_log(desk.log, desk.checkpoints, desk.key.public).ok


@both_databases
def test_a_changed_event_is_never_handed_out(full_desk: Desk) -> None:
    with full_desk.log.write() as connection:
        content = connection.execute(select(t.events.c.content).where(t.events.c.seq == 0)).scalar_one()
        changed = t.events.update().where(t.events.c.seq == 0)
        connection.execute(changed.values(content=content.replace(b"retailer", b"retaileR")))
    for read in (lambda: full_desk.log.event(0), full_desk.log.events):
        with pytest.raises(IntegrityError) as caught:
            read()
        assert caught.value.code == "log.broken_event"


@both_databases
def test_a_log_with_its_end_cut_off_does_not_grow_again(full_desk: Desk) -> None:
    with full_desk.log.write() as connection:
        connection.execute(t.events.delete().where(t.events.c.seq == full_desk.log.size - 1))
    with pytest.raises(IntegrityError) as caught:
        full_desk.say("r9", submitted())
    assert caught.value.code == "log.broken_tree"
