"""What the log says of one collaboration, read in one consistent view: the raw material of the overview.

Belongs here: queries. Must not be here: what a state is called, or anything for the eye (`overview.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.log import LoggedEvent, logged_event
from orchestration.audit.stage_events import StageFailed
from orchestration.audit.vocabulary import Payload, Stage
from orchestration.charter.model import Charter

_REQUESTS = 24
_REFUSALS = 20
_P = TypeVar("_P", bound=Payload)


@dataclass(frozen=True)
class Records:
    """Everything that one page needs to know."""

    contributions: dict[str, Row[Any]]  # dataset → newest accepted
    deliveries: dict[str, int]
    receipts: dict[tuple[str, str], int]  # (stage, subject) → seq of the newest
    events: dict[int, LoggedEvent]
    admitted: dict[str, str]  # dataset → contribution whose gate passed last
    gates: dict[str, LoggedEvent]  # contribution → newest gate.failed
    stopped: tuple[LoggedEvent, ...]
    refused: tuple[LoggedEvent, ...]
    requests: tuple[Row[Any], ...]
    answers: dict[str, LoggedEvent]  # request → newest no
    releases: dict[str, Row[Any]]
    opened: dict[str, int]
    members: dict[str, int]
    charter_seq: int | None

    def payload(self, stage: Stage, subject: str, kind: type[_P]) -> tuple[LoggedEvent, _P] | None:
        """The event behind the newest receipt of `stage` for `subject`."""
        seq = self.receipts.get((stage, subject))
        logged = self.events.get(seq) if seq is not None else None
        if logged is None or not isinstance(logged.event.payload, kind):
            return None
        return logged, logged.event.payload


def read_records(connection: Connection, charter: Charter) -> Records:
    mine = charter.collaboration

    def rows(table: Any, *conditions: Any) -> list[Row[Any]]:
        query = select(table).where(table.c.collaboration == mine, *conditions).order_by(table.c.seq)
        return list(connection.execute(query))

    def events(*types: str, limit: int | None = None) -> list[LoggedEvent]:
        column = t.events.c
        query = select(t.events).where(column.collaboration == mine, column.type.in_(types))
        query = query.order_by(column.seq.desc()).limit(limit)
        return [logged_event(row) for row in connection.execute(query)]

    accepted = rows(t.contributions, t.contributions.c.status == "accepted")
    refused_ids = {row.contribution for row in rows(t.contributions, t.contributions.c.status == "refused")}
    requests = rows(t.requests)[::-1][:_REQUESTS]
    receipts = {
        (row.stage, row.subject): row.seq for row in rows(t.receipts, t.receipts.c.revoked.is_(False))
    }
    newest = {row.dataset: row for row in accepted}
    subjects = {row.contribution for row in newest.values()} | {row.request for row in requests} | {mine}
    needed = [seq for (_, subject), seq in receipts.items() if subject in subjects]
    loaded = connection.execute(select(t.events).where(t.events.c.seq.in_(needed)))
    answers = events("request.decided", "output.withheld")
    refused = [logged for logged in events("contribution.refused") if logged.event.subject in refused_ids]
    return Records(
        contributions=newest,
        deliveries=_count(row.dataset for row in accepted),
        receipts=receipts,
        events={row.seq: logged_event(row) for row in loaded},
        admitted={row.dataset: row.contribution for row in rows(t.datasets)},
        gates={logged.event.subject: logged for logged in reversed(events("gate.failed"))},
        stopped=tuple(_unrepeated(events("stage.failed", limit=_REFUSALS), receipts)),
        refused=tuple(_newest_per_subject(refused)[:_REFUSALS]),
        requests=tuple(requests),
        answers={logged.event.subject: logged for logged in reversed(answers)},
        releases={row.request: row for row in rows(t.releases)},
        opened=_count(row.release for row in rows(t.accesses) if row.granted),
        members=_count(row.participant for row in rows(g.members)),
        charter_seq=next(
            (row.seq for row in rows(g.charters) if row.digest == charter.digest),
            None,
        ),
    )


def _count(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


def _newest_per_subject(events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    found: dict[str, LoggedEvent] = {}
    for logged in events:
        found.setdefault(logged.event.subject, logged)
    return list(found.values())


def _unrepeated(
    failures: Iterable[LoggedEvent], receipts: Mapping[tuple[str, str], int]
) -> Iterable[LoggedEvent]:
    """The failures after which the same step did not pass."""
    for logged in _newest_per_subject(failures):
        payload = logged.event.payload
        if (
            isinstance(payload, StageFailed)
            and receipts.get((payload.stage, payload.subject), -1) < logged.seq
        ):
            yield logged
