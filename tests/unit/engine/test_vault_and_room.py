"""The stores: encrypted on disk, readable with their own key only, changes found, one writer at a time."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from orchestration.digests import digest_file
from orchestration.engine.duck import connect
from orchestration.engine.fingerprint import fingerprint
from orchestration.engine.keystore import KeyStore
from orchestration.engine.room import Room
from orchestration.engine.vault import Vault
from orchestration.errors import IntegrityError, ServiceError
from orchestration.settings import Settings, load_settings

CANARY = "canary-7f3a@example.org"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path, master_key=None, duckdb_threads=1, room_wait_seconds=0.1)


@pytest.fixture
def keys(settings: Settings) -> KeyStore:
    store = KeyStore(settings)
    store.initialize()
    return store


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_contribution_is_encrypted_under_its_own_key(settings: Settings, keys: KeyStore) -> None:
    vault = Vault(settings, keys)
    vault.folder.mkdir(parents=True)
    with connect(settings) as connection:
        query = f"SELECT '{CANARY}' AS mail FROM range(3)"
        assert vault.writer("a-1").write(connection, query) == 3
        assert (
            connection.execute(f"SELECT * FROM {vault.reader('a-1').relation(connection)}").fetchall()
            == [(CANARY,)] * 3
        )
        keys.create(vault.key_id("b-1"))
        os.replace(vault.path("a-1"), vault.path("b-1"))
        with pytest.raises(duckdb.Error):
            connection.execute(f"SELECT * FROM {vault.reader('b-1').relation(connection)}").fetchall()
    assert CANARY.encode() not in everything(settings.root)


def test_a_changed_or_missing_contribution_is_found(settings: Settings, keys: KeyStore) -> None:
    vault = Vault(settings, keys)
    vault.folder.mkdir(parents=True)
    with connect(settings) as connection:
        vault.writer("a-1").write(connection, "SELECT 1 AS a")
    path = vault.path("a-1")
    digest = digest_file(path)
    vault.reader("a-1").check(digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(IntegrityError) as caught:
            vault.reader("a-1").check(digest)
        assert caught.value.code == "vault.changed"
        path.unlink(missing_ok=True)


def test_a_discarded_attempt_leaves_nothing(settings: Settings, keys: KeyStore) -> None:
    vault = Vault(settings, keys)
    with vault.reserved(), connect(settings) as connection:
        writer = vault.writer("a-1")
        writer.write(connection, "SELECT 1 AS a")
        (vault.folder / "a-1.rejected.parquet").write_bytes(b"of a house of before")
        (vault.folder / ".a-1.parquet.partial").write_bytes(b"torn")
        vault.discard("a-1")
    assert [path.name for path in vault.folder.iterdir()] == [".lock"]
    assert not list(settings.root.rglob("a-1*"))


@pytest.mark.parametrize("store", ["room", "vault"])
def test_one_writer_at_a_time(settings: Settings, keys: KeyStore, store: str) -> None:
    holders = [Room(settings, keys, "c") if store == "room" else Vault(settings, keys) for _ in range(2)]
    with holders[0].reserved():
        with pytest.raises(ServiceError) as caught, holders[1].reserved():
            pass
        assert caught.value.code == f"{store}.busy"
    with holders[1].reserved():
        pass


def test_the_room_is_encrypted_confined_and_kept(settings: Settings, keys: KeyStore) -> None:
    room = Room(settings, keys, "c")
    keys.create("room/c")
    with room.open() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT '{CANARY}' AS mail")
        leak = settings.root / "leak.csv"
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"COPY t TO '{leak}'")
        assert not leak.exists()
        # A checkpoint has not happened yet: the write-ahead log must not show it either.
        assert CANARY.encode() not in everything(settings.root)
    with room.open() as connection:
        assert connection.execute("SELECT mail FROM room.deidentified.t").fetchall() == [(CANARY,)]
    assert CANARY.encode() not in everything(settings.root)
    keys.destroy("room/c")
    with pytest.raises(IntegrityError) as caught, room.open():
        pass
    assert caught.value.code == "keys.missing", "no new key is made for a room that has lost its own"
    keys.create("room/c")
    with pytest.raises(duckdb.Error), room.open():
        pass


def test_a_fingerprint_finds_changed_lost_and_doubled_rows_in_any_order() -> None:
    with duckdb.connect() as connection:

        def mark(rows: str) -> tuple[int, str]:
            connection.execute(f"CREATE OR REPLACE TABLE t AS SELECT * FROM (VALUES {rows}) AS v(a, b)")
            return fingerprint(connection, "t", b"k" * 32)

        base = mark("(1, 'x'), (2, NULL)")
        assert base[0] == 2
        assert mark("(2, NULL), (1, 'x')") == base
        others = ["(1, 'x')", "(1, 'x'), (2, NULL), (2, NULL)", "(1, 'x'), (2, '')", "(1, 'x'), (3, NULL)"]
        assert len({base, *map(mark, others)}) == 5
        connection.execute("CREATE OR REPLACE TABLE t (a INTEGER)")
        assert fingerprint(connection, "t", b"k" * 32)[0] == 0
