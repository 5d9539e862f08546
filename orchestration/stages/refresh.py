"""Stage 4: the room takes in what passed its gates and builds staging and intermediate tables from it.

Every table it admits must show a gate receipt and still be the table that receipt vouches for. A refresh that
stops half-way leaves tables that the last room receipt does not vouch for, so no question is answered from
them until a refresh succeeds. Tables of
contributions that were replaced are dropped afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
from sqlalchemy import select

from orchestration.audit import receipts, tables
from orchestration.audit.lineage_datasets import Column, admitted_edges, room_namespace
from orchestration.audit.lineage_datasets import Dataset as LineageDataset
from orchestration.audit.receipts import Receipt
from orchestration.audit.stage_events import AnonymityFigures, RoomRefreshed
from orchestration.charter.entities import ENTITIES
from orchestration.charter.model import Charter, Dataset
from orchestration.computation.runner import REFRESH, DbtResult, build
from orchestration.engine.duck import quote_name
from orchestration.engine.fingerprint import fingerprint
from orchestration.errors import IntegrityError, Reason, ReceiptError
from orchestration.house import House
from orchestration.participants.handovers import table_name
from orchestration.scope.admission import AdmittedTable, Consent, compile_views
from orchestration.stages.anonymity import measure_joined
from orchestration.stages.deidentify import deidentified_dataset
from orchestration.stages.gate import TABLE_CHANGED
from orchestration.stages.models import traced_models
from orchestration.stages.recorder import Caller, recording

NOTHING_PASSED = Reason(
    "room.nothing_passed",
    "No dataset of {collaboration} has passed its gate yet, so there is nothing to refresh the room with.",
    "Contribute first: `glasshouse contribute`, then `glasshouse run`.",
)


@dataclass(frozen=True)
class Refreshed:
    """What dbt built, node by node, the receipt of the room, and how well its units hide."""

    result: DbtResult
    receipt_id: str
    anonymity: AnonymityFigures | None = None


def refresh(house: House, charter: Charter, caller: Caller) -> Refreshed:
    """Admit the last gated contribution of every dataset of an active participant, and rebuild the room.

    Raises: ReceiptError when nothing passed or a receipt is missing; IntegrityError when a table is not the
    one its receipt vouches for; ServiceError or QualityGateError when a model or its tests fail;
    DisclosureError when the joined units miss the charter's floor of anonymity.
    """
    room = house.room(charter.collaboration)
    job = "room.refresh"
    # One writer's place for all of it: nobody may ask the room between its tables changing and its receipt.
    with room.reserved(), recording(house, charter, "room", charter.collaboration, caller, job=job) as run:
        passed = _passed(house, charter)
        if not passed:
            raise ReceiptError(NOTHING_PASSED, collaboration=charter.collaboration)
        admitted: dict[str, list[AdmittedTable]] = defaultdict(list)
        for dataset, receipt in passed:
            attributes = {f.attribute for f in dataset.fields if f.attribute and f.technique.kind != "drop"}
            admitted[dataset.entity].append(
                AdmittedTable(
                    dataset.id,
                    receipt.subject,
                    table_name(receipt.subject),
                    frozenset(attributes),
                    _consent(charter, dataset, passed),
                )
            )
            run.reads.append(deidentified_dataset(charter, dataset))
        run.concern([dataset.participant for dataset, _ in passed])
        with room.open() as connection:
            for _, receipt in passed:
                table = quote_name(table_name(receipt.subject))
                _, mark = fingerprint(connection, table, house.fingerprint_key)
                if mark != receipt.outputs["table"]:
                    raise IntegrityError(TABLE_CHANGED, contribution=receipt.subject)
            for statement in compile_views(admitted):
                connection.execute(statement)
        result = build(house.settings, room.path, room.key, select=REFRESH)
        with room.open() as connection:
            marks = room_marks(house, connection, result.rows)
            figures = measure_joined(connection, charter, [dataset for dataset, _ in passed])
            kept = {receipt.subject for _, receipt in _gated(house, charter, also_stopped=True)}
            _drop_replaced(connection, kept, _in_flight(house, charter))
        gates = [receipt for _, receipt in passed]
        payload = RoomRefreshed(
            receipt=run.receipt(charter.collaboration, inputs=gates, outputs=marks),
            tables={e: tuple(sorted(t.contribution for t in ts)) for e, ts in sorted(admitted.items())},
            anonymity=figures,
        )
        logged = run.complete(
            payload,
            subject=charter.collaboration,
            writes=_admitted_datasets(charter, admitted),
            steps=list(traced_models(house, charter, result).values()),
        )
    return Refreshed(result, logged.receipt_id, figures)


def room_marks(house: House, connection: duckdb.DuckDBPyConnection, models: Iterable[str]) -> dict[str, str]:
    """The mark of each intermediate table: what the room's receipt vouches for."""
    return {
        model: fingerprint(connection, f"room.intermediate.{quote_name(model)}", house.fingerprint_key)[1]
        for model in sorted(models)
    }


