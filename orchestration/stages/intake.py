"""Stage 1: a delivery from the landing folder becomes a contribution in the vault, or is refused.

Order matters, because a process may be killed anywhere: first the encrypted file, then the event, last the
removal from the landing folder. A rerun finds what is done and does the rest. A refused delivery is sealed
for its steward before it is removed, so nothing is lost and nothing lies open; only of what may not be stored
in this country not even a sealed copy is kept. A folder leaves
the landing folder in one rename, so no rerun ever meets half of one.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from sqlalchemy import case, select

from orchestration.audit import receipts, tables
from orchestration.audit.events import Event
from orchestration.audit.lineage_datasets import Column, participant_namespace, published_rows
from orchestration.audit.lineage_datasets import Dataset as LineageDataset
from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import ContributionAccepted, ContributionRefused
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_file
from orchestration.engine.duck import confine, connect, time_limit
from orchestration.engine.scratch import scratch
from orchestration.errors import ContributionError, Reason, ReceiptError, is_storage_full
from orchestration.house import OPERATOR, House
from orchestration.participants import deliveries, emergencies
from orchestration.participants.deliveries import contribution_id, given_by
from orchestration.scope.coercion import Intake
from orchestration.scope.declaration import claimed_dataset
from orchestration.scope.manifest import (
    Manifest,
    check_delivery_name,
    claimed_manifest,
    read_envelope,
)
from orchestration.scope.normalization import register_normalizers
from orchestration.scope.residency import RESIDENCY, require_in_region
from orchestration.scope.source import EMPTY, MALFORMED, check_file
from orchestration.stages import quarantine
from orchestration.stages.arrived import Arrived, open_arrived
from orchestration.stages.recorder import Caller, Recording, recording
from orchestration.stages.rejected import seal_rejected
from orchestration.stages.taken_out import without_people

ROW_COUNT = Reason(
    "contribution.row_count",
    "The file has {found:,} rows; its manifest says {declared:,}.",
    "Deliver the whole file, with the row count it has.",
)
TOO_MANY_ROWS = Reason(
    "contribution.too_many_rows",
    "The file has {found:,} rows; the charter allows {limit:,} for {dataset}.",
    "Deliver fewer rows, or have the charter's limit changed.",
)
NOT_WAITING = Reason(
    "contribution.not_waiting",
    "No delivery of this name waits in the landing folder of {participant}.",
    "Nothing to do if it was refused before (`glasshouse status`); otherwise deliver it.",
)
NO_VALID_ROWS = Reason(
    "contribution.no_valid_rows",
    "None of the {rows:,} rows fits the charter's types and limits.",
    "Compare the file with the charter's fields: reasons were {reasons}.",
)
DUPLICATE = Reason(
    "contribution.duplicate",
    "This very file was accepted before, as delivery {delivery}; it counts once.",
    "Nothing to do. To replace data, deliver a changed file.",
)
DESTROYED = Reason(
    "contribution.destroyed",
    "This very file was accepted before and destroyed under this charter; it does not come back.",
    "Deliver other data, or agree on a new version of the charter first.",
)
TOO_SLOW = Reason(
    "contribution.too_slow",
    "Reading the file took longer than the {seconds:,.0f} seconds this house gives a delivery.",
    "Deliver it as Parquet, or in parts; or ask the operator for more time (GLASSHOUSE_INTAKE_SECONDS).",
)
UNDECIDED = Reason(
    "contribution.decisions_unclear",
    "{rows:,} rows of {dataset} do not fit, and any of them may say no: none of its decisions is used.",
    "Mend these rows and deliver the whole file again: reasons were {reasons}.",
)

# One is in the vault already, the other has to leave.
_NOT_KEPT = (DUPLICATE, RESIDENCY)
_FAULTS_OF_THE_HOUSE = (
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.InterruptException,
    duckdb.PermissionException,
)


class _Accepted(NamedTuple):
    seq: int
    delivery: str
    status: str


def accept(house: House, charter: Charter, dataset: Dataset, delivery: str, caller: Caller) -> LoggedEvent:
    """Accept one delivery of `dataset` into the vault.

    Args:
        delivery: name of the folder in the participant's landing folder.

    Returns: the `contribution.accepted` event; the existing one when the delivery was accepted already.

    Raises: ContributionError, after the refusal is recorded and the delivery sealed; without a record for a
    name that no delivery can have (`delivery_name`) or has (`not_waiting`).
    """
    check_delivery_name(delivery)
    folder = house.landing(charter.collaboration, dataset.participant) / delivery
    with house.vault.reserved():
        if not folder.exists() and not folder.is_symlink():
            if (done := accepted_as(house, charter, dataset, delivery)) is not None:
                return done
            raise ContributionError(NOT_WAITING, participant=dataset.participant)
        job = f"contribution.{dataset.id}"
        with recording(
            house,
            charter,
            "contribution",
            delivery,
            caller,
            job=job,
            participants=[dataset.participant],
            subjects=given_by(dataset),
        ) as run:
            try:
                return _accept(run, dataset, folder)
            except ContributionError as error:
                _refuse(run, dataset.id, dataset.participant, folder, error)
                raise


def refuse_unknown(
    house: House, charter: Charter, participant: str, folder: Path, error: ContributionError, caller: Caller
) -> None:
    """Record and seal a delivery that belongs to no dataset of this participant."""
    name, job = quarantine.public_name(folder), "contribution.unknown"
    with house.vault.reserved(), recording(house, charter, "contribution", name, caller, job=job) as run:
        _refuse(run, None, participant, folder, error)


def _accept(run: Recording, dataset: Dataset, folder: Path) -> LoggedEvent:
    house, charter = run.house, run.charter
    require_in_region(dataset, house.settings.region)
    envelope = read_envelope(folder)
    manifest = checked_manifest(house, charter, dataset, envelope)
    contribution = contribution_id(charter, dataset.id, manifest.content)
    file = check_file(folder, manifest, limit=dataset.max_bytes)
    if (done := _accepted(house, contribution)) is not None:
        if done.status == "destroyed":
            raise ContributionError(DESTROYED)
        if done.delivery != folder.name:
            raise ContributionError(DUPLICATE, delivery=done.delivery)
        quarantine.remove(folder)  # an earlier run of this very delivery was killed just before
        return house.log.event(done.seq)
    writer = house.vault.writer(contribution)
    temporary = house.settings.root / "tmp"
    with ExitStack() as stack:
        connection = stack.enter_context(connect(house.settings))
        unsealed = stack.enter_context(scratch(temporary))
        register_normalizers(connection)
        confine(connection, files=[file], folders=[house.vault.folder, temporary])
        clock = stack.enter_context(time_limit(connection, house.settings.intake_seconds))
        try:
            arrived = open_arrived(house, charter, dataset, manifest, file, connection, unsealed)
            intake = arrived.intake
            rows = _checked_count(connection, intake, dataset, manifest)
            arrived.require_content(connection, dataset, manifest)
            prepared = manifest.prepared is not None
            others = without_people(
                house, charter.collaboration, dataset, connection, intake.kept, prepared=prepared
            )
            kept = writer.write(connection, others)
            withdrawn = 0 if others == intake.kept else _count(connection, _counting(intake.kept)) - kept
            rejected, sealed = _quarantine_rows(
                house, charter, dataset, envelope, arrived, rows - kept - withdrawn, contribution
            )
            rejected |= {"withdrawn": withdrawn} if withdrawn else {}
        except duckdb.Error as error:
            if clock.is_over and isinstance(error, duckdb.InterruptException):
                raise _too_slow(house) from None
            if is_storage_full(error) or isinstance(error, _FAULTS_OF_THE_HOUSE):
                raise
            raise ContributionError(MALFORMED, format=manifest.format.upper()) from None
    if clock.is_over:
        raise _too_slow(house)
    if kept + sum(rejected.values()) != rows:  # a reader that skips what it cannot read
        raise ContributionError(MALFORMED, format=manifest.format.upper())
    if kept == 0:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(rejected.items()))
        raise ContributionError(NO_VALID_ROWS, rows=rows, reasons=reasons)
    _require_clear_decisions(charter, dataset, manifest, rejected)
    vault_digest = digest_file(writer.path)
    payload = ContributionAccepted(
        receipt=run.receipt(contribution, outputs={"vault": vault_digest}),
        dataset=dataset.id,
        participant=dataset.participant,
        delivery=folder.name,
        rows=kept,
        quarantined_rows=rejected,
        quarantine_digest=sealed,
        supersedes=manifest.supersedes,
        dropped_columns=intake.dropped,
        source_digest=manifest.sha256,
        vault_digest=vault_digest,
        key_id=writer.key_id,
        signer=manifest.signer,
        purposes=manifest.purposes,
        manifest=envelope,
    )
    event = run.complete(
        payload,
        subject=contribution,
        writes=[contribution_dataset(charter, dataset, kept)],
        before=partial(_emergency_used, house, dataset, manifest),
    )
    quarantine.remove(folder)
    return event


def _too_slow(house: House) -> ContributionError:
    return ContributionError(TOO_SLOW, seconds=house.settings.intake_seconds)


def checked_manifest(house: House, charter: Charter, dataset: Dataset, envelope: dict[str, Any]) -> Manifest:
    """The manifest, after everything it declares was checked. Raises: like `deliveries.require_declared`."""
    with house.state(charter.collaboration) as state:
        return deliveries.require_declared(state, charter, dataset, envelope)


def _require_clear_decisions(
    charter: Charter, dataset: Dataset, manifest: Manifest, rejected: dict[str, int]
) -> None:
    """Raises: ContributionError when decisions about consent lack a row, left out here or at the desk."""
    if all(each.consent is None or each.consent.dataset != dataset.id for each in charter.datasets):
        return
    at_the_desk = manifest.prepared.quality.rejected if manifest.prepared is not None else {}
    missing = {reason: count for reason, count in rejected.items() if reason != "withdrawn"} | at_the_desk
    if missing:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(missing.items()))
        raise ContributionError(UNDECIDED, rows=sum(missing.values()), dataset=dataset.id, reasons=reasons)


def _emergency_used(house: House, dataset: Dataset, manifest: Manifest, event: Event) -> list[Event]:
    """The second trace, where only an emergency grant lets the signer give this."""
    with house.state(event.collaboration, event.time) as state:
        grant = deliveries.emergency_grant(state, dataset, manifest)
    if grant is None:
        return []
    return [emergencies.trace(event, grant, OPERATOR, member=manifest.signer, act=event.subject)]


def contribution_dataset(charter: Charter, dataset: Dataset, rows: int | None = None) -> LineageDataset:
    """A contribution as lineage names it: its permitted fields, owned by its participant."""
    return LineageDataset(
        namespace=participant_namespace(charter.collaboration, dataset.participant),
        name=f"contribution.{dataset.id}",
        columns=tuple(Column(f.name, f.sql_type, f.classification) for f in dataset.fields),
        rows=None if rows is None else published_rows(rows, charter.output.aggregation_threshold),
    )


def _checked_count(
    connection: duckdb.DuckDBPyConnection, intake: Intake, dataset: Dataset, manifest: Manifest
) -> int:
    """How many rows the file has, before any is written."""
    found = _count(connection, intake.rows)
    if found == 0:
        raise ContributionError(EMPTY)
    if found != manifest.rows:
        raise ContributionError(ROW_COUNT, found=found, declared=manifest.rows)
    if found > dataset.max_rows:
        raise ContributionError(TOO_MANY_ROWS, found=found, limit=dataset.max_rows, dataset=dataset.id)
    return found


def _counting(query: str) -> str:
    return f"SELECT count(*) FROM ({query})"


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _quarantine_rows(
    house: House,
    charter: Charter,
    dataset: Dataset,
    envelope: dict[str, Any],
    arrived: Arrived,
    missing: int,
    contribution: str,
) -> tuple[dict[str, int], str | None]:
    """Seal numbers and reasons of rows that do not fit: how many by reason, and the digest.

    Another pass over the file is only paid when rows are missing from those kept.
    """
    quarantine.discard(house, contribution)  # of an earlier attempt, under another charter perhaps
    if missing == 0:
        return {}, None
    steward = quarantine.steward_of(house, charter.collaboration, dataset.participant, envelope)
    return seal_rejected(house, arrived, contribution, steward)


def accepted_as(house: House, charter: Charter, dataset: Dataset, delivery: str) -> LoggedEvent | None:
    """The event that accepted this delivery, if one did."""
    table = tables.contributions.c
    query = (
        select(table.seq)
        .where(
            table.collaboration == charter.collaboration,
            table.dataset == dataset.id,
            table.delivery == delivery,
            table.charter_digest == charter.digest,
            table.status == "accepted",
        )
        # A name may come back with another file: the newest counts, of those that the gate has yet to judge.
        .order_by(case((table.gate.is_(None), 0), else_=1), table.seq.desc())
        .limit(1)
    )
    with house.log.read() as connection:
        seq = connection.execute(query).scalar()
    return None if seq is None else house.log.event(seq)


def accepted_contribution(house: House, charter: Charter, dataset: Dataset, delivery: str) -> str:
    """The contribution that this delivery became.

    Raises: ReceiptError (`receipt.missing`) when it was never accepted.
    """
    logged = accepted_as(house, charter, dataset, delivery)
    if logged is None or not isinstance(logged.event.payload, ContributionAccepted):
        raise ReceiptError(receipts.MISSING, stage="contribution", subject=delivery)
    return logged.event.payload.receipt.subject


def _accepted(house: House, contribution: str) -> _Accepted | None:
    table = tables.contributions.c
    query = select(table.seq, table.delivery, table.status).where(
        table.contribution == contribution, table.status.in_(("accepted", "destroyed"))
    )
    with house.log.read() as connection:
        row = connection.execute(query).one_or_none()
    return _Accepted(row.seq, row.delivery, row.status) if row else None


def _refuse(
    run: Recording, dataset: str | None, participant: str, folder: Path, error: ContributionError
) -> None:
    """Seal, record, clean up: in this order, so that a kill in between loses nothing."""
    house, collaboration = run.house, run.charter.collaboration
    try:
        sizes = (each.max_bytes for each in run.charter.datasets if each.participant == participant)
        quarantine.require_keepable(folder, max(sizes, default=0))
        is_kept, subject = (
            error.reason not in _NOT_KEPT,
            quarantine.subject(collaboration, participant, folder),
        )
    except ContributionError as beyond:
        error = beyond
        is_kept, subject = False, quarantine.subject_unread(collaboration, participant, folder)
    if not _stands(house, collaboration, subject, error.code):
        steward = quarantine.steward_of(house, collaboration, participant, _envelope(folder))
        digest = quarantine.seal(house, folder, subject, steward) if is_kept else None
        payload = ContributionRefused(
            dataset=dataset,
            participant=participant,
            delivery=quarantine.public_name(folder),
            code=error.code,
            message=error.message,
            next_step=error.next_step,
            sealed=None if digest is None else subject,
            sealed_for=() if digest is None else steward.members,
            quarantine_digest=digest,
        )
        run.refuse(payload, subject=subject, code=error.code, message=error.message)
    run.ended = True  # on record, now or from before
    _discard_partial(house, run.charter, participant, folder)
    quarantine.remove(folder)


def _stands(house: House, collaboration: str, subject: str, code: str) -> bool:
    """Whether this very refusal is on record, with its sealed copy: then nothing is sealed anew."""
    with house.state(collaboration) as state:
        rows = state.rows(tables.contributions, contribution=subject, code=code, status="refused")
    copy = quarantine.sealed_copy(house, subject)
    return any(
        row.sealed_digest and copy.is_dir() and quarantine.digest_of(copy) == row.sealed_digest
        for row in rows
    )


def _envelope(folder: Path) -> dict[str, Any]:
    try:
        return read_envelope(folder)
    except ContributionError:
        return {}


def _discard_partial(house: House, charter: Charter, participant: str, folder: Path) -> None:
    """What an unfinished attempt may have left in the vault under this file's name."""
    try:
        dataset = claimed_dataset(charter, participant, folder)
        claim = claimed_manifest(read_envelope(folder))
    except ContributionError:
        return
    contribution = contribution_id(charter, dataset.id, claim.content)
    if _accepted(house, contribution) is None:
        house.vault.discard(contribution)
        quarantine.discard(house, contribution)
