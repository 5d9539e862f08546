"""Before stage 5: a request is submitted, decided by the charter, and both are recorded together.

The same question by the same member, on the same room, under the same charter, is one request: it gets the
stored answer, until that answer's release expires. Asking again and again must never show anything that one
answer does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from pydantic import JsonValue
from sqlalchemy import select

from orchestration.audit import tables
from orchestration.audit.events import Event, RequestDecided, RequestSubmitted, timestamp
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.charter.model import Charter
from orchestration.computation.request import Request, check_request, parse_request
from orchestration.computation.template import load_templates
from orchestration.digests import digest_json
from orchestration.errors import ConfigError, Reason
from orchestration.house import OPERATOR, House
from orchestration.participants.decision import Decision
from orchestration.participants.registry import registered_member
from orchestration.stages import refresh

NO_SUCH_REQUEST = Reason(
    "request.not_found",
    "There is no request called {request}.",
    "List requests with `glasshouse status`.",
)


_UNANSWERED = ("permitted", "computed", "protected")


def submit(
    house: House,
    charter: Charter,
    *,
    template: str,
    parameters: Mapping[str, str],
    purpose: str,
    requester: str,
    justification: str,
) -> tuple[Request, Decision]:
    """Record a request and the charter's decision on it; a denial is recorded like a permission.

    Raises: ConfigError (`request.malformed`); PolicyDeniedError (`member.unknown`) when nobody registered a
    key for the requester.
    """
    registered_member(house.log, charter.collaboration, requester)
    known = load_templates().get(template)
    asked = known.resolve(parameters) | dict(parameters) if known else dict(parameters)
    draft = {
        "collaboration": charter.collaboration,
        "template": template,
        "parameters": asked,
        "purpose": purpose,
        "requester": requester,
    }
    decision = decide(charter, parse_request({"id": "r-draft", **draft}))
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
    while (expired := _expired_release(house, request_id)) is not None:
        question["after"] = expired
        request_id = _name(question)
    request = parse_request({"id": request_id, **draft})
    submitted = RequestSubmitted(
        template=request.template,
        parameters=dict(request.parameters),
        purpose=request.purpose,
        requester=request.requester,
        participant=request.participant,
    )
    decided = RequestDecided(allowed=decision.allowed, code=decision.code, message=decision.message)
    with suppress(AlreadyRecordedError):  # asked before: the stored decision and answer stand
        house.log.append_many(
            [
                Event(
                    collaboration=charter.collaboration,
                    subject=request.id,
                    actor=actor,
                    justification=why,
                    payload=payload,
                )
                for payload, actor, why in (
                    (submitted, requester, justification),
                    (decided, OPERATOR, "Decided by the charter's rules."),
                )
            ]
        )
    return request, decision


def _name(question: dict[str, JsonValue]) -> str:
    return f"r-{digest_json(question)[7:19]}"


def _expired_release(house: House, request_id: str) -> str | None:
    table = tables.releases.c
    query = select(table.release).where(
        table.request == request_id, table.expires_at <= timestamp(datetime.now(UTC))
    )
    with house.log.read() as connection:
        release: str | None = connection.execute(query).scalar()
    return release


def decide(charter: Charter, request: Request) -> Decision:
    """The charter's answer today; stage 5 asks it again before it runs anything."""
    return check_request(charter, load_templates(), request, datetime.now(UTC).date())


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
    return Request(
        id=row.request,
        collaboration=row.collaboration,
        template=row.template,
        parameters=json.loads(row.parameters),
        purpose=row.purpose,
        requester=row.requester,
    )


def permitted(house: House, charter: Charter) -> list[Request]:
    """Requests that may run and have no release yet, oldest first; a killed run's request is among them."""
    table = tables.requests.c
    query = (
        select(table.request)
        .where(table.collaboration == charter.collaboration, table.status.in_(_UNANSWERED))
        .order_by(table.seq)
    )
    with house.log.read() as connection:
        found: list[str] = list(connection.execute(query).scalars())
    return [load(house, request) for request in found]


def release_of(house: House, request_id: str) -> str | None:
    """The release that answers this request, if there is one."""
    table = tables.releases.c
    with house.log.read() as connection:
        release: str | None = connection.execute(
            select(table.release).where(table.request == request_id)
        ).scalar()
    return release
