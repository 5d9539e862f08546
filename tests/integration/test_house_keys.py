"""A whole house on a PKCS#11 token, rotation on record, and what each stage's handle can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.audit.replay import replay
from orchestration.cli import app
from orchestration.computation.runner import room_environment
from orchestration.engine.duck import connect
from orchestration.engine.key_access import KeyAccess
from orchestration.errors import GlasshouseError
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages import compute, key_rotation, refresh
from tests.softhsm import PIN
from tests.support import CALLER, TinyHouse, make_house, open_house


def refused(code: str, call: Callable[[], object]) -> None:
    with pytest.raises(GlasshouseError) as caught:
        call()
    assert caught.value.code == code


@pytest.fixture
def on_a_token(
    tmp_path: Path, new_token: Callable[[], dict[str, object]]
) -> Iterator[tuple[TinyHouse, dict[str, Any]]]:
    given = new_token()
    tiny = make_house(tmp_path, **given)
    yield tiny, given
    tiny.house.log.close()


def test_a_whole_house_works_on_a_token_and_through_a_rotation(
    on_a_token: tuple[TinyHouse, dict[str, Any]], tmp_path: Path
) -> None:
    tiny, given = on_a_token
    for dataset in ("sales", "products"):
        tiny.contribute(dataset)
    rotation = key_rotation.rotate(tiny.house)
    assert rotation.rewrapped == sum(tiny.house.keys.kinds().values()) > 7
    again = open_house(tmp_path, **given)
    again.contribute("people")
    assert refresh.refresh(again.house, again.charter, CALLER).result.rows
    (told,) = again.payloads("keys.rotated")
    assert told.model_dump() == {
        "service": "pkcs11",
        "former": rotation.former,
        "current": rotation.current,
        "secrets": rotation.rewrapped,
    }
    assert not (again.root / "master.key").exists()
    assert PIN.encode() not in again.everything_on_disk()
    again.house.log.close()


def test_a_rotation_that_was_killed_is_told_once(refreshed_house: TinyHouse) -> None:
    house = refreshed_house.house
    house.keys.rotate()  # killed before it was told
    key_rotation.rotate(house)
    (told,) = refreshed_house.payloads("keys.rotated")
    assert house.keys.versions() == (told.current,)  # type: ignore[attr-defined]
    key_rotation.rotate(house)
    assert len(refreshed_house.payloads("keys.rotated")) == 2
    assert replay(house.log).ok


def test_a_room_under_a_new_key_answers_as_before(refreshed_house: TinyHouse) -> None:
    room = refreshed_house.house.room("tiny")
    old_key, old_file = room.key, room.path.read_bytes()
    room.rekey()
    assert room.key != old_key
    asked = refreshed_house.request().request
    compute.compute(refreshed_house.house, refreshed_house.charter, asked.id, CALLER)
    refresh.refresh(refreshed_house.house, refreshed_house.charter, CALLER)
    room.path.write_bytes(old_file)
    with pytest.raises(duckdb.Error), room.open():
        pass


# --- what each stage is handed


def test_intake_writes_and_cannot_read(house: TinyHouse) -> None:
    writer = house.house.vault.writer("people-1")
    with connect(house.house.settings) as connection:
        writer.write(connection, "SELECT 1 AS a")
    assert not [each for each in dir(writer) if "read" in each or "secret" in each or "relation" in each]
    keys = writer._keys
    refused("keys.not_permitted", lambda: keys.secret("vault/people-1"))
    refused("keys.not_permitted", lambda: keys.create("vault/people-1"))
    for name in ("vault/people-2", "room/tiny", "operator", "package/tiny", "pseudonym/tiny"):
        _refuses_all(keys, name)  # type: ignore[arg-type]
    again = house.house.vault.writer("people-1")
    with connect(house.house.settings) as connection:
        before = house.house.keys.secret("vault/people-1")
        again.write(connection, "SELECT 2 AS a")
    assert house.house.keys.secret("vault/people-1") != before, "nor has a second writer the first one's key"


def test_deidentification_reads_one_contribution(house: TinyHouse) -> None:
    vault = house.house.vault
    with connect(house.house.settings) as connection:
        for contribution in ("people-1", "people-2"):
            vault.writer(contribution).write(connection, f"SELECT '{contribution}' AS a")
        reader = vault.reader("people-1")
        rows = connection.execute(f"FROM {reader.relation(connection)}").fetchall()
        assert rows == [("people-1",)]
        other = str(vault.path("people-2"))
        with pytest.raises(duckdb.Error):  # the key it holds opens nothing else
            connection.execute(f"FROM {reader.relation(connection).replace(str(reader.path), other)}")
    keys = reader._keys
    refused("keys.not_permitted", lambda: keys.destroy("vault/people-1"))
    refused("keys.not_permitted", lambda: keys.renew("vault/people-1"))
    for name in ("vault/people-2", "room/tiny", "operator", "package/tiny"):
        _refuses_all(keys, name)  # type: ignore[arg-type]


def test_a_room_has_its_own_key_and_the_vault_no_room(house: TinyHouse) -> None:
    room = house.house.room("tiny")
    assert len(room.key) == 64
    for name in ("room/other", "vault/people-1", "operator", "pseudonym/tiny", "quarantine"):
        _refuses_all(room._keys, name)  # type: ignore[arg-type]
    for name in ("room/tiny", "operator", "pseudonym/tiny", "package/tiny", "quarantine", "fingerprint"):
        _refuses_all(house.house.vault._keys, name)  # type: ignore[arg-type]


def _refuses_all(keys: KeyAccess, name: str) -> None:
    for call in (keys.secret, keys.create, keys.renew, keys.destroy, keys.holds):
        refused("keys.not_permitted", lambda call=call: call(name))


def test_dbt_is_given_the_key_of_its_room_and_nothing_else(
    house: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MASTER_KEY", "FORMER_MASTER_KEY", "PKCS11_PIN", "KEY_PASSPHRASE", "HOME", "PKCS11_TOKEN"):
        monkeypatch.setenv(f"GLASSHOUSE_{name}", "not for dbt")
    monkeypatch.setenv("OPENLINEAGE_URL", "https://user:not for dbt@example.org")
    room = house.house.room("tiny")
    environment = room_environment(house.house.settings, room.path, room.key)
    assert not [name for name, value in environment.items() if "not for dbt" in value]
    assert {name for name in environment if name.startswith("GLASSHOUSE_")} == {
        "GLASSHOUSE_ROOM", "GLASSHOUSE_ROOM_SCRATCH", "GLASSHOUSE_ROOM_MEMORY", "GLASSHOUSE_ROOM_THREADS",
    }  # fmt: skip
    secrets = {house.house.keys.secret(name) for name in ("operator", "pseudonym/tiny", "fingerprint")}
    assert not [value for value in environment.values() for each in secrets if each.hex() in value]
    assert environment["DBT_ENV_SECRET_ROOM_KEY"] == room.key


# --- the commands


def test_the_keyring_is_shown_rotated_and_moved(
    house: TinyHouse, monkeypatch: pytest.MonkeyPatch, new_token: Callable[[], dict[str, Any]]
) -> None:
    monkeypatch.setenv("GLASSHOUSE_HOME", str(house.root))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(house.house.settings.charters))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["keyring", *arguments])
        assert done.exit_code == 0, done.output
        assert all(len(line) <= 80 for line in done.stdout.splitlines()) or "--json" in arguments
        secrets = [house.house.keys.secret(name) for name in ("operator", "room/tiny")]
        assert not [each for each in secrets if each.hex() in done.output]
        return done.stdout

    before = json.loads(run("status", "--json"))
    assert before["service"] == "local"
    assert before["keys"]["room"] == 1
    assert "pseudonym" in run("status")
    rotated = json.loads(run("rotate", "--json"))
    assert rotated["former"] == before["master_keys"]
    assert "Master key" in run("status")
    assert "back up the keys folder" in run("rotate")
    assert run("recipient").strip() == str(house.house.package_recipient("tiny"))
    assert json.loads(run("recipient", "--json"))["recipient"].startswith("age1")
    for name, value in new_token().items():
        monkeypatch.setenv(f"GLASSHOUSE_{name.upper()}", PIN if name == "pkcs11_pin" else str(value))
    assert CliRunner().invoke(app, ["keyring", "recipient"]).exit_code != 0
    moved = House.open(load_settings(master_key=None))
    house.house.log.close()
    house.house = moved
    assert json.loads(CliRunner().invoke(app, ["keyring", "rotate", "--json"]).stdout)["service"] == "pkcs11"
    assert set(json.loads(run("status", "--json"))["wrapped_by"]) == set(moved.keys.versions())
