"""What only a lent role allowed is logged twice: `emergency.used` right before it, in the same transaction.

Belongs here: when a second trace is due, and of which grant. Must not be here: which roles lend what
(`policies/`), or looking at it afterwards (`reviews`).

The trace comes first, because then the act can be refused without it; and the log takes no trace that is not
followed by its act (`audit/log`), so there is none of what nobody did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, select

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import EmergencyUsed
from orchestration.audit.log import done
from orchestration.audit.stage_events import OutputAccessed
from orchestration.charter.model import AccessRules
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants import policy
from orchestration.participants.question import question_of
from orchestration.participants.state import Grant, State

NOT_TOLD = Reason(
    "emergency.not_told",
    "Only the emergency grant {grant} allows {member} this, and its use is not recorded with it.",
    "Do it with the `glasshouse` command for it, which records both.",
)
UNFOUNDED = Reason(
    "emergency.unfounded",
    "{member} holds no emergency grant {grant} that this could be a use of.",
    "Nobody records this by hand; it is recorded with what the grant alone allows.",
)
_DETAIL = {None: 0, "summary": 1, "full": 2}


def grant_used(state: State, event: Event) -> Grant | None:
    """The emergency grant without which this act would be refused, or would show less; None: none."""
    try:
        question = question_of(event)
    except ValueError:  # asks for nothing
        return None
    return _grant_showing_more(state, event) or policy.emergency_grant(state, question)


def trace(event: Event, grant: Grant, actor: str, *, member: str, act: str) -> Event:
    """The second trace of `event`, to be recorded right before it."""
    return Event(
        collaboration=event.collaboration,
        subject=member,
        actor=actor,
        justification=f"Only the emergency grant {grant.id} allowed this.",
        time=event.time,
        payload=EmergencyUsed(grant=grant.id, member=member, action=event.type, act=act),
    )


def require_told(state: State, grant: Grant | None, event: Event) -> None:
    """The trace right before an act is of the grant it needed, and there is none of an act that needed none.

    Raises: PolicyDeniedError (`emergency.not_told`, `emergency.unfounded`).
    """
    told, (member, act) = _pending(state), done(event)
    used = told.grant if told is not None and told.act == act else None
    if grant is not None and used != grant.id:
        raise PolicyDeniedError(NOT_TOLD, grant=grant.id, member=member)
    if grant is None and used is not None:
        raise PolicyDeniedError(UNFOUNDED, grant=used, member=member)


def require_founded(state: State, _: Event, payload: EmergencyUsed) -> None:
    """Raises: PolicyDeniedError (`emergency.unfounded`) unless the member holds the grant now."""
    grant = state.grant(payload.grant)
    held = grant is not None and grant.emergency and grant.in_force(state.at)
    if grant is None or not held or grant.member != payload.member:
        raise PolicyDeniedError(UNFOUNDED, member=payload.member, grant=payload.grant)


def _grant_showing_more(state: State, event: Event) -> Grant | None:
    """An opening may be allowed without a lent role, and show the table only with it."""
    if not isinstance(event.payload, OutputAccessed) or state.charter is None:
        return None
    lasting = state.roles(event.actor, emergency=False)
    if _shows(state.charter.access, event.payload, lasting):
        return None
    lent = (each for each in state.grants(event.actor) if each.emergency and each.in_force(state.at))
    return next(
        (each for each in lent if _shows(state.charter.access, event.payload, [*lasting, each.role])), None
    )


def _shows(access: AccessRules, opening: OutputAccessed, roles: Iterable[Any]) -> bool:
    return _DETAIL[opening.detail] <= _DETAIL[access.detail_for(roles)]


def _pending(state: State) -> Row[Any] | None:
    """The newest use of a grant, if what it was used for is not recorded yet: then it is recorded next."""
    table = g.emergency_uses.c
    newest = (
        select(table.grant, table.act)
        .where(table.collaboration == state.collaboration)
        .order_by(table.seq.desc())
        .limit(1)
    )
    row = state.connection.execute(newest).one_or_none()
    return None if row is None or _is_recorded(state, row.act) else row


def _is_recorded(state: State, act: str) -> bool:
    signed = select(g.statements.c.seq).where(g.statements.c.statement == act)
    if state.connection.execute(signed).first() is not None:
        return True
    given = select(t.receipts.c.seq).where(t.receipts.c.subject == act, t.receipts.c.stage == "contribution")
    return state.connection.execute(given).first() is not None
