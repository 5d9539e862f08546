"""What each event does to the tables people look at: one projector function per event type.

Belongs here: the registry of projectors; for events of data, event → rows and the order in which states may
follow each other (`governance_projections` has the same for events of governance). Must not be here: reading
files, clocks or anything but the event and the projections themselves, because replaying the log must give
the same tables. A projector that meets a state its event cannot follow raises; then nothing is appended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, select, update

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.database import add_rows
from orchestration.audit.events import Event
from orchestration.audit.stage_events import (
    AccessDenied,
    ComputationRun,
    ContributionAccepted,
    ContributionRefused,
    DatasetDeidentified,
    GateFailed,
    GatePassed,
    OutputAccessed,
    OutputGenerated,
    OutputReleased,
    OutputWithheld,
    RequestDecided,
    RoomRefreshed,
    StageFailed,
)
from orchestration.audit.statement import statement_id
from orchestration.audit.vocabulary import Handover, Payload, timestamp
from orchestration.digests import canonical_json
from orchestration.errors import GlasshouseError, Reason

ALREADY_RECORDED = Reason(
    "log.already_recorded",
    "The log already holds this {type} for {subject}; nothing was added.",
    "Nothing to do: the earlier step counts.",
)
OUT_OF_ORDER = Reason(
    "log.out_of_order",
    "{type} cannot follow here: {subject} is {state}. Nothing was added.",
    "Run the stages before it for {subject} first.",
)


class AlreadyRecordedError(GlasshouseError):
    """This step counts already; a rerun may treat it as done."""


class OutOfOrderError(GlasshouseError):
    """The state that this event changes is not the one the log knows."""


class Entry(NamedTuple):
    """An event at its place in the log."""

    seq: int
    receipt_id: str
    event: Event


_P = TypeVar("_P", bound=Payload)
_Projector = Callable[[Connection, Entry, Any], None]
PROJECTORS: dict[type[Payload], _Projector] = {}

ALL_TABLES = (*t.PROJECTIONS, *g.PROJECTIONS)


def project(connection: Connection, entry: Entry) -> None:
    """Apply one event, inside the transaction that appends it.

    Raises: AlreadyRecordedError, OutOfOrderError; SQLAlchemy's IntegrityError where a unique key says that
    the step counts already.
    """
    payload = entry.event.payload
    if entry.event.signature is not None:
        add(connection, g.statements, entry, {"statement": statement_id(entry.event)})
    if isinstance(payload, Handover):
        row: dict[str, Any] = {"receipt_id": entry.receipt_id, "stage": payload.stage}
        row |= {"subject": payload.receipt.subject, "revoked": False}
        row |= {"charter_digest": payload.receipt.charter_digest}
        row |= {"inputs": json_text(list(payload.receipt.inputs))}
        row |= {"outputs": json_text(dict(payload.receipt.outputs))}
        add(connection, t.receipts, entry, row)
    PROJECTORS[type(payload)](connection, entry, payload)


def on(payload: type[_P]) -> Callable[[Callable[[Connection, Entry, _P], None]], _Projector]:
    """Register what events with this payload do."""

    def register(projector: Callable[[Connection, Entry, _P], None]) -> _Projector:
        if payload in PROJECTORS:
            raise ValueError(f"two projectors for {payload.type}")
        PROJECTORS[payload] = projector
        return projector

    return register


@on(ContributionAccepted)
def _contribution_accepted(connection: Connection, entry: Entry, payload: ContributionAccepted) -> None:
    """Takes the place of an earlier refusal of the same contribution, and repairs the one it corrects."""
    contribution = payload.receipt.subject
    table = t.contributions.c
    refused = (table.contribution == contribution) & (table.status == "refused")
    connection.execute(delete(t.contributions).where(refused))
    row = payload.model_dump(include={"dataset", "participant", "delivery", "rows", "source_digest"})
    row |= {"contribution": contribution, "status": "accepted"}
    row["charter_digest"] = payload.receipt.charter_digest
    row["purposes"] = json_text(list(payload.purposes))
    row["quarantined"] = sum(payload.quarantined_rows.values())
    row |= {"supersedes": payload.supersedes, "recorded_at": timestamp(entry.event.time)}
    digest = payload.quarantine_digest
    row |= {"sealed": contribution if digest else None, "sealed_digest": digest}
    add(connection, t.contributions, entry, row)
    repaired = (table.contribution == payload.supersedes) & (table.status == "refused")
    repaired &= table.collaboration == entry.event.collaboration
    by = {"superseded_by": contribution, "superseded_at": timestamp(entry.event.time)}
    connection.execute(update(t.contributions).where(repaired).values(status="repaired", **by))


@on(ContributionRefused)
def _contribution_refused(connection: Connection, entry: Entry, payload: ContributionRefused) -> None:
    """Another reason, or another sealed copy, replaces the last one; the same again is a repetition."""
    table = t.contributions.c
    before = (table.contribution == entry.event.subject) & table.status.in_(("refused", "repaired"))
    changed = (table.code != payload.code) | (table.status == "repaired")
    if payload.sealed is not None:
        changed |= table.sealed.is_(None) | table.sealed_digest.is_distinct_from(payload.quarantine_digest)
    connection.execute(delete(t.contributions).where(before & changed))
    row = payload.model_dump(include={"dataset", "participant", "delivery", "rows", "code"})
    row |= {"contribution": entry.event.subject, "status": "refused", "quarantined": 0}
    row |= {"recorded_at": timestamp(entry.event.time)}
    row |= {"sealed": payload.sealed, "sealed_digest": payload.quarantine_digest}
    add(connection, t.contributions, entry, row)


@on(DatasetDeidentified)
def _dataset_deidentified(connection: Connection, entry: Entry, payload: DatasetDeidentified) -> None:
    """A table made anew has to pass the gate anew."""
    accepted = _accepted(entry, payload.contribution, payload.dataset)
    _change(connection, entry, payload.contribution, accepted, table_name=payload.table, gate=None)
    _take_back_gate(connection, payload.contribution)


@on(GatePassed)
def _gate_passed(connection: Connection, entry: Entry, payload: GatePassed) -> None:
    """The newest accepted contribution counts: running the gate of an older one again brings nothing back."""
    _judge(connection, entry, payload, "passed")
    table, accepted = t.datasets.c, t.contributions.c
    current = (table.collaboration == entry.event.collaboration) & (table.dataset == payload.dataset)
    mine = select(accepted.seq).where(accepted.contribution == payload.contribution).scalar_subquery()
    newer = current & (table.contribution == accepted.contribution) & (accepted.seq > mine)
    if connection.execute(select(table.dataset).where(newer)).first() is not None:
        return
    connection.execute(delete(t.datasets).where(current))
    row = {
        "dataset": payload.dataset,
        "contribution": payload.contribution,
        "table_name": payload.table,
    }
    add(connection, t.datasets, entry, row)
    _supersede(connection, entry, payload)


@on(GateFailed)
def _gate_failed(connection: Connection, entry: Entry, payload: GateFailed) -> None:
    _judge(connection, entry, payload, "failed")
    _take_back_gate(connection, payload.contribution)


@on(RoomRefreshed)
def _room_refreshed(connection: Connection, entry: Entry, payload: RoomRefreshed) -> None:
    """Its receipt is all there is to show."""


@on(RequestDecided)
def _request_decided(connection: Connection, entry: Entry, payload: RequestDecided) -> None:
    to = "permitted" if payload.allowed else "denied"
    _move(connection, entry, entry.event.subject, to, {"submitted"}, payload.code)


@on(ComputationRun)
def _computation_run(connection: Connection, entry: Entry, payload: ComputationRun) -> None:
    _move(connection, entry, payload.request, "computed", {"permitted", "computed", "protected", "withheld"})


@on(OutputGenerated)
def _output_generated(connection: Connection, entry: Entry, payload: OutputGenerated) -> None:
    _move(connection, entry, payload.request, "protected", {"computed", "protected"})


@on(OutputWithheld)
def _output_withheld(connection: Connection, entry: Entry, payload: OutputWithheld) -> None:
    _move(
        connection, entry, payload.request, "withheld", {"permitted", "computed", "protected"}, payload.code
    )


@on(OutputReleased)
def _output_released(connection: Connection, entry: Entry, payload: OutputReleased) -> None:
    row = payload.model_dump(include={"request", "release", "template", "purpose"})
    row |= {"receivers": json_text(list(payload.receivers)), "expires_at": timestamp(payload.expires_at)}
    add(connection, t.releases, entry, row | {"recalled": False, "recorded_at": timestamp(entry.event.time)})
    _move(connection, entry, payload.request, "released", {"protected"})


@on(OutputAccessed)
def _output_accessed(connection: Connection, entry: Entry, payload: OutputAccessed) -> None:
    add(connection, t.accesses, entry, payload.model_dump() | {"granted": True})


@on(AccessDenied)
def _access_denied(connection: Connection, entry: Entry, payload: AccessDenied) -> None:
    add(connection, t.accesses, entry, payload.model_dump() | {"granted": False})


@on(StageFailed)
def _stage_failed(connection: Connection, entry: Entry, payload: StageFailed) -> None:
    """A failure changes no state: the step may be run again."""


def add(connection: Connection, table: Table, entry: Entry, row: Mapping[str, Any]) -> None:
    """Insert `row` with the event's collaboration and number."""
    place = {"collaboration": entry.event.collaboration, "seq": entry.seq}
    add_rows(connection, table, [place | dict(row)])


