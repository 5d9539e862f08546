"""Whether data is to be destroyed, and whether exactly this data.

Belongs here: rules about `data.destroyed`. Must not be here: finding what is due, or shredding it
(`stages/destruction`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import DataDestroyed
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants import consequences
from orchestration.participants.state import State

NOT_TO_DESTROY = Reason(
    "destruction.not_due",
    "Nothing that was signed or decided calls for destroying this data.",
    "Data goes when its owner takes it back, leaves or is removed, by a decision, or when all is closed.",
)


def require_due(state: State, event: Event, payload: DataDestroyed) -> None:
    """Refuse unless what was signed or decided wants just these contributions gone.

    Raises: PolicyDeniedError (`destruction.not_due`).
    """
    rows = [row for each in payload.contributions for row in _kept(state, each)]
    known = len(rows) == len(set(payload.contributions)) == len(payload.contributions)
    if not known or not _is_due(state, event, payload, rows):
        raise PolicyDeniedError(NOT_TO_DESTROY)


def is_covered(dispute: Row[Any], contribution: Row[Any]) -> bool:
    """Whether the remedy of this dispute reaches a contribution: what was given before, and no other."""
    column = {"dataset": "dataset", "participant": "participant"}.get(dispute.about_kind)
    if column is None or (dispute.status, dispute.remedy) != ("upheld", "delete"):
        return False
    return bool(getattr(contribution, column) == dispute.about and contribution.seq < dispute.seq)


def _kept(state: State, contribution: str) -> list[Row[Any]]:
    return state.rows(t.contributions, contribution=contribution, status="accepted")


def _is_due(state: State, event: Event, payload: DataDestroyed, rows: list[Row[Any]]) -> bool:
    if payload.rule == "closed":
        closing = state.phase == "closed" or bool(consequences.closing_due(state))
        return closing and event.subject == state.collaboration
    if any(row.participant != event.subject for row in rows):
        return False
    if payload.rule == "withdrawn":
        return bool(rows) and all(state.rows(t.withdrawals, contribution=row.contribution) for row in rows)
    if payload.rule == "remedy":
        dispute = state.dispute(payload.dispute) if payload.dispute is not None else None
        return dispute is not None and bool(rows) and all(is_covered(dispute, row) for row in rows)
    return state.participant_status(event.subject) == payload.rule
