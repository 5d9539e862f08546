from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.audit import checkpoint, cosignature, tiles, witness, witnessed
from orchestration.audit.log import AuditLog
from orchestration.audit.tile_reader import Folder
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import now
from orchestration.errors import GlasshouseError, ServiceError
from orchestration.signing import SigningKey
from tests.unit.audit.witness_story import Room, rewritten


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as log:
        room = Room(tmp_path, log)
        room.found()
        room.grow(5)
        room.publish()
        yield room


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def memory(room: Room) -> Path:
    return room.state / "grocery" / "data_provider"


def refused(look: Callable[[], object]) -> GlasshouseError:
    with pytest.raises(GlasshouseError) as caught:
        look()
    return caught.value


def test_a_log_that_only_grows_is_cosigned(room: Room) -> None:
    first = room.witness()
    assert (first.head.size, first.known) == (room.log.size, None)
    assert first.operator == room.operator.key_id
    again = room.witness()
    assert (again.head.size, again.known) == (first.head.size, first.head.size)
    room.grow(400)
    room.publish()
    grown = room.witness()
    assert (grown.head.size, grown.known) == (room.log.size, first.head.size)
    assert cosignature.verify(grown.cosignature, grown.head, room.keys["data_provider.auditor"].public)


def test_what_a_witness_wrote_is_taken_by_the_house(room: Room) -> None:
    for member in ("data_provider.auditor", "media_owner.steward"):
        seen = room.witness(member)
        assert seen.file.read_text(encoding="utf-8") == seen.note
        witnessed.add_cosignatures(room.log, room.checkpoints, seen.note, now())
    assert witnessed.witnessed(room.log, room.charter, room.log.size).met
    room.publish()
    published = (room.published / tiles.CHECKPOINT).read_text(encoding="utf-8")
    assert len(checkpoint.parse(published).lines) == 3
    assert room.witness().head.size == room.log.size  # a cosigned checkpoint is still the operator's


def test_each_participant_remembers_for_itself(room: Room) -> None:
    room.witness("data_provider.auditor")
    assert room.witness("media_owner.steward").known is None


def test_a_line_of_nobody_above_the_operators_is_left_out(room: Room) -> None:
    """What the witness hands on carries the line it verified, not the one that stands first."""
    published = room.published / tiles.CHECKPOINT
    body, blank, lines = published.read_text(encoding="utf-8").partition("\n\n")
    published.write_text(f"{body}{blank}— junk AAAAAA==\n{lines}", encoding="utf-8")
    seen = room.witness()
    assert checkpoint.verify(seen.note, room.operator.public).size == room.log.size
    assert len(checkpoint.parse(seen.note).lines) == 2


# --- what is refused


def test_a_rewritten_log_passes_its_own_verification_and_is_refused_by_one_witness(
    room: Room, elsewhere: Path
) -> None:
    """The operator leaves an event out, and makes tree, tables and checkpoints anew: all of it agrees."""
    room.witness()
    other = rewritten(room, elsewhere, without=room.log.size - 2)
    other.grow(5)
    other.publish()
    verify_log(other.log, other.checkpoints, other.operator.public).require()
    error = refused(lambda: room.witness(source=other.published))
    assert (error.code, error.exit_code) == ("witness.rewritten", 4)
    (file,) = memory(room).glob("contradiction-*.json")
    assert file.name in error.message + error.next_step
    kept = json.loads(file.read_text(encoding="utf-8"))
    notes = [checkpoint.verify(kept[name], room.operator.public).size for name in ("kept", "contradicting")]
    assert notes == [room.log.size, other.log.size]
    assert kept["kept_root_by_the_contradicting_log"] is not None
    # It stays refused, and the true log is still accepted.
    assert refused(lambda: room.witness(source=other.published)).code == "witness.rewritten"
    assert room.witness().known == room.log.size


def test_two_logs_of_the_same_size_are_a_split(room: Room, elsewhere: Path) -> None:
    room.witness()
    other = rewritten(room, elsewhere, without=room.log.size - 2)
    other.grow(1)
    other.publish()
    assert other.log.size == room.log.size
    assert refused(lambda: room.witness(source=other.published)).code == "witness.split"
    assert len(list(memory(room).glob("contradiction-*.json"))) == 1


