"""Private keys on disk: encrypted, never overwritten, and every way they can be wrong."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestration.participants import keyfile
from tests.unit.participants.founding import refused

SECRET = b"correct horse battery staple"


def test_a_key_is_encrypted_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "shop.steward.pem"
    key = keyfile.create(path, SECRET)
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keyfile.load(path, SECRET).public == key.public


def test_without_a_passphrase_it_lies_in_the_clear(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = keyfile.create(path, None)
    assert b"ENCRYPTED" not in path.read_bytes()
    for passphrase in (None, SECRET):
        assert keyfile.load(path, passphrase).key_id == key.key_id


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_the_passphrase_must_be_the_right_one(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "key.pem"
    keyfile.create(path, SECRET)
    refused("key.wrong_passphrase", lambda: keyfile.load(path, passphrase))


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keyfile.create(path, SECRET)
    before = path.read_bytes()
    refused("key.exists", lambda: keyfile.create(path, SECRET))
    assert path.read_bytes() == before


def test_what_is_no_key_is_told_apart_from_a_wrong_passphrase(tmp_path: Path) -> None:
    refused("key.unreadable", lambda: keyfile.load(tmp_path / "missing.pem", None))
    (tmp_path / "text.pem").write_text("hello")
    refused("key.unreadable", lambda: keyfile.load(tmp_path / "text.pem", SECRET))
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "other.pem").write_bytes(other)
    refused("key.unreadable", lambda: keyfile.load(tmp_path / "other.pem", None))
