"""Before stage 5: a request is drafted, signed, decided by the charter, and voted on where it says so.

The same question by the same member, on the same room, under the same charter, is one request: it gets the
stored answer, until that answer's release expires or is recalled. Asking again and again must never show
anything that one answer does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import JsonValue
from sqlalchemy import select

from orchestration.audit import tables
from orchestration.audit.events import Event
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.audit.stage_events import RequestSubmitted, StageFailed
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import now
from orchestration.charter.model import Charter
from orchestration.computation.request import Request, parse_request
from orchestration.computation.template import load_templates
from orchestration.digests import digest_json
from orchestration.errors import ConfigError, PolicyDeniedError, Reason
from orchestration.house import OPERATOR, House
from orchestration.participants import verdict
from orchestration.participants.decision import Decision
from orchestration.participants.registry import registered_member
from orchestration.participants.state import moment
from orchestration.signing import SigningKey
from orchestration.stages import governance, refresh

NO_SUCH_REQUEST = Reason(
    "request.not_found",
    "There is no request called {request}.",
    "List requests with `glasshouse status`.",
)
OUTDATED = Reason(
    "request.outdated",
    "The signed request {request} is not what would be asked now: the room or the charter changed since.",
    "Draft it again and sign the new draft.",
)

_UNANSWERED = ("permitted", "computed", "protected")


class Draft(NamedTuple):
    """A request to sign: the unsigned event, what it asks, and what the charter says to it so far."""

    event: Event
    request: Request
    decision: Decision


class Submitted(NamedTuple):
    """A recorded request. `pending`: the charter allows it, and a decision about it is still open."""

    request: Request
    decision: Decision
    pending: bool


def draft(
    house: House,
    charter: Charter,
    *,
    template: str,
    parameters: Mapping[str, str],
    purpose: str,
    requester: str,
    justification: str,
) -> Draft:
    """What the requester has to sign; nothing is recorded.

    Raises: ConfigError (`request.malformed`); PolicyDeniedError (`member.unknown`) when nobody enrolled the
    requester.
    """
    registered_member(house.log, charter.collaboration, requester)
    known = load_templates().get(template)
    asked = known.resolve(parameters) | dict(parameters) if known else dict(parameters)
    asking = {
        "collaboration": charter.collaboration,
        "template": template,
        "parameters": asked,
        "purpose": purpose,
        "requester": requester,
    }
    unnamed = parse_request({"id": "r-draft", **asking})
    decision = decide(charter, unnamed)
    room = refresh.current(house, charter)
    question: dict[str, JsonValue] = {
        "charter": charter.digest,
        "template": known.digest if known else template,
        "parameters": dict(sorted(asked.items())),
        "purpose": purpose,
        "requester": requester,
        "room": room.id if room else None,
        "decision": decision.code,
    }
    request_id = _name(question)
    while (over := _over(house, charter, request_id)) is not None:
        question["after"] = over
        request_id = _name(question)
    request = parse_request({"id": request_id, **asking})
    datasets, approval = verdict.needed(charter, request, allowed=decision.allowed)
    payload = RequestSubmitted(
        template=request.template,
        parameters=dict(request.parameters),
        purpose=request.purpose,
        requester=request.requester,
        participant=request.participant,
        charter=charter.digest,
        datasets=datasets,
        approval=approval,
    )
    event = Event(
        collaboration=charter.collaboration,
        subject=request.id,
        actor=requester,
        justification=justification,
        payload=payload,
    )
    return Draft(event, request, decision)


def submit(
    house: House,
    charter: Charter,
    *,
    template: str,
    parameters: Mapping[str, str],
    purpose: str,
    requester: str,
    justification: str,
    key: SigningKey,
) -> Submitted:
    """Record a request and the charter's decision on it; a denial is recorded like a permission.

    Args:
        key: the requester's.

    Raises: like `draft` and `submit_signed`.
    """
    drafted = draft(
        house,
        charter,
        template=template,
        parameters=parameters,
        purpose=purpose,
        requester=requester,
        justification=justification,
    )
    return _submit(house, charter, drafted, sign(drafted.event, key))


def submit_signed(house: House, event: Event) -> Submitted:
    """Record a request that was drafted here and signed where the key is.

    Raises: ConfigError (`request.outdated`); PolicyDeniedError, IntegrityError when the statement or its
    signer is refused, on record.
    """
    payload = event.payload
    if not isinstance(payload, RequestSubmitted):
        raise ConfigError(OUTDATED, request=ascii(event.subject[:80]))
    charter = house.charter(event.collaboration)
    drafted = draft(
        house,
        charter,
        template=payload.template,
        parameters={name: str(value) for name, value in payload.parameters.items()},
        purpose=payload.purpose,
        requester=event.actor,
        justification=event.justification,
    )
    if (drafted.event.subject, drafted.event.payload) != (event.subject, payload):
        raise ConfigError(OUTDATED, request=ascii(event.subject[:80]))
    return _submit(house, charter, drafted, event)


def _submit(house: House, charter: Charter, drafted: Draft, event: Event) -> Submitted:
    request, decision, pending = drafted.request, drafted.decision, False
    if not _is_recorded(house, request):  # else the stored decision and answer stand
        try:
            governance.record(house, event.model_copy(update={"time": now()}))
        except AlreadyRecordedError:
            if not _is_recorded(house, request):  # its name stands for something else
                raise
        except PolicyDeniedError as error:
            if not _is_recorded(house, request):  # by somebody who was faster
                # The charter's own answer says more than the refusal of the act.
                _refused(house, drafted, decision.error or error)
                if decision.allowed:
                    raise
                return Submitted(request, decision, pending=False)
    governance.settle(house, charter.collaboration)
    with house.state(charter.collaboration) as state:
        row, voted = state.request(request.id), state.decision(request.id)
    if row is not None and decision.allowed:
        pending = row.status == "submitted"
        if row.status == "denied":
            outcome = voted.status if voted is not None else "denied"
            decision = Decision.deny(verdict.NOT_APPROVED, request=request.id, outcome=outcome)
    return Submitted(request, decision, pending)


def _is_recorded(house: House, request: Request) -> bool:
    with house.state(request.collaboration) as state:
        return state.request(request.id) is not None


def _refused(house: House, drafted: Draft, error: PolicyDeniedError) -> None:
    """A question that never became a request, because its signer may not ask it, leaves its trace too."""
    failure = StageFailed(
        stage="cells",
        subject=drafted.request.id,
        code=error.code,
        message=error.message,
        next_step=error.next_step,
    )
    house.log.append(
        Event(
            collaboration=drafted.event.collaboration,
            subject=drafted.request.id,
            actor=OPERATOR,
            justification=f"{drafted.event.actor} was refused.",
            payload=failure,
        )
    )


def _name(question: dict[str, JsonValue]) -> str:
    return f"r-{digest_json(question)[7:19]}"


def _over(house: House, charter: Charter, request_id: str) -> str | None:
    """What ended this request, so that the same question is a new one: its release is over, or a vote was.

    A name that another collaboration of the house has taken is none for a question here.
    """
    table = tables.requests.c
    taken = (table.request == request_id) & (table.collaboration != charter.collaboration)
    with house.state(charter.collaboration) as state:
        if state.connection.execute(select(table.seq).where(taken)).first() is not None:
            return request_id
        request = state.request(request_id)
        if request is not None and request.code == verdict.NOT_APPROVED.code:
            return request_id
        for release in state.rows(tables.releases, request=request_id):
            # Not of one that a newer delivery made stale: two answers, and a delivery that differs by one
            # person, would show what that person adds. People are taken out many at a time.
            taken_out = release.outdated in ("people_withdrawn", "contribution_withdrawn")
            if release.recalled or taken_out or moment(release.expires_at) <= state.at:
                return str(release.release)
    return None


def decide(charter: Charter, request: Request) -> Decision:
    """The charter's answer today, before anybody is asked to approve."""
    return verdict.charter_says(charter, request, datetime.now(UTC))


