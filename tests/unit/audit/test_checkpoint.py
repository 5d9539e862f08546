from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

from orchestration.audit import checkpoint, merkle
from orchestration.audit import tables as t
from orchestration.audit.verify import verify_log
from orchestration.errors import IntegrityError
from orchestration.signing import SigningKey
from tests.unit.audit.audit_story import Desk, submitted


def test_a_checkpoint_reads_as_the_standard_says(desk: Desk) -> None:
    desk.say("r1", submitted())
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    origin, size, root, blank, signature, end = made.note.split("\n")
    assert origin == f"glasshouse/{desk.key.key_id[:16]}"
    assert (size, base64.b64decode(root), blank, end) == ("1", desk.log.root(), "", "")
    dash, name, blob = signature.split(" ")
    assert (dash, name) == ("—", origin)
    raw = bytes.fromhex(desk.key.public["keyval"]["public"])
    key_hash, bare = base64.b64decode(blob)[:4], base64.b64decode(blob)[4:]
    assert key_hash == hashlib.sha256(origin.encode() + b"\n\x01" + raw).digest()[:4]
    Ed25519PublicKey.from_public_bytes(raw).verify(bare, f"{origin}\n{size}\n{root}\n".encode())


def test_a_checkpoint_is_kept_as_a_file_and_verifies(desk: Desk) -> None:
    desk.say("r1", submitted())
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    (file,) = desk.checkpoints.iterdir()
    assert file.name == made.filename
    assert checkpoint.verify(file.read_text(encoding="utf-8"), desk.key.public) == made


def test_an_empty_log_has_a_checkpoint_too(desk: Desk) -> None:
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    assert (made.size, made.root) == (0, merkle.EMPTY_ROOT)


def test_an_unchanged_log_keeps_its_checkpoint(desk: Desk) -> None:
    desk.say("r1", submitted())
    first = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    assert checkpoint.make(desk.log, desk.key, desk.checkpoints) == first
    desk.say("r2", submitted())
    assert checkpoint.make(desk.log, desk.key, desk.checkpoints).size == 2
    assert len(list(desk.checkpoints.iterdir())) == 2


def test_a_file_that_was_not_written_is_written_by_the_next_call(desk: Desk) -> None:
    desk.say("r1", submitted())
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    (desk.checkpoints / made.filename).unlink()
    desk.say("r2", submitted())
    checkpoint.make(desk.log, desk.key, desk.checkpoints)
    assert (desk.checkpoints / made.filename).read_text(encoding="utf-8") == made.note


class KilledError(BaseException):
    """Not caught by anything, like a signal."""


@pytest.mark.parametrize("at", ["write_whole", "insert", "finish"])
def test_a_kill_at_any_moment_leaves_a_log_that_verifies_and_the_next_call_finishes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Before the file is written, between file and row, and between row and the file's own name."""
    desk.say("r1", submitted())
    checkpoint.make(desk.log, desk.key, desk.checkpoints)
    desk.say("r2", submitted())

    def killed(*arguments: object) -> None:
        raise KilledError

    monkeypatch.setattr(checkpoint, at, killed)
    with pytest.raises(KilledError):
        checkpoint.make(desk.log, desk.key, desk.checkpoints)
    monkeypatch.undo()
    verify_log(desk.log, desk.checkpoints, desk.key.public).require()
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    assert made.size == 2
    verify_log(desk.log, desk.checkpoints, desk.key.public).require()
    assert sorted(path.name for path in desk.checkpoints.iterdir()) == [
        checkpoint.filename(1),
        checkpoint.filename(2),
    ]


def test_a_waiting_file_excuses_only_its_own_row(desk: Desk) -> None:
    """Whoever takes the file away cannot put anything else in its place and call it unfinished."""
    desk.say("r1", submitted())
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    file = desk.checkpoints / made.filename
    file.unlink()
    checkpoint.waiting(file).write_text("another", encoding="utf-8")
    assert not verify_log(desk.log, desk.checkpoints, desk.key.public).ok


