"""Public files, and the proof that a key is its holder's own."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit.statement import sign, verify
from orchestration.participants import enrollment
from orchestration.signing import SigningKey, is_public_key
from tests.unit.participants.founding import TINY, refused

KEY = SigningKey.from_seed(b"k" * 32)
MEMBER = "shop.analyst"


def test_a_proof_holds_for_its_key_member_and_collaboration_alone() -> None:
    proof = enrollment.prove(KEY, TINY, MEMBER)
    assert enrollment.is_proven(proof, KEY.public, TINY, MEMBER)
    assert not enrollment.is_proven(proof, KEY.public, "other", MEMBER)
    assert not enrollment.is_proven(proof, KEY.public, TINY, "shop.steward")
    assert not enrollment.is_proven(proof, SigningKey.generate().public, TINY, MEMBER)
    broken = base64.b64encode(bytes(64)).decode()
    for other in ("", "x", "é", broken):
        assert not enrollment.is_proven(other, KEY.public, TINY, MEMBER)


@pytest.mark.parametrize(
    "changes",
    [
        {"keyid": "0" * 64},
        {"keytype": "rsa"},
        {"scheme": "x"},
        {"keyval": {}},
        {"keyval": {"public": "00"}},
        {"keyval": {"public": 7}},
        {"keyval": None},
        {"more": "x"},
    ],
)
def test_a_public_key_is_exactly_one(changes: dict[str, Any]) -> None:
    assert is_public_key(KEY.public)
    assert not is_public_key(KEY.public | changes)
    proof = enrollment.prove(KEY, TINY, MEMBER)
    assert not enrollment.is_proven(proof, KEY.public | changes, TINY, MEMBER)


def test_a_public_file_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / f"{MEMBER}.json"
    file = enrollment.public_file(KEY, TINY, MEMBER)
    enrollment.write_public_file(path, file)
    assert enrollment.read_public_file(path) == file
    assert KEY.public["keyval"]["public"] in path.read_text()


@pytest.mark.parametrize(
    "change", [{"member": "shop.steward"}, {"collaboration": "other"}, {"proof": "x"}, {"more": 1}]
)
def test_a_public_file_that_was_changed_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "file.json"
    said = enrollment.public_file(KEY, TINY, MEMBER).model_dump(mode="json")
    path.write_text(json.dumps(said | change))
    refused("key.public_unreadable", lambda: enrollment.read_public_file(path))


def test_a_file_that_is_no_public_file_is_refused(tmp_path: Path) -> None:
    refused("key.public_unreadable", lambda: enrollment.read_public_file(tmp_path / "missing.json"))
    (tmp_path / "x.json").write_bytes(b"\xff\x00")
    refused("key.public_unreadable", lambda: enrollment.read_public_file(tmp_path / "x.json"))


def test_the_acts_say_whom_they_are_about() -> None:
    until = datetime(2026, 12, 31, tzinfo=UTC)
    file = enrollment.public_file(KEY, TINY, MEMBER)
    events = [
        enrollment.accept_invitation(TINY, "shop.steward", KEY, {}, "We join."),
        enrollment.enroll_member(TINY, "shop.steward", file, ["analyst"], until, "Works here."),
        enrollment.rotate_key(TINY, MEMBER, SigningKey.generate(), "New machine."),
        enrollment.revoke_key(TINY, MEMBER, MEMBER, KEY.key_id, "lost", "Left on a train."),
        enrollment.retire_member(TINY, "shop.steward", MEMBER, "Works elsewhere."),
    ]
    assert [event.subject for event in events] == ["shop", *[MEMBER] * 4]
    for event in events:
        assert event.signature is None
        verify(sign(event, KEY), KEY.public)
