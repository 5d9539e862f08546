"""What the log says of one collaboration, as far as the viewer sees its events: raw material of the pages.

Belongs here: queries, each narrowed to events that are seen, so that nothing made of them can say more. Must
not be here: what a state is called, or anything for the eye (`overview.py`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, select

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.log import LoggedEvent, logged_event
from orchestration.audit.stage_events import StageFailed
from orchestration.audit.vocabulary import Payload, Stage
from orchestration.charter.model import Charter
from orchestration.participants.state import participant_of

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
    received: tuple[Row[Any], ...]  # releases whose request the viewer does not see, newest first
    answers: dict[str, LoggedEvent]  # request → newest no
    releases: dict[str, Row[Any]]
    opened: dict[str, int]
    openers: dict[str, set[str]]  # release → participants that opened it
    members: dict[str, int]
    charter_seq: int | None

    def payload(self, stage: Stage, subject: str, kind: type[_P]) -> tuple[LoggedEvent, _P] | None:
        """The event behind the newest receipt of `stage` for `subject`."""
        seq = self.receipts.get((stage, subject))
        logged = self.events.get(seq) if seq is not None else None
        if logged is None or not isinstance(logged.event.payload, kind):
            return None
        return logged, logged.event.payload


def read_records(connection: Connection, charter: Charter, seen: Collection[int]) -> Records:
    """
    Args:
        seen: numbers of the events that the viewer sees; rows that others changed last count as not there.
    """
    mine = charter.collaboration

    def rows(table: Any, *conditions: Any) -> list[Row[Any]]:
        query = select(table).where(table.c.collaboration == mine, *conditions).order_by(table.c.seq)
        return [row for row in connection.execute(query) if row.seq in seen]

    def events(*types: str, limit: int | None = None) -> list[LoggedEvent]:
        column = t.events.c
        query = select(t.events).where(column.collaboration == mine, column.type.in_(types))
        found = (row for row in connection.execute(query.order_by(column.seq.desc())) if row.seq in seen)
        return [logged_event(row) for row in islice(found, limit)]

    accepted = rows(t.contributions, t.contributions.c.status == "accepted")
    refused_ids = {row.contribution for row in rows(t.contributions, t.contributions.c.status == "refused")}
    requests = rows(t.requests)[::-1]
    asked = {row.request for row in requests}
    requests = requests[:_REQUESTS]
    releases = rows(t.releases)
    accesses = [row for row in rows(t.accesses) if row.granted]
    receipts = {
        (row.stage, row.subject): row.seq for row in rows(t.receipts, t.receipts.c.revoked.is_(False))
    }
    newest = {row.dataset: row for row in accepted}
    subjects = (
        {row.contribution for row in newest.values()}
        | {row.request for row in (*requests, *releases)}
        | {mine}
    )
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
        received=tuple(row for row in releases[::-1] if row.request not in asked)[:_REQUESTS],
        answers={logged.event.subject: logged for logged in reversed(answers)},
        releases={row.request: row for row in releases},
        opened=_count(row.release for row in accesses),
        openers=_openers(accesses),
        members=_count(row.participant for row in rows(g.members)),
        charter_seq=next(
            (row.seq for row in rows(g.charters) if row.digest == charter.digest),
            None,
        ),
    )


def read_lineage(connection: Connection, seen: Collection[int]) -> list[dict[str, Any]]:
    """The OpenLineage events, oldest first, that were stored with events the viewer sees."""
    query = select(t.lineage.c.seq, t.lineage.c.event).order_by(t.lineage.c.id)
    return [json.loads(row.event) for row in connection.execute(query) if row.seq in seen]


def _openers(accesses: Iterable[Row[Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in accesses:
        found.setdefault(row.release, set()).add(participant_of(row.member))
    return found


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
