"""Manifests are hostile until their signature is checked, and afterwards they still may say only so much."""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import ContributionError
from orchestration.scope.manifest import (
    PAYLOAD_TYPE,
    check_delivery_name,
    claimed_manifest,
    read_envelope,
    verified_manifest,
)
from orchestration.signing import SigningKey

KEY = SigningKey.from_seed(b"k" * 32)
CLAIMS: dict[str, Any] = {
    "collaboration": "c", "dataset": "d", "participant": "p", "signer": "p.s", "purposes": ["x"],
    "provenance": "t", "period": {"first": "2024-01-01", "last": "2024-01-02"}, "file": "rows.csv",
    "format": "csv", "rows": 1, "sha256": "sha256:" + "0" * 64, "created": "2024-01-01T00:00:00Z",
}  # fmt: skip


def envelope_of(payload: bytes) -> dict[str, Any]:
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": KEY.key_id, "sig": base64.b64encode(b"x" * 64).decode()}],
    }


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(ContributionError) as caught:
        call(*arguments)
    return caught.value.code.removeprefix("contribution.")


def test_a_signed_manifest_comes_back() -> None:
    signed = claimed_manifest(KEY.sign(CLAIMS, PAYLOAD_TYPE)).signed(KEY)
    assert verified_manifest(signed, KEY.public) == claimed_manifest(signed)


@pytest.mark.parametrize(
    "envelope",
    [
        {},
        {"payload": "", "payloadType": "x", "signatures": []},
        {"payload": "%%%", "payloadType": PAYLOAD_TYPE, "signatures": []},
        {"payload": 5, "payloadType": PAYLOAD_TYPE, "signatures": {}},
        {"payload": "e30=", "payloadType": PAYLOAD_TYPE, "signatures": [None]},
        {"payload": None, "payloadType": None, "signatures": None},
        envelope_of(b"\xff"),
        envelope_of(b"[" * 40_000),
        envelope_of(b'{"a":' * 9_000),
    ],
)
def test_what_is_no_envelope_is_unsigned(envelope: dict[str, Any]) -> None:
    assert code_of(claimed_manifest, envelope) == "unsigned"


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"rows": "many"},
        {"sha256": "sha256:short"},
        {"file": "../../etc/passwd"},
        {"format": "xlsx"},
        {"purposes": []},
        {"provenance": ""},
        {"period": {"first": "yesterday", "last": "2024-01-01"}},
        {"created": "jane@example.org"},
        {"jane@example.org": 1},
        {"dataset": ["jane@example.org"]},
        {"dataset": "\ud800"},
    ],
)
def test_a_manifest_says_what_it_must_and_the_refusal_repeats_no_value(change: dict[str, Any]) -> None:
    envelope = envelope_of(json.dumps(CLAIMS | change).encode())
    with pytest.raises(ContributionError) as caught:
        claimed_manifest(envelope)
    assert caught.value.code == "contribution.bad_manifest"
    assert "jane" not in str(caught.value)
    assert "etc" not in str(caught.value)


@pytest.mark.parametrize("document", [None, 1, "x", [], [1]])
def test_a_manifest_is_an_object(document: object) -> None:
    assert code_of(claimed_manifest, envelope_of(json.dumps(document).encode())) == "bad_manifest"


def test_signatures_by_others_over_other_types_or_of_other_texts_do_not_count() -> None:
    other = SigningKey.generate()
    signed = KEY.sign(CLAIMS, PAYLOAD_TYPE)
    changed = {**signed, "payload": envelope_of(json.dumps(CLAIMS | {"rows": 2}).encode())["payload"]}
    bare = {**signed, "signatures": []}
    for envelope in (other.sign(CLAIMS, PAYLOAD_TYPE), KEY.sign(CLAIMS, "text/plain"), changed, bare):
        assert code_of(verified_manifest, envelope, KEY.public) == "unsigned"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000 + b"{}"]
)
def test_an_unreadable_manifest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    assert code_of(read_envelope, tmp_path) == "no_manifest"


def test_only_a_regular_file_in_a_regular_folder_is_read(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    assert code_of(read_envelope, real) == "no_manifest"
    os.mkfifo(real / "manifest.json")
    assert code_of(read_envelope, real) == "no_manifest"
    (real / "manifest.json").unlink()
    (real / "manifest.json").write_text("{}")
    assert read_envelope(real) == {}
    (tmp_path / "link").symlink_to(real)
    assert code_of(read_envelope, tmp_path / "link") == "link"
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "manifest.json").symlink_to(real / "manifest.json")
    assert code_of(read_envelope, tmp_path / "linked") == "link"


@given(st.from_regex(r"[A-Za-z0-9._/-]{1,90}", fullmatch=True) | st.text(max_size=90))
def test_delivery_names_cannot_leave_their_folder(name: str) -> None:
    with suppress(ContributionError):
        accepted = check_delivery_name(name)
        assert Path("/landing", accepted).parent == Path("/landing")
        assert accepted.isascii()
        assert accepted[0] != "."
        assert 0 < len(accepted) <= 80


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", ".x", "a/b", "a b", "x\n", "a" * 81, "jané"])
def test_names_no_delivery_can_have(name: str) -> None:
    assert code_of(check_delivery_name, name) == "delivery_name"
