"""Whether a stage may hand over what it made: asked in the transaction that records it, and again at replay.

Belongs here: one rule for each payload that gives a receipt; `RULES` maps them. Must not be here: doing
the work (`stages`), what a contribution's manifest says (`deliveries`), what becomes of a request
(`verdict`), or finding what an answer rests on (`provenance`).

A stage asks most of this before it works, because work is expensive. Here it is asked once more, so that
nothing slips between that and the record, and a handover that no stage made is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.vocabulary import Handover
from orchestration.audit.withdrawal_events import ContributionTrimmed
from orchestration.charter.model import Charter, Dataset
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants import deliveries, provenance, verdict, withdrawals
from orchestration.participants.emergencies import require_told
from orchestration.participants.standing import require_running
from orchestration.participants.state import State

OTHER = Reason(
    "handover.not_as_agreed",
    "{type} of {subject} does not fit what was agreed, asked and made before it: {what}.",
    "Run the stage again with `glasshouse run`; nobody records its outcome by hand.",
)
NOT_GIVEN_FOR_IT = Reason(
    "computation.not_given_for_purpose",
    "The contribution {contribution} in the room was not given for {purpose}.",
    "Its steward can deliver it again for that purpose, if the charter permits it.",
)

Rule = Callable[[State, Charter, Event, Any], None]


def require_handover(state: State, event: Event, payload: Handover) -> None:
    """Refuse a handover that the collaboration, the charter or what it rests on does not allow now.

    Raises: PolicyDeniedError, ReceiptError, ContributionError or CharterError with the reason that refuses.
    """
    if isinstance(payload, ContributionTrimmed):
        withdrawals.require_trimmed(state, event, payload)
        return
    receipt = payload.receipt
    require_running(state, receipt.charter_digest)
    charter = state.charter
    assert charter is not None  # noqa: S101  one is active, or the line above had raised
    _require(event, event.subject == receipt.subject, "its receipt is about another subject")
    RULES[type(payload)](state, charter, event, payload)


def release_name(request: str) -> str:
    """The release that answers a request: `i-` and the request's own digits."""
    return f"i-{request.removeprefix('r-')}"


def table_name(contribution: str) -> str:
    """The room's table for a contribution: `<dataset>_<12 hex>`."""
    return contribution.replace("-", "_")


def _accepted(state: State, charter: Charter, event: Event, payload: s.ContributionAccepted) -> None:
    _require(event, not payload.receipt.inputs, "nothing comes before it")
    manifest = deliveries.require_as_signed(state, charter, payload)
    grant = deliveries.emergency_grant(state, charter.dataset(payload.dataset), manifest)
    require_told(state, grant, event)


def _deidentified(state: State, charter: Charter, event: Event, payload: s.DatasetDeidentified) -> None:
    dataset = _contributed(state, charter, event, payload.contribution, payload.dataset)
    provenance.require_inputs(state, payload.receipt, "contribution", [payload.contribution])
    kept = [field for field in dataset.fields if field.attribute and field.technique.kind != "drop"]
    agreed = {field.attribute: field.technique.kind for field in kept}
    _require(event, payload.techniques == agreed, "its techniques")
    _require(event, payload.table == table_name(payload.contribution), "its table")


def _gated(state: State, charter: Charter, event: Event, payload: s.GatePassed) -> None:
    _contributed(state, charter, event, payload.contribution, payload.dataset)
    provenance.require_inputs(state, payload.receipt, "deidentified", [payload.contribution])


def _refreshed(state: State, charter: Charter, event: Event, payload: s.RoomRefreshed) -> None:
    _require(event, event.subject == state.collaboration, "its collaboration")
    held = [(entity, each) for entity, found in payload.tables.items() for each in found]
    provenance.require_inputs(state, payload.receipt, "gate", [each for _, each in held])
    for entity, contribution in held:
        dataset = _contributed(state, charter, event, contribution)
        _require(event, dataset.entity == entity, f"{contribution} gives no {entity}")


def _ran(state: State, charter: Charter, event: Event, payload: s.ComputationRun) -> None:
    provenance.require_inputs(state, payload.receipt, "room", [state.collaboration])
    _answering(state, charter, event, payload)


def _protected(state: State, charter: Charter, event: Event, payload: s.OutputGenerated) -> None:
    provenance.require_inputs(state, payload.receipt, "cells", [payload.request])
    request = _answering(state, charter, event, payload)
    wanted = charter.threshold_for(payload.template, json.loads(request.datasets))
    _require(event, payload.threshold >= wanted, f"its threshold; the charter wants {wanted}")
    most = charter.output.max_cells
    _require(event, payload.cells_shown <= most, f"its size; the charter allows {most} cells")


def _released(state: State, charter: Charter, event: Event, payload: s.OutputReleased) -> None:
    provenance.require_inputs(state, payload.receipt, "protected", [payload.request])
    request = _answering(state, charter, event, payload)
    _require(event, payload.purpose == request.purpose, "its purpose")
    receivers = charter.computation(payload.template).receivers
    _require(event, payload.receivers == receivers, "its receivers")
    _require(event, payload.release == release_name(payload.request), "its name")
    last = event.time + timedelta(days=charter.access.release_valid_days)
    _require(event, payload.expires_at <= last, "its last day")
    _require(event, payload.receipt.outputs == payload.files, "its files")


RULES: Mapping[type[Handover], Rule] = {
    s.ContributionAccepted: _accepted,
    s.DatasetDeidentified: _deidentified,
    s.GatePassed: _gated,
    s.RoomRefreshed: _refreshed,
    s.ComputationRun: _ran,
    s.OutputGenerated: _protected,
    s.OutputReleased: _released,
}


def _contributed(
    state: State, charter: Charter, event: Event, contribution: str, dataset: str | None = None
) -> Dataset:
    """The dataset of an accepted contribution, whose owner is active, and which nobody disputes."""
    found = state.rows(t.contributions, contribution=contribution, status="accepted")
    fits = bool(found) and found[0].charter_digest == charter.digest
    _require(event, fits and dataset in (None, found[0].dataset), f"the contribution {contribution}")
    withdrawals.require_not_taken_back(state, contribution)
    given = charter.dataset(found[0].dataset)
    subjects = deliveries.given_by(given)
    require_running(state, charter.digest, participants=[given.participant], subjects=subjects)
    return given


def _answering(
    state: State,
    charter: Charter,
    event: Event,
    payload: s.ComputationRun | s.OutputGenerated | s.OutputReleased,
) -> Row[Any]:
    """The request, permitted now; everything its answer rests on is undisputed, and given for its purpose."""
    row = verdict.require_permitted(state, charter, payload.request)
    _require(event, payload.template == row.template, "its template")
    given = provenance.behind(state, charter, payload.receipt, verdict.request_of(row))
    participants = sorted({row.participant, *(each.participant for each in given)})
    subjects = [("request", payload.request), *(("dataset", each.dataset) for each in given)]
    require_running(state, charter.digest, participants=participants, subjects=subjects)
    for each in given:
        if row.purpose not in each.purposes:
            raise PolicyDeniedError(NOT_GIVEN_FOR_IT, contribution=each.contribution, purpose=row.purpose)
    return row


def _require(event: Event, fits: bool, what: str) -> None:
    if not fits:
        raise PolicyDeniedError(OTHER, type=event.type, subject=event.subject, what=what)
