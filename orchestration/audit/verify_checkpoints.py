"""Does the log agree with every checkpoint of it that was signed, and with every line a witness put below?

Belongs here: comparing checkpoints and cosignatures with the tree, with each other, with their files and with
the keys that may make them. Must not be here: the events and tables themselves (`verify`), reading one
checkpoint (`checkpoint`), or published copies (`verify_tiles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import exc as sql

from orchestration.audit import checkpoint, cosignature, merkle, witnessed
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.findings import Count, Problem
from orchestration.errors import IntegrityError


def read_files(folder: Path) -> dict[str, bytes]:
    """Every checkpoint file as it is now.

    To be called before the tables are read: a file never says more than rows that were committed before it.
    """
    if not folder.is_dir():
        return {}
    found = {}
    for path in folder.iterdir():
        # A leading dot: a file that waits for its rows, or a part of one whose writer was killed.
        if path.name.startswith("."):
            continue
        try:
            found[path.name] = path.read_bytes()
        except OSError:
            found[path.name] = b""  # a folder, or damaged: it is there, and it is not what was written
    return found


def check(
    connection: Connection,
    folder: Path,
    files: Mapping[str, bytes],
    tree: Mapping[int, bytes],
    public_key: Mapping[str, Any],
    problems: list[Problem],
) -> tuple[int, Count]:
    """(events covered by the newest valid checkpoint, count).

    Args:
        connection: one consistent view of the log.
        folder: with the checkpoint files.
        files: `read_files` of the folder, from before the view was opened.
        tree: hashes of the complete subtrees over the events as they are, by position.
        public_key: of the operator, who signs the checkpoints.
        problems: what is found is added here.
    """
    heads: list[Checkpoint] = []
    rows = connection.execute(select(t.checkpoints).order_by(t.checkpoints.c.size)).all()
    for row in rows:
        found = _checkpoint_problem(row.size, row.note, tree, public_key)
        if isinstance(found, Checkpoint):
            what = _file_problem(connection, found, folder, files)
            found = found if what is None else what
        if isinstance(found, str):
            problems.append(Problem(f"checkpoint {row.size}", found))
        else:
            heads.append(found)
    expected = {checkpoint.filename(row.size) for row in rows if isinstance(row.size, int)}
    problems += [
        Problem(f"checkpoint file {name}", "the database knows no such checkpoint")
        for name in sorted(files.keys() - expected)
    ]
    bad = set()
    for old, new in pairwise([head for head in heads if head.size]):
        proof = merkle.consistency_proof(old.size, new.size, merkle.tree_reader(tree))
        if not merkle.verify_consistency(old.size, new.size, old.root, new.root, proof):
            problems.append(Problem(f"checkpoint {new.size}", f"not consistent with checkpoint {old.size}"))
            bad.add(new.size)
    good = [head.size for head in heads if head.size not in bad]
    return max(good, default=0), Count("checkpoints", len(good), len(rows), "consistent")


def check_cosignatures(connection: Connection, problems: list[Problem]) -> Count:
    """Every line kept for a checkpoint: of that very one, by a key that may witness for its participant."""
    table = t.cosignatures.c
    rows = connection.execute(
        select(t.cosignatures).order_by(table.size, table.collaboration, table.participant)
    ).all()
    good = 0
    for row in rows:
        what = _line_problem(connection, row.size, row.collaboration, row.participant, row.line)
        good += what is None
        if what is not None:
            where = f"cosignature of checkpoint {row.size} by {row.participant} for {row.collaboration}"
            problems.append(Problem(where, what))
    return Count("cosignatures", good, len(rows), "valid")


def _checkpoint_problem(
    size: int, note: str, tree: Mapping[int, bytes], public_key: Mapping[str, Any]
) -> Checkpoint | str:
    try:
        head = checkpoint.verify(note, public_key)
    except IntegrityError as error:
        return f"in the database: {error.message}"
    if head.size != size:
        return "in the database: stored under another size"
    if len(head.lines) != 1:
        return "in the database: there are lines below it that the operator did not sign"
    if size and merkle.Node(0, size - 1).position not in tree:
        return "the log is shorter than it, or has a gap"
    if merkle.root(size, merkle.tree_reader(tree)) != head.root:
        return "the events it covers are not the ones that were signed"
    return head


def _file_problem(
    connection: Connection, head: Checkpoint, folder: Path, files: Mapping[str, bytes]
) -> str | None:
    """The file, before or after the rows were read, or the one that waits for its name, says the same."""
    expected = checkpoint.whole_note(connection, head).encode()
    if files.get(head.filename) == expected:
        return None
    file = folder / head.filename
    # It may have been renamed between two looks: so the last look is at the name it gets.
    for path in (file, checkpoint.waiting(file), file):
        try:
            if path.read_bytes() == expected:
                return None
        except OSError:
            continue
    if head.filename in files:
        return "its file differs from the database"
    return "its file is missing; the next checkpoint writes the newest one again"


def _line_problem(
    connection: Connection, size: object, collaboration: str, participant: str, text: str
) -> str | None:
    try:
        line = cosignature.parse(text)
    except (IntegrityError, TypeError):
        return "it is not a cosignature"
    if (line.collaboration, line.participant) != (collaboration, participant):
        return "it is another witness's"
    try:
        head = checkpoint.stored(connection, size) if isinstance(size, int) else None
        if head is None:
            return "there is no such checkpoint"
        if witnessed.cosigner(connection, head, line) is None:
            return "no key that may witness for this participant made it"
        if witnessed.is_early(connection, head, line):
            return f"event {head.size - 1} is dated later than the witness saw it"
    except (IntegrityError, sql.SQLAlchemyError, ValueError, TypeError, KeyError, RecursionError):
        return "what it belongs to cannot be read"
    return None
