"""One contract for every key service: a file, the environment, a token; and what only a token does wrong."""

from __future__ import annotations

import base64
import multiprocessing
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pkcs11 import Attribute, ObjectClass
from pydantic import SecretStr

from orchestration.engine import keystore, token_keys
from orchestration.engine.key_service import key_service
from orchestration.engine.keystore import KeyStore, Rotation
from orchestration.errors import GlasshouseError
from orchestration.settings import load_settings
from tests.softhsm import PIN

NAMES = ("operator", "room/grocery", "vault/a-1", "vault/b-1")
NewToken = Callable[[], dict[str, object]]


def random_key() -> SecretStr:
    return SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())


@dataclass
class Place:
    """A house's key folder and how its keys are wrapped."""

    home: Path
    kind: str
    given: dict[str, Any] = field(default_factory=dict)

    def store(self, **changes: object) -> KeyStore:
        return KeyStore(load_settings(**{"home": self.home, "master_key": None} | self.given | changes))

    def made(self) -> dict[str, bytes]:
        store = self.store()
        store.initialize()
        return {name: store.create(name) for name in NAMES}

    def prepare_rotation(self) -> None:
        """What the operator does before rotating."""
        if self.kind == "environment":
            self.given = {"former_master_key": self.given["master_key"], "master_key": random_key()}

    def rotated(self) -> Rotation:
        self.prepare_rotation()
        rotation = self.store().rotate()
        self.store().forget(rotation)
        self.given.pop("former_master_key", None)
        return rotation

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.home / "keys").rglob("*.key")}

    def path(self, name: str) -> Path:
        return self.home / "keys" / f"{name}.key"


