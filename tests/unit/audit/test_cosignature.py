from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

from orchestration.audit import checkpoint, cosignature, governance_events, witnessed
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.log import AuditLog
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import Payload, now
from orchestration.errors import GlasshouseError, IntegrityError
from orchestration.signing import SigningKey
from tests.postgres import both_databases
from tests.unit.audit.witness_story import NOON, Room


@pytest.fixture
def room(control_url: str, tmp_path: Path) -> Iterator[Room]:
    with AuditLog(control_url) as log:
        room = Room(tmp_path, log)
        room.found()
        yield room


def cosign(room: Room, member: str = "data_provider.auditor", key: SigningKey | None = None) -> str:
    head = room.seal()
    participant = member.partition(".")[0]
    line = cosignature.make(head, "grocery", participant, key or room.keys[member], now())
    return f"{head.note}{line.line}\n"


def add(room: Room, note: str) -> list[witnessed.Cosigner]:
    return witnessed.add_cosignatures(room.log, room.checkpoints, note, now())


def code_of(room: Room, note: str) -> str:
    with pytest.raises(GlasshouseError) as caught:
        add(room, note)
    return caught.value.code


def problems(room: Room) -> list[str]:
    found = verify_log(room.log, room.checkpoints, room.operator.public)
    return [problem.where for problem in found.problems]


# --- the format


def test_a_cosignature_reads_as_the_standard_says(room: Room) -> None:
    key = SigningKey.generate()
    head = room.seal()
    made = cosignature.make(head, "grocery", "media_owner", key, NOON)
    dash, name, blob = made.line.split(" ")
    assert (dash, name) == ("—", "glasshouse-witness/grocery/media_owner")
    raw = bytes.fromhex(key.public["keyval"]["public"])
    data = base64.b64decode(blob)
    assert data[:4] == hashlib.sha256(name.encode() + b"\n\x04" + raw).digest()[:4]
    assert int.from_bytes(data[4:12], "big") == int(NOON.timestamp()) == 1780315200
    message = f"cosignature/v1\ntime 1780315200\n{head.note.partition(chr(10) * 2)[0]}\n"
    Ed25519PublicKey.from_public_bytes(raw).verify(data[12:], message.encode())
    assert made.at == NOON
    assert cosignature.verify(made, head, key.public)


def test_the_example_of_the_standard_can_be_read() -> None:
    """Of a witness that is none of ours: its line is left alone, the checkpoint is read."""
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz"
        "Gku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1n"
        "PZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    head = checkpoint.parse(note)
    assert (head.size, len(head.lines)) == (20852163, 2)
    assert not any(cosignature.is_cosignature(line) for line in head.lines)
    name, blob = checkpoint.read_line(head.lines[1])
    assert (name, len(blob), int.from_bytes(blob[4:12], "big")) == ("witness.example.com/w1", 76, 1679315147)


def test_another_program_reads_a_cosigned_checkpoint(room: Room) -> None:
    note = cosign(room)
    read = SignedCheckpoint.from_text(note)
    assert read.checkpoint.log_size == room.log.size
    assert read.checkpoint.log_hash == room.log.root().hex()
    assert [each.name for each in read.signed_note.signatures] == [
        checkpoint.origin_of(room.operator.public),
        "glasshouse-witness/grocery/data_provider",
    ]


