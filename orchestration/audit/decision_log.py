"""Every decision of a collaboration: the question, the rule, who said what and why, and what came of it.

Belongs here: reading decisions out of the log. Must not be here: who may decide, or counting votes
(`participants/approvals`).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import DecisionConcluded, DecisionEscalated, VoteCast
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.vocabulary import timestamp
from orchestration.participants.approvals import tally
from orchestration.participants.state import State, participant_of

QUESTIONS = {
    "request": "May request {about} run?",
    "membership": "Shall {about} be {step}?",
    "exception": "Is the exception {about} granted?",
    "dispute": "Is dispute {about} upheld?",
    "thaw": "Does {about} go on?",
    "closing": "Is {about} closed for good?",
    "purpose": "Is {about} a purpose to agree on?",
}
_STEPS = {"suspend": "suspended", "reinstate": "invited again", "remove": "removed"}


def decision_log(log: AuditLog, state: State) -> list[JsonValue]:
    """All decisions, oldest first. Raises: IntegrityError where the log is broken."""
    rows = [
        (row, log.events(subject=row.decision, collaboration=state.collaboration)) for row in _rows(state)
    ]
    entries = [_entry(state, row, events) for row, events in rows]
    return sorted(entries, key=_event)  # type: ignore[arg-type]  # JSON objects made here


def question_of(row: Row[Any]) -> str:
    """What is decided, as a question people would ask."""
    step = _STEPS.get(str(json.loads(row.content).get("step")), "changed")
    return QUESTIONS.get(row.matter, "What about {about}?").format(about=row.about, step=step)


def _rows(state: State) -> list[Row[Any]]:
    return state.rows(g.decisions)


def _event(entry: dict[str, Any]) -> int:
    return int(entry["event"])


def decision_record(log: AuditLog, state: State, row: Row[Any]) -> dict[str, JsonValue]:
    """One decision of the log. Raises: IntegrityError where the log is broken."""
    return _entry(state, row, log.events(subject=row.decision, collaboration=state.collaboration))


def _entry(state: State, row: Row[Any], events: list[LoggedEvent]) -> dict[str, JsonValue]:
    opening = events[0]
    votes = [each for each in events if isinstance(each.event.payload, VoteCast)]
    standing = {each.event.actor: each.seq for each in votes}
    concluded = next((each for each in events if isinstance(each.event.payload, DecisionConcluded)), None)
    rule = concluded.event.payload.rule if concluded is not None else tally(state, row).rule  # type: ignore[attr-defined]
    return {
        "decision": row.decision,
        "matter": row.matter,
        "about": row.about,
        "question": question_of(row),
        "content": json.loads(row.content),
        "asked_by": row.asked_by,
        "reason": opening.event.justification,
        "opened_at": row.opened_at,
        "event": opening.seq,
        "rule": rule,
        "votes": [
            {
                "member": each.event.actor,
                "participant": participant_of(each.event.actor),
                "vote": each.event.payload.vote,  # type: ignore[attr-defined]
                "reason": each.event.justification,
                "at": timestamp(each.event.time),
                "stands": standing[each.event.actor] == each.seq,
                "event": each.seq,
            }
            for each in votes
        ],
        "escalated_to": [
            each.event.payload.to for each in events if isinstance(each.event.payload, DecisionEscalated)
        ],
        "outcome": row.status,
        "concluded": None if concluded is None else _conclusion(concluded),
    }


def _conclusion(logged: LoggedEvent) -> JsonValue:
    said = logged.event.payload
    assert isinstance(said, DecisionConcluded)  # noqa: S101  it was chosen by this
    return {
        "approvals": list(said.approvals),
        "rejections": list(said.rejections),
        "at": timestamp(logged.event.time),
        "event": logged.seq,
    }
