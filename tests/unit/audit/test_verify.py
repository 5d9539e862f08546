from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, Table, select

from orchestration.audit import merkle
from orchestration.audit import tables as t
from orchestration.audit.events import commitment
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import ALL_TABLES
from orchestration.audit.verify import Verification, verify_log
from orchestration.digests import canonical_json
from orchestration.errors import GlasshouseError, IntegrityError
from tests.unit.audit.audit_story import Desk


def check(desk: Desk) -> Verification:
    return verify_log(desk.log, desk.checkpoints, desk.key.public)


def places(found: Verification) -> set[str]:
    return {problem.where for problem in found.problems}


def test_an_untouched_log_verifies(full_desk: Desk) -> None:
    found = check(full_desk)
    found.require()
    assert [str(count) for count in found.counts] == [
        "events 13/13 valid",
        "nodes 23/23 consistent",
        "checkpoints 2/2 consistent",
        "cosignatures 0/0 valid",
        "lineage 1/1 as recorded",
        f"tables {len(ALL_TABLES)}/{len(ALL_TABLES)} equal to replay",
    ]
    assert (found.size, found.sealed, found.root) == (13, 13, full_desk.log.root())


def test_an_empty_log_verifies(desk: Desk) -> None:
    found = check(desk)
    assert found.ok
    assert str(found.counts[0]) == "events 0/0 valid"


def test_what_no_checkpoint_covers_yet_is_said(full_desk: Desk) -> None:
    full_desk.contribute("c2")
    found = check(full_desk)
    assert found.ok
    assert (found.size, found.sealed) == (16, 13)


def edit(desk: Desk, statement: str) -> None:
    with desk.log.write() as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0


def swap_events(desk: Desk) -> None:
    columns = ("type", "collaboration", "subject", "time", "receipt_id", "salt", "content")
    moved = ", ".join(
        f"{name} = (SELECT {name} FROM events o WHERE o.seq = 15 - events.seq)" for name in columns
    )
    edit(desk, f"UPDATE events SET {moved} WHERE seq IN (7, 8)")


def insert_event(desk: Desk) -> None:
    copied = "type, collaboration, subject, time, receipt_id, salt, content"
    edit(desk, f"INSERT INTO events SELECT 13, {copied} FROM events WHERE seq = 11")


def file(desk: Desk, number: int) -> Path:
    return sorted(desk.checkpoints.iterdir())[number]


def flip_file(desk: Desk) -> None:
    data = bytearray(file(desk, 0).read_bytes())
    data[30] ^= 1
    file(desk, 0).write_bytes(data)


def add_file(desk: Desk) -> None:
    shutil.copy(file(desk, 0), desk.checkpoints / "checkpoint-0000000003.txt")


# What is done to the database → where it must be found.
EDITS = {
    "UPDATE events SET content = CAST(content AS TEXT) WHERE seq = 4": "event 4",
    "UPDATE events SET salt = CAST(salt AS TEXT) WHERE seq = 4": "event 4",
    "UPDATE events SET salt = salt || X'00' WHERE seq = 4": "event 4",
    "DELETE FROM events WHERE seq = 4": "event 4",
    "DELETE FROM events WHERE seq = 12": "event 12",
    "UPDATE events SET subject = 'x' WHERE seq = 3": "event 3",
    "DELETE FROM nodes WHERE position = 3": "tree node over events 0 to 3",
    "INSERT INTO nodes SELECT 27, hash FROM nodes WHERE position = 3": "tree node over events 12 to 15",
    "DELETE FROM checkpoints WHERE size = 5": "checkpoint file checkpoint-0000000005.txt",
    "UPDATE checkpoints SET size = 6 WHERE size = 5": "checkpoint 6",
    "UPDATE lineage SET event = replace(event, 'COMPLETE', 'FAIL')": "lineage of event 2",
    "DELETE FROM lineage": "lineage of event 2",
    "INSERT INTO lineage (seq, run_id, event) SELECT 3, run_id, event FROM lineage": "lineage of event 3",
    "DELETE FROM releases": "table releases, row r1-release",
    "UPDATE releases SET expires_at = '2999'": "table releases, row r1-release",
    "INSERT INTO datasets SELECT 'x', dataset, contribution, table_name, seq FROM datasets": (
        "table datasets, row x, transactions"
    ),
    "DELETE FROM members": "table members, row grocery, retailer.steward",
    "UPDATE statements SET seq = 4": "table statements, row sha256:",
    "UPDATE accesses SET granted = 7 WHERE granted": "table accesses, row 11",
}


