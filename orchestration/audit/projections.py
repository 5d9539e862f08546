"""What each event does to the tables people look at: one projector function per event type.

Belongs here: event → rows, and the order in which states may follow each other. Must not be here: reading
files, clocks or anything but the event and the projections themselves, because replaying the log must give
the same tables. A projector that meets a state its event cannot follow raises; then nothing is appended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from orchestration.audit import events as e
from orchestration.audit import tables as t
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
    event: e.Event


_P = TypeVar("_P", bound=e.Payload)
_Projector = Callable[[Connection, Entry, Any], None]
_PROJECTORS: dict[type[e.Payload], _Projector] = {}


def project(connection: Connection, entry: Entry) -> None:
    """Apply one event, inside the transaction that appends it.

    Raises: AlreadyRecordedError, OutOfOrderError; SQLAlchemy's IntegrityError where a unique key says that
    the step counts already.
    """
    payload = entry.event.payload
    if isinstance(payload, e.Handover):
        row: dict[str, Any] = {"receipt_id": entry.receipt_id, "stage": payload.stage}
        row |= {"subject": payload.receipt.subject, "revoked": False}
        _add(connection, t.receipts, entry, row)
    _PROJECTORS[type(payload)](connection, entry, payload)


def _on(payload: type[_P]) -> Callable[[Callable[[Connection, Entry, _P], None]], _Projector]:
    def register(projector: Callable[[Connection, Entry, _P], None]) -> _Projector:
        _PROJECTORS[payload] = projector
        return projector

    return register


@_on(e.CharterRegistered)
def _charter_registered(connection: Connection, entry: Entry, payload: e.CharterRegistered) -> None:
    _add(connection, t.charters, entry, payload.model_dump())


@_on(e.MemberRegistered)
def _member_registered(connection: Connection, entry: Entry, payload: e.MemberRegistered) -> None:
    """A new key or new roles replace the old ones; the same again is a repetition."""
    row = {
        "member": payload.member,
        "participant": payload.participant,
        "roles": _json(list(payload.roles)),
        "public_key": _json(payload.public_key),
    }
    table = t.members.c
    mine = (table.collaboration == entry.event.collaboration) & (table.member == payload.member)
    found = connection.execute(select(t.members).where(mine)).mappings().one_or_none()
    if found is not None:
        if all(found[name] == value for name, value in row.items()):
            raise AlreadyRecordedError(ALREADY_RECORDED, type=entry.event.type, subject=entry.event.subject)
        connection.execute(delete(t.members).where(mine))
    _add(connection, t.members, entry, row)


@_on(e.ContributionAccepted)
def _contribution_accepted(connection: Connection, entry: Entry, payload: e.ContributionAccepted) -> None:
    """Takes the place of an earlier refusal of the same contribution."""
    contribution = payload.receipt.subject
    table = t.contributions.c
    refused = (table.contribution == contribution) & (table.status == "refused")
    connection.execute(delete(t.contributions).where(refused))
    row = payload.model_dump(include={"dataset", "participant", "delivery", "rows", "source_digest"})
    row |= {"contribution": contribution, "status": "accepted"}
    row["charter_digest"] = payload.receipt.charter_digest
    row["quarantined"] = sum(payload.quarantined_rows.values())
    _add(connection, t.contributions, entry, row)


@_on(e.ContributionRefused)
def _contribution_refused(connection: Connection, entry: Entry, payload: e.ContributionRefused) -> None:
    """Another reason replaces the last one; the same reason again is a repetition."""
    table = t.contributions.c
    changed = (table.contribution == entry.event.subject) & (table.status == "refused")
    connection.execute(delete(t.contributions).where(changed & (table.code != payload.code)))
    row = payload.model_dump(include={"dataset", "participant", "delivery", "rows", "code"})
    row |= {"contribution": entry.event.subject, "status": "refused", "quarantined": 0}
    _add(connection, t.contributions, entry, row)


@_on(e.DatasetDeidentified)
def _dataset_deidentified(connection: Connection, entry: Entry, payload: e.DatasetDeidentified) -> None:
    """A table made anew has to pass the gate anew."""
    accepted = _accepted(entry, payload.contribution, payload.dataset)
    _change(connection, entry, payload.contribution, accepted, table_name=payload.table, gate=None)
    _take_back_gate(connection, payload.contribution)


@_on(e.GatePassed)
def _gate_passed(connection: Connection, entry: Entry, payload: e.GatePassed) -> None:
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
    _add(connection, t.datasets, entry, row)


@_on(e.GateFailed)
def _gate_failed(connection: Connection, entry: Entry, payload: e.GateFailed) -> None:
    _judge(connection, entry, payload, "failed")
    _take_back_gate(connection, payload.contribution)


@_on(e.RoomRefreshed)
def _room_refreshed(connection: Connection, entry: Entry, payload: e.RoomRefreshed) -> None:
    """Its receipt is all there is to show."""


@_on(e.RequestSubmitted)
def _request_submitted(connection: Connection, entry: Entry, payload: e.RequestSubmitted) -> None:
    row = payload.model_dump(include={"template", "purpose", "requester", "participant"})
    row |= {"request": entry.event.subject, "parameters": _json(dict(payload.parameters))}
    _add(connection, t.requests, entry, row | {"status": "submitted", "updated_seq": entry.seq})


@_on(e.RequestDecided)
def _request_decided(connection: Connection, entry: Entry, payload: e.RequestDecided) -> None:
    to = "permitted" if payload.allowed else "denied"
    _move(connection, entry, entry.event.subject, to, {"submitted"}, payload.code)


@_on(e.ComputationRun)
def _computation_run(connection: Connection, entry: Entry, payload: e.ComputationRun) -> None:
    _move(connection, entry, payload.request, "computed", {"permitted", "computed", "protected", "withheld"})


@_on(e.OutputGenerated)
def _output_generated(connection: Connection, entry: Entry, payload: e.OutputGenerated) -> None:
    _move(connection, entry, payload.request, "protected", {"computed", "protected"})


@_on(e.OutputWithheld)
def _output_withheld(connection: Connection, entry: Entry, payload: e.OutputWithheld) -> None:
    _move(
        connection, entry, payload.request, "withheld", {"permitted", "computed", "protected"}, payload.code
    )


@_on(e.OutputReleased)
def _output_released(connection: Connection, entry: Entry, payload: e.OutputReleased) -> None:
    row = payload.model_dump(include={"request", "release", "template", "purpose"})
    row |= {"receivers": _json(list(payload.receivers)), "expires_at": e.timestamp(payload.expires_at)}
    _add(connection, t.releases, entry, row)
    _move(connection, entry, payload.request, "released", {"protected"})


@_on(e.OutputAccessed)
def _output_accessed(connection: Connection, entry: Entry, payload: e.OutputAccessed) -> None:
    _add(connection, t.accesses, entry, payload.model_dump() | {"granted": True})


@_on(e.AccessDenied)
def _access_denied(connection: Connection, entry: Entry, payload: e.AccessDenied) -> None:
    _add(connection, t.accesses, entry, payload.model_dump() | {"granted": False})


@_on(e.StageFailed)
def _stage_failed(connection: Connection, entry: Entry, payload: e.StageFailed) -> None:
    """A failure changes no state: the step may be run again."""


def _add(connection: Connection, table: Table, entry: Entry, row: Mapping[str, Any]) -> None:
    place = {"collaboration": entry.event.collaboration, "seq": entry.seq}
    connection.execute(insert(table), place | dict(row))


def _accepted(entry: Entry, contribution: str, dataset: str) -> ColumnElement[bool]:
    table = t.contributions.c
    return (
        (table.contribution == contribution)
        & (table.collaboration == entry.event.collaboration)
        & (table.dataset == dataset)
        & (table.status == "accepted")
    )


def _judge(connection: Connection, entry: Entry, payload: e.GatePassed | e.GateFailed, verdict: str) -> None:
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


def _json(value: Any) -> str:
    return canonical_json(value).decode()