def _accepted(entry: Entry, contribution: str, dataset: str) -> ColumnElement[bool]:
    table = t.contributions.c
    return (
        (table.contribution == contribution)
        & (table.collaboration == entry.event.collaboration)
        & (table.dataset == dataset)
        & (table.status == "accepted")
    )


def _supersede(connection: Connection, entry: Entry, payload: GatePassed) -> None:
    """The contribution that is current now takes the place of all older ones of its dataset."""
    table = t.contributions.c
    mine = _accepted(entry, payload.contribution, payload.dataset)
    place: int = connection.execute(select(table.seq).where(mine)).scalar_one()
    connection.execute(update(t.contributions).where(mine).values(superseded_by=None, superseded_at=None))
    others = (table.collaboration == entry.event.collaboration) & (table.dataset == payload.dataset)
    older = others & (table.status == "accepted") & (table.seq < place) & table.superseded_by.is_(None)
    by = {"superseded_by": payload.contribution, "superseded_at": timestamp(entry.event.time)}
    connection.execute(update(t.contributions).where(older).values(**by))


def _judge(connection: Connection, entry: Entry, payload: GatePassed | GateFailed, verdict: str) -> None:
    """A gate judges the table that de-identification made, no other."""
    judged = _accepted(entry, payload.contribution, payload.dataset)
    judged &= t.contributions.c.table_name == payload.table
    _change(connection, entry, payload.contribution, judged, gate=verdict)