@pytest.mark.parametrize(("statement", "where"), EDITS.items())
def test_an_edit_of_the_database_is_found_where_it_is(full_desk: Desk, statement: str, where: str) -> None:
    edit(full_desk, statement)
    found = check(full_desk)
    assert any(place.startswith(where) for place in places(found))
    with pytest.raises(IntegrityError) as caught:
        found.require()
    assert caught.value.exit_code == 4


TAMPERINGS: dict[str, tuple[Callable[[Desk], object], str]] = {
    "event inserted": (insert_event, "event 13"),
    "events swapped": (swap_events, "event 7"),
    "checkpoint file deleted": (lambda desk: file(desk, 1).unlink(), "checkpoint 13"),
    "checkpoint file changed": (flip_file, "checkpoint 5"),
    "checkpoint file added": (add_file, "checkpoint file checkpoint-0000000003.txt"),
}


@pytest.mark.parametrize(("tamper", "where"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_tampering_is_found_where_it_is(
    full_desk: Desk, tamper: Callable[[Desk], object], where: str
) -> None:
    tamper(full_desk)
    assert where in places(check(full_desk))


def test_a_history_rewritten_whole_is_found_by_its_checkpoints(full_desk: Desk, tmp_path: Path) -> None:
    """Somebody replays the log into a new one, with one event left out, and puts it in place of the old."""
    with AuditLog(f"sqlite:///{tmp_path / 'forged.db'}") as forged:
        forged.append_many(
            [logged.event for logged in full_desk.log.events() if logged.event.type != "access.denied"]
        )
        with full_desk.log.read() as old, forged.write() as new:
            for table in (t.checkpoints, t.lineage):
                new.execute(table.insert(), [dict(row) for row in old.execute(select(table)).mappings()])
        found = verify_log(forged, full_desk.checkpoints, full_desk.key.public)
    assert places(found) == {"checkpoint 5", "checkpoint 13"}


# Cosignatures have tests of their own; logins and tokens are no part of the log.
TABLES = (t.events, t.nodes, t.lineage, t.checkpoints, *ALL_TABLES)


def binary_and_text_cells(desk: Desk, table: Table) -> list[tuple[int, str, bytes, bool]]:
    """(rowid, column, bytes, is it a blob) of every filled cell."""
    cells = []
    with desk.log.read() as connection:
        for column in table.columns:
            query = f"SELECT rowid, CAST([{column.name}] AS BLOB), typeof([{column.name}]) FROM {table.name}"
            for rowid, value, kind in connection.exec_driver_sql(query):
                if kind in ("text", "blob") and value:
                    cells.append((rowid, column.name, value, isinstance(column.type, LargeBinary)))
    return cells


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_one_flipped_bit_of_any_cell_is_found(governed_desk: Desk, table: Table) -> None:
    chance = random.Random(table.name)
    cells = binary_and_text_cells(governed_desk, table)
    assert cells
    for rowid, column, value, blob in chance.sample(cells, min(len(cells), 25)):
        changed = bytearray(value)
        place = chance.randrange(len(value) * 8)
        changed[place // 8] ^= 1 << place % 8
        for written in (bytes(changed), value):
            literal = f"X'{written.hex()}'" if blob else f"CAST(X'{written.hex()}' AS TEXT)"
            edit(governed_desk, f"UPDATE {table.name} SET [{column}] = {literal} WHERE rowid = {rowid}")
            assert check(governed_desk).ok == (written == value), (table.name, column, place)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_changed_number_is_found(governed_desk: Desk, table: Table) -> None:
    with governed_desk.log.read() as connection:
        columns = [
            column.name
            for column in table.columns
            if connection.exec_driver_sql(f"SELECT typeof([{column.name}]) FROM {table.name}").scalar()
            == "integer"
            and (table.name, column.name) != ("lineage", "id")  # only an order, which the digest covers
        ]
    for column in columns:
        last = f"rowid = (SELECT max(rowid) FROM {table.name})"
        edit(governed_desk, f"UPDATE {table.name} SET [{column}] = [{column}] + 1000 WHERE {last}")
        assert not check(governed_desk).ok, (table.name, column)
        edit(governed_desk, f"UPDATE {table.name} SET [{column}] = [{column}] - 1000 WHERE {last}")
    assert check(governed_desk).ok


def test_one_flipped_bit_of_the_file_is_found_or_changes_nothing(full_desk: Desk, tmp_path: Path) -> None:
    """Bits of pages that hold nothing may flip; whatever can be read must then still be the same."""
    with full_desk.log.write() as connection:
        before = [tuple(row) for row in connection.execute(select(t.events))]
    full_desk.log.close()  # the last connection to close folds the write-ahead log into the file
    good = full_desk.database.read_bytes()
    chance = random.Random(7)
    found = 0
    for number in range(60):
        place = chance.randrange(len(good) * 8)
        changed = bytearray(good)
        changed[place // 8] ^= 1 << place % 8
        path = tmp_path / f"flipped-{number}.db"
        path.write_bytes(changed)
        try:
            with AuditLog(f"sqlite:///{path}") as log:
                if verify_log(log, full_desk.checkpoints, full_desk.key.public).ok:
                    with log.read() as connection:
                        assert [tuple(row) for row in connection.execute(select(t.events))] == before
                else:
                    found += 1
        except GlasshouseError:
            found += 1
    assert found


def test_problems_name_no_values(full_desk: Desk) -> None:
    edit(full_desk, "UPDATE members SET participant = 'jane@example.org'")
    assert "jane" not in str(check(full_desk).problems)


DEEP = "[" * 100_000 + "]" * 100_000


def retold(desk: Desk, content: bytes) -> None:
    """Other bytes in place of the last event's, hashed as if they had been written."""
    last = desk.log.events()[-1]
    leaf = merkle.leaf_hash(commitment(content, last.salt)).hex()
    edit(
        desk,
        f"UPDATE events SET content = X'{content.hex()}', receipt_id = '{leaf}' WHERE seq = {last.seq}",
    )


def of_no_year(desk: Desk) -> None:
    document = json.loads(desk.log.events()[-1].event.content())
    retold(desk, canonical_json(document | {"time": "0001-01-01T00:00:00+23:00"}))


def deep_lineage(desk: Desk) -> None:
    with desk.log.write() as connection:
        connection.execute(t.lineage.update().values(event=f'{{"run": {{"runId": "r"}}, "a": {DEEP}}}'))


MALFORMED: dict[str, tuple[Callable[[Desk], object], str]] = {
    "a time before the calendar": (of_no_year, "event 12"),
    "an event without a bottom": (lambda desk: retold(desk, DEEP.encode()), "event 12"),
    "lineage without a bottom": (deep_lineage, "lineage of event 2"),
    "lineage of no event": (
        lambda desk: edit(desk, "UPDATE lineage SET seq = 'seven'"),
        "lineage of event seven",
    ),
    "a checkpoint in bytes": (
        lambda desk: edit(desk, "UPDATE checkpoints SET note = CAST(note AS BLOB)"),
        "checkpoint 5",
    ),
    "a cosignature in bytes": (
        lambda desk: edit(desk, "INSERT INTO cosignatures VALUES (5, 'p', 'c', X'00')"),
        "cosignature of checkpoint 5 by p for c",
    ),
}


@pytest.mark.parametrize(("tamper", "where"), MALFORMED.values(), ids=MALFORMED)
def test_nothing_that_can_be_stored_stops_the_verification(
    full_desk: Desk, tamper: Callable[[Desk], object], where: str
) -> None:
    tamper(full_desk)
    assert where in places(check(full_desk))
