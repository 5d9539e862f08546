"""One flipped bit is found: in the log, its tree, its lineage, a checkpoint, a passport, a file of the shelf,
the vault, the room or a key."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestration.audit import receipts
from orchestration.audit.passport import FILENAME
from orchestration.audit.verify import verify_log
from orchestration.errors import IntegrityError
from orchestration.output.shelf import FILES
from orchestration.stages import access, protect, refresh
from tests.support import CALLER, TinyHouse

# Not in the tree, and found elsewhere: the order in which lineage is forwarded says nothing, and a database
# of another revision is not opened at all (tests/unit/audit/test_database.py).
ELSEWHERE = {("lineage", "id"), ("alembic_version", "version_num")}

# Every seed would do; a fixed one makes a failure repeatable.
DICE = random.Random(20260101)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def flip_in(path: Path, bit: int | None = None) -> None:
    data = path.read_bytes()
    path.write_bytes(flip(data, DICE.randrange(len(data) * 8) if bit is None else bit))


def problems(tiny: TinyHouse) -> list[str]:
    try:
        found = verify_log(tiny.house.log, tiny.house.checkpoints, tiny.house.operator.public)
    except IntegrityError as error:
        return [error.code]
    return [str(problem) for problem in found.problems]


# --- the log


def stored(path: Path) -> Iterator[tuple[str, str, int, object]]:
    """(table, column, rowid, value) of everything the control plane holds."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        for table in tables:
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for column in columns:
                rows = connection.execute(f'SELECT rowid, "{column}" FROM "{table}"').fetchall()
                yield from ((table, column, rowid, value) for rowid, value in rows if value not in (None, ""))


def test_a_flipped_bit_in_any_column_of_the_log_is_found(finished: TinyHouse) -> None:
    """One random bit in one row of every column of every table, one at a time."""
    finished.house.log.close()
    path = finished.root / "control.db"
    assert problems(finished) == []
    places: dict[tuple[str, str], list[tuple[int, object]]] = {}
    for table, column, rowid, value in stored(path):
        if (table, column) not in ELSEWHERE:
            places.setdefault((table, column), []).append((rowid, value))
    assert len(places) > 50
    whole, missed = path.read_bytes(), []
    for (table, column), rows in places.items():
        rowid, value = DICE.choice(rows)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(
                f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (_flipped(value, column), rowid)
            )
        if not problems(finished):
            missed.append(f"{table}.{column}")
        finished.house.log.close()
        path.write_bytes(whole)
    assert missed == []
    assert problems(finished) == []


def test_a_flipped_bit_in_any_event_is_found_and_named(finished: TinyHouse) -> None:
    for seq in range(0, finished.house.log.size, 3):
        with finished.house.log.write() as connection:
            found = connection.exec_driver_sql("SELECT content FROM events WHERE seq = ?", (seq,))
            content = found.scalar_one()
            changed = flip(content, DICE.randrange(len(content) * 8))
            connection.exec_driver_sql("UPDATE events SET content = ? WHERE seq = ?", (changed, seq))
        assert any(f"event {seq}" in problem for problem in problems(finished)), seq
        with finished.house.log.write() as connection:
            connection.exec_driver_sql("UPDATE events SET content = ? WHERE seq = ?", (content, seq))
    assert problems(finished) == []


def test_an_event_cut_off_the_end_is_found(finished: TinyHouse) -> None:
    """What a checkpoint covers cannot be taken back, even if every table agrees that it never was."""
    with finished.house.log.write() as connection:
        connection.exec_driver_sql("DELETE FROM lineage WHERE seq >= 5")
        connection.exec_driver_sql("DELETE FROM events WHERE seq >= 5")
        connection.exec_driver_sql("DELETE FROM nodes WHERE position >= 9")
    finished.house.log.rebuild()
    assert any(problem.startswith("checkpoint") for problem in problems(finished))


def test_a_stage_does_not_build_on_a_changed_receipt(finished: TinyHouse) -> None:
    with finished.house.log.write() as connection:
        connection.exec_driver_sql(
            "UPDATE events SET content = CAST(replace(CAST(content AS TEXT), 'operator', 'operat0r') AS BLOB)"
            " WHERE type = 'gate.passed'"
        )
    with pytest.raises(IntegrityError, match=r"log\.broken_event"):
        refresh.refresh(finished.house, finished.charter, CALLER)


# --- checkpoints


def test_a_flipped_bit_in_any_checkpoint_file_is_found(finished: TinyHouse) -> None:
    files = sorted(finished.house.checkpoints.glob("*"))
    assert len(files) >= 2
    for path in files:
        kept = path.read_bytes()
        for _ in range(4):
            flip_in(path)
            assert any(problem.startswith("checkpoint") for problem in problems(finished))
            path.write_bytes(kept)


# --- passport and shelf