def current(house: House, charter: Charter) -> Receipt | None:
    """The receipt of the room as it is, if it was ever refreshed under this charter."""
    try:
        return receipts.require(house.log, "room", charter.collaboration, charter_digest=charter.digest)
    except ReceiptError:
        return None


def due(house: House, charter: Charter) -> set[str]:
    """Gate receipts the room should rest on and does not, or rests on though their participant stopped."""
    passed = {receipt.id for _, receipt in _passed(house, charter)}
    room = current(house, charter)
    if room is None or not passed:
        return passed
    stopped = {receipt.id for _, receipt in _passed(house, charter, also_stopped=True)} - passed
    return (passed - set(room.inputs)) | (stopped & set(room.inputs))


def _passed(house: House, charter: Charter, *, also_stopped: bool = False) -> list[tuple[Dataset, Receipt]]:
    """What the room admits: `_gated`, without datasets whose decisions about consent are not there.

    Without the decisions nobody knows whose rows may be used: then none are.
    """
    gated = _gated(house, charter, also_stopped=also_stopped)
    decided = {dataset.id for dataset, _ in gated}
    return [
        (dataset, receipt)
        for dataset, receipt in gated
        if dataset.consent is None or dataset.consent.dataset in decided
    ]


def _gated(house: House, charter: Charter, *, also_stopped: bool = False) -> list[tuple[Dataset, Receipt]]:
    """Each dataset whose gate passed under this charter, with its newest such contribution's receipt.

    What was contributed under another version of the charter was given for other terms, and is left out; so
    is what a participant gave that is not active, unless `also_stopped`.
    """
    with house.state(charter.collaboration) as state:
        newest = {row.dataset: row.contribution for row in state.rows(tables.datasets)}
        active = {
            each.id
            for each in charter.participants
            if also_stopped or state.participant_status(each.id) == "active"
        }
    found = []
    for dataset in charter.datasets:
        if dataset.id in newest and dataset.participant in active:
            receipt = receipts.require(house.log, "gate", newest[dataset.id])
            if receipt.charter_digest == charter.digest:
                found.append((dataset, receipt))
    return found


def _consent(charter: Charter, dataset: Dataset, passed: list[tuple[Dataset, Receipt]]) -> Consent | None:
    """The decisions that rows of this dataset depend on."""
    if dataset.consent is None:
        return None
    decisions = charter.dataset(dataset.consent.dataset)
    (receipt,) = (each for other, each in passed if other.id == decisions.id)
    dated = any(field.attribute == "decided_on" for field in decisions.fields)
    return Consent(table_name(receipt.subject), dated, dataset.consent.mode)


def _in_flight(house: House, charter: Charter) -> set[str]:
    """Accepted contributions whose gate has not spoken yet: their tables may be in the making."""
    table = tables.contributions.c
    query = select(table.contribution).where(
        table.collaboration == charter.collaboration, table.status == "accepted", table.gate.is_(None)
    )
    with house.log.read() as connection:
        return set(connection.execute(query).scalars())


def _drop_replaced(connection: duckdb.DuckDBPyConnection, used: set[str], in_flight: set[str]) -> None:
    kept = {table_name(contribution) for contribution in used | in_flight}
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'room' AND schema_name = 'deidentified'"
    ).fetchall()
    for (name,) in rows:
        if name not in kept:
            connection.execute(f"DROP TABLE room.deidentified.{quote_name(name)}")


def _admitted_datasets(charter: Charter, admitted: dict[str, list[AdmittedTable]]) -> list[LineageDataset]:
    return [
        LineageDataset(
            namespace=room_namespace(charter.collaboration),
            name=f"admitted.{entity}",
            columns=tuple(Column(name, kind) for name, kind in ENTITIES[entity].attributes.items()),
            edges=admitted_edges({f"deidentified.{t.dataset}": sorted(t.attributes) for t in tables_}),
        )
        for entity, tables_ in sorted(admitted.items())
    ]
