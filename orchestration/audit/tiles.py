"""The log as the files of a C2SP tlog-tiles log, which transparency tools read without knowing Glasshouse.

https://c2sp.org/tlog-tiles. Belongs here: which tiles a tree has, where they lie, what is in them, and
writing them out. Must not be here: reading somebody else's tiles (`tile_reader`), or HTTP. An entry is the
32-byte commitment to an event, so the whole log can be published and still tells nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from orchestration.audit import checkpoint, merkle
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.events import commitment
from orchestration.audit.log import AuditLog, reader
from orchestration.digests import canonical_json
from orchestration.errors import ConfigError, Reason

NO_CHECKPOINT = Reason(
    "tiles.no_checkpoint",
    "The log has no checkpoint yet, so there is nothing to publish.",
    "Checkpoints are made by the schedule; `glasshouse audit tiles` makes one too.",
)

WIDTH = 256
HEIGHT = 8  # levels of the Merkle tree in one tile
CHECKPOINT = "checkpoint"
OPERATOR = "operator.json"  # not of the standard: the public key that a witness sees on first contact

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_LAST_LEVEL = 63  # and at most seven groups of an index: a log has fewer than 2**63 events


@dataclass(frozen=True, order=True)
class Tile:
    """`width` hashes of tile level `level` from number `index` × 256 on; level -1 are the entries."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level < 0 else str(self.level)
        part = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{part}"

    @property
    def end(self) -> int:
        """Size of the smallest tree that has this tile."""
        return (self.index * WIDTH + self.width) << HEIGHT * max(self.level, 0)


def parse_path(path: str) -> Tile | None:
    """The tile at `path`, if that is how its path is spelled."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    index = int("".join(group.removeprefix("x") for group in match[2].split("/")))
    level = -1 if match[1] == "entries" else int(match[1])
    tile = Tile(level, index, int(match[3]) if match[3] else WIDTH)
    return tile if tile.path == path and level <= _LAST_LEVEL else None


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles of a tree of `size` entries; the last of each level may be partial."""
    for level in range(-1, _LAST_LEVEL):
        hashes = size >> HEIGHT * max(level, 0)
        if hashes == 0:
            return
        for index in range(hashes // WIDTH):
            yield Tile(level, index)
        if hashes % WIDTH:
            yield Tile(level, hashes // WIDTH, hashes % WIDTH)


def partial_tiles_of(size: int) -> Iterator[Tile]:
    for level in range(-1, _LAST_LEVEL):
        hashes = size >> HEIGHT * max(level, 0)
        if hashes == 0:
            return
        if hashes % WIDTH:
            yield Tile(level, hashes // WIDTH, hashes % WIDTH)


def expected(sizes: Iterable[int]) -> set[Tile]:
    """What a folder holds once the checkpoints of these sizes were published.

    The standard wants a checkpoint's partial tiles kept until the full tile is there, and not longer.
    """
    known = sorted(sizes)
    largest = known[-1] if known else 0
    wanted = set(tiles_of(largest))
    for size in known:
        wanted |= {tile for tile in partial_tiles_of(size) if Tile(tile.level, tile.index).end > largest}
    return wanted


def content(connection: Connection, tile: Tile, read: merkle.Reader) -> bytes:
    """The bytes of a tile that the log has.

    Args:
        connection: to read the entries with.
        tile: which one; the log must hold at least `tile.end` events.
        read: the stored hashes of the tree.
    """
    first = tile.index * WIDTH
    numbers = range(first, first + tile.width)
    if tile.level < 0:
        return _bundle(connection, numbers)
    positions = [merkle.Node(HEIGHT * tile.level, number).position for number in numbers]
    stored = read(positions)
    return b"".join(stored[position] for position in positions)


def export(log: AuditLog, folder: Path, operator: Mapping[str, Any]) -> tuple[Checkpoint, int]:
    """Bring a published copy up to the newest checkpoint: (that checkpoint, tiles written).

    A full tile never changes, so it is never written again. The checkpoint comes last: whoever reads
    meanwhile finds every tile that the checkpoint it sees needs.

    Raises: ConfigError `tiles.no_checkpoint`.
    """
    written = 0
    with log.read() as connection:
        head = checkpoint.newest(connection)
        if head is None:
            raise ConfigError(NO_CHECKPOINT)
        sizes: list[int] = list(connection.execute(select(t.checkpoints.c.size)).scalars())
        wanted = expected(sizes)
        for tile in sorted(wanted):
            path = folder / tile.path
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                checkpoint.write_whole(path, content(connection, tile, reader(connection)))
                written += 1
        note = checkpoint.whole_note(connection, head)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write_whole(folder / OPERATOR, canonical_json(dict(operator)))
    checkpoint.write_whole(folder / CHECKPOINT, note.encode())
    for tile in wanted:
        if tile.width == WIDTH:
            shutil.rmtree(folder / f"{tile.path}.p", ignore_errors=True)
    return head, written


def _bundle(connection: Connection, numbers: range) -> bytes:
    table = t.events.c
    query = (
        select(table.content, table.salt)
        .where(table.seq >= numbers.start, table.seq < numbers.stop)
        .order_by(table.seq)
    )
    entries = [commitment(row.content, row.salt) for row in connection.execute(query)]
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def entries_of(bundle: bytes) -> list[bytes]:
    """The entries in a bundle. Raises: ValueError when it is cut off."""
    entries = []
    at = 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entry = bundle[at + 2 : at + 2 + length]
        if len(entry) != length or at + 2 > len(bundle):
            raise ValueError("a bundle ends inside an entry")
        entries.append(entry)
        at += 2 + length
    return entries
