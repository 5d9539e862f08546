"""Versions of a dataset: each accepted contribution, what became of it, and how its gates judged it.

Belongs here: reading them from the log's tables and events. Must not be here: small counts: a number of rows
below the threshold of its cells is left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from orchestration.audit import tables as t
from orchestration.audit.lineage_datasets import published_rows
from orchestration.audit.log import LoggedEvent, logged_event
from orchestration.audit.stage_events import ContributionAccepted, DatasetDeidentified, GateFailed, GatePassed
from orchestration.audit.vocabulary import timestamp
from orchestration.charter.model import Charter, Dataset

_AT_ONCE = 500  # names in one statement


@dataclass(frozen=True)
class GateRun:
    """How one run of the gate judged a version; `failed` and `warned` name rules, never what they found."""

    at: str
    verdict: str
    checks: int
    failed: tuple[str, ...]
    warned: tuple[str, ...]
    suite: str
    event: int


@dataclass(frozen=True)
class Version:
    """One accepted contribution. `digest` is of the delivered file and never changes.

    `status`: in the room | superseded | failed its gate | waits for its gate | waits for de-identification,
    or what else the log says became of it. `rows` is None when there are too few to be told.
    """

    number: int
    contribution: str
    delivery: str
    digest: str
    charter: str
    at: str
    signer: str
    purposes: tuple[str, ...]
    rows: int | None
    quarantined: bool
    status: str
    superseded_by: str | None
    techniques: tuple[tuple[str, str], ...]
    gates: tuple[GateRun, ...]
    event: int


def read_versions(
    connection: Connection, charter: Charter, dataset: Dataset, seen: Collection[int] | None = None
) -> tuple[Version, ...]:
    """All versions, oldest first.

    Args:
        seen: numbers of the events the reader sees; None: all of them.

    Raises: IntegrityError where an event is not what was written.
    """
    table = t.contributions
    query = select(table).where(
        table.c.collaboration == charter.collaboration,
        table.c.dataset == dataset.id,
        table.c.source_digest.is_not(None),  # accepted at some time; a repaired refusal never was
    )
    rows = [row for row in connection.execute(query.order_by(table.c.seq)) if seen is None or row.seq in seen]
    events = _by_contribution(connection, charter.collaboration, [row.contribution for row in rows], seen)
    current = _current(connection, charter.collaboration, dataset.id)
    threshold = max(charter.output.aggregation_threshold, dataset.threshold or 0)
    versions: list[Version] = []
    newer: str | None = None
    for row in reversed(rows):
        found = _version(row, events[row.contribution], current, newer, threshold)
        versions.append(found)
        if row.gate == "passed" or row.contribution == current:
            newer = row.contribution
    return tuple(replace(each, number=number) for number, each in enumerate(reversed(versions), 1))


def subjects_of(connection: Connection, collaboration: str, dataset: str) -> list[Row[Any]]:
    """Every contribution of a dataset, refused ones too, oldest first."""
    table = t.contributions
    query = select(table).where(table.c.collaboration == collaboration, table.c.dataset == dataset)
    return list(connection.execute(query.order_by(table.c.seq)))


def events_about(
    connection: Connection, collaboration: str, subjects: Iterable[str], seen: Collection[int] | None = None
) -> list[LoggedEvent]:
    """Every event about one of these subjects that is seen, oldest first."""
    names, column = sorted(set(subjects)), t.events.c
    found = []
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        query = select(t.events).where(column.collaboration == collaboration, column.subject.in_(some))
        found += [row for row in connection.execute(query) if seen is None or row.seq in seen]
    return [logged_event(row) for row in sorted(found, key=lambda row: int(row.seq))]


def _by_contribution(
    connection: Connection, collaboration: str, contributions: list[str], seen: Collection[int] | None
) -> dict[str, list[LoggedEvent]]:
    found: dict[str, list[LoggedEvent]] = {name: [] for name in contributions}
    for logged in events_about(connection, collaboration, contributions, seen):
        found[logged.event.subject].append(logged)
    return found


def _current(connection: Connection, collaboration: str, dataset: str) -> str | None:
    table = t.datasets.c
    query = select(table.contribution).where(table.collaboration == collaboration, table.dataset == dataset)
    found: str | None = connection.execute(query).scalar()
    return found


def _version(
    row: Row[Any], events: list[LoggedEvent], current: str | None, newer: str | None, threshold: int
) -> Version:
    *_, (at, said) = [
        (each.event.time, each.event.payload)
        for each in events
        if isinstance(each.event.payload, ContributionAccepted)
    ]
    made = [each.event.payload for each in events if isinstance(each.event.payload, DatasetDeidentified)]
    return Version(
        number=0,
        contribution=row.contribution,
        delivery=row.delivery,
        digest=row.source_digest,
        charter=row.charter_digest,
        at=timestamp(at),
        signer=said.signer,
        purposes=tuple(json.loads(row.purposes)),
        rows=published_rows(row.rows, threshold) if row.rows is not None else None,
        quarantined=bool(row.quarantined),
        status=_status(row, current, newer),
        superseded_by=newer,
        techniques=tuple(sorted(made[-1].techniques.items())) if made else (),
        gates=tuple(
            _gate(each, each.event.payload)
            for each in events
            if isinstance(each.event.payload, GatePassed | GateFailed)
        ),
        event=row.seq,
    )


def _status(row: Row[Any], current: str | None, newer: str | None) -> str:
    if row.status != "accepted":
        return str(row.status)
    if row.contribution == current:
        return "in the room"
    if row.gate == "failed":
        return "failed its gate"
    if newer is not None:
        return "superseded"
    return "waits for its gate" if row.table_name else "waits for de-identification"


def _gate(logged: LoggedEvent, payload: GatePassed | GateFailed) -> GateRun:
    failed = [each for each in payload.checks if not each.passed]
    return GateRun(
        at=timestamp(logged.event.time),
        verdict="passed" if isinstance(payload, GatePassed) else "failed",
        checks=len(payload.checks),
        failed=tuple(each.rule for each in failed if each.severity == "critical"),
        warned=tuple(each.rule for each in failed if each.severity != "critical"),
        suite=payload.suite_digest,
        event=logged.seq,
    )
