"""Stage 6: output control turns the cells of a request into its protected table.

The cells are read from the room, checked against their receipt, never written anywhere else, and dropped
once the protected table stands. What may be shown is kept under the home folder until it is released; when
nothing may be shown, that is on record.
"""

from __future__ import annotations

import json
from pathlib import Path

from orchestration.audit import receipts
from orchestration.audit.lineage_datasets import (
    Column,
    protected_edges,
    published_rows,
    room_namespace,
    shelf_namespace,
)
from orchestration.audit.lineage_datasets import Dataset as LineageDataset
from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import OutputGenerated, OutputWithheld
from orchestration.charter.model import Charter
from orchestration.computation.cells import cells_name, drop_cells, read_cells
from orchestration.computation.request import Request, datasets_read
from orchestration.computation.template import Template, load_templates
from orchestration.digests import canonical_json, digest_bytes
from orchestration.engine.duck import quote_name
from orchestration.engine.files import write_durably
from orchestration.engine.fingerprint import fingerprint
from orchestration.errors import DisclosureError, IntegrityError, Reason
from orchestration.house import House
from orchestration.output.cells import CellTable, Dimension, Measure
from orchestration.output.protect import ProtectedTable, protect
from orchestration.stages import request as requests
from orchestration.stages.recorder import Caller, Recording, recording
from orchestration.stages.sources import concern, room_behind, sources

CELLS_CHANGED = Reason(
    "output.cells_changed",
    "The cells of request {request} are not the ones its receipt describes.",
    "Run the computation of this request again.",
)
TABLE_CHANGED = Reason(
    "output.table_changed",
    "The protected table of request {request} is missing or not the one its receipt describes.",
    "Run output control of this request again.",
)


def protect_cells(house: House, charter: Charter, request_id: str, caller: Caller) -> LoggedEvent:
    """Apply the charter's output limits to the cells of one request.

    Raises: ReceiptError without the receipt of the computation; DisclosureError, recorded as withheld, when
    nothing may be shown.
    """
    request = requests.load(house, request_id)
    template = load_templates()[request.template]
    with recording(
        house,
        charter,
        "protected",
        request.id,
        caller,
        job=f"protected.{template.id}",
        purpose=request.purpose,
    ) as run:
        requests.require_permitted(house, charter, request)
        computed = receipts.require(house.log, "cells", request.id, charter_digest=charter.digest)
        concern(run, request, sources(house, room_behind(house, computed), template, request))
        cells = _read(house, charter, template, request, computed.outputs["cells"])
        datasets = datasets_read(charter, template, request.parameters)
        threshold = charter.threshold_for(template.id, [dataset.id for dataset in datasets])
        try:
            table = protect(cells, threshold, charter.output.max_cells)
        except DisclosureError as error:
            _withhold(run, request, error)
            raise
        document = canonical_json(table.to_json())
        path = _path(house, request.id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(path, document)
        summary = table.summary
        run.reads = [_cells_dataset(charter, template)]
        payload = OutputGenerated(
            receipt=run.receipt(request.id, inputs=[computed], outputs={"table": digest_bytes(document)}),
            request=request.id,
            template=template.id,
            threshold=threshold,
            cells_shown=summary.cells_shown,
            cells_primary=summary.cells_primary,
            cells_complementary=summary.cells_complementary,
        )
        logged = run.complete(
            payload, subject=request.id, writes=[protected_dataset(charter, template, table)]
        )
    with house.room(charter.collaboration).open() as connection:
        drop_cells(connection, template, request.id)
    return logged


def load_protected(house: House, request_id: str, digest: str) -> ProtectedTable:
    """The protected table of a request, if it is the one its receipt describes.

    Raises: IntegrityError (`output.table_changed`).
    """
    try:
        document = _path(house, request_id).read_bytes()
    except OSError:
        raise IntegrityError(TABLE_CHANGED, request=request_id) from None
    if digest_bytes(document) != digest:
        raise IntegrityError(TABLE_CHANGED, request=request_id)
    return ProtectedTable.from_json(json.loads(document))


def protected_dataset(charter: Charter, template: Template, table: ProtectedTable) -> LineageDataset:
    """The protected table as lineage names it."""
    dimensions = [dimension.name for dimension in table.dimensions]
    measures = {measure.name: measure.contributors for measure in table.measures}
    return LineageDataset(
        namespace=shelf_namespace(charter.collaboration),
        name=f"protected.{template.id}",
        columns=published_columns(table),
        edges=protected_edges(f"cells.{template.id}", dimensions, measures, ("status", "reason")),
        rows=published_rows(table.summary.cells_shown, table.threshold),
    )


def published_columns(table: ProtectedTable) -> tuple[Column, ...]:
    """Dimensions, status, reason and measures: the columns of what is released."""
    sql_types = {"count": "BIGINT", "money": "DECIMAL(18,2)"}
    return (
        *(Column(dimension.name, "VARCHAR", dimension.title) for dimension in table.dimensions),
        Column("status", "VARCHAR", "shown or suppressed"),
        Column("reason", "VARCHAR", "why it is suppressed"),
        *(Column(measure.name, sql_types[measure.type], measure.title) for measure in table.measures),
    )


def _read(house: House, charter: Charter, template: Template, request: Request, mark: str) -> CellTable:
    with house.room(charter.collaboration).open() as connection:
        table = f"room.cells.{quote_name(cells_name(template, request.id))}"
        if fingerprint(connection, table, house.fingerprint_key)[1] != mark:
            raise IntegrityError(CELLS_CHANGED, request=request.id)
        records = read_cells(connection, template, request)
    units = f"{charter.privacy_unit}s".capitalize()
    return CellTable.from_records(
        [Dimension(each.name, each.title) for each in template.dimensions_for(request.parameters)],
        [
            Measure(each.name, each.title.format(units=units), each.type, each.contributors, each.additive)
            for each in template.measures
        ],
        records,
    )


def _cells_dataset(charter: Charter, template: Template) -> LineageDataset:
    names = [*(each.name for each in template.dimensions), *template.figures]
    return LineageDataset(
        namespace=room_namespace(charter.collaboration),
        name=f"cells.{template.id}",
        columns=tuple(Column(name, "") for name in names),
    )


def _withhold(run: Recording, request: Request, error: DisclosureError) -> None:
    payload = OutputWithheld(
        request=request.id, code=error.code, message=error.message, next_step=error.next_step
    )
    run.refuse(payload, subject=request.id, code=error.code, message=error.message)


def _path(house: House, request_id: str) -> Path:
    return house.protected / f"{request_id}.json"
