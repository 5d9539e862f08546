"""Statements: signed with their type, refused when one bit is another's."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import IntegrityError
from orchestration.signing import SigningKey, unsafe_payload, verify

KEY = SigningKey.from_seed(b"k" * 32)
TYPE = "application/vnd.test+json"


def code_of(envelope: dict[str, Any], key: dict[str, Any] = KEY.public, type_: str = TYPE) -> str:
    with pytest.raises(IntegrityError) as caught:
        verify(envelope, key, type_, kind="statement")
    assert "statement" in caught.value.message
    return caught.value.code


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(0, 9), max_size=4
    )
)
def test_what_was_signed_comes_back(payload: dict[str, Any]) -> None:
    envelope = KEY.sign(payload, TYPE)
    assert verify(envelope, KEY.public, TYPE, kind="statement") == payload
    assert unsafe_payload(envelope, kind="statement") == payload


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    envelope = KEY.sign({"rows": 1}, TYPE)
    field = data.draw(st.sampled_from(["payload", "sig"]))
    text = envelope["payload"] if field == "payload" else envelope["signatures"][0]["sig"]
    raw = bytearray(base64.b64decode(text))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = base64.b64encode(bytes(raw)).decode()
    if field == "payload":
        envelope["payload"] = changed
    else:
        envelope["signatures"] = [{**envelope["signatures"][0], "sig": changed}]
    assert code_of(envelope) == "signature.invalid"


def test_type_key_and_presence_of_a_signature_count() -> None:
    envelope = KEY.sign({"rows": 1}, TYPE)
    assert code_of(envelope, type_="text/plain") == "signature.invalid"
    assert code_of({**envelope, "payloadType": "text/plain"}, type_="text/plain") == "signature.invalid"
    assert code_of(envelope, SigningKey.generate().public) == "signature.invalid"
    assert code_of({**envelope, "signatures": []}) == "signature.invalid"
    stranger = {**SigningKey.generate().public, "keyid": KEY.key_id}
    assert code_of(envelope, stranger) == "signature.invalid"


def test_nothing_stands_beside_what_was_signed() -> None:
    envelope = KEY.sign({"rows": 1}, TYPE)
    (signature,) = envelope["signatures"]
    other = SigningKey.generate().sign({"rows": 1}, TYPE)["signatures"]
    assert code_of({**envelope, "note": "unsigned"}) == "signature.invalid"
    assert code_of({**envelope, "signatures": [{**signature, "note": "unsigned"}]}) == "signature.invalid"
    assert code_of({**envelope, "signatures": [signature, *other]}) == "signature.invalid"


@pytest.mark.parametrize(
    "envelope", [{}, {"payload": "%"}, {"payload": "", "payloadType": TYPE, "signatures": 5}]
)
def test_what_is_no_envelope_is_unreadable(envelope: dict[str, Any]) -> None:
    assert code_of(envelope) == "signature.unreadable"
    with pytest.raises(IntegrityError):
        unsafe_payload(envelope, kind="statement")


def test_a_key_file_is_private_whole_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "member.pem"
    KEY.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load(path).public == KEY.public
    with pytest.raises(FileExistsError):
        SigningKey.generate().save(path)


def test_only_ed25519_keys_are_loaded(tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(ValueError, match="Ed25519"):
        SigningKey.load(tmp_path / "key.pem")
    (tmp_path / "key.pem").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="PEM"):
        SigningKey.load(tmp_path / "key.pem")


def test_the_public_half_shows_nothing_of_the_private_one() -> None:
    assert "private" not in str(KEY.public)
    assert (b"k" * 32).hex() not in str(KEY.public)
    assert KEY.public["keytype"] == "ed25519"
