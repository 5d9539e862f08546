"""Does a published copy of the log, in tiles, say what the log says?

Belongs here: comparing a folder of tiles with the tree. Must not be here: the tree itself (`verify`), or how
tiles are laid out (`tiles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from orchestration.audit import checkpoint, cosignature, tiles, witnessed
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.findings import Count, Problem
from orchestration.audit.log import AuditLog, reader
from orchestration.digests import canonical_json
from orchestration.errors import IntegrityError


def check(log: AuditLog, folder: Path, public_key: Mapping[str, Any]) -> tuple[Count, tuple[Problem, ...]]:
    """Compare the folder with the log as it is now, file by file."""
    problems: list[Problem] = []
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    with log.read() as connection:
        size = _head(connection, folder, public_key, problems)
        sizes: list[int] = list(connection.execute(select(t.checkpoints.c.size)).scalars())
        wanted = {tile.path: tile for tile in tiles.expected(each for each in sizes if 0 <= each <= size)}
        good = sum(_is_as_it_was(connection, folder, tile, problems) for tile in wanted.values())
    beside = {tiles.CHECKPOINT, tiles.OPERATOR}
    problems += [
        Problem(f"tiles: {name}", "the published checkpoint needs no such file")
        for name in sorted(found - wanted.keys() - beside)
        if not name.rpartition("/")[2].startswith(".")  # part of a file whose writer was killed
    ]
    return Count("tiles", good, len(wanted), "as the log has them"), tuple(problems)


def _head(
    connection: Connection, folder: Path, public_key: Mapping[str, Any], problems: list[Problem]
) -> int:
    """Size of the published checkpoint; 0 when it is none of this log's."""
    try:
        head = checkpoint.verify((folder / tiles.CHECKPOINT).read_bytes().decode(), public_key)
        known = checkpoint.stored(connection, head.size)
        if known is None or known.body != head.body or head.lines[0] != known.lines[0]:
            raise IntegrityError(checkpoint.BAD_SIGNATURE)
    except (OSError, ValueError, IntegrityError):
        problems.append(Problem(f"tiles: {tiles.CHECKPOINT}", "it is no checkpoint of this log"))
        return 0
    if not _lines_hold(connection, head):
        problems.append(
            Problem(f"tiles: {tiles.CHECKPOINT}", "a line below it is not one that is kept for it")
        )
    operator = folder / tiles.OPERATOR
    if not operator.is_file() or operator.read_bytes() != canonical_json(dict(public_key)):
        problems.append(Problem(f"tiles: {tiles.OPERATOR}", "it is not the operator's public key"))
    return head.size


def _lines_hold(connection: Connection, head: Checkpoint) -> bool:
    """A copy may be older than a cosignature; it may not have one that does not hold."""
    for line in head.lines[1:]:
        try:
            if witnessed.cosigner(connection, head, cosignature.parse(line)) is None:
                return False
        except IntegrityError:
            return False
    return True


def _is_as_it_was(connection: Connection, folder: Path, tile: tiles.Tile, problems: list[Problem]) -> bool:
    what = None
    try:
        if (folder / tile.path).read_bytes() != tiles.content(connection, tile, reader(connection)):
            what = "it is not what the log has there"
    except FileNotFoundError:
        what = "missing"
    except (OSError, TypeError, IntegrityError):
        what = "it cannot be compared"
    if what is not None:
        problems.append(Problem(f"tiles: {tile.path}", what))
    return what is None