def require_permitted(house: House, charter: Charter, request: Request) -> None:
    """What stages 5 to 7 ask before they touch anything.

    Raises: PolicyDeniedError when the request was not permitted, or would not be today.
    """
    with house.state(charter.collaboration) as state:
        verdict.require_permitted(state, charter, request.id)


def load(house: House, request_id: str) -> Request:
    """A recorded request.

    Raises: ConfigError (`request.not_found`).
    """
    with house.log.read() as connection:
        row = connection.execute(
            select(tables.requests).where(tables.requests.c.request == request_id)
        ).one_or_none()
    if row is None:
        raise ConfigError(NO_SUCH_REQUEST, request=ascii(request_id[:80]))
    return verdict.request_of(row)


def permitted(house: House, charter: Charter) -> list[Request]:
    """Requests that may run and have no release yet, oldest first; a killed run's request is among them."""
    with house.state(charter.collaboration) as state:
        unanswered = [row for row in state.rows(tables.requests) if row.status in _UNANSWERED]
        rows = [row for row in unanswered if ("request", row.request) not in state.revoked]
        may_run = [row for row in rows if verdict.check(state, charter, row).allowed]
    return [verdict.request_of(row) for row in sorted(may_run, key=lambda row: int(row.seq))]


def release_of(house: House, request_id: str) -> str | None:
    """The release that answers this request, if there is one."""
    table = tables.releases.c
    with house.log.read() as connection:
        release: str | None = connection.execute(
            select(table.release).where(table.request == request_id)
        ).scalar()
    return release