def test_one_changed_bit_is_found(room: Room) -> None:
    head = room.seal()
    key = SigningKey.generate()
    line = cosignature.make(head, "grocery", "media_owner", key, NOON).line.encode()
    for place in range(len(line) * 8):
        changed = bytearray(line)
        changed[place // 8] ^= 1 << place % 8
        try:
            read = cosignature.parse(changed.decode("utf-8", "replace"))
        except IntegrityError:
            continue
        assert not cosignature.verify(read, head, key.public), place


@pytest.mark.parametrize(
    "line",
    [
        "",
        "— glasshouse-witness/grocery/media_owner AAAA",
        "— glasshouse-witness/grocery AAAA",
        f"— glasshouse-witness/grocery/x+y {base64.b64encode(bytes(76)).decode()}",
        f"— glasshouse-witness/grocery/media_owner {base64.b64encode(bytes(75)).decode()}",
        f"— glasshouse-witness/grocery/media_owner {base64.b64encode(bytes([255]) * 76).decode()}",
    ],
)
def test_what_is_no_cosignature_is_said_to_be_unreadable(line: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        cosignature.parse(line)
    assert caught.value.code == "cosignature.unreadable"


# --- keeping them


@both_databases
def test_a_quorum_of_witnesses_makes_a_checkpoint_witnessed(room: Room) -> None:
    size = room.seal().size
    assert witnessed.witnessed(room.log, room.charter, size) == witnessed.Witnessed(size, (), 2, False)
    (found,) = add(room, cosign(room))
    assert (found.participant, found.member) == ("data_provider", "data_provider.auditor")
    assert witnessed.newest_witnessed(room.log, room.charter) == 0
    add(room, cosign(room, "media_owner.steward"))
    both = witnessed.witnessed(room.log, room.charter, size)
    assert (both.participants, both.met) == (("data_provider", "media_owner"), True)
    room.grow()
    room.seal()
    assert witnessed.newest_witnessed(room.log, room.charter) == size
    assert problems(room) == []


def test_the_file_of_a_checkpoint_carries_its_cosignatures(room: Room) -> None:
    note = cosign(room)
    add(room, note)
    assert (room.checkpoints / checkpoint.filename(room.log.size)).read_text(encoding="utf-8") == note
    add(room, note)
    assert (room.checkpoints / checkpoint.filename(room.log.size)).read_text(encoding="utf-8") == note


def test_a_participants_first_cosignature_stays(room: Room) -> None:
    first = cosign(room)
    add(room, first)
    again = add(room, cosign(room, "data_provider.steward"))
    assert again[0].member == "data_provider.steward"
    with room.log.read() as connection:
        assert checkpoint.stored_lines(connection, room.log.size) == [first.splitlines()[-1]]


def test_who_is_not_named_by_the_charter_does_not_witness(room: Room) -> None:
    assert code_of(room, cosign(room, "retailer.steward")) == "cosignature.unknown_witness"


def test_a_member_without_the_role_does_not_witness(room: Room) -> None:
    assert code_of(room, cosign(room, "media_owner.analyst")) == "cosignature.no_role"


def test_somebody_elses_key_does_not_witness(room: Room) -> None:
    stranger = SigningKey.generate()
    assert code_of(room, cosign(room, key=stranger)) == "cosignature.bad_signature"
    other = room.keys["retailer.steward"]
    assert code_of(room, cosign(room, key=other)) == "cosignature.bad_signature"


def test_a_checkpoint_this_log_never_made_is_not_kept(room: Room) -> None:
    note = cosign(room)
    head = checkpoint.parse(note)
    body = head.body.replace(f"\n{head.size}\n", f"\n{head.size + 1}\n")
    assert code_of(room, note.replace(head.body, body)) == "cosignature.no_checkpoint"
    forged = checkpoint._sign(head.size, bytes(32), room.operator)
    line = cosignature.make(forged, "grocery", "data_provider", room.keys["data_provider.auditor"], NOON)
    assert code_of(room, f"{forged.note}{line.line}\n") == "cosignature.no_checkpoint"


def test_a_checkpoint_without_a_cosignature_is_unreadable(room: Room) -> None:
    assert code_of(room, room.seal().note) == "cosignature.unreadable"
    assert code_of(room, "nothing") == "cosignature.unreadable"


@both_databases
def test_what_a_rotated_key_cosigned_stays_and_what_it_cosigns_later_does_not(room: Room) -> None:
    old = room.keys["data_provider.auditor"]
    size = room.seal().size
    add(room, cosign(room))
    new = SigningKey.generate()
    rotated = governance_events.KeyRotated(
        member="data_provider.auditor", public_key=new.public, proof="proof"
    )
    room.say("data_provider.auditor", rotated, "data_provider.auditor")
    assert witnessed.witnessed(room.log, room.charter, size).participants == ("data_provider",)
    assert problems(room) == []
    assert code_of(room, cosign(room, key=old)) == "cosignature.bad_signature"
    assert add(room, cosign(room, key=new))[0].key_id == new.key_id


def test_a_line_put_into_the_table_by_hand_counts_for_nobody(room: Room) -> None:
    head = room.seal()
    line = cosignature.make(head, "grocery", "data_provider", SigningKey.generate(), NOON).line
    row = {"size": head.size, "participant": "data_provider", "collaboration": "grocery", "line": line}
    with room.log.write() as connection:
        connection.execute(t.cosignatures.insert(), row)
    assert witnessed.witnessed(room.log, room.charter, head.size).participants == ()
    assert f"cosignature of checkpoint {head.size} by data_provider for grocery" in problems(room)


def test_a_cosignature_taken_away_is_found(room: Room) -> None:
    size = room.seal().size
    add(room, cosign(room))
    with room.log.write() as connection:
        connection.execute(t.cosignatures.delete())
    assert problems(room) == [f"checkpoint {size}"]


def by_hand(room: Room, head: Checkpoint, line: cosignature.Cosignature) -> None:
    """What who may write the database can do: a row, and the file that goes with it."""
    row = {"size": head.size, "participant": line.participant, "collaboration": "grocery", "line": line.line}
    with room.log.write() as connection:
        connection.execute(t.cosignatures.insert(), row)
    (room.checkpoints / head.filename).write_text(checkpoint.with_lines(head, [line.line]), encoding="utf-8")


def counted(room: Room, size: int) -> tuple[str, ...]:
    return witnessed.witnessed(room.log, room.charter, size).participants


def ended(room: Room, reason: str) -> None:
    payload = {"member": "data_provider.auditor", "key_id": room.keys["data_provider.auditor"].key_id}
    revoked = governance_events.KeyRevoked.model_validate(payload | {"reason": reason})
    room.say("data_provider.auditor", revoked, "data_provider.steward")


@both_databases
@pytest.mark.parametrize("reason", ["retired", "compromised"])
def test_what_an_ended_key_cosigns_counts_not_even_by_hand(room: Room, reason: str) -> None:
    """The checkpoint is of before the revocation, the line of after it."""
    head = room.seal()
    ended(room, reason)
    later = now() + timedelta(seconds=2)
    line = cosignature.make(head, "grocery", "data_provider", room.keys["data_provider.auditor"], later)
    by_hand(room, head, line)
    assert counted(room, head.size) == ()
    assert problems(room) == [f"cosignature of checkpoint {head.size} by data_provider for grocery"]


@pytest.mark.parametrize(("reason", "counts"), [("retired", True), ("lost", False), ("compromised", False)])
def test_a_key_in_other_hands_takes_its_cosignatures_along(room: Room, reason: str, *, counts: bool) -> None:
    """Whoever has it now can write any time into a line: so no line of it tells when it was made."""
    size = room.seal().size
    add(room, cosign(room))
    assert counted(room, size) == ("data_provider",)
    ended(room, reason)
    assert counted(room, size) == (("data_provider",) if counts else ())
    assert problems(room) == []


def test_who_is_neither_steward_nor_auditor_counts_not_even_by_hand(room: Room) -> None:
    head = room.seal()
    line = cosignature.make(head, "grocery", "media_owner", room.keys["media_owner.analyst"], now())
    by_hand(room, head, line)
    assert counted(room, head.size) == ()
    assert problems(room) == [f"cosignature of checkpoint {head.size} by media_owner for grocery"]


def test_who_the_charter_does_not_name_counts_not_even_by_hand(room: Room) -> None:
    head = room.seal()
    by_hand(room, head, cosignature.make(head, "grocery", "retailer", room.keys["retailer.steward"], now()))
    assert problems(room) == [f"cosignature of checkpoint {head.size} by retailer for grocery"]


@pytest.mark.parametrize("gone", ["removed", "suspended", "left"])
def test_a_witness_that_is_gone_counts_not_even_by_hand(room: Room, gone: str) -> None:
    head = room.seal()
    payload: Payload = {
        "removed": governance_events.ParticipantRemoved(participant="data_provider", decision="d"),
        "suspended": governance_events.ParticipantSuspended(participant="data_provider", decision="d"),
        "left": governance_events.ParticipantLeft(participant="data_provider"),
    }[gone]
    room.say("data_provider", payload)
    after = now() + timedelta(seconds=2)
    later = cosignature.make(head, "grocery", "data_provider", room.keys["data_provider.auditor"], after)
    by_hand(room, head, later)
    assert counted(room, head.size) == ()
    assert problems(room) == [f"cosignature of checkpoint {head.size} by data_provider for grocery"]


def test_a_key_that_somebody_else_replaced_takes_its_cosignatures_along(room: Room) -> None:
    size = room.seal().size
    add(room, cosign(room))
    assert counted(room, size) == ("data_provider",)
    enrolled = governance_events.MemberEnrolled(
        member="data_provider.auditor",
        roles=("auditor",),
        public_key=SigningKey.generate().public,
        proof="proof",
        expires_at=now() + timedelta(days=1),
    )
    room.say("data_provider.auditor", enrolled, "data_provider.steward")
    assert counted(room, size) == ()


def test_a_lent_role_witnesses_nothing(room: Room) -> None:
    until = now() + timedelta(hours=1)
    lent = governance_events.EmergencyOpened(
        grant="fire", member="media_owner.analyst", role="steward", expires_at=until
    )
    room.act("media_owner.analyst", lent, "media_owner.steward")
    assert code_of(room, cosign(room, "media_owner.analyst")) == "cosignature.no_role"


def test_a_role_that_was_taken_counts_no_more(room: Room) -> None:
    size = room.seal().size
    add(room, cosign(room))
    taken = governance_events.GrantRevoked(grant="data_provider.auditor/auditor")
    room.act(taken.grant, taken, "data_provider.steward")
    assert counted(room, size) == ()
    assert problems(room) == []
