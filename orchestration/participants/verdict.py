"""What becomes of a submitted request: denied by the charter, waiting for approval, or permitted.

Belongs here: the order of these answers, as rules over the state and the charter in force. Must not be here:
counting votes (`approvals`), running anything, or recording (`stages/request`). The guard asks the same rules
about what is submitted, decided and run, so nobody gets another answer by going around a stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.stage_events import RequestDecided, RequestSubmitted
from orchestration.charter.model import Charter
from orchestration.computation.request import Request, check_request, datasets_read, parse_request
from orchestration.computation.template import load_templates
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants.consequences import ACTOR
from orchestration.participants.decision import Decision
from orchestration.participants.standing import CHANGED_SINCE
from orchestration.participants.state import State

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


def asked(state: State, subject: str, payload: RequestSubmitted) -> Request:
    """The request that a submission makes.

    Raises: ConfigError (`request.malformed`).
    """
    return parse_request(
        {
            "id": subject,
            "collaboration": state.collaboration,
            **payload.model_dump(include={"template", "parameters", "purpose", "requester"}),
        }
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


def require_complete(state: State, charter: Charter, subject: str, payload: RequestSubmitted) -> None:
    """Refuse a submission that was made under another charter, or does not say all whose data it reads.

    Raises: PolicyDeniedError (`charter.changed_since`, `computation.other_datasets`); ConfigError
    (`request.malformed`).
    """
    if payload.charter != charter.digest:
        raise PolicyDeniedError(CHANGED_SINCE, collaboration=charter.collaboration, what="request")
    request = asked(state, subject, payload)
    allowed = charter_says(charter, request, state.at).allowed
    datasets, _ = needed(charter, request, allowed=allowed)
    if set(payload.datasets) != set(datasets):
        raise PolicyDeniedError(OTHER_DATASETS, request=subject, datasets=", ".join(datasets) or "nothing")


def check(state: State, charter: Charter, row: Row[Any]) -> Decision:
    """May this request run under the charter, as it was submitted? Approval is another question.

    Asked when it is decided, and again by every stage that works on it.
    """
    request = request_of(row)
    if row.charter_digest != charter.digest:
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
    if state.charter is None or state.phase != "active":
        return
    for row in state.rows(t.requests, status="submitted"):
        event = verdict(state, state.charter, row)
        if event is not None:
            yield event


def is_due(state: State, event: Event) -> bool:
    """Whether this very `request.decided` follows now."""
    row = state.request(event.subject)
    if state.charter is None or state.phase != "active" or row is None or row.status != "submitted":
        return False
    due = verdict(state, state.charter, row)
    return due is not None and due.payload == event.payload


def verdict(state: State, charter: Charter, row: Row[Any]) -> Event | None:
    """What is decided about one submitted request; None while it waits for people."""
    decision = check(state, charter, row)
    why = "Decided by the charter's rules."
    if decision.allowed and row.approval is not None:
        voted = state.decision(row.request)
        if voted is None or voted.status == "pending":
            return None
        if voted.status != "approved":
            decision = Decision.deny(NOT_APPROVED, request=row.request, outcome=voted.status)
        why = f"Decided under the right {row.approval}: {voted.status}."
    return Event(
        collaboration=state.collaboration,
        subject=row.request,
        actor=ACTOR,
        justification=why,
        time=state.at,
        payload=RequestDecided(allowed=decision.allowed, code=decision.code, message=decision.message),
    )


def require_permitted(state: State, charter: Charter, request: str) -> Row[Any]:
    """The request, unless it was not permitted, or would not be today.

    Raises: PolicyDeniedError.
    """
    row = state.request(request)
    if row is None:
        raise PolicyDeniedError(NOT_PERMITTED, request=request, status="not submitted")
    check(state, charter, row).require()
    voted = state.decision(request) if row.approval is not None else None
    if row.approval is not None and (voted is None or voted.status not in ("pending", "approved")):
        outcome = "missing" if voted is None else voted.status
        raise PolicyDeniedError(NOT_APPROVED, request=request, outcome=outcome)
    if row.status in ("submitted", "denied"):
        raise PolicyDeniedError(NOT_PERMITTED, request=request, status=row.status)
    return row
