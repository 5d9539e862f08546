"""What a handover rests on, walked back over the receipts the log knows.

Belongs here: receipts and contributions behind one; only reading. Must not be here: proving a receipt from
the log's bytes (`audit/receipts`), or whether what is found may be used (`handovers`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.receipts import MISSING, OTHER_CHARTER
from orchestration.audit.vocabulary import Stage, StageReceipt
from orchestration.charter.model import Charter
from orchestration.computation.request import Request
from orchestration.computation.template import load_templates
from orchestration.errors import Reason, ReceiptError
from orchestration.participants.state import State

NOT_IN_ROOM = Reason(
    "computation.not_in_room",
    "{template} reads {entity}, and the room holds nothing of it.",
    "Wait until it is contributed, passes its gate and the room is refreshed: `glasshouse status`.",
)


@dataclass(frozen=True)
class Given:
    """A contribution in the room, with what its steward gave it for."""

    contribution: str
    dataset: str
    participant: str
    purposes: tuple[str, ...]


def require_inputs(state: State, receipt: StageReceipt, stage: Stage, subjects: Sequence[str]) -> None:
    """Refuse a receipt that does not rest on one standing receipt of `stage` for each subject, and no other.

    Raises: ReceiptError (`receipt.missing`, `receipt.other_charter`).
    """
    found = {row.subject: row for row in _rows(state, receipt.inputs) if row.stage == stage}
    for subject in subjects:
        row = found.get(subject)
        if row is None or row.revoked:
            raise ReceiptError(MISSING, stage=stage, subject=subject)
        if row.charter_digest != receipt.charter_digest:
            raise ReceiptError(OTHER_CHARTER, stage=stage, subject=subject)
    if not subjects or len(set(subjects)) != len(receipt.inputs):
        raise ReceiptError(MISSING, stage=stage, subject=receipt.subject)


def behind(state: State, charter: Charter, receipt: StageReceipt, request: Request) -> list[Given]:
    """The contributions that an answer to the request rests on, in the room it was computed in.

    Raises: ReceiptError (`computation.not_in_room`, `receipt.missing`) when there is none of an entity, or
    one was destroyed since.
    """
    rows = _rows(state, receipt.inputs)
    while rows and rows[0].stage != "room":
        rows = _rows(state, json.loads(rows[0].inputs or "[]"))
    gates = [row for room in rows for row in _rows(state, json.loads(room.inputs or "[]"))]
    template = load_templates()[request.template]
    entities = template.entities(request.parameters)
    found, held = [], set()
    for gate in gates:
        contributed = given(state, gate.subject)
        entity = charter.dataset(contributed.dataset).entity
        if entity in entities:
            found.append(contributed)
            held.add(entity)
    for entity in entities:
        if entity not in held:
            raise ReceiptError(NOT_IN_ROOM, template=template.id, entity=entity)
    return found


def contributions_behind(state: State, release: Row[Any]) -> list[Row[Any]]:
    """Rows of the contributions whose rows the release's answer read, whatever became of them since.

    Decisions about consent that said which rows were read are among them. Walks receipts that may be
    revoked: they prove what was.
    """
    request = state.request(release.request)
    read = set(json.loads(request.datasets or "[]")) if request is not None else set()
    answers = state.rows(t.receipts, stage="insight", subject=release.request)
    rows = [row for row in answers if row.seq == release.seq]
    while rows and rows[0].stage != "room":
        rows = _rows(state, json.loads(rows[0].inputs or "[]"))
    gates = [row for room in rows for row in _rows(state, json.loads(room.inputs or "[]"))]
    found = [row for gate in gates for row in state.rows(t.contributions, contribution=gate.subject)]
    return [row for row in found if row.dataset in read | _decisions_about(state, rows, read)]


def _decisions_about(state: State, rooms: Sequence[Row[Any]], read: set[str]) -> set[str]:
    """The datasets that say whose rows of these datasets could be read, by the charter of the time."""
    charters = [state.charter_version(room.charter_digest) for room in rooms]
    return {
        dataset.consent.dataset
        for charter in charters
        if charter is not None
        for dataset in charter.datasets
        if dataset.id in read and dataset.consent is not None
    }


def given(state: State, contribution: str) -> Given:
    """What the log's tables say of a contribution. Raises: ReceiptError (`receipt.missing`): it is gone."""
    rows = state.rows(t.contributions, contribution=contribution, status="accepted")
    if not rows:
        raise ReceiptError(MISSING, stage="contribution", subject=contribution)
    (row,) = rows
    return Given(row.contribution, row.dataset, row.participant, tuple(json.loads(row.purposes or "[]")))


def _rows(state: State, receipts: Iterable[str]) -> list[Row[Any]]:
    """Receipts of this collaboration by id; those it does not know are left out."""
    return [row for each in receipts for row in state.rows(t.receipts, receipt_id=each)]
