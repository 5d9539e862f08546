"""What becomes of a submitted request: denied by the charter, waiting for approval, or permitted.

Belongs here: the order of these answers, derived from the log alone. Must not be here: counting votes
(`participants/approvals`), or running anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, select

from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.stage_events import RequestDecided
from orchestration.charter.model import Charter
from orchestration.computation.request import Request, check_request, datasets_read
from orchestration.computation.template import load_templates
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.house import OPERATOR
from orchestration.participants.decision import Decision
from orchestration.participants.state import State
from orchestration.stages.standing import CHANGED_SINCE

OTHER_DATASETS = Reason(
    "computation.other_datasets",
    "Request {request} reads {datasets}, which it did not say when it was submitted.",
    "Submit it again: those whose data it reads must be able to decide about it.",
)
OTHER_APPROVAL = Reason(
    "request.other_approval",
    "Request {request} does not wait for the approval the charter wants for {template}.",
    "Submit it again with `glasshouse request`, which names the decision right {right}.",
)
NOT_APPROVED = Reason(
    "request.not_approved",
    "Request {request} was not approved: its decision is {outcome}.",
    "Ask those who decide what they need, then submit it again.",
)
NOT_PERMITTED = Reason(
    "request.not_permitted",
    "Request {request} is not permitted yet: it is {status}.",
    "See who must decide with `glasshouse decision show {request}`.",
)


def request_of(row: Row[Any]) -> Request:
    """A recorded request."""
    return Request(
        id=row.request,
        collaboration=row.collaboration,
        template=row.template,
        parameters=json.loads(row.parameters),
        purpose=row.purpose,
        requester=row.requester,
    )


def charter_says(charter: Charter, request: Request, at: datetime) -> Decision:
    """The charter's own rules about this request, before anybody approves it."""
    return check_request(charter, load_templates(), request, at.astimezone(UTC).date())


def needed(charter: Charter, request: Request, *, allowed: bool) -> tuple[tuple[str, ...], str | None]:
    """What a submission must say: the datasets its answer reads, and the decision right that must approve it.

    Args:
        allowed: whether the charter's rules allow it; only then its parameters can be trusted to be choices.
    """
    named = any(each.template == request.template for each in charter.computations)
    read = datasets_read(charter, load_templates()[request.template], request.parameters) if allowed else ()
    datasets = tuple(sorted(dataset.id for dataset in read))
    return datasets, charter.approval_for(request.template) if named else None


def check(state: State, charter: Charter, row: Row[Any]) -> Decision:
    """May this request run under the charter, as it was submitted? Approval is another question.

    Asked when it is decided, and again by every stage that works on it.
    """
    request = request_of(row)
    if row.seq < _activated(state):
        return Decision.deny(CHANGED_SINCE, collaboration=charter.collaboration, what="request")
    decision = charter_says(charter, request, state.at)
    if not decision.allowed:
        return decision
    datasets, right = needed(charter, request, allowed=True)
    hidden = sorted(set(datasets) - set(json.loads(row.datasets)))
    if hidden:
        return Decision.deny(OTHER_DATASETS, request=request.id, datasets=", ".join(hidden))
    if right is not None and row.approval != right:
        return Decision.deny(OTHER_APPROVAL, request=request.id, template=request.template, right=right)
    return decision


def verdicts(state: State) -> Iterator[Event]:
    """A `request.decided` for every submitted request that waits for nobody any more."""
    charter = state.charter
    if charter is None or state.phase != "active":
        return
    for row in state.rows(t.requests, status="submitted"):
        decision = check(state, charter, row)
        why = "Decided by the charter's rules."
        if decision.allowed and row.approval is not None:
            voted = state.decision(row.request)
            if voted is None or voted.status == "pending":
                continue
            if voted.status != "approved":
                decision = Decision.deny(NOT_APPROVED, request=row.request, outcome=voted.status)
            why = f"Decided under the right {row.approval}: {voted.status}."
        yield Event(
            collaboration=state.collaboration,
            subject=row.request,
            actor=OPERATOR,
            justification=why,
            time=state.at,
            payload=RequestDecided(allowed=decision.allowed, code=decision.code, message=decision.message),
        )


def require_permitted(state: State, charter: Charter, request: Request) -> None:
    """Refuse to work on a request that was not permitted, or would not be today.

    Raises: PolicyDeniedError.
    """
    row = state.request(request.id)
    assert row is not None  # noqa: S101  it was loaded from there
    check(state, charter, row).require()
    voted = state.decision(request.id) if row.approval is not None else None
    if row.approval is not None and (voted is None or voted.status not in ("pending", "approved")):
        outcome = "missing" if voted is None else voted.status
        raise PolicyDeniedError(NOT_APPROVED, request=request.id, outcome=outcome)
    if row.status in ("submitted", "denied"):
        raise PolicyDeniedError(NOT_PERMITTED, request=request.id, status=row.status)


def _activated(state: State) -> int:
    """The event that made the charter now in force the active one; -1 before there is one."""
    table = t.events.c
    query = select(func.max(table.seq)).where(
        table.collaboration == state.collaboration,
        table.subject == state.collaboration,
        table.type == "charter.activated",
    )
    seq: int | None = state.connection.execute(query).scalar()
    return -1 if seq is None else seq
