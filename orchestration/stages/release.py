"""Stage 7: the protected table gets its finding, its charts and its passport, and goes to the shelf.

Order, because a process may be killed anywhere: files, then the event that releases them, then the passport,
which is made from the log and so can be made again.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

from orchestration.audit import receipts
from orchestration.audit.lineage_datasets import Dataset as LineageDataset
from orchestration.audit.lineage_datasets import identity_edges, shelf_namespace
from orchestration.audit.log import LoggedEvent
from orchestration.audit.passport import FILENAME, make_passport
from orchestration.audit.stage_events import OutputReleased
from orchestration.charter.model import Charter
from orchestration.computation.template import load_templates
from orchestration.engine.files import write_durably
from orchestration.house import House
from orchestration.output.charts import draw
from orchestration.output.findings import find
from orchestration.output.protect import ProtectedTable
from orchestration.output.shelf import write_release
from orchestration.participants.handovers import release_name
from orchestration.stages import request as requests
from orchestration.stages.protect import load_protected, protected_dataset, published_columns
from orchestration.stages.recorder import Caller, recording
from orchestration.stages.sources import concern, room_behind, sources


def release(house: House, charter: Charter, request_id: str, caller: Caller) -> LoggedEvent:
    """Release the protected table of one request; a request that was released already stays as it is.

    Raises: ReceiptError without the receipt of output control; IntegrityError when its table changed since.
    """
    request = requests.load(house, request_id)
    if (done := _released(house, request_id)) is not None:
        _write_passport(house, done)
        return done
    template = load_templates()[request.template]
    with recording(
        house, charter, "insight", request.id, caller, job=f"insight.{template.id}", purpose=request.purpose
    ) as run:
        requests.require_permitted(house, charter, request)
        protected = receipts.require(house.log, "protected", request.id, charter_digest=charter.digest)
        concern(run, request, sources(house, room_behind(house, protected), template, request))
        table = load_protected(house, request.id, protected.outputs["table"])
        finding = find(template.id, table, template.resolve(request.parameters), charter.privacy_unit)
        chart = draw(template.id, table, finding, charter.privacy_unit)
        release_id = release_name(request.id)
        # Files of an attempt that was killed before its event were never released; they may differ by now.
        shutil.rmtree(house.shelf / release_id, ignore_errors=True)
        files = write_release(house.shelf / release_id, table, finding, chart)
        valid = timedelta(days=charter.access.release_valid_days)
        payload = OutputReleased(
            receipt=run.receipt(request.id, inputs=[protected], outputs=files),
            request=request.id,
            release=release_id,
            template=template.id,
            purpose=request.purpose,
            receivers=charter.computation(template.id).receivers,
            files=files,
            expires_at=datetime.now(UTC).replace(microsecond=0) + valid,
        )
        source = protected_dataset(charter, template, table)
        run.reads = [source]
        logged = run.complete(payload, subject=request.id, writes=[_insight(charter, template.id, table)])
    _write_passport(house, logged)
    return logged


def _released(house: House, request_id: str) -> LoggedEvent | None:
    events = house.log.events(type="output.released", subject=request_id, newest_first=True, limit=1)
    return events[0] if events else None


def _write_passport(house: House, released: LoggedEvent) -> None:
    payload = released.event.payload
    assert isinstance(payload, OutputReleased)  # noqa: S101  narrows the type; both callers have one
    path = house.shelf / payload.release / FILENAME
    if path.parent.is_dir() and not path.exists():  # without its folder, the release was destroyed
        envelope = make_passport(house.log, house.operator, house.checkpoints, released.seq)
        write_durably(path, json.dumps(envelope, indent=1).encode())


def _insight(charter: Charter, template: str, table: ProtectedTable) -> LineageDataset:
    columns = published_columns(table)
    return LineageDataset(
        namespace=shelf_namespace(charter.collaboration),
        name=f"insight.{template}",
        columns=columns,
        edges=identity_edges(f"protected.{template}", [column.name for column in columns]),
    )
