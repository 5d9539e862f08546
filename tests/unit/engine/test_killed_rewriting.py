"""Rewriting vault and room, killed between any two changes to the disk: nothing is lost, no old key stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.digests import digest_file
from orchestration.engine.duck import connect
from orchestration.engine.keystore import KeyStore
from orchestration.engine.room import Room
from orchestration.engine.vault import Vault
from orchestration.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path, master_key=None, duckdb_threads=1, room_wait_seconds=0.1)


@pytest.fixture
def keys(settings: Settings) -> KeyStore:
    store = KeyStore(settings)
    store.initialize()
    return store


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int, work: Callable[[], None]) -> bool:
    """Run it, and die right before the change to the disk with this number; whether it came that far."""
    left = number

    def dying(change: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return change(*arguments, **named)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying(os.replace))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        patched.setattr(KeyStore, "_write", dying(KeyStore._write))
        try:
            work()
        except KeyboardInterrupt:
            return True
    return False


def leftovers(settings: Settings) -> list[str]:
    return [path.name for path in (settings.root / "keys").rglob("*") if path.name.endswith(".destroyed")]


@pytest.mark.parametrize("number", range(14))
def test_the_room_survives_and_its_old_key_does_not(
    settings: Settings, keys: KeyStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    keys.create("room/tiny")
    room = Room(settings, keys, "tiny")
    with room.open() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    old = room.key
    killed_at(monkeypatch, number, lambda: room.keep_only(["kept"]))
    again = Room(settings, keys, "tiny")
    with again.open() as connection:
        assert connection.execute("FROM kept").fetchall() == [(42,)]
    assert leftovers(settings) == []
    again.keep_only(["kept"])
    with again.open() as connection:
        assert connection.execute("FROM kept").fetchall() == [(42,)]
    assert again.key != old
    assert not keys.holds("room/tiny-next")


@pytest.mark.parametrize("number", range(8))
def test_a_rewritten_contribution_survives_and_its_old_key_does_not(
    settings: Settings, keys: KeyStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    vault = Vault(settings, keys)
    vault.folder.mkdir(parents=True)
    with connect(settings) as connection:
        vault.writer("a-1").write(connection, "SELECT 1 AS x")
        vault.writer(vault.next_name("a-1")).write(connection, "SELECT 2 AS x")
    digest = digest_file(vault.path(vault.next_name("a-1")))
    killed_at(monkeypatch, number, lambda: vault.settle("a-1", digest))
    for name in vault.unsettled():
        vault.settle(name, digest)
    vault.reader("a-1").check(digest)
    with connect(settings) as connection:
        assert connection.execute(f"FROM {vault.reader('a-1').relation(connection)}").fetchall() == [(2,)]
    assert leftovers(settings) == []
    assert vault.unsettled() == []