def signed_bytes(envelope: bytes) -> list[object]:
    """What a DSSE envelope says and who vouches for it, decoded."""
    document = json.loads(envelope)
    texts = [document["payload"], *(each["sig"] for each in document["signatures"])]
    keys = [each["keyid"] for each in document["signatures"]]
    return [document["payloadType"], keys, *(base64.b64decode(text) for text in texts)]


def releases(tiny: TinyHouse) -> list[str]:
    return sorted(path.name for path in tiny.house.shelf.iterdir())


def test_a_flipped_bit_anywhere_in_a_passport_is_found(finished: TinyHouse) -> None:
    name = releases(finished)[0]
    folder = finished.house.shelf / name
    path = folder / FILENAME
    data = path.read_bytes()
    ends = [*range(64), *range(len(data) - 400, len(data))]
    undetected = []
    for at in sorted({*ends, *range(0, len(data), 41)}):
        changed = flip(data, at * 8 + DICE.randrange(8))
        path.write_bytes(changed)
        try:
            access.check_release(finished.house, folder, name)
        except IntegrityError:
            continue
        # White space between JSON's tokens means nothing; whatever means something must be found.
        if signed_bytes(changed) != signed_bytes(data):
            undetected.append((at, data[max(0, at - 20) : at + 20]))
    assert undetected == []


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_in_a_file_of_the_shelf_is_found_and_nothing_is_shown(
    finished: TinyHouse, file: str
) -> None:
    for name in releases(finished):
        path = finished.house.shelf / name / file
        kept = path.read_bytes()
        flip_in(path)
        accesses = len(finished.payloads("output.accessed"))
        with pytest.raises(IntegrityError, match=r"passport\.file_changed"):
            finished.open(name)
        assert len(finished.payloads("output.accessed")) == accesses
        path.write_bytes(kept)
        finished.open(name)


def test_a_file_added_or_taken_away_is_found(finished: TinyHouse) -> None:
    name = releases(finished)[0]
    folder = finished.house.shelf / name
    (folder / "more.csv").write_text("a,b\n")
    with pytest.raises(IntegrityError, match=r"passport\.file_unknown"):
        finished.open(name)
    (folder / "more.csv").unlink()
    (folder / "table.csv").unlink()
    with pytest.raises(IntegrityError, match=r"passport\.file_missing"):
        finished.open(name)


def test_passports_cannot_be_exchanged(finished: TinyHouse) -> None:
    """A true passport of another release vouches for other files."""
    one, other = releases(finished)[:2]
    (finished.house.shelf / one / FILENAME).write_bytes(
        (finished.house.shelf / other / FILENAME).read_bytes()
    )
    with pytest.raises(IntegrityError):
        finished.open(one)


def test_a_whole_release_under_another_name_is_found(finished: TinyHouse) -> None:
    """Entitlement is decided by the release's name, so its folder must hold that release."""
    one, other = releases(finished)[:2]
    for path in (finished.house.shelf / one).iterdir():
        (finished.house.shelf / other / path.name).write_bytes(path.read_bytes())
    with pytest.raises(IntegrityError, match=r"access\.other_release"):
        finished.open(other)


# --- what is not on the shelf yet


def test_a_flipped_bit_in_a_protected_table_is_found(finished: TinyHouse) -> None:
    request = next(iter(finished.payloads("output.released"))).request  # type: ignore[attr-defined]
    digest = receipts.require(finished.house.log, "protected", request).outputs["table"]
    assert protect.load_protected(finished.house, request, digest).rows
    flip_in(finished.root / "protected" / f"{request}.json")
    with pytest.raises(IntegrityError, match=r"output\.table_changed"):
        protect.load_protected(finished.house, request, digest)


def test_a_flipped_bit_in_the_vault_is_found(fresh: TinyHouse) -> None:
    accepted = fresh.accept("people", fresh.deliver("people")).event.payload
    contribution = accepted.receipt.subject  # type: ignore[union-attr]
    flip_in(fresh.house.vault.path(contribution))
    with pytest.raises(IntegrityError, match=r"vault\.changed"):
        fresh.deidentify("people", contribution)


def test_a_flipped_bit_in_a_wrapped_key_is_found(finished: TinyHouse) -> None:
    for path in sorted((finished.root / "keys").rglob("*.key")):
        flip_in(path)
        name = path.relative_to(finished.root / "keys").with_suffix("").as_posix()
        with pytest.raises(IntegrityError, match=r"keys\.unwrap_failed"):
            finished.house.keys.secret(name)


def _flipped(value: object, column: str) -> object:
    if isinstance(value, bytes):
        return flip(value, DICE.randrange(len(value) * 8))
    if isinstance(value, int):
        # A number nobody has, so that no unique key stands in the way; a boolean has one bit only.
        return value ^ (1 if column == "granted" else 1 << 20)
    raw = str(value).encode()
    # Bit 0 or 1 of an ASCII character, so that it stays text.
    return flip(raw, 8 * DICE.randrange(len(raw)) + DICE.randrange(2)).decode("utf-8", "replace")
