"""Stage 5: an approved template runs on the refreshed room and leaves its cells there.

The charter is asked again, because it may have changed since the request was permitted; the room must hold
every entity the template reads, given for the request's purpose by participants that are still active, in the
very tables its receipt vouches for.
"""

from __future__ import annotations

from orchestration.audit import receipts
from orchestration.audit.log import LoggedEvent
from orchestration.audit.receipts import Receipt
from orchestration.audit.stage_events import ComputationRun
from orchestration.charter.model import Charter
from orchestration.computation.cells import cells_name
from orchestration.computation.runner import build_cells
from orchestration.computation.template import load_templates
from orchestration.engine.duck import quote_name
from orchestration.engine.fingerprint import fingerprint
from orchestration.engine.room import Room
from orchestration.errors import IntegrityError, PolicyDeniedError, Reason
from orchestration.house import House
from orchestration.participants.handovers import NOT_GIVEN_FOR_IT
from orchestration.stages import request as requests
from orchestration.stages.models import traced_models
from orchestration.stages.recorder import Caller, recording
from orchestration.stages.refresh import room_marks
from orchestration.stages.sources import concern, sources

ROOM_CHANGED = Reason(
    "computation.room_changed",
    "The tables of the room are not the ones its last receipt vouches for: a refresh stopped half-way.",
    "Refresh the room again: `glasshouse run`.",
)


def compute(house: House, charter: Charter, request_id: str, caller: Caller) -> LoggedEvent:
    """Run the template of one permitted request.

    Raises: PolicyDeniedError when the charter or a contribution's own purposes do not permit it today;
    ReceiptError without a room, refreshed under this charter, that holds what the template reads;
    IntegrityError (`computation.room_changed`).
    """
    request = requests.load(house, request_id)
    room = house.room(charter.collaboration)
    job = f"cells.{request.template}"
    with (
        room.reserved(),
        recording(house, charter, "cells", request.id, caller, job=job, purpose=request.purpose) as run,
    ):
        requests.require_permitted(house, charter, request)
        template = load_templates()[request.template]
        refreshed = receipts.require(house.log, "room", charter.collaboration, charter_digest=charter.digest)
        given = sources(house, refreshed, template, request)
        concern(run, request, given)
        for each in given:
            if request.purpose not in each.purposes:
                raise PolicyDeniedError(
                    NOT_GIVEN_FOR_IT, contribution=each.contribution, purpose=request.purpose
                )
        _check_tables(house, room, refreshed)
        result = build_cells(house.settings, room.path, room.key, template, request)
        with room.open() as connection:
            table = f"room.cells.{quote_name(cells_name(template, request.id))}"
            _, mark = fingerprint(connection, table, house.fingerprint_key)
        traced = traced_models(house, charter, result)[template.model]
        run.reads = list(traced.inputs)
        payload = ComputationRun(
            receipt=run.receipt(request.id, inputs=[refreshed], outputs={"cells": mark}),
            request=request.id,
            template=template.id,
            template_digest=template.digest,
        )
        return run.complete(payload, subject=request.id, writes=[traced.output])


def _check_tables(house: House, room: Room, refreshed: Receipt) -> None:
    with room.open() as connection:
        if room_marks(house, connection, refreshed.outputs) != dict(refreshed.outputs):
            raise IntegrityError(ROOM_CHANGED)
