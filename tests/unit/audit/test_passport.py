from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit.evidence import make_evidence, read_evidence, verify_evidence
from orchestration.audit.passport import PAYLOAD_TYPE, make_passport, verify_passport
from orchestration.digests import digest_bytes
from orchestration.errors import ConfigError, GlasshouseError, IntegrityError, ReceiptError
from orchestration.signing import SigningKey
from tests.unit.audit.audit_story import CHARTER, Desk

FILES = {"table.csv": b"in_left,units\nyes,410\n", "finding.json": b"{}"}


class Shelf:
    """A released insight: its files, passport and the public key, and nothing else."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        release = desk.release(desk.contribute()[-1], FILES)
        self.key = desk.key
        self.envelope = make_passport(desk.log, desk.key, desk.checkpoints, release.seq)
        self.files = {name: folder / name for name in FILES}
        for name, path in self.files.items():
            path.write_bytes(FILES[name])

    def statement(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(base64.b64decode(self.envelope["payload"]))
        return loaded


@pytest.fixture
def shelf(desk: Desk, tmp_path: Path) -> Shelf:
    folder = tmp_path / "shelf"
    folder.mkdir()
    return Shelf(desk, folder)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(GlasshouseError) as caught:
        action()
    assert isinstance(caught.value, IntegrityError)
    return caught.value.code


def test_a_passport_verifies_with_the_key_and_the_files_alone(desk: Desk, shelf: Shelf) -> None:
    desk.log.close()
    desk.database.unlink()
    passport = verify_passport(shelf.envelope, desk.key.public, shelf.files)
    assert passport.charter.digest == CHARTER
    assert (passport.template.id, passport.template.digest) == ("audience_overlap", digest_bytes(b"template"))
    assert (passport.request, passport.release, passport.threshold) == ("r1", "r1-release", 10)
    assert [contribution.id for contribution in passport.contributions] == ["c1"]
    stages = ["contribution", "deidentified", "gate", "room", "cells", "protected", "insight"]
    assert [receipt.stage for receipt in passport.receipts] == stages


def test_a_passport_is_an_in_toto_statement(shelf: Shelf) -> None:
    statement = shelf.statement()
    assert shelf.envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["name"] for subject in statement["subject"]] == sorted(FILES)
    digest = statement["subject"][1]["digest"]["sha256"]
    assert f"sha256:{digest}" == digest_bytes(FILES["table.csv"])


def test_a_changed_file_is_named(shelf: Shelf) -> None:
    path = shelf.files["table.csv"]
    for place in range(8 * len(FILES["table.csv"])):
        changed = bytearray(FILES["table.csv"])
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(IntegrityError, match=r"passport\.file_changed.*table\.csv"):
            verify_passport(shelf.envelope, shelf.key.public, shelf.files)


def test_a_missing_file_and_an_added_one_are_named(shelf: Shelf, tmp_path: Path) -> None:
    public = shelf.key.public
    less = {"table.csv": shelf.files["table.csv"]}
    gone = shelf.files | {"finding.json": tmp_path / "gone"}
    more = shelf.files | {"extra.csv": shelf.files["table.csv"]}
    assert code_of(lambda: verify_passport(shelf.envelope, public, less)) == "passport.file_missing"
    assert code_of(lambda: verify_passport(shelf.envelope, public, gone)) == "passport.file_missing"
    assert code_of(lambda: verify_passport(shelf.envelope, public, more)) == "passport.file_unknown"


def test_one_flipped_bit_of_the_envelope_is_found(shelf: Shelf) -> None:
    def flipped(text: str, place: int) -> str:
        changed = bytearray(base64.b64decode(text))
        changed[place // 8] ^= 1 << place % 8
        return base64.b64encode(changed).decode()

    good = shelf.envelope
    (signature,) = good["signatures"]
    bad = [good | {"payload": flipped(good["payload"], place)} for place in range(0, 4000, 97)]
    bad += [good | {"signatures": [signature | {"sig": flipped(signature["sig"], 9)}]}]
    bad += [good | {"payloadType": "application/vnd.in-toto+jsoo"}]
    for envelope in bad:
        with pytest.raises(IntegrityError, match=r"signature\.invalid"):
            verify_passport(envelope, shelf.key.public, shelf.files)


def test_another_signer_is_refused(shelf: Shelf) -> None:
    stranger = SigningKey.generate()
    assert (
        code_of(lambda: verify_passport(shelf.envelope, stranger.public, shelf.files)) == "signature.invalid"
    )


def _edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(statement: dict[str, Any]) -> None:
        *folders, last = path.split(".")
        for name in folders:
            statement = statement[name]
        statement[last] = value

    return change


def _file_digest(statement: dict[str, Any]) -> None:
    statement["subject"][1]["digest"]["sha256"] = "0" * 64


# Signed again by the operator's own key: the passport must still agree with the log entry it carries.
LIES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "charter": (_edit("predicate.charter.digest", digest_bytes(b"x")), "passport.contradiction"),
    "collaboration": (_edit("predicate.charter.collaboration", "x"), "passport.contradiction"),
    "template": (_edit("predicate.template.id", "x"), "passport.contradiction"),
    "purpose": (_edit("predicate.purpose", "x"), "passport.contradiction"),
    "receivers": (_edit("predicate.receivers", ["x"]), "passport.contradiction"),
    "expiry": (_edit("predicate.expires_at", "2999-01-01T00:00:00.000Z"), "passport.contradiction"),
    "receipts": (_edit("predicate.receipts", []), "passport.contradiction"),
    "files": (_file_digest, "passport.contradiction"),
    "event": (_edit("predicate.log.event.actor", "x"), "evidence.not_included"),
    "event type": (_edit("predicate.log.event.type", "x"), "evidence.unreadable"),
    "position": (_edit("predicate.log.seq", 0), "evidence.not_included"),
    "size": (_edit("predicate.log.size", 99), "evidence.not_included"),
    "root": (_edit("predicate.log.root", "AAAA"), "evidence.not_included"),
    "proof": (_edit("predicate.log.proof", []), "evidence.not_included"),
    "proof text": (_edit("predicate.log.proof", ["?"]), "evidence.unreadable"),
    "checkpoint": (_edit("predicate.log.checkpoint", "x"), "checkpoint.unreadable"),
    "extra field": (_edit("predicate.note", "x"), "passport.unreadable"),
    "another version": (_edit("predicateType", "https://example.org/v2"), "passport.unreadable"),
    "not a file digest": (
        _edit("subject", [{"name": "table.csv", "digest": {"md5": "x"}}]),
        "passport.unreadable",
    ),
    "digest left out": (_edit("subject", [{"name": "table.csv", "digest": {}}]), "passport.unreadable"),
}


@pytest.mark.parametrize(("lie", "code"), LIES.values(), ids=LIES)
def test_a_passport_that_contradicts_its_proof_is_refused(
    shelf: Shelf, lie: Callable[[dict[str, Any]], None], code: str
) -> None:
    statement = shelf.statement()
    lie(statement)
    envelope = shelf.key.sign(statement, PAYLOAD_TYPE)
    assert code_of(lambda: verify_passport(envelope, shelf.key.public, shelf.files)) == code


def test_only_a_release_gets_a_passport(desk: Desk) -> None:
    gate = desk.contribute()[-1]
    with pytest.raises(ReceiptError) as caught:
        make_passport(desk.log, desk.key, desk.checkpoints, gate.seq)
    assert caught.value.code == "passport.not_a_release"


def test_a_release_without_every_stage_behind_it_gets_no_passport(desk: Desk) -> None:
    contribution = desk.contribute()[0]
    release = desk.release(contribution, FILES)
    with pytest.raises(ReceiptError, match="deidentified, gate missing") as caught:
        make_passport(desk.log, desk.key, desk.checkpoints, release.seq)
    assert caught.value.code == "passport.incomplete"


def test_every_event_has_a_proof_that_stands_alone(full_desk: Desk) -> None:
    for seq in range(full_desk.log.size):
        made = make_evidence(full_desk.log, full_desk.key, full_desk.checkpoints, seq)
        again = read_evidence(made.model_dump_json())
        assert verify_evidence(again, full_desk.key.public) == full_desk.log.event(seq).event
    with pytest.raises(ConfigError, match=r"log\.no_such_event"):
        make_evidence(full_desk.log, full_desk.key, full_desk.checkpoints, full_desk.log.size)


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000])
def test_what_is_no_proof_is_said_to_be_unreadable(text: str) -> None:
    assert code_of(lambda: read_evidence(text)) == "evidence.unreadable"
