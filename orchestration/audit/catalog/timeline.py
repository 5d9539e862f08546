"""The life of a dataset in order: consent, purpose, retention, and every event about it.

Belongs here: which events concern a dataset, what each says in words, and the days that are still to come.
Must not be here: enforcing any of those days (`stages/`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from orchestration.audit import governance_events as g
from orchestration.audit import governance_tables as gt
from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.catalog.versions import Version, events_about, subjects_of
from orchestration.audit.log import LoggedEvent
from orchestration.audit.vocabulary import Payload, timestamp
from orchestration.charter.model import Charter, Dataset
from orchestration.participants.state import moment, read_charter

# What happens to its owner, or to the whole collaboration, happens to every dataset.
_OF_EVERYTHING = (
    *(g.ParticipantLeft, g.ParticipantRemoved, g.ParticipantSuspended),
    *(g.CollaborationFrozen, g.CollaborationThawed, g.CharterClosed),
)


@dataclass(frozen=True)
class Moment:
    """One thing that happened, or (`event` is None) that the charter says will have to."""

    at: str
    what: str
    text: str
    who: str
    event: int | None


def timeline(
    connection: Connection,
    charter: Charter,
    dataset: Dataset,
    versions: Iterable[Version],
    at: datetime,
    seen: Collection[int] | None = None,
) -> tuple[Moment, ...]:
    """Everything about the dataset, oldest first; what is still to come stands last.

    Args:
        at: this moment: what the charter demands later is still to come.
        seen: numbers of the events the reader sees; None: all of them.

    Raises: IntegrityError where an event is not what was written.
    """
    about = _About(connection, charter.collaboration, dataset)
    past = [
        Moment(timestamp(logged.event.time), logged.event.type, text, logged.event.actor, logged.seq)
        for logged in events_about(connection, charter.collaboration, about.subjects, seen)
        if (text := about.says(logged)) is not None
    ]
    days = _days(connection, charter, dataset, versions, seen)
    to_come = [each for each in days if each.at > timestamp(at)]
    return (*past, *sorted(to_come, key=lambda each: each.at))


class _About:
    """Which events concern one dataset."""

    def __init__(self, connection: Connection, collaboration: str, dataset: Dataset) -> None:
        self._dataset = dataset
        self._charters = {
            row.digest: read_charter(row.document)
            for row in _rows(connection, gt.charters, collaboration)
            if dataset.id in row.document
        }
        self._contributions = {row.contribution for row in subjects_of(connection, collaboration, dataset.id)}
        asked = t.requests.c
        reading = (asked.collaboration == collaboration) & asked.datasets.contains(f'"{dataset.id}"')
        requests: set[str] = set(connection.execute(select(asked.request).where(reading)).scalars())
        answers = select(t.releases.c.release).where(
            t.releases.c.request.in_(select(asked.request).where(reading))
        )
        disputes = {
            row.dispute
            for row in _rows(connection, gt.disputes, collaboration)
            if (row.about_kind, row.about) == ("dataset", dataset.id)
        }
        self.subjects = {
            *(collaboration, dataset.participant, dataset.id),
            *(*self._contributions, *requests, *connection.execute(answers).scalars(), *disputes),
        }

    def says(self, logged: LoggedEvent) -> str | None:
        """The event in words; None: it does not concern the dataset."""
        payload = logged.event.payload
        if isinstance(payload, g.CharterActivated):
            charter = self._charters.get(payload.digest)
            named = [each for each in charter.datasets if each.id == self._dataset.id] if charter else []
            return _terms(charter, named[0]) if charter and named else None
        broad = logged.event.subject in {logged.event.collaboration, self._dataset.participant}
        if broad and not isinstance(payload, _OF_EVERYTHING) and not self._names(payload):
            return None
        word = WORDS.get(type(payload))
        return word(payload) if word else f"{logged.event.type.replace('.', ' ').replace('_', ' ')}."

    def _names(self, payload: Payload) -> bool:
        """Whether an event about everything, or about its owner, speaks of this dataset."""
        if isinstance(payload, s.RoomRefreshed):
            return any(not self._contributions.isdisjoint(each) for each in payload.tables.values())
        one = {getattr(payload, "contribution", None)} | set(getattr(payload, "contributions", ()))
        return not self._contributions.isdisjoint(one) or getattr(payload, "dataset", "") == self._dataset.id


def _rows(connection: Connection, table: Any, collaboration: str) -> Iterator[Row[Any]]:
    yield from connection.execute(select(table).where(table.c.collaboration == collaboration))


def _terms(charter: Charter, dataset: Dataset) -> str:
    purposes = ", ".join(dataset.purposes)
    return (
        f"Charter version {charter.version} in force: given for {purposes}, on the ground of "
        f"{dataset.lawful_basis.replace('_', ' ')}, kept {charter.retention.contributions_days} days."
    )


def _checks(payload: s.GatePassed | s.GateFailed) -> str:
    failed = sum(not each.passed for each in payload.checks)
    return f"{len(payload.checks)} checks, {failed} not passed"


WORDS: dict[type[Payload], Callable[[Any], str]] = {
    s.ContributionAccepted: lambda p: f"Delivery {p.delivery} accepted for {', '.join(p.purposes)}.",
    s.ContributionRefused: lambda p: f"Delivery {p.delivery} refused: {p.code}.",
    s.DatasetDeidentified: lambda p: f"De-identified: {', '.join(sorted(set(p.techniques.values())))}.",
    s.GatePassed: lambda p: f"The gate passed it ({_checks(p)}).",
    s.GateFailed: lambda p: f"The gate stopped it ({_checks(p)}).",
    s.RoomRefreshed: lambda _: "In the room, joined with the data of the others.",
    s.RequestSubmitted: lambda p: f"Asked for in {p.template}, for {p.purpose}.",
    s.RequestDecided: lambda p: "The request may run." if p.allowed else f"The request was denied: {p.code}.",
    s.ComputationRun: lambda p: f"Read by {p.template}.",
    s.OutputGenerated: lambda p: f"The answer was protected with the threshold {p.threshold}.",
    s.OutputWithheld: lambda p: f"The answer was withheld: {p.code}.",
    s.OutputReleased: lambda p: f"Insight {p.release} released to {', '.join(p.receivers)}.",
    s.OutputAccessed: lambda p: f"{p.member} opened {p.release} ({p.detail}).",
    s.AccessDenied: lambda p: f"{p.member} was refused {p.release}: {p.code}.",
    s.StageFailed: lambda p: f"The stage {p.stage} stopped: {p.code}.",
    g.OutputRecalled: lambda p: f"Insight {p.release} recalled.",
    g.DatasetAttested: lambda p: f"Its onboarding checklist was attested, good until {p.expires_at.date()}.",
    g.DataDestroyed: lambda p: f"Its data was destroyed: {p.rule}.",
    g.ParticipantLeft: lambda _: "Its owner left.",
    g.ParticipantRemoved: lambda _: "Its owner was removed.",
    g.ParticipantSuspended: lambda _: "Its owner was suspended.",
    g.CollaborationFrozen: lambda _: "The collaboration was frozen: nothing runs, nothing opens.",
    g.CollaborationThawed: lambda _: "The collaboration was thawed.",
    g.CharterClosed: lambda _: "The collaboration was closed.",
}
"""What an event says of a dataset. A kind that is missing here is called by its type."""


def _days(
    connection: Connection,
    charter: Charter,
    dataset: Dataset,
    versions: Iterable[Version],
    seen: Collection[int] | None,
) -> Iterator[Moment]:
    """What the charter demands on a day."""
    kept = timedelta(days=charter.retention.contributions_days)
    for version in versions:
        if version.status != "destroyed":
            due = timestamp(moment(version.at) + kept)
            yield Moment(due, "retention", f"Version {version.number} must be gone by this day.", "", None)
    for row in _rows(connection, gt.attested_datasets, charter.collaboration):
        if row.dataset == dataset.id and (seen is None or row.seq in seen):
            yield Moment(row.expires_at, "attestation", "Its checklist has to be attested anew.", "", None)
    ends = datetime.combine(charter.effective_until, time(23, 59, 59), tzinfo=UTC)
    yield Moment(timestamp(ends), "charter", "The charter ends: nothing enters or runs after.", "", None)
