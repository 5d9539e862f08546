"""The log as pages: newest first, by type or subject, and one event with its proof.

Belongs here: reading events for people. Must not be here: HTML, or judging the log (`audit/verify.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from orchestration.audit import checkpoint, merkle
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.log import AuditLog, LoggedEvent, logged_event
from orchestration.audit.vocabulary import Handover, timestamp
from orchestration.errors import IntegrityError
from orchestration.house import House
from orchestration.portal.sight import Seen

PAGE = 50
_BATCH = 1000
CSV_COLUMNS = (
    "seq",
    "time",
    "type",
    "collaboration",
    "subject",
    "actor",
    "justification",
    "gives_receipt",
    "leaf_hash",
)


@dataclass(frozen=True)
class Filter:
    """Which events; None: all."""

    type: str | None = None
    subject: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = ((t.events.c.type, self.type), (t.events.c.subject, self.subject))
        return [column == value for column, value in wanted if value is not None]


@dataclass(frozen=True)
class Withheld:
    """An event that does not concern the viewer: nothing but its place and its commitment."""

    seq: int
    commitment: str


@dataclass(frozen=True)
class Page:
    """One page of events. `older` is the `before` of the next page, None on the last one."""

    entries: tuple[LoggedEvent | Withheld, ...]
    total: int
    types: dict[str, int]
    older: int | None


@dataclass(frozen=True)
class Proof:
    """Event `seq` in the tree of `size` events; hashes are hex. `note` is a checkpoint over these `size`."""

    seq: int
    size: int
    root: str
    leaf_hash: str
    path: tuple[str, ...]
    holds: bool
    note: str | None


def read_page(log: AuditLog, wanted: Filter, seen: Seen, before: int | None = None) -> Page:
    """Up to 50 events with seq < `before`, newest first, and how many the viewer sees of each type.

    What the viewer does not see stands in its place as withheld, but in no list by type or subject: being in
    one would say what it is about.
    """
    entries: list[LoggedEvent | Withheld] = []
    for entry in _newest_first(log, wanted, seen, before):
        entries.append(entry)
        if len(entries) > PAGE:
            break
    total = seen.read if wanted == Filter() else sum(1 for _ in _newest_first(log, wanted, seen, None))
    older = entries[PAGE - 1].seq if len(entries) > PAGE else None
    return Page(tuple(entries[:PAGE]), total, dict(sorted(seen.types.items())), older)


def all_events(log: AuditLog, wanted: Filter, seen: Seen) -> Iterator[LoggedEvent | Withheld]:
    """Every such event, newest first, read in batches."""
    return _newest_first(log, wanted, seen, None)


def _newest_first(
    log: AuditLog, wanted: Filter, seen: Seen, before: int | None
) -> Iterator[LoggedEvent | Withheld]:
    while True:
        query = select(t.events).where(*wanted.conditions()).order_by(t.events.c.seq.desc()).limit(_BATCH)
        query = query.where(t.events.c.seq < (seen.read if before is None else before))
        with log.read() as connection:
            batch = [logged_event(row) for row in connection.execute(query)]
        for logged in batch:
            if logged.seq in seen.numbers:
                yield logged
            elif wanted == Filter():
                yield withheld(logged)
        if len(batch) < _BATCH:
            return
        before = batch[-1].seq


def withheld(logged: LoggedEvent) -> Withheld:
    return Withheld(logged.seq, logged.commitment.hex())


def row_of(logged: LoggedEvent | Withheld) -> dict[str, Any]:
    """An event as one flat row; of a withheld one only where it stands, and its leaf's hash."""
    if isinstance(logged, Withheld):
        leaf = merkle.leaf_hash(bytes.fromhex(logged.commitment)).hex()
        return dict.fromkeys(CSV_COLUMNS, "") | {"seq": logged.seq, "leaf_hash": leaf}
    event = logged.event
    return {
        "seq": logged.seq,
        "time": timestamp(event.time),
        "type": event.type,
        "collaboration": event.collaboration,
        "subject": event.subject,
        "actor": event.actor,
        "justification": event.justification,
        "gives_receipt": isinstance(event.payload, Handover),
        "leaf_hash": logged.receipt_id,
    }


def document_of(logged: LoggedEvent | Withheld) -> dict[str, Any]:
    """An event whole, as `glasshouse audit log --json` gives it, or the commitment to it."""
    if isinstance(logged, Withheld):
        return {"seq": logged.seq, "commitment": logged.commitment}
    return {"seq": logged.seq, "receipt": logged.receipt_id, "event": logged.event.model_dump(mode="json")}


def prove(house: House, logged: LoggedEvent) -> Proof:
    """The inclusion proof against the newest checkpoint if it covers the event, else the present tree head.

    Reads only: unlike `audit.evidence` it signs nothing. A checkpoint that the operator did not sign counts
    as none; the overview says that it is there.
    """
    log = house.log
    head = _newest_checkpoint(house)
    if head is not None and logged.seq < head.size <= log.size:
        size, root, note = head.size, head.root, head.note
    else:
        size, note = log.size, None
        root = log.root(size)
    path = log.inclusion_proof(logged.seq, size)
    leaf = merkle.leaf_hash(logged.commitment)
    holds = merkle.verify_inclusion(leaf, logged.seq, size, path, root)
    return Proof(logged.seq, size, root.hex(), leaf.hex(), tuple(each.hex() for each in path), holds, note)


def _newest_checkpoint(house: House) -> Checkpoint | None:
    newest = select(t.checkpoints.c.note).order_by(t.checkpoints.c.size.desc()).limit(1)
    with house.log.read() as connection:
        note = connection.execute(newest).scalar()
    try:
        return None if note is None else checkpoint.verify(note, house.operator.public)
    except IntegrityError:
        return None


def proof_document(logged: LoggedEvent | Withheld, proof: Proof) -> dict[str, Any]:
    """Event and proof as JSON; `signed` says whether `checkpoint` covers exactly this tree head."""
    salt = {} if isinstance(logged, Withheld) else {"salt": base64.b64encode(logged.salt).decode()}
    return {
        **document_of(logged),
        **salt,
        "proof": {
            "size": proof.size,
            "root": proof.root,
            "path": list(proof.path),
            "holds": proof.holds,
            "signed": proof.note is not None,
            "checkpoint": proof.note,
        },
    }