def _take_back_gate(connection: Connection, contribution: str) -> None:
    receipt = t.receipts.c
    taken = (receipt.stage == "gate") & (receipt.subject == contribution)
    connection.execute(update(t.receipts).where(taken).values(revoked=True))
    connection.execute(delete(t.datasets).where(t.datasets.c.contribution == contribution))


def _move(
    connection: Connection, entry: Entry, request: str, to: str, of: set[str], code: str | None = None
) -> None:
    """Bring a request from one of the states `of` to state `to`."""
    table = t.requests.c
    mine = (table.request == request) & (table.collaboration == entry.event.collaboration)
    allowed = mine & table.status.in_(sorted(of))
    changed = connection.execute(
        update(t.requests).where(allowed).values(status=to, code=code, updated_seq=entry.seq)
    ).rowcount
    if changed:
        return
    state = connection.execute(select(table.status).where(mine)).scalar()
    if state == to:
        raise AlreadyRecordedError(ALREADY_RECORDED, type=entry.event.type, subject=request)
    raise OutOfOrderError(OUT_OF_ORDER, type=entry.event.type, subject=request, state=state or "not recorded")


def _change(
    connection: Connection, entry: Entry, contribution: str, where: ColumnElement[bool], **values: str | None
) -> None:
    """Update the one contribution that `where` names; none means that the event comes out of order."""
    if connection.execute(update(t.contributions).where(where).values(**values)).rowcount == 0:
        state = "not recorded in the state this needs"
        raise OutOfOrderError(OUT_OF_ORDER, type=entry.event.type, subject=contribution, state=state)


def json_text(value: Any) -> str:
    """How tables spell lists and objects."""
    return canonical_json(value).decode()