def test_a_log_that_became_shorter_is_refused(room: Room) -> None:
    shutil.copytree(room.published, room.folder / "old")
    room.grow()
    room.publish()
    room.witness()
    error = refused(lambda: room.witness(source=room.folder / "old"))
    assert error.code == "witness.rolled_back"


def test_a_log_with_another_operator_is_not_taken_for_a_new_one(room: Room, elsewhere: Path) -> None:
    """A new key would be believed on first contact, so a rewritten log must not look like one."""
    room.witness()
    other = rewritten(room, elsewhere, without=room.log.size - 2)
    other.operator = SigningKey.generate()
    other.publish()
    assert refused(lambda: room.witness(source=other.published)).code == "witness.other_operator"


def test_the_operators_key_can_be_demanded_from_the_start(room: Room) -> None:
    def look(operator: SigningKey) -> object:
        return witness.observe(
            Folder(room.published),
            room.state,
            collaboration="grocery",
            participant="data_provider",
            key=room.keys["data_provider.auditor"],
            at=now(),
            operator=operator.public,
        )

    assert refused(lambda: look(SigningKey.generate())).code == "checkpoint.signature"
    assert not (memory(room) / "checkpoint").exists()
    look(room.operator)
    assert refused(lambda: look(SigningKey.generate())).code == "witness.other_operator"


def test_a_checkpoint_nobody_signed_is_refused(room: Room) -> None:
    path = room.published / tiles.CHECKPOINT
    size = room.log.size
    path.write_text(path.read_text(encoding="utf-8").replace(f"\n{size}\n", f"\n{size - 1}\n"), "utf-8")
    assert refused(room.witness).code == "checkpoint.signature"


def test_tiles_that_are_not_the_checkpoints_are_refused(room: Room) -> None:
    path = room.published / f"tile/0/000.p/{room.log.size}"
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert refused(room.witness).code == "witness.unproven"
    assert not (memory(room) / "checkpoint").exists()


def test_a_key_under_another_keys_id_is_refused(room: Room) -> None:
    stranger = SigningKey.generate().public
    told = {**stranger, "keyid": room.operator.key_id}
    (room.published / tiles.OPERATOR).write_text(json.dumps(told), encoding="utf-8")
    assert refused(room.witness).code == "witness.unknown_operator"


@pytest.mark.parametrize("name", ["checkpoint", "operator.json"])
def test_a_damaged_memory_is_not_started_anew(room: Room, name: str) -> None:
    room.witness()
    (memory(room) / name).write_bytes(b"\xff")
    assert refused(room.witness).code == "witness.damaged_memory"


def test_a_lost_checkpoint_does_not_bring_another_operator(room: Room, elsewhere: Path) -> None:
    room.witness()
    (memory(room) / "checkpoint").unlink()
    other = Room(elsewhere, room.log, keys=room.keys)
    with AuditLog(f"sqlite:///{elsewhere / 'other.db'}") as log:
        other.log = log
        other.grow()
        other.publish()
        assert refused(lambda: room.witness(source=other.published)).code == "witness.other_operator"


def test_a_witness_that_is_killed_before_it_signed_remembers(
    room: Room, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It remembers first: whatever it may have signed just before, it does not sign the other history."""

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cosignature, "make", killed)
    with pytest.raises(KeyboardInterrupt):
        room.witness()
    monkeypatch.undo()
    other = rewritten(room, elsewhere, without=room.log.size - 2)
    other.grow(5)
    other.publish()
    assert refused(lambda: room.witness(source=other.published)).code == "witness.rewritten"


def test_a_log_that_is_not_there_can_be_asked_later(room: Room) -> None:
    room.witness()
    shutil.rmtree(room.published)
    room.published.mkdir()
    error = refused(room.witness)
    assert isinstance(error, ServiceError)
    room.publish()
    assert room.witness().known == room.log.size
