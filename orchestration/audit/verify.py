"""Does everything still say what was written? Finds any change to the log, its tree, its checkpoints, the
lineage stored with it or the tables shown from it, and says where.

Belongs here: comparing. Nothing is repaired. What no checkpoint covers yet is only checked for agreement with
itself: whoever may write the database could have rewritten it whole, which is why checkpoints are carried
away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, select
from sqlalchemy import exc as sql

from orchestration.audit import checkpoint, merkle
from orchestration.audit import tables as t
from orchestration.audit.events import timestamp
from orchestration.audit.log import AuditLog, LoggedEvent, is_storage_sound, logged_event
from orchestration.audit.projections import Entry, project
from orchestration.digests import digest_json
from orchestration.errors import GlasshouseError, IntegrityError, Reason

LOG_BROKEN = Reason(
    "log.verification_failed",
    "The log does not verify: {count} problem(s), the first at {where}: {what}.",
    "Stop writing to it, keep a copy as evidence, and restore the last backup that verifies.",
)


@dataclass(frozen=True)
class Count:
    """`events 41/41 valid`"""

    subject: str
    good: int
    total: int
    verdict: str

    def __str__(self) -> str:
        return f"{self.subject} {self.good}/{self.total} {self.verdict}"


@dataclass(frozen=True)
class Problem:
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """The outcome. `sealed` of `size` events are covered by a valid checkpoint."""

    size: int
    sealed: int
    root: bytes
    counts: tuple[Count, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def require(self) -> None:
        """Raises: IntegrityError `log.verification_failed` when anything was found."""
        if self.problems:
            first = self.problems[0]
            raise IntegrityError(LOG_BROKEN, count=len(self.problems), where=first.where, what=first.what)


def verify_log(log: AuditLog, checkpoints: Path, public_key: Mapping[str, Any]) -> Verification:
    """Check the log in one consistent view of it.

    Args:
        log: the log.
        checkpoints: folder with the checkpoint files.
        public_key: of the operator, who signs the checkpoints.

    Raises: IntegrityError `log.damaged` when the database cannot be read at all.
    """
    # Listed before the tables are read: a checkpoint made meanwhile has its row before its file.
    names = {path.name for path in checkpoints.glob("*")} if checkpoints.is_dir() else set()
    problems: list[Problem] = []
    with log.read() as connection:
        if not is_storage_sound(connection):
            problems.append(Problem("database", "its own integrity check reports damage"))
        size, readable, leaves = _events(connection, problems)
        broken = {problem.where for problem in problems if problem.where.startswith("event ")}
        events = Count("events", size - len(broken), size, "valid")
        tree = _expected_tree(leaves)
        nodes = _nodes(connection, tree, size, problems)
        sealed, heads = _checkpoints(connection, checkpoints, names, tree, public_key, problems)
        lineage = _lineage(connection, readable, problems)
        tables = _tables(connection, readable, size, problems)
    root = merkle.root(len(leaves), _reader(tree))
    return Verification(size, sealed, root, (events, nodes, heads, lineage, tables), tuple(problems))


def _events(connection: Connection, problems: list[Problem]) -> tuple[int, list[LoggedEvent], list[bytes]]:
    """(size, events whose content is authentic, leaf hashes as far as the numbering has no gap)."""
    readable: list[LoggedEvent] = []
    leaves: list[bytes] = []
    following = 0
    for row in connection.execute(select(t.events).order_by(t.events.c.seq)):
        problems += [Problem(f"event {seq}", "missing") for seq in range(following, row.seq)]
        if len(leaves) == row.seq:
            # Text where bytes belong is tampering; it is reported below like any other content.
            leaf = row.leaf if isinstance(row.leaf, bytes) else str(row.leaf).encode()
            leaves.append(merkle.leaf_hash(leaf))
        following = row.seq + 1
        try:
            logged = logged_event(row)
        except IntegrityError:
            problems.append(
                Problem(f"event {row.seq}", "its content is not what was hashed when it was written")
            )
            continue
        event = logged.event
        columns = (event.type, event.collaboration, event.subject, timestamp(event.time))
        if (row.type, row.collaboration, row.subject, row.time) != columns:
            problems.append(Problem(f"event {row.seq}", "its columns differ from its content"))
        readable.append(logged)
    return following, readable, leaves


def _expected_tree(leaves: Sequence[bytes]) -> dict[int, bytes]:
    tree: dict[int, bytes] = {}
    for index, leaf in enumerate(leaves):
        tree |= merkle.grow(index, leaf, tree)
    return tree


def _reader(tree: Mapping[int, bytes]) -> merkle.Reader:
    return lambda positions: {position: tree[position] for position in positions}


def _nodes(connection: Connection, tree: Mapping[int, bytes], size: int, problems: list[Problem]) -> Count:
    """Each leaf against its event, each inner node against its own two halves: a change shows where it is."""
    stored = {row.position: row.hash for row in connection.execute(select(t.nodes))}
    wrong = 0
    for position in sorted(tree.keys() | stored.keys()):
        node = merkle.node_at(position)
        what = _node_problem(node, stored, tree, size)
        if what:
            first, last = node.number << node.level, ((node.number + 1) << node.level) - 1
            where = f"event {first}" if node.level == 0 else f"tree node over events {first} to {last}"
            problems.append(Problem(where, what))
            wrong += position in tree
    return Count("nodes", len(tree) - wrong, len(tree), "consistent")


def _node_problem(
    node: merkle.Node, stored: Mapping[int, bytes], tree: Mapping[int, bytes], size: int
) -> str | None:
    value = stored.get(node.position)
    if value is None:
        return "the tree has no hash for it"
    if (node.number + 1) << node.level > size:
        return "the tree has a hash for events that the log does not hold"
    if node.level == 0:
        return (
            None if tree.get(node.position, value) == value else "it is not the one the tree was built over"
        )
    halves = [stored.get(half.position) for half in merkle.children(node)]
    if halves[0] is None or halves[1] is None:
        return "a part of the tree below it is missing"
    return None if merkle.node_hash(halves[0], halves[1]) == value else "it is not the hash of its two halves"


def _checkpoints(
    connection: Connection,
    folder: Path,
    names: set[str],
    tree: Mapping[int, bytes],
    public_key: Mapping[str, Any],
    problems: list[Problem],
) -> tuple[int, Count]:
    """(events covered by the newest valid checkpoint, count)."""
    rows = {
        row.size: row.note for row in connection.execute(select(t.checkpoints).order_by(t.checkpoints.c.size))
    }
    heads: list[checkpoint.Checkpoint] = []
    for size, note in rows.items():
        found = _checkpoint_problem(size, note, folder, tree, public_key)
        if isinstance(found, str):
            problems.append(Problem(f"checkpoint {size}", found))
        else:
            heads.append(found)
    expected = {checkpoint.filename(size) for size in rows}
    problems += [
        Problem(f"checkpoint file {name}", "the database knows no such checkpoint")
        for name in sorted(names - expected)
        if not name.startswith(".")  # part of a file whose writer was killed
    ]
    bad = set()
    for old, new in pairwise([head for head in heads if head.size]):
        proof = merkle.consistency_proof(old.size, new.size, _reader(tree))
        if not merkle.verify_consistency(old.size, new.size, old.root, new.root, proof):
            problems.append(Problem(f"checkpoint {new.size}", f"not consistent with checkpoint {old.size}"))
            bad.add(new.size)
    good = [head.size for head in heads if head.size not in bad]
    return max(good, default=0), Count("checkpoints", len(good), len(rows), "consistent")


def _checkpoint_problem(
    size: int, note: str, folder: Path, tree: Mapping[int, bytes], public_key: Mapping[str, Any]
) -> checkpoint.Checkpoint | str:
    try:
        head = checkpoint.verify(note, public_key)
    except IntegrityError as error:
        return f"in the database: {error.message}"
    if head.size != size:
        return "in the database: stored under another size"
    try:
        copy = (folder / head.filename).read_bytes()
    except FileNotFoundError:
        return "its file is missing; the next checkpoint writes the newest one again"
    if copy != note.encode():
        return "its file differs from the database"
    if size and merkle.Node(0, size - 1).position not in tree:
        return "the log is shorter than it, or has a gap"
    if merkle.root(size, _reader(tree)) != head.root:
        return "the events it covers are not the ones that were signed"
    return head


def _lineage(connection: Connection, readable: Sequence[LoggedEvent], problems: list[Problem]) -> Count:
    """The OpenLineage events stored with each event against the digest the event commits to."""
    stored: dict[int, list[Any]] = {}
    for row in connection.execute(select(t.lineage).order_by(t.lineage.c.id)):
        stored.setdefault(row.seq, []).append((row.run_id, row.event))
    committed = {logged.seq: logged.event.lineage for logged in readable if logged.event.lineage}
    wrong = 0
    for seq in sorted(stored.keys() | committed.keys()):
        if _lineage_digest(stored.get(seq, [])) != committed.get(seq):
            problems.append(Problem(f"lineage of event {seq}", "it is not what was stored with the event"))
            wrong += seq in committed
    return Count("lineage", len(committed) - wrong, len(committed), "as recorded")


def _lineage_digest(rows: Sequence[tuple[str, str]]) -> str | None:
    try:
        documents = [json.loads(text) for _, text in rows]
        if any(
            document["run"]["runId"] != run_id for document, (run_id, _) in zip(documents, rows, strict=True)
        ):
            return None
        return digest_json(documents)
    except (ValueError, TypeError, KeyError):
        return None


def _tables(
    connection: Connection, readable: Sequence[LoggedEvent], size: int, problems: list[Problem]
) -> Count:
    """Every projection against a replay of the events into an empty database."""
    total = len(t.PROJECTIONS)
    if len(readable) != size:
        problems.append(Problem("tables", "not compared, because events they are made from do not verify"))
        return Count("tables", 0, total, "equal to replay")
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as replay:
            t.metadata.create_all(replay, tables=t.PROJECTIONS)
            for logged in readable:
                try:
                    project(replay, Entry(logged.seq, logged.receipt_id, logged.event))
                except (GlasshouseError, sql.IntegrityError):
                    problems.append(Problem(f"event {logged.seq}", "it cannot follow the events before it"))
                    return Count("tables", 0, total, "equal to replay")
            found = {table.name: list(_differences(connection, replay, table)) for table in t.PROJECTIONS}
    finally:
        engine.dispose()
    for differences in found.values():
        problems += differences
    return Count("tables", sum(not differences for differences in found.values()), total, "equal to replay")


def _differences(connection: Connection, replay: Connection, table: Table) -> Iterator[Problem]:
    shown, replayed = _by_key(connection, table), _by_key(replay, table)
    for key in sorted(shown.keys() | replayed.keys()):
        where = f"table {table.name}, row {', '.join(key)}"
        if key not in shown:
            yield Problem(where, "missing, although the events make it")
        elif key not in replayed:
            yield Problem(where, "no event explains it")
        else:
            columns = [name for name, value in replayed[key].items() if shown[key][name] != value]
            if columns:
                yield Problem(where, f"{', '.join(columns)} is not what the events say")


def _by_key(connection: Connection, table: Table) -> dict[tuple[str, ...], dict[str, Any]]:
    """Primary key as text → row."""
    keys = [column.name for column in table.primary_key.columns]
    rows = (dict(row) for row in connection.execute(select(table)).mappings())
    return {tuple(str(row[name]) for name in keys): row for row in rows}
