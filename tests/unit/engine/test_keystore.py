"""Secrets: wrapped, private files, not exchangeable, gone when destroyed."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestration.engine.keystore import KeyStore
from orchestration.errors import ConfigError, GlasshouseError, IntegrityError, ServiceError
from orchestration.settings import Settings, load_settings


def settings_of(home: Path, master: bytes | None = None) -> Settings:
    encoded = None if master is None else SecretStr(base64.b64encode(master).decode())
    return load_settings(home=home, master_key=encoded)


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    store = KeyStore(settings_of(tmp_path))
    store.initialize()
    return store


def code_of(store: KeyStore, name: str, family: type[GlasshouseError]) -> str:
    with pytest.raises(family) as caught:
        store.secret(name)
    return caught.value.code


def test_a_secret_is_made_once_and_kept(keys: KeyStore, tmp_path: Path) -> None:
    made = keys.create("room/grocery")
    assert len(made) == 32
    assert keys.create("room/grocery") == keys.secret("room/grocery") == made
    assert keys.create("room/grocery", b"another") == made
    assert KeyStore(settings_of(tmp_path)).secret("room/grocery") == made
    assert keys.create("quarantine", b"given") == keys.secret("quarantine") == b"given"
    assert keys.create("room/other") != made


def test_no_secret_lies_open_and_nobody_else_may_read(keys: KeyStore, tmp_path: Path) -> None:
    made = keys.create("vault/x-1")
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            content = path.read_bytes()
            assert not any(form in content for form in (made, made.hex().encode(), base64.b64encode(made)))


def test_another_master_key_opens_nothing(tmp_path: Path) -> None:
    KeyStore(settings_of(tmp_path, b"1" * 32)).create("operator")
    assert KeyStore(settings_of(tmp_path, b"1" * 32)).secret("operator")
    assert (
        code_of(KeyStore(settings_of(tmp_path, b"2" * 32)), "operator", IntegrityError)
        == "keys.unwrap_failed"
    )


def test_the_environments_master_key_leaves_no_file(tmp_path: Path) -> None:
    KeyStore(settings_of(tmp_path, b"1" * 32)).initialize()
    assert not (tmp_path / "master.key").exists()


def test_swapped_shortened_or_changed_files_do_not_open(keys: KeyStore, tmp_path: Path) -> None:
    keys.create("vault/a")
    keys.create("vault/b")
    a, b = (tmp_path / "keys" / "vault" / f"{name}.key" for name in "ab")
    original = a.read_bytes()
    for content in (
        b.read_bytes(),
        b"",
        original[:5],
        original[:-1],
        original[:-1] + bytes([original[-1] ^ 1]),
    ):
        a.write_bytes(content)
        assert code_of(keys, "vault/a", IntegrityError) == "keys.unwrap_failed"
    a.write_bytes(original)
    assert keys.secret("vault/a")


def test_a_destroyed_secret_is_gone_and_comes_back_as_another(keys: KeyStore, tmp_path: Path) -> None:
    first = keys.create("vault/a")
    keys.destroy("vault/a")
    assert code_of(keys, "vault/a", IntegrityError) == "keys.missing"
    assert list((tmp_path / "keys").rglob("*a.key*")) == []
    keys.destroy("vault/a")
    assert keys.create("vault/a") != first


def test_without_a_master_key_nothing_is_made(tmp_path: Path) -> None:
    store = KeyStore(settings_of(tmp_path))
    with pytest.raises(ServiceError) as caught:
        store.create("operator")
    assert caught.value.code == "keys.no_master_key"
    assert not list(tmp_path.rglob("*.key*"))


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode(), "ä"])
def test_a_malformed_master_key_is_named_without_being_shown(tmp_path: Path, text: str) -> None:
    store = KeyStore(load_settings(home=tmp_path, master_key=SecretStr(text)))
    with pytest.raises(ConfigError) as caught:
        store.create("operator")
    assert caught.value.code == "keys.master_key_format"
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../x", "a/../b", "/etc", "a/b/c", "A", "a/", ".lock", "a\n", "a/b.c"])
def test_names_cannot_leave_the_folder(keys: KeyStore, name: str) -> None:
    for call in (keys.create, keys.secret, keys.destroy):
        with pytest.raises(ValueError, match="slugs"):
            call(name)


def test_two_who_come_at_once_get_the_same_secret(tmp_path: Path) -> None:
    stores = [KeyStore(settings_of(tmp_path)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda store: store.initialize(), stores))
        found = set(pool.map(lambda store: store.create("vault/a"), stores))
    assert len(found) == 1
