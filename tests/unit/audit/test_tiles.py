from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import select

from orchestration.audit import checkpoint, merkle, tile_reader, tiles, verify_tiles
from orchestration.audit import tables as t
from orchestration.audit.events import commitment
from orchestration.audit.log import AuditLog
from orchestration.audit.tile_reader import Folder, Website
from orchestration.audit.tiles import Tile
from orchestration.errors import ConfigError, GlasshouseError, IntegrityError, ServiceError
from tests.postgres import both_databases
from tests.unit.audit.witness_story import Room


@pytest.fixture
def room(control_url: str, tmp_path: Path) -> Iterator[Room]:
    with AuditLog(control_url) as log:
        yield Room(tmp_path, log)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder behind an address of this machine, as any web server would show it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items()}


# --- the layout


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(1, 1000, 17), "tile/1/x001/000.p/17"),
        (Tile(-1, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_a_path_is_spelled_as_the_standard_says(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tiles.parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/../../etc/passwd",
        "tile/-1/000",
        "checkpoint",
        f"tile/0/{'x001/' * 2000}000",
        f"tile/0/{'x000/' * 7}000",
    ],
)
def test_no_other_spelling_is_a_tile(path: str) -> None:
    assert tiles.parse_path(path) is None


def test_the_tiles_of_the_standards_example() -> None:
    """A tree of 70,000: 273 full tiles and one of 112; one full and one of 17; one of 1."""
    found = [tile for tile in tiles.tiles_of(70_000) if tile.level >= 0]
    assert sum(tile.level == 0 and tile.width == 256 for tile in found) == 273
    assert [tile.path for tile in found if tile.width != 256] == [
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [tile.path for tile in tiles.tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles.tiles_of(0)) == []


# --- writing


@both_databases
def test_tiles_hold_the_tree_and_entries_hash_to_it(room: Room) -> None:
    room.grow(300)
    head = room.publish()
    found = files(room.published)
    assert set(found) == {
        "checkpoint",
        "operator.json",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    }
    assert found["checkpoint"].decode() == head.note
    entries = tile_reader.entries(Folder(room.published), head.size)
    with room.log.read() as connection:
        rows = connection.execute(select(t.events).order_by(t.events.c.seq)).all()
    assert entries == [commitment(row.content, row.salt) for row in rows]
    assert {len(entry) for entry in entries} == {32}
    leaves = b"".join(merkle.leaf_hash(entry) for entry in entries)
    assert leaves == found["tile/0/000"] + found["tile/0/001.p/44"]
    assert found["tile/1/000.p/1"] == room.log.root(256)


def test_a_published_log_says_nothing_of_its_events(room: Room) -> None:
    room.grow(3)
    room.publish()
    whole = b"".join(files(room.published).values())
    for word in (b"grocery", b"analyst", b"request", b"audience"):
        assert word not in whole


def test_publishing_again_writes_only_what_is_new(room: Room) -> None:
    room.grow(300)
    room.publish()
    full = room.published / "tile/0/000"
    before = full.stat().st_mtime_ns, full.stat().st_ino
    assert tiles.export(room.log, room.published, room.operator.public)[1] == 0
    room.grow(10)
    head, written = (room.publish(), sorted(files(room.published)))
    assert head.size == 310
    assert (full.stat().st_mtime_ns, full.stat().st_ino) == before
    assert "tile/0/001.p/44" in written  # a client may still hold the checkpoint of 300
    assert "tile/0/001.p/54" in written
    room.grow(210)
    room.publish()
    assert {name for name in files(room.published) if ".p/" in name} == {
        "tile/0/002.p/8",
        "tile/1/000.p/1",
        "tile/1/000.p/2",
        "tile/entries/002.p/8",
    }


def test_a_published_copy_made_at_once_is_the_same_as_one_that_grew(room: Room) -> None:
    for count in (1, 5, 255, 40):
        room.grow(count)
        room.publish()
    tiles.export(room.log, room.folder / "other", room.operator.public)
    assert files(room.folder / "other") == files(room.published)


def test_without_a_checkpoint_there_is_nothing_to_publish(room: Room) -> None:
    with pytest.raises(ConfigError) as caught:
        tiles.export(room.log, room.published, room.operator.public)
    assert caught.value.code == "tiles.no_checkpoint"
    assert room.publish().size == 0
    assert set(files(room.published)) == {"checkpoint", "operator.json"}


# --- reading


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 513])
def test_proofs_from_tiles_are_the_logs_own(room: Room, size: int) -> None:
    room.grow(size)
    head = room.publish()
    read = tile_reader.reader(Folder(room.published), size)
    assert merkle.root(size, read) == head.root
    for index in {0, size // 2, size - 1}:
        assert merkle.inclusion_proof(index, size, read) == room.log.inclusion_proof(index, size)
    for old in {1, size // 2 or 1, size}:
        assert merkle.consistency_proof(old, size, read) == room.log.consistency_proof(old, size)


def test_a_log_behind_an_address_reads_like_one_in_a_folder(room: Room) -> None:
    room.grow(300)
    head = room.publish()
    with served(room.published) as address:
        source = tile_reader.open_source(address)
        assert isinstance(source, Website)
        assert checkpoint.parse(tile_reader.fetch_text(source, "checkpoint")) == head
        assert merkle.root(300, tile_reader.reader(source, 300)) == head.root
        assert source.fetch("tile/0/999") is None
    with pytest.raises(ServiceError) as caught:
        source.fetch("checkpoint")
    assert caught.value.code == "tiles.unavailable"


def test_a_full_tile_serves_when_the_partial_one_is_gone(room: Room) -> None:
    room.grow(10)
    old = room.publish()
    room.grow(300)
    room.publish()
    assert not (room.published / "tile/0/000.p").exists()
    assert merkle.root(10, tile_reader.reader(Folder(room.published), 10)) == old.root


def test_a_cut_tile_is_unreadable_and_a_missing_one_unavailable(room: Room) -> None:
    room.grow(10)
    room.publish()
    tile = room.published / "tile/0/000.p/10"
    tile.write_bytes(tile.read_bytes()[:-1])
    with pytest.raises(IntegrityError) as caught:
        merkle.root(10, tile_reader.reader(Folder(room.published), 10))
    assert caught.value.code == "tiles.unreadable"
    tile.unlink()
    with pytest.raises(ServiceError):
        merkle.root(10, tile_reader.reader(Folder(room.published), 10))


@pytest.mark.parametrize("address", ["file:///etc", "ftp://example.org/log", "/nowhere/at/all"])
def test_no_other_address_is_read(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tile_reader.open_source(address)
    assert caught.value.code == "tiles.no_source"


@pytest.mark.parametrize("bundle", [b"\x00", b"\x00\x20short"])
def test_a_bundle_that_ends_inside_an_entry_is_refused(bundle: bytes) -> None:
    with pytest.raises(ValueError, match="inside an entry"):
        tiles.entries_of(bundle)


# --- comparing


def problems(room: Room) -> list[str]:
    try:
        return [each.where for each in verify_tiles.check(room.log, room.published, room.operator.public)[1]]
    except GlasshouseError as error:
        return [error.code]


@both_databases
def test_a_published_copy_verifies_also_when_the_log_went_on(room: Room) -> None:
    room.grow(300)
    room.publish()
    room.grow(3)
    room.seal()
    count, found = verify_tiles.check(room.log, room.published, room.operator.public)
    assert (str(count), found) == ("tiles 5/5 as the log has them", ())


def test_every_change_of_a_published_copy_is_found_where_it_is(room: Room) -> None:
    room.grow(10)
    room.publish()
    room.grow(300)
    room.publish()
    for name, data in files(room.published).items():
        path = room.published / name
        for changed in (data[:-1], data + b"\n", bytes([data[0] ^ 1]) + data[1:], None):
            path.unlink() if changed is None else path.write_bytes(changed)
            assert problems(room)[0] == f"tiles: {name}", (name, changed)
            path.write_bytes(data)
    assert problems(room) == []
    (room.published / "tile/0/007").write_bytes(bytes(8192))
    assert problems(room) == ["tiles: tile/0/007"]
