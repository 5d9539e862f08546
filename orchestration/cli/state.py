"""What one collaboration looks like now, read from the log's tables: the facts behind `status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from pydantic import JsonValue
from sqlalchemy import select

from orchestration.audit import tables
from orchestration.audit.stage_events import GatePassed
from orchestration.audit.withdrawal_events import OutdatedBy
from orchestration.charter.model import Charter
from orchestration.cli.waiting import Waiting, waiting_members
from orchestration.house import House
from orchestration.stages import landing, refresh


@dataclass(frozen=True)
class DatasetState:
    dataset: str
    participant: str
    rows: int | None
    state: str


@dataclass(frozen=True)
class RefusedDelivery:
    delivery: str
    participant: str
    dataset: str | None
    code: str


@dataclass(frozen=True)
class RequestState:
    request: str
    template: str
    requester: str
    state: str
    code: str | None


@dataclass(frozen=True)
class ReleaseState:
    release: str
    template: str
    until: str
    receivers: tuple[str, ...]
    recalled: bool
    outdated: OutdatedBy | None


@dataclass(frozen=True)
class State:
    """Everything `status` shows.

    `region`: country where the house says it stores data. `attestation`: what hardware proves that it runs
    what it says it runs; there is none, and nobody should believe otherwise.
    """

    collaboration: str
    title: str
    version: int
    agreement: str
    room: str
    region: str | None
    attestation: str
    datasets: tuple[DatasetState, ...]
    refused: tuple[RefusedDelivery, ...]
    requests: tuple[RequestState, ...]
    releases: tuple[ReleaseState, ...]
    waiting: tuple[Waiting, ...]

    @property
    def document(self) -> JsonValue:
        document: JsonValue = json.loads(json.dumps(asdict(self)))
        return document


_NO_ENCLAVE = "none (no hardware enclave)"
_OTHER_CHARTER = "given under another charter"


def read_state(house: House, charter: Charter) -> State:
    """The state of one collaboration."""
    with house.state(charter.collaboration) as now:
        phase = now.phase
        status = now.charter_status(charter.digest) or "not proposed yet"
        members = waiting_members(now)
    due = refresh.due(house, charter)
    room = refresh.current(house, charter)
    datasets = _datasets(house, charter)
    refused = _refused(house, charter)
    requests = _requests(house, charter)
    if room is None:
        described = "not refreshed yet"
    else:
        described = (
            "up to date" if not due else f"{len(due)} contributions passed their gate and wait for a refresh"
        )
    return State(
        collaboration=charter.collaboration,
        title=charter.title,
        version=charter.version,
        agreement=phase if status == "active" else status,
        room=described,
        region=house.settings.region,
        attestation=_NO_ENCLAVE,
        datasets=datasets,
        refused=refused,
        requests=requests,
        releases=_releases(house, charter),
        # Nothing is delivered, and nothing runs, before the agreement is in force.
        waiting=(
            *members,
            *(
                _waiting(house, charter, datasets, refused, requests, due=bool(due))
                if status == "active"
                else ()
            ),
        ),
    )


def _datasets(house: House, charter: Charter) -> tuple[DatasetState, ...]:
    table = tables.contributions.c
    query = (
        select(table.dataset, table.rows, table.gate, table.table_name, table.charter_digest)
        .where(table.collaboration == charter.collaboration, table.status == "accepted")
        .order_by(table.seq)
    )
    with house.log.read() as connection:
        newest = {row.dataset: row for row in connection.execute(query)}
    states = []
    for dataset in charter.datasets:
        row = newest.get(dataset.id)
        if row is None:
            states.append(DatasetState(dataset.id, dataset.participant, None, "not contributed yet"))
            continue
        if row.charter_digest != charter.digest:
            states.append(DatasetState(dataset.id, dataset.participant, row.rows, _OTHER_CHARTER))
            continue
        gate = {"passed": "gate passed", "failed": "gate failed"}.get(
            row.gate or "", "de-identified" if row.table_name else "accepted"
        )
        states.append(DatasetState(dataset.id, dataset.participant, row.rows, gate))
    return tuple(states)


def _warned(house: House, charter: Charter) -> Iterator[tuple[str, str, int]]:
    """(participant, contribution, warnings) of every contribution in use whose gate warned."""
    with house.state(charter.collaboration) as state:
        in_use = {row.dataset: row.contribution for row in state.rows(tables.datasets)}
    for dataset in charter.datasets:
        events = house.log.events(
            "gate.passed", in_use.get(dataset.id, ""), charter.collaboration, newest_first=True, limit=1
        )
        for logged in events:
            payload = logged.event.payload
            checks = payload.checks if isinstance(payload, GatePassed) else ()
            warned = sum(not check.passed for check in checks)
            if warned:
                yield dataset.participant, logged.event.subject, warned


def _refused(house: House, charter: Charter) -> tuple[RefusedDelivery, ...]:
    """Refusals that no later accepted contribution of the dataset has answered."""
    table = tables.contributions.c
    query = (
        select(table.delivery, table.participant, table.dataset, table.code, table.status)
        .where(table.collaboration == charter.collaboration)
        .order_by(table.seq)
    )
    open_refusals: list[RefusedDelivery] = []
    with house.log.read() as connection:
        for row in connection.execute(query):
            if row.status == "accepted":
                open_refusals = [r for r in open_refusals if r.dataset != row.dataset]
            elif row.status == "refused" and row.code != "contribution.duplicate":
                open_refusals.append(RefusedDelivery(row.delivery, row.participant, row.dataset, row.code))
    return tuple(open_refusals)


def _requests(house: House, charter: Charter) -> tuple[RequestState, ...]:
    table = tables.requests.c
    query = select(tables.requests).where(table.collaboration == charter.collaboration).order_by(table.seq)
    with house.log.read() as connection:
        return tuple(
            RequestState(row.request, row.template, row.requester, row.status, row.code)
            for row in connection.execute(query)
        )


def _releases(house: House, charter: Charter) -> tuple[ReleaseState, ...]:
    table = tables.releases.c
    kept = (table.collaboration == charter.collaboration) & table.destroyed_at.is_(None)
    query = select(tables.releases).where(kept).order_by(table.seq)
    with house.log.read() as connection:
        return tuple(
            ReleaseState(
                row.release,
                row.template,
                row.expires_at[:10],
                tuple(json.loads(row.receivers)),
                row.recalled,
                row.outdated,
            )
            for row in connection.execute(query)
        )


def _waiting(
    house: House,
    charter: Charter,
    datasets: tuple[DatasetState, ...],
    refused: tuple[RefusedDelivery, ...],
    requests: tuple[RequestState, ...],
    *,
    due: bool,
) -> tuple[Waiting, ...]:
    found = [
        Waiting(f"{d.participant}.steward", f"contribute {d.dataset}") for d in datasets if d.rows is None
    ]
    found += [
        Waiting(f"{d.participant}.steward", f"deliver {d.dataset} again: the charter changed")
        for d in datasets
        if d.state == _OTHER_CHARTER
    ]
    found += [
        Waiting(f"{d.participant}.steward", f"mend {d.dataset}: its gate failed, deliver a corrected file")
        for d in datasets
        if d.state == "gate failed"
    ]
    found += [
        Waiting(f"{participant}.steward", f"look at {contribution}: its gate warns ({warned})")
        for participant, contribution, warned in _warned(house, charter)
    ]
    found += [
        Waiting(f"{r.participant}.steward", f"deliver {r.dataset or 'it'} again: {r.code}") for r in refused
    ]
    unfinished = [d.dataset for d in datasets if d.state in ("accepted", "de-identified")]
    permitted = [r.request for r in requests if r.state == "permitted"]
    if landing.is_waiting(house, charter) or due or permitted or unfinished:
        found.append(Waiting("operator", "run what waits: `glasshouse run` (or keep `make dev` open)"))
    return tuple(found)
