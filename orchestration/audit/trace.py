"""What happened to one request: every event about it, its release and the data behind it.

Belongs here: collecting from the log. Must not be here: whether it was right (`limits`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.receipts import logged_receipt, receipt_of
from orchestration.audit.stage_events import ContributionAccepted
from orchestration.audit.vocabulary import Handover, Payload
from orchestration.charter.model import Charter
from orchestration.participants.state import State, moment, read_charter

_P = TypeVar("_P", bound=Payload)


@dataclass(frozen=True)
class Trace:
    """One request. `steps`: events about it and its release; `behind`: receipts of room and contributions."""

    request: Row[Any]
    release: Row[Any] | None
    decision: Row[Any] | None
    charter: Charter | None
    steps: tuple[LoggedEvent, ...]
    behind: tuple[LoggedEvent, ...]

    @property
    def events(self) -> tuple[LoggedEvent, ...]:
        found = {logged.seq: logged for logged in (*self.behind, *self.steps)}
        return tuple(found[seq] for seq in sorted(found))

    def last(self, payload: type[_P]) -> _P | None:
        """The payload of the newest step of this kind."""
        found = [each.event.payload for each in self.steps if isinstance(each.event.payload, payload)]
        return found[-1] if found else None

    def all(self, payload: type[_P]) -> list[tuple[LoggedEvent, _P]]:
        return [(each, each.event.payload) for each in self.steps if isinstance(each.event.payload, payload)]

    @property
    def contributions(self) -> list[tuple[str, ContributionAccepted]]:
        """Contribution id → what was accepted, of everything in the room that the answer was made from."""
        return [
            (each.event.subject, each.event.payload)
            for each in self.behind
            if isinstance(each.event.payload, ContributionAccepted)
        ]

    @property
    def handovers(self) -> list[tuple[LoggedEvent, Handover]]:
        return self.all(Handover)


def trace(log: AuditLog, state: State, request: Row[Any]) -> Trace:
    """Everything the log says of a request. Raises: IntegrityError where the log is broken."""
    release = next(iter(state.rows(t.releases, request=request.request)), None)
    subjects = [request.request] if release is None else [request.request, release.release]
    steps = {
        logged.seq: logged
        for subject in subjects
        for logged in log.events(subject=subject, collaboration=state.collaboration)
    }
    ordered = tuple(steps[seq] for seq in sorted(steps))
    submitted = log.event(request.seq)
    made = [each for each in ordered if isinstance(each.event.payload, Handover)]
    behind = _behind(log, made, {each.receipt_id for each in made})
    charter = charter_at(state, submitted.event.time)
    return Trace(request, release, state.decision(request.request), charter, ordered, behind)


def charter_at(state: State, at: datetime) -> Charter | None:
    """The charter that was in force at this moment."""
    rows = [row for row in state.rows(g.charters) if row.activated_at and moment(row.activated_at) <= at]
    newest = max(rows, key=lambda row: str(row.activated_at), default=None)
    return read_charter(newest.document) if newest is not None else None


def _behind(log: AuditLog, made: Iterable[LoggedEvent], known: set[str]) -> tuple[LoggedEvent, ...]:
    """The receipts that these stand on, and those below, each proven from the log; oldest first."""
    found: dict[str, LoggedEvent] = {}
    waiting = [each for logged in made for each in receipt_of(logged).inputs]
    while waiting:
        receipt = waiting.pop()
        if receipt in found or receipt in known:
            continue
        found[receipt] = logged_receipt(log, receipt)
        waiting += receipt_of(found[receipt]).inputs
    return tuple(sorted(found.values(), key=_number))


def _number(logged: LoggedEvent) -> int:
    return logged.seq
