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
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from orchestration.audit import merkle, verify_checkpoints, verify_tree
from orchestration.audit import tables as t
from orchestration.audit.database import is_storage_sound
from orchestration.audit.findings import Count, Problem
from orchestration.audit.log import AuditLog, LoggedEvent, logged_event
from orchestration.audit.projections import ALL_TABLES
from orchestration.audit.replay import replayed
from orchestration.audit.verify_tree import CHANGED, Leaves
from orchestration.audit.vocabulary import timestamp
from orchestration.digests import digest_json
from orchestration.errors import IntegrityError, Reason

_BATCH = 1000

LOG_BROKEN = Reason(
    "log.verification_failed",
    "The log does not verify: {count} problem(s), the first at {where}: {what}.",
    "Stop writing to it, keep a copy as evidence, and restore the last backup that verifies.",
)


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
    """Check the log in one consistent view of it; its own guard judges the events again.

    Args:
        log: the log.
        checkpoints: folder with the checkpoint files.
        public_key: of the operator, who signs the checkpoints.

    Raises: IntegrityError `log.damaged` when the database cannot be read at all.
    """
    # Read before the tables are: a checkpoint made meanwhile has its row before its file.
    files = verify_checkpoints.read_files(checkpoints)
    problems: list[Problem] = []
    with log.read() as connection:
        if not is_storage_sound(connection):
            problems.append(Problem("database", "its own integrity check reports damage"))
        leaves = verify_tree.check(connection, problems)
        sealed, heads = verify_checkpoints.check(
            connection, checkpoints, files, leaves.tree, public_key, problems
        )
        cosigned = verify_checkpoints.check_cosignatures(connection, problems)
        meaning = _Meaning(connection, leaves, problems)
        tables = _tables(connection, meaning, log, problems)
        lineage = _lineage(connection, meaning.lineage, problems)
    good = leaves.size - len(leaves.broken | meaning.broken)
    events = Count("events", good, leaves.size, "valid")
    root = merkle.root(leaves.tree.size, merkle.tree_reader(leaves.tree))
    counts = (events, leaves.nodes, heads, cosigned, lineage, tables)
    return Verification(leaves.size, sealed, root, counts, tuple(problems))


class _Meaning:
    """Reads the authentic events once, one after the other, and keeps what is needed of them afterwards."""

    def __init__(self, connection: Connection, leaves: Leaves, problems: list[Problem]) -> None:
        self.broken: set[int] = set()
        self.lineage: dict[int, str] = {}
        self.whole = not leaves.broken
        self._connection, self._leaves, self._problems = connection, leaves, problems

    def __iter__(self) -> Iterator[LoggedEvent]:
        query = select(t.events).order_by(t.events.c.seq).execution_options(yield_per=_BATCH)
        for row in self._connection.execute(query):
            if row.seq in self._leaves.broken:
                continue
            try:
                logged = logged_event(row)
            except IntegrityError:  # hashed as it is, but no event
                self._complain(row.seq, CHANGED)
                self.whole = False
                continue
            event = logged.event
            columns = (event.type, event.collaboration, event.subject, timestamp(event.time))
            if (row.type, row.collaboration, row.subject, row.time) != columns:
                self._complain(row.seq, "its columns differ from its content")
            if event.lineage is not None:
                self.lineage[row.seq] = event.lineage
            yield logged

    def _complain(self, seq: int, what: str) -> None:
        self._problems.append(Problem(f"event {seq}", what))
        self.broken.add(seq)


def _tables(connection: Connection, meaning: _Meaning, log: AuditLog, problems: list[Problem]) -> Count:
    """Every projection against a replay of the events into an empty database."""
    total, verdict = len(ALL_TABLES), "equal to replay"
    events = iter(meaning)
    found = replayed(connection, events, log.admit, log.clock()) if meaning.whole else None
    for _ in events:  # those after a refused one still say whether they are authentic
        pass
    if found is None or not meaning.whole:
        problems.append(Problem("tables", "not compared, because events they are made from do not verify"))
        return Count("tables", 0, total, verdict)
    if found.refused is not None:
        what = f"it cannot follow the events before it ({found.refused.code})"
        problems.append(Problem(f"event {found.refused.seq}", what))
    problems += [Problem(difference.where, difference.what) for difference in found.differences]
    return Count("tables", found.equal, total, verdict)


def _lineage(connection: Connection, committed: Mapping[int, str], problems: list[Problem]) -> Count:
    """The OpenLineage events stored with each event against the digest the event commits to."""
    stored: dict[int, list[Any]] = {}
    for row in connection.execute(select(t.lineage).order_by(t.lineage.c.id)):
        stored.setdefault(row.seq, []).append((row.run_id, row.event))
    wrong = 0
    for seq in sorted(stored.keys() | committed.keys(), key=_place):
        if _lineage_digest(stored.get(seq, [])) != committed.get(seq):
            problems.append(Problem(f"lineage of event {seq}", "it is not what was stored with the event"))
            wrong += seq in committed
    return Count("lineage", len(committed) - wrong, len(committed), "as recorded")


def _place(seq: object) -> tuple[bool, int, str]:
    """Numbers in order, then whatever else somebody put into the column."""
    return (False, seq, "") if isinstance(seq, int) else (True, 0, repr(seq))


def _lineage_digest(rows: Sequence[tuple[str, str]]) -> str | None:
    try:
        documents = [json.loads(text) for _, text in rows]
        if any(
            document["run"]["runId"] != run_id for document, (run_id, _) in zip(documents, rows, strict=True)
        ):
            return None
        return digest_json(documents)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
