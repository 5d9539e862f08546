"""Stage 2: a contribution from the vault becomes a table of pseudonyms in the room.

One SQL statement in the engine, over one vault file, with no other file in reach; then the table's anonymity
is measured, and enforced where the charter sets a floor. All of it is one transaction of the room: a table
that misses its floor was never there. The table carries the contribution's name, so the version the room uses
now stays untouched until the gate passes this one.
"""

from __future__ import annotations

import duckdb

from orchestration.audit import receipts
from orchestration.audit.lineage_datasets import (
    Assertion,
    Column,
    deidentified_edges,
    published_rows,
    room_namespace,
)
from orchestration.audit.lineage_datasets import Dataset as LineageDataset
from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import ContributionAccepted, DatasetDeidentified
from orchestration.charter.entities import ENTITIES
from orchestration.charter.model import Charter, Dataset
from orchestration.engine.duck import quote_name
from orchestration.engine.fingerprint import fingerprint
from orchestration.errors import ReceiptError
from orchestration.house import House
from orchestration.participants.deliveries import given_by
from orchestration.participants.handovers import table_name
from orchestration.scope.deidentification import compile_blinding, compile_deidentification
from orchestration.scope.manifest import claimed_manifest
from orchestration.scope.pseudonymization import bind_keys
from orchestration.stages.anonymity import anonymize
from orchestration.stages.intake import contribution_dataset
from orchestration.stages.recorder import Caller, recording


def deidentify(
    house: House, charter: Charter, dataset: Dataset, contribution: str, caller: Caller
) -> LoggedEvent:
    """De-identify one accepted contribution into the room; a table that is there already stays as it is.

    Raises: ReceiptError without the contribution's receipt; IntegrityError when the vault's file is not the
    one that receipt describes; ContributionError when the table misses the charter's floor of anonymity.
    """
    if (done := _still_there(house, charter, contribution)) is not None:
        return done
    reads = [contribution_dataset(charter, dataset)]
    job = f"deidentified.{dataset.id}"
    with recording(
        house,
        charter,
        "deidentified",
        contribution,
        caller,
        job=job,
        reads=reads,
        participants=[dataset.participant],
        subjects=given_by(dataset),
    ) as run:
        accepted = receipts.require(house.log, "contribution", contribution, charter_digest=charter.digest)
        prepared = is_prepared(house, contribution)
        given = house.vault.reader(contribution)
        given.check(accepted.outputs["vault"])
        table = quote_name(table_name(contribution))
        with house.room(charter.collaboration).open(also_read=[given.path]) as connection:
            compile_ = compile_blinding if prepared else compile_deidentification
            compiled = compile_(dataset, given.relation(connection))
            bind_keys(
                connection,
                collaboration=None if prepared else house.pseudonym_key(charter.collaboration),
                blinding=house.blinding_key(charter.collaboration),
            )
            connection.execute("BEGIN TRANSACTION")  # left open by an error, it ends with the connection
            connection.execute(f"CREATE OR REPLACE TABLE {table} AS {compiled.query}")
            figures = anonymize(connection, charter, dataset, table)
            connection.execute("COMMIT")
            rows, mark = fingerprint(connection, table, house.fingerprint_key)
        payload = DatasetDeidentified(
            receipt=run.receipt(contribution, inputs=[accepted], outputs={"table": mark}),
            dataset=dataset.id,
            contribution=contribution,
            table=table_name(contribution),
            rows=rows,
            techniques=compiled.techniques,
            anonymity=figures,
        )
        return run.complete(
            payload, subject=contribution, writes=[deidentified_dataset(charter, dataset, rows)]
        )


def is_prepared(house: House, contribution: str) -> bool:
    """Whether it was de-identified at its contributor's desk, so that the vault holds attributes."""
    (accepted,) = house.log.events("contribution.accepted", contribution, newest_first=True, limit=1)
    payload = accepted.event.payload
    return (
        isinstance(payload, ContributionAccepted) and claimed_manifest(payload.manifest).prepared is not None
    )


def _still_there(house: House, charter: Charter, contribution: str) -> LoggedEvent | None:
    """The event that made this contribution's table, if the table is there and unchanged."""
    try:
        made = receipts.require(house.log, "deidentified", contribution, charter_digest=charter.digest)
    except ReceiptError:
        return None
    with house.room(charter.collaboration).open() as connection:
        try:
            _, mark = fingerprint(connection, quote_name(table_name(contribution)), house.fingerprint_key)
        except duckdb.CatalogException:  # replaced by a newer contribution, and dropped
            return None
    return house.log.event(made.seq) if mark == made.outputs["table"] else None


def deidentified_dataset(
    charter: Charter, dataset: Dataset, rows: int | None = None, *, assertions: tuple[Assertion, ...] = ()
) -> LineageDataset:
    """The de-identified table as lineage names it: one name per dataset, whatever the contribution."""
    entity = ENTITIES[dataset.entity]
    present = {field.attribute for field in dataset.fields}
    return LineageDataset(
        namespace=room_namespace(charter.collaboration),
        name=f"deidentified.{dataset.id}",
        columns=tuple(Column(name, type_) for name, type_ in entity.attributes.items() if name in present),
        edges=deidentified_edges(dataset.id, dataset.fields),
        rows=None if rows is None else published_rows(rows, charter.output.aggregation_threshold),
        assertions=assertions,
    )
