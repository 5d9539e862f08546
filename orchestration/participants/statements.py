"""Whether a signed act is its actor's own: the right key, in force, fresh, and for this collaboration.

Belongs here: checks of one signature against the keys the log knows. Must not be here: whether the actor may
do it (`policy`), or making signatures (`audit/statement`).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from orchestration import signing
from orchestration.audit import governance_tables as g
from orchestration.audit import statement
from orchestration.audit.events import Event, Signature
from orchestration.audit.governance_events import ParticipantAccepted
from orchestration.errors import IntegrityError, PolicyDeniedError, Reason
from orchestration.participants.registry import UNKNOWN_MEMBER
from orchestration.participants.state import Key, State

CLOCK_DRIFT = timedelta(minutes=5)

UNSIGNED = Reason(
    "statement.unsigned",
    "{type} is an act of a member, and nobody signed it.",
    "Have {actor} sign it with its own key.",
)
WRONG_KEY = Reason(
    "statement.wrong_key",
    "The key that signed this is not one of {actor}.",
    "Sign with the key that {actor} was enrolled with; `glasshouse key list` shows its id.",
)
ENDED_KEY = Reason(
    "statement.revoked_key",
    "The key that signed this counts no longer: it was {status}.",
    "Sign again with the present key of {actor}; what the old key signed before stays valid.",
)
REPLAYED = Reason(
    "statement.replayed",
    "This very statement of {actor} is in the log already; it counts once.",
    "Nothing to do; to do it again, sign a new statement.",
)
OTHER_COLLABORATION = Reason(
    "statement.other_collaboration",
    "{actor} signed this for another collaboration than {collaboration}.",
    "Have it signed anew, for {collaboration}.",
)
EXPIRED = Reason(
    "statement.expired",
    "This statement was to be recorded before {until}.",
    "Have {actor} sign it anew.",
)
NOT_YET = Reason(
    "statement.not_yet",
    "This statement says it was signed at {issued}, which is still to come.",
    "Set the clock of the machine that signed it, and sign anew.",
)
MALFORMED_KEY = Reason(
    "key.malformed",
    "This is no public key of Glasshouse, or its id belongs to another key.",
    "Use the public file exactly as `glasshouse key new` wrote it.",
)


def require_signature(state: State, event: Event) -> None:
    """Check the signature of an act, with the event's time as the clock.

    Raises: PolicyDeniedError or IntegrityError with one of the reasons above, `member.unknown` or
    `signature.invalid`.
    """
    signature = event.signature
    if signature is None:
        raise PolicyDeniedError(UNSIGNED, type=event.type, actor=event.actor)
    statement.verify(event, _public_key(state, event, signature))
    known = select(g.statements.c.seq).where(g.statements.c.statement == statement.statement_id(event))
    if state.connection.execute(known).first() is not None:
        raise PolicyDeniedError(REPLAYED, actor=event.actor)
    if signature.issued > event.time + CLOCK_DRIFT:
        raise PolicyDeniedError(NOT_YET, issued=f"{signature.issued:%Y-%m-%d %H:%M} UTC")
    if event.time >= signature.expires:
        raise PolicyDeniedError(EXPIRED, until=f"{signature.expires:%Y-%m-%d %H:%M} UTC", actor=event.actor)


def _public_key(state: State, event: Event, signature: Signature) -> dict[str, Any]:
    """The key to verify with, which speaks for the actor now."""
    if isinstance(event.payload, ParticipantAccepted):
        return _brought(event, event.payload, signature)
    key = state.key(event.actor, signature.key_id)
    _require_this_collaboration(state, event, signature, key)
    if key is None:
        if state.member_status(event.actor) is None:
            raise PolicyDeniedError(UNKNOWN_MEMBER, member=event.actor, collaboration=event.collaboration)
        raise PolicyDeniedError(WRONG_KEY, actor=event.actor)
    if key.status != "active":
        raise PolicyDeniedError(ENDED_KEY, status=key.status, actor=event.actor)
    return key.public_key


def _brought(event: Event, payload: ParticipantAccepted, signature: Signature) -> dict[str, Any]:
    """Who joins signs with the key it brings; the others compare it when they sign the charter."""
    if not signing.is_public_key(payload.public_key):
        raise PolicyDeniedError(MALFORMED_KEY)
    if event.actor != payload.steward or payload.public_key["keyid"] != signature.key_id:
        raise PolicyDeniedError(WRONG_KEY, actor=event.actor)
    return payload.public_key


def _require_this_collaboration(state: State, event: Event, signature: Signature, key: Key | None) -> None:
    """Tell a statement that was signed for another collaboration of this log from a forged one."""
    if key is not None and _verifies(event, key.public_key):
        return
    table = g.keys.c
    elsewhere = select(table.collaboration, table.public_key).where(
        table.key_id == signature.key_id,
        table.member == event.actor,
        table.collaboration != event.collaboration,
    )
    for row in state.connection.execute(elsewhere):
        there = event.model_copy(update={"collaboration": row.collaboration})
        if _verifies(there, json.loads(row.public_key)):
            raise PolicyDeniedError(OTHER_COLLABORATION, actor=event.actor, collaboration=event.collaboration)


def _verifies(event: Event, public_key: dict[str, Any]) -> bool:
    try:
        statement.verify(event, public_key)
    except IntegrityError:
        return False
    return True
