"""Stage 1: a delivery from the landing folder becomes a contribution in the vault, or is refused.

Order matters, because a process may be killed anywhere: first the encrypted file, then the event, last the
removal from the landing folder. A rerun finds what is done and does the rest. A refused delivery is sealed
to the house's quarantine key before it is removed, so nothing is lost and nothing lies open.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyrage
from sqlalchemy import select

from orchestration.audit import receipts, tables
from orchestration.audit.events import ContributionAccepted, ContributionRefused
from orchestration.audit.lineage_datasets import Column, participant_namespace
from orchestration.audit.lineage_datasets import Dataset as LineageDataset
from orchestration.audit.log import LoggedEvent
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_file, digest_json
from orchestration.engine.duck import confine, connect
from orchestration.engine.files import replacing
from orchestration.errors import ContributionError, GlasshouseError, Reason, ReceiptError, is_storage_full
from orchestration.house import House
from orchestration.participants.registry import registered_member
from orchestration.scope.coercion import Intake, compile_intake
from orchestration.scope.manifest import (
    Manifest,
    check_delivery_name,
    claimed_manifest,
    read_envelope,
    verified_manifest,
)
from orchestration.scope.source import EMPTY, MALFORMED, check_file, open_source
from orchestration.stages.recorder import Caller, Recording, recording

UNDECLARED_DATASET = Reason(
    "contribution.undeclared_dataset",
    "The charter of {collaboration} names no such dataset of {participant}.",
    "Deliver a dataset the charter names for you: {known}.",
)
WRONG_SIGNER = Reason(
    "contribution.wrong_signer",
    "The manifest is not signed by a registered steward of {participant}.",
    "Have a steward of {participant} sign the delivery.",
)
OTHER_COLLABORATION = Reason(
    "contribution.other_collaboration",
    "The manifest is made out to another collaboration or participant.",
    "Make the delivery again for {collaboration} and {participant}.",
)
OUTSIDE_CHARTER = Reason(
    "contribution.outside_charter_dates",
    "The charter of {collaboration} is in effect from {start} until {end}; this delivery is outside it.",
    "Deliver within these dates, or have the charter renewed.",
)
OUTSIDE_PERIOD = Reason(
    "contribution.outside_period",
    "The charter allows rows of {dataset} from {start} until {end}; the manifest declares others.",
    "Deliver rows of the permitted period only.",
)
PURPOSE = Reason(
    "contribution.purpose",
    "The manifest declares a purpose for which the charter does not permit {dataset}.",
    "Declare one or more of: {allowed}.",
)
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


def contribution_id(dataset: str, source_digest: str) -> str:
    """One name for one file given as one dataset: delivering it twice gives the same id."""
    return f"{dataset}-{digest_json([dataset, source_digest])[7:19]}"


def accept(house: House, charter: Charter, dataset: Dataset, delivery: str, caller: Caller) -> LoggedEvent:
    """Accept one delivery of `dataset` into the vault.

    Args:
        delivery: name of the folder in the participant's landing folder.

    Returns: the `contribution.accepted` event; the existing one when the delivery was accepted already.

    Raises: ContributionError, after the refusal is recorded and the delivery sealed.
    """
    check_delivery_name(delivery)
    folder = house.landing(charter.collaboration, dataset.participant) / delivery
    if (done := accepted_as(house, charter, dataset, delivery)) is not None:
        _remove(folder)
        return done
    with recording(house, charter, "contribution", delivery, caller, job=f"contribution.{dataset.id}") as run:
        try:
            return _accept(run, dataset, folder)
        except ContributionError as error:
            _refuse(run, dataset.id, dataset.participant, folder, error)
            raise


def refuse_unknown(
    house: House, charter: Charter, participant: str, folder: Path, error: ContributionError, caller: Caller
) -> None:
    """Record and seal a delivery that belongs to no dataset of this participant."""
    with recording(house, charter, "contribution", folder.name, caller, job="contribution.unknown") as run:
        _refuse(run, None, participant, folder, error)


def claimed_dataset(charter: Charter, participant: str, folder: Path) -> Dataset:
    """The dataset a waiting delivery says it is; checked in full by `accept`.

    Raises: ContributionError (`no_manifest`, `bad_manifest`, `unsigned`, `undeclared_dataset`).
    """
    claim = claimed_manifest(read_envelope(folder))
    own = {dataset.id: dataset for dataset in charter.datasets if dataset.participant == participant}
    if claim.dataset not in own:
        raise ContributionError(
            UNDECLARED_DATASET,
            collaboration=charter.collaboration,
            participant=participant,
            known=", ".join(own) or "none",
        )
    return own[claim.dataset]


def _accept(run: Recording, dataset: Dataset, folder: Path) -> LoggedEvent:
    house, charter = run.house, run.charter
    manifest = _checked_manifest(house, charter, dataset, folder)
    contribution = contribution_id(dataset.id, manifest.sha256)
    _refuse_duplicate(house, contribution)
    file = check_file(folder, manifest, limit=dataset.max_bytes)
    vault = house.vault
    vault.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with connect(house.settings) as connection:
        confine(connection, files=[file], folders=[vault.folder, house.settings.root / "tmp"])
        try:
            source = open_source(connection, file, manifest.format)
            intake = compile_intake(dataset, source)
            kept = vault.write(connection, intake.kept, vault.path(contribution), contribution)
            rejected = _quarantine_rows(house, connection, intake, manifest, kept, contribution)
        except duckdb.Error as error:
            if is_storage_full(error):
                raise  # the house's fault, not the delivery's
            raise ContributionError(MALFORMED, format=manifest.format.upper()) from None
        _check_rows(dataset, manifest, kept, rejected)
    vault_digest = digest_file(vault.path(contribution))
    payload = ContributionAccepted(
        receipt=run.receipt(contribution, outputs={"vault": vault_digest}),
        dataset=dataset.id,
        participant=dataset.participant,
        delivery=folder.name,
        rows=kept,
        quarantined_rows=rejected,
        dropped_columns=intake.dropped,
        source_digest=manifest.sha256,
        vault_digest=vault_digest,
        key_id=vault.key_id(contribution),
    )
    event = run.complete(payload, subject=contribution, writes=[contribution_dataset(charter, dataset, kept)])
    _remove(folder)
    return event


def contribution_dataset(charter: Charter, dataset: Dataset, rows: int | None = None) -> LineageDataset:
    """A contribution as lineage names it: its permitted fields, owned by its participant."""
    return LineageDataset(
        namespace=participant_namespace(charter.collaboration, dataset.participant),
        name=f"contribution.{dataset.id}",
        columns=tuple(Column(f.name, f.sql_type, f.classification) for f in dataset.fields),
        rows=rows,
    )


def _checked_manifest(house: House, charter: Charter, dataset: Dataset, folder: Path) -> Manifest:
    """The manifest, after signature, signer, dates and purposes were checked against the charter."""
    envelope = read_envelope(folder)
    claim = claimed_manifest(envelope)
    signer_facts = {"participant": dataset.participant}
    try:
        signer = registered_member(house.log, charter.collaboration, claim.signer)
    except GlasshouseError:
        raise ContributionError(WRONG_SIGNER, **signer_facts) from None
    if signer.participant != dataset.participant or "steward" not in signer.roles:
        raise ContributionError(WRONG_SIGNER, **signer_facts)
    manifest = verified_manifest(envelope, signer.public_key)
    if (manifest.collaboration, manifest.participant) != (charter.collaboration, dataset.participant):
        raise ContributionError(
            OTHER_COLLABORATION, collaboration=charter.collaboration, participant=dataset.participant
        )
    if manifest.dataset != dataset.id:
        raise ContributionError(
            UNDECLARED_DATASET,
            collaboration=charter.collaboration,
            participant=dataset.participant,
            known=dataset.id,
        )
    for day in (datetime.now(UTC).date(), manifest.created.date()):
        if not charter.effective_from <= day <= charter.effective_until:
            raise ContributionError(
                OUTSIDE_CHARTER,
                collaboration=charter.collaboration,
                start=charter.effective_from,
                end=charter.effective_until,
            )
    if dataset.period and not (
        dataset.period.start <= manifest.period.first <= manifest.period.last <= dataset.period.end
    ):
        raise ContributionError(
            OUTSIDE_PERIOD, dataset=dataset.id, start=dataset.period.start, end=dataset.period.end
        )
    if not set(manifest.purposes) <= set(dataset.purposes):
        raise ContributionError(PURPOSE, dataset=dataset.id, allowed=", ".join(dataset.purposes))
    return manifest


def _quarantine_rows(
    house: House,
    connection: duckdb.DuckDBPyConnection,
    intake: Intake,
    manifest: Manifest,
    kept: int,
    contribution: str,
) -> dict[str, int]:
    """Write rows that do not fit, encrypted like the rest, and count them by reason.

    The second pass over the file is only paid when the first kept fewer rows than declared.
    """
    if kept == manifest.rows:
        return {}
    counts = {str(reason): int(rows) for reason, rows in connection.execute(intake.reasons).fetchall()}
    if counts:
        house.vault.write(connection, intake.rejected, house.vault.rejects_path(contribution), contribution)
    return counts


def _check_rows(dataset: Dataset, manifest: Manifest, kept: int, rejected: dict[str, int]) -> None:
    found = kept + sum(rejected.values())
    if found == 0:
        raise ContributionError(EMPTY)
    if found != manifest.rows:
        raise ContributionError(ROW_COUNT, found=found, declared=manifest.rows)
    if found > dataset.max_rows:
        raise ContributionError(TOO_MANY_ROWS, found=found, limit=dataset.max_rows, dataset=dataset.id)
    if kept == 0:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(rejected.items()))
        raise ContributionError(NO_VALID_ROWS, rows=found, reasons=reasons)


def accepted_as(house: House, charter: Charter, dataset: Dataset, delivery: str) -> LoggedEvent | None:
    """The event that accepted this delivery, if one did."""
    table = tables.contributions.c
    query = select(table.seq).where(
        table.collaboration == charter.collaboration,
        table.dataset == dataset.id,
        table.delivery == delivery,
        table.status == "accepted",
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


def _refuse_duplicate(house: House, contribution: str) -> None:
    table = tables.contributions.c
    query = select(table.delivery).where(table.contribution == contribution, table.status == "accepted")
    with house.log.read() as connection:
        delivery = connection.execute(query).scalar()
    if delivery is not None:
        raise ContributionError(DUPLICATE, delivery=delivery)


def _refuse(
    run: Recording, dataset: str | None, participant: str, folder: Path, error: ContributionError
) -> None:
    """Seal, record, clean up: in this order, so that a kill in between loses nothing."""
    house = run.house
    subject = f"refused-{digest_json([run.charter.collaboration, participant, folder.name])[7:19]}"
    duplicate = error.reason is DUPLICATE
    sealed = None if duplicate else _seal(house, folder, subject)
    payload = ContributionRefused(
        dataset=dataset,
        participant=participant,
        delivery=folder.name,
        code=error.code,
        message=error.message,
        next_step=error.next_step,
        sealed=sealed,
    )
    run.refuse(payload, subject=subject, code=error.code, message=error.message)
    _discard_partial(house, folder)
    _remove(folder)


def _seal(house: House, folder: Path, subject: str) -> str | None:
    """Encrypt every regular file of the delivery to the quarantine key (age); returns the folder's name."""
    files = [path for path in sorted(folder.glob("*")) if path.is_file() and not path.is_symlink()]
    if not files:
        return None
    target = house.quarantine / subject
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number, path in enumerate(files):
        with replacing(target / f"{number}.age") as temporary:
            pyrage.encrypt_file(str(path), str(temporary), [house.sealing_recipient])
    return subject


def _discard_partial(house: House, folder: Path) -> None:
    """What an unfinished attempt may have left in the vault under this file's name."""
    try:
        claim = claimed_manifest(read_envelope(folder))
    except ContributionError:
        return
    contribution = contribution_id(claim.dataset, claim.sha256)
    table = tables.contributions.c
    query = select(table.seq).where(table.contribution == contribution, table.status == "accepted")
    with house.log.read() as connection:
        if connection.execute(query).scalar() is not None:
            return
    house.vault.path(contribution).unlink(missing_ok=True)
    house.vault.rejects_path(contribution).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """The last step; a symlink is removed as a link, what it points to stays."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