@pytest.fixture(params=["local", "environment", "pkcs11"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    given: dict[str, Any] = {}
    if request.param == "environment":
        given = {"master_key": random_key()}
    if request.param == "pkcs11":
        given = request.getfixturevalue("new_token")()
    return Place(tmp_path, request.param, given)


@pytest.fixture
def token(new_token: NewToken, tmp_path: Path) -> Place:
    return Place(tmp_path, "pkcs11", new_token())


def opened(store: KeyStore) -> dict[str, bytes]:
    return {name: store.secret(name) for name in NAMES}


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(GlasshouseError) as caught:
        call()
    assert PIN not in f"{caught.value}{caught.value.__cause__}"
    return caught.value.code


# --- the contract


def test_secrets_are_kept_and_never_lie_open(place: Place) -> None:
    made = place.made()
    assert len(set(made.values())) == len(NAMES)
    assert opened(place.store()) == made
    place.store().initialize()
    assert opened(place.store()) == made
    for content in place.files().values():
        assert not any(form in content for each in made.values() for form in (each, each.hex().encode()))
    used = place.store().wrapped_by()
    assert used == {place.store().versions()[-1]: len(NAMES)}
    assert place.store().kinds() == {"operator": 1, "room": 1, "vault": 2}


def test_changed_swapped_and_relabelled_files_do_not_open(place: Place) -> None:
    made = place.made()
    path, other = place.path("vault/a-1"), place.path("vault/b-1")
    good = path.read_bytes()
    header = good.index(b"\n") + 1
    spoiled = [other.read_bytes(), b"", good[: header + 5], good[:-1], good + b"x", good[header:]]
    spoiled += [
        bytes([*good[:at], good[at] ^ 1, *good[at + 1 :]]) for at in (0, header - 2, header, -1 % len(good))
    ]
    for content in spoiled:
        path.write_bytes(content)
        assert code_of(lambda: place.store().secret("vault/a-1")) == "keys.unwrap_failed"
    path.write_bytes(good)
    assert opened(place.store()) == made


def test_rotation_moves_everything_and_ends_the_old_key(place: Place) -> None:
    made = place.made()
    before, (old,) = place.files(), place.store().versions()
    rotation = place.rotated()
    assert rotation == Rotation(place.store().service, (old,), place.store().versions()[-1], len(NAMES))
    assert opened(place.store()) == made
    assert place.store().versions() == (rotation.current,)
    assert place.store().wrapped_by() == {rotation.current: len(NAMES)}
    assert old not in str(place.files())
    # What a backup holds opens no more.
    place.path("vault/a-1").write_bytes(before["a-1.key"])
    assert code_of(lambda: place.store().secret("vault/a-1")) == "keys.unwrap_failed"


@pytest.mark.parametrize("writes", range(len(NAMES) + 1))
def test_a_rotation_killed_anywhere_keeps_both_keys_and_a_rerun_finishes(
    place: Place, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    made = place.made()
    (old,) = place.store().versions()
    place.prepare_rotation()
    left, write = [writes], keystore.write_durably

    def killed(*arguments: Any, **options: Any) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        write(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(keystore, "write_durably", killed)
        if writes < len(NAMES):
            with pytest.raises(KeyboardInterrupt):
                place.store().rotate()
        else:
            place.store().rotate()  # killed before it destroyed the old key
    assert opened(place.store()) == made
    place.store().create("vault/meanwhile")
    versions = place.store().versions()
    assert versions[0] == old
    assert len(versions) == 2
    assert place.store().wrapped_by().get(old, 0) == len(NAMES) - writes
    if place.kind == "environment" and writes == len(NAMES):
        assert code_of(lambda: place.store().rotate()) == "keys.from_environment"
        return
    rotation = place.store().rotate()
    assert (rotation.current, rotation.former) == (versions[1], (old,)), "a rerun makes no third key"
    place.store().forget(rotation)
    assert opened(place.store()) == made
    assert place.store().wrapped_by() == {rotation.current: len(NAMES) + 1}


def test_a_secret_that_does_not_open_stops_the_rotation_before_anything_is_destroyed(place: Place) -> None:
    made = place.made()
    good = place.path("vault/a-1").read_bytes()
    place.path("vault/a-1").write_bytes(good[:-1])
    place.prepare_rotation()
    assert code_of(lambda: place.store().rotate()) == "keys.unwrap_failed"
    place.path("vault/a-1").write_bytes(good)
    assert opened(place.store()) == made


def test_what_is_destroyed_stays_so(place: Place) -> None:
    made = place.made()
    place.store().destroy("vault/a-1")
    place.rotated()
    assert code_of(lambda: place.store().secret("vault/a-1")) == "keys.missing"
    assert not list(place.home.rglob("*a-1*"))
    assert place.store().renew("vault/b-1") != made["vault/b-1"]
    assert place.store().create("vault/a-1") != made["vault/a-1"]


def test_no_nonce_is_ever_used_twice(place: Place) -> None:
    place.made()
    service = key_service(load_settings(**{"home": place.home, "master_key": None} | place.given))
    version = service.versions()[-1]
    wrapped = [service.wrap(version, b"the same secret", b"the same name") for _ in range(500)]
    assert len({each[:12] for each in wrapped}) == 500
    assert len({each[12:] for each in wrapped}) == 500
    assert {service.unwrap(version, each, b"the same name") for each in wrapped} == {b"the same secret"}
    assert service.unwrap(version, wrapped[0], b"another name") is None
    assert service.unwrap("0" * 16, wrapped[0], b"the same name") is None


def test_who_makes_and_destroys_while_keys_are_rotated_loses_nothing(place: Place) -> None:
    made = place.made()
    place.prepare_rotation()

    def work(number: int) -> tuple[str, bytes]:
        store, name = place.store(), f"vault/busy-{number}"
        store.create(f"vault/gone-{number}")
        store.destroy(f"vault/gone-{number}")
        return name, store.create(name)

    with ThreadPoolExecutor(4) as pool:
        rotating = pool.submit(lambda: (store := place.store()).forget(store.rotate()))
        busy = dict(pool.map(work, range(12)))
        rotating.result()
    store = place.store()
    assert {name: store.secret(name) for name in busy} == busy
    assert opened(store) == made
    assert not list(place.home.rglob("gone-*"))


# --- keys of a file or of the environment


def test_files_of_the_time_before_versions_open_and_move(tmp_path: Path) -> None:
    master, secret, nonce = secrets.token_bytes(32), b"s" * 32, b"n" * 12
    (tmp_path / "keys" / "vault").mkdir(parents=True)
    (tmp_path / "master.key").write_bytes(base64.b64encode(master))
    place = Place(tmp_path, "local")
    path = place.path("vault/a-1")
    path.write_bytes(nonce + AESGCM(master).encrypt(nonce, secret, b"vault/a-1"))
    assert place.store().secret("vault/a-1") == secret
    place.store().initialize()
    assert place.store().wrapped_by() == {"local": 1}
    assert place.rotated().rewrapped == 1
    assert place.store().secret("vault/a-1") == secret
    assert base64.b64encode(master) not in (tmp_path / "master.key").read_bytes()


def test_a_key_that_was_written_half_never_wraps(tmp_path: Path) -> None:
    place = Place(tmp_path, "local")
    made = place.made()
    file = tmp_path / "master.key"
    with file.open("ab") as torn:
        torn.write(b"\n" + base64.b64encode(b"k" * 32)[:20])
    assert opened(place.store()) == made
    assert len(place.store().versions()) == 1
    place.rotated()
    assert opened(place.store()) == made


def test_the_environments_key_is_the_operators_to_change(tmp_path: Path) -> None:
    place = Place(tmp_path, "environment", {"master_key": random_key()})
    made = place.made()
    assert code_of(lambda: place.store().rotate()) == "keys.from_environment"
    assert code_of(lambda: place.store(master_key=random_key()).secret("operator")) == "keys.unwrap_failed"
    place.rotated()
    assert opened(place.store()) == made
    assert not (tmp_path / "master.key").exists()


# --- from one service to the other


def test_a_house_moves_into_a_token_and_out_again(tmp_path: Path, new_token: NewToken) -> None:
    at_home = Place(tmp_path, "local")
    made = at_home.made()
    master = (tmp_path / "master.key").read_bytes()
    moved = Place(tmp_path, "pkcs11", new_token())
    moved.store().initialize()
    assert code_of(lambda: moved.store().secret("operator")) == "keys.other_service"
    rotation = moved.rotated()
    assert rotation.service == "pkcs11"
    assert opened(moved.store()) == made
    assert master not in (tmp_path / "master.key").read_bytes()
    assert code_of(lambda: at_home.store().secret("operator")) == "keys.other_service"
    back = Place(tmp_path, "local", moved.given | {"key_service": "local"})
    assert back.rotated().former == (rotation.current,)
    assert opened(at_home.store()) == made
    assert code_of(lambda: moved.store().versions()) == "keys.token_no_key"


def test_a_move_that_was_cut_short_goes_on(tmp_path: Path, new_token: NewToken) -> None:
    made = Place(tmp_path, "local").made()
    moved = Place(tmp_path, "pkcs11", new_token())
    cut_short = moved.store().rotate()
    assert opened(moved.store()) == made
    assert moved.rotated().current == cut_short.current
    assert base64.b64decode((tmp_path / "master.key").read_bytes() + b"====", validate=False) == b""


# --- what only a token can do wrong


def session_of(place: Place) -> Any:
    return token_keys._opened[str(place.given["pkcs11_module"]), place.given["pkcs11_token"]].session


def test_the_master_key_cannot_leave_the_token(token: Place) -> None:
    token.made()
    (key,) = session_of(token).get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})
    assert key[Attribute.VALUE_LEN] == 32
    for attribute in ("SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "PRIVATE", "LOCAL", "TOKEN"):
        assert key[getattr(Attribute, attribute)] is True, attribute
    for attribute in ("EXTRACTABLE", "MODIFIABLE", "WRAP", "UNWRAP", "SIGN", "VERIFY"):
        assert key[getattr(Attribute, attribute)] is False, attribute
    with pytest.raises(pkcs11.AttributeSensitive):
        key[Attribute.VALUE]
    assert not (token.home / "master.key").exists()


def test_a_wrong_pin_is_tried_once(token: Place) -> None:
    made = token.made()
    wrong = {"pkcs11_pin": SecretStr("0000")}
    for _ in range(12):  # SoftHSM would not lock, other tokens do after three
        assert code_of(lambda: token.store(**wrong).secret("operator")) == "keys.token_pin"
    assert len([each for each in token_keys._refused if each[1] == token.given["pkcs11_token"]]) == 1
    assert opened(token.store()) == made


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pkcs11_token": "another"}, "keys.token_missing"),
        ({"pkcs11_module": Path("/nowhere/module.so")}, "keys.token_module"),
        ({"pkcs11_module": None}, "keys.token_settings"),
        ({"pkcs11_pin": None}, "keys.token_settings"),
        ({"pkcs11_key": "another"}, "keys.unwrap_failed"),
    ],
)
def test_a_token_that_is_not_there_is_named(token: Place, changes: dict[str, object], code: str) -> None:
    made = token.made()
    assert code_of(lambda: token.store(**changes).secret("operator")) == code
    assert opened(token.store()) == made
    if code != "keys.unwrap_failed":
        assert code_of(lambda: token.store(**changes).create("vault/new")) == code
    else:
        assert code_of(lambda: token.store(**changes).create("vault/new")) == "keys.token_no_key"
    assert not token.path("vault/new").exists()


def test_a_token_that_lost_our_key_is_not_given_another(token: Place, new_token: NewToken) -> None:
    token.made()
    empty = new_token()
    assert code_of(lambda: token.store(**empty).initialize()) == "keys.token_no_key"


def test_two_houses_do_not_share_a_label(token: Place, tmp_path: Path) -> None:
    token.made()
    other = Place(tmp_path / "other", "pkcs11", token.given)
    assert code_of(other.made) == "keys.token_in_use"
    other.given = token.given | {"pkcs11_key": "other-house"}
    made = other.made()
    token.rotated()
    assert opened(other.store()) == made


# The library says so to nobody when it gives up the search it had under way.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_session_that_was_lost_is_opened_again(token: Place) -> None:
    made = token.made()
    pkcs11.lib(str(token.given["pkcs11_module"])).reinitialize()
    assert opened(token.store()) == made


def _in_child(place: Place, made: dict[str, bytes], told: Any) -> None:
    told.put(opened(place.store()) == made)


def test_a_forked_child_begins_anew(token: Place) -> None:
    made = token.made()
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    child = context.Process(target=_in_child, args=(token, made, told))
    child.start()
    assert told.get(timeout=30) is True
    child.join(timeout=30)
    assert opened(token.store()) == made