def test_a_verifier_key_is_spelled_as_other_tools_want_it(desk: Desk) -> None:
    name, key_id, material = checkpoint.verifier_key("log", checkpoint.ED25519, desk.key.public).split("+", 2)
    raw = bytes.fromhex(desk.key.public["keyval"]["public"])
    assert (name, base64.b64decode(material)) == ("log", b"\x01" + raw)
    assert bytes.fromhex(key_id) == hashlib.sha256(b"log\n\x01" + raw).digest()[:4]


def test_another_program_reads_a_checkpoint(desk: Desk) -> None:
    desk.say("r1", submitted())
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    read = SignedCheckpoint.from_text(made.note)
    assert (read.checkpoint.origin, read.checkpoint.log_size) == (made.origin, 1)
    assert read.checkpoint.log_hash == made.root.hex()
    assert [each.name for each in read.signed_note.signatures] == [made.origin]


def test_the_oldest_checkpoint_that_covers_an_event_is_used(desk: Desk) -> None:
    for number in range(3):
        desk.say(f"r{number}", submitted())
        if number != 1:
            checkpoint.make(desk.log, desk.key, desk.checkpoints)
    sizes = [checkpoint.covering(desk.log, desk.key, desk.checkpoints, seq).size for seq in range(3)]
    assert sizes == [1, 3, 3]
    desk.say("r3", submitted())
    assert checkpoint.covering(desk.log, desk.key, desk.checkpoints, 3).size == 4


def test_a_rewritten_log_is_not_signed(full_desk: Desk) -> None:
    with full_desk.log.write() as connection:
        connection.execute(t.nodes.update().where(t.nodes.c.position == 7).values(hash=bytes(32)))
    full_desk.say("r9", submitted())
    with pytest.raises(IntegrityError) as caught:
        checkpoint.make(full_desk.log, full_desk.key, full_desk.checkpoints)
    assert caught.value.code == "checkpoint.forked"


def test_one_changed_bit_is_found(desk: Desk) -> None:
    desk.say("r1", submitted())
    note = checkpoint.make(desk.log, desk.key, desk.checkpoints).note.encode()
    for place in range(len(note) * 8):
        changed = bytearray(note)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(IntegrityError):
            checkpoint.verify(changed.decode("utf-8", "replace"), desk.key.public)


def test_somebody_elses_signature_does_not_count(desk: Desk) -> None:
    note = checkpoint.make(desk.log, desk.key, desk.checkpoints).note
    with pytest.raises(IntegrityError) as caught:
        checkpoint.verify(note, SigningKey.generate().public)
    assert caught.value.code == "checkpoint.signature"


def test_a_witness_may_sign_below(desk: Desk) -> None:
    made = checkpoint.make(desk.log, desk.key, desk.checkpoints)
    cosigned = f"{made.note}— witness.example {base64.b64encode(bytes(68)).decode()}\n"
    assert checkpoint.verify(cosigned, desk.key.public).root == made.root


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "note",
    [
        "",
        "origin",
        f"origin\n1\n{ROOT}\n",
        f"origin\n1\n{ROOT}\n\n— origin AAAA",
        f"origin\n01\n{ROOT}\n\n— origin AAAA\n",
        f"origin\n-1\n{ROOT}\n\n— origin AAAA\n",
        f"or igin\n1\n{ROOT}\n\n— origin AAAA\n",
        "origin\n1\nAAAA\n\n— origin AAAA\n",
        "origin\n1\nnot base64\n\n— origin AAAA\n",
        f"origin\n1\n{ROOT}\nextension\n\n— origin AAAA\n",
    ],
)
def test_what_is_no_checkpoint_is_said_to_be_unreadable(note: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        checkpoint.parse(note)
    assert caught.value.code == "checkpoint.unreadable"
