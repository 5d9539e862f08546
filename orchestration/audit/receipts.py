"""What a stage shows before the next may start: the newest receipt of the stages before it.

Belongs here: finding a receipt and proving that the log really holds it. Must not be here: which receipts a
stage needs (the stage says so), or how receipts are written (`projections`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from orchestration.audit import merkle
from orchestration.audit import tables as t
from orchestration.audit.log import BROKEN_EVENT, BROKEN_TREE, AuditLog, LoggedEvent
from orchestration.audit.vocabulary import Handover, Stage
from orchestration.errors import IntegrityError, Reason, ReceiptError

MISSING = Reason(
    "receipt.missing",
    "There is no receipt of stage {stage} for {subject}.",
    "Run stage {stage} for {subject} first; `glasshouse audit log` shows what it said last.",
)
OTHER_CHARTER = Reason(
    "receipt.other_charter",
    "The receipt of stage {stage} for {subject} was given under another version of the charter.",
    "Run stage {stage} for {subject} again under the charter now in force.",
)


@dataclass(frozen=True)
class Receipt:
    """A stage that passed. `id` is the hex Merkle leaf hash of event `seq`."""

    id: str
    seq: int
    stage: Stage
    subject: str
    charter_digest: str
    inputs: tuple[str, ...]
    outputs: Mapping[str, str]


def require(log: AuditLog, stage: Stage, subject: str, *, charter_digest: str | None = None) -> Receipt:
    """The newest receipt of `stage` for `subject`, after proving it from the log's own bytes.

    Args:
        log: where it must stand.
        stage: which stage must have passed.
        subject: contribution id, collaboration (room) or request id.
        charter_digest: the charter it must have been given under; default: any.

    Raises: ReceiptError `receipt.missing`, `receipt.other_charter`; IntegrityError `log.broken_event`,
    `log.broken_tree` when the log does not hold what the table of receipts says.
    """
    table = t.receipts.c
    query = (
        select(table.receipt_id)
        .where(table.stage == stage, table.subject == subject, table.revoked.is_(False))
        .order_by(table.seq.desc())
        .limit(1)
    )
    with log.read() as connection:
        receipt_id = connection.execute(query).scalar()
    if receipt_id is None:
        raise ReceiptError(MISSING, stage=stage, subject=subject)
    receipt = load(log, receipt_id)
    if (receipt.stage, receipt.subject) != (stage, subject):
        raise IntegrityError(BROKEN_EVENT, seq=receipt.seq)
    if charter_digest is not None and receipt.charter_digest != charter_digest:
        raise ReceiptError(OTHER_CHARTER, stage=stage, subject=subject)
    return receipt


def load(log: AuditLog, receipt_id: str) -> Receipt:
    """The receipt with this id, proven like in `require`. Raises: ReceiptError `receipt.missing`."""
    return receipt_of(logged_receipt(log, receipt_id))


def logged_receipt(log: AuditLog, receipt_id: str) -> LoggedEvent:
    """The event that gave receipt `receipt_id`: re-hashed, and included in the log's current tree."""
    with log.read() as connection:
        query = select(t.receipts.c.seq).where(t.receipts.c.receipt_id == receipt_id)
        seq = connection.execute(query).scalar()
    if seq is None:
        raise ReceiptError(MISSING, stage="(unknown)", subject=receipt_id)
    logged = log.event(seq)
    if logged.receipt_id != receipt_id or not isinstance(logged.event.payload, Handover):
        raise IntegrityError(BROKEN_EVENT, seq=seq)
    size = log.size
    leaf = merkle.leaf_hash(logged.commitment)
    if not merkle.verify_inclusion(leaf, seq, size, log.inclusion_proof(seq, size), log.root(size)):
        raise IntegrityError(BROKEN_TREE, seq=seq)
    return logged


def receipt_of(logged: LoggedEvent) -> Receipt:
    """Read the receipt out of an event that gives one. Raises: TypeError when it gives none."""
    payload = logged.event.payload
    if not isinstance(payload, Handover):
        raise TypeError(f"{logged.event.type} gives no receipt")
    inner = payload.receipt
    return Receipt(
        id=logged.receipt_id,
        seq=logged.seq,
        stage=inner.stage,
        subject=inner.subject,
        charter_digest=inner.charter_digest,
        inputs=inner.inputs,
        outputs=dict(inner.outputs),
    )
