"""Stage 5: an approved template runs on the refreshed room and leaves its cells there.

The charter is asked again, because it may have changed since the request was permitted.
"""

from __future__ import annotations

from orchestration.audit import receipts
from orchestration.audit.events import ComputationRun
from orchestration.audit.log import LoggedEvent
from orchestration.charter.model import Charter
from orchestration.computation.cells import cells_name
from orchestration.computation.runner import build_cells
from orchestration.computation.template import load_templates
from orchestration.engine.duck import quote_name
from orchestration.engine.fingerprint import fingerprint
from orchestration.house import House
from orchestration.stages import request as requests
from orchestration.stages.models import traced_models
from orchestration.stages.recorder import Caller, recording


def compute(house: House, charter: Charter, request_id: str, caller: Caller) -> LoggedEvent:
    """Run the template of one permitted request.

    Raises: PolicyDeniedError when the charter does not permit it today; ReceiptError without a room refreshed
    under this charter.
    """
    request = requests.load(house, request_id)
    with recording(
        house, charter, "cells", request.id, caller, job=f"cells.{request.template}", purpose=request.purpose
    ) as run:
        requests.decide(charter, request).require()
        template = load_templates()[request.template]
        refreshed = receipts.require(house.log, "room", charter.collaboration, charter_digest=charter.digest)
        room = house.room(charter.collaboration)
        with room.reserved():
            result = build_cells(house.settings, room.path, room.key, template, request)
        with room.open() as connection:
            table = f"room.cells.{quote_name(cells_name(template, request.id))}"
            rows, mark = fingerprint(connection, table)
        traced = traced_models(house, charter, result)[template.model]
        run.reads = list(traced.inputs)
        payload = ComputationRun(
            receipt=run.receipt(request.id, inputs=[refreshed], outputs={"cells": mark}),
            request=request.id,
            template=template.id,
            template_digest=template.digest,
            cells=rows,
        )
        return run.complete(payload, subject=request.id, writes=[traced.output])
