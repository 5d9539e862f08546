"""A delivery whose manifest and bytes were checked, opened as rows: raw ones, or a package of prepared ones.

A package is unsealed into a folder that is swept even after a kill, and what lies there meanwhile is still
encrypted: its key is in memory alone. Must not be here: what becomes of the rows (`intake`, `rejected`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.charter.model import Charter, Dataset
from orchestration.engine.fingerprint import fingerprint
from orchestration.errors import ContributionError, Reason
from orchestration.house import House
from orchestration.participants.invitation import shared_key_id
from orchestration.scope.coercion import Intake, compile_intake
from orchestration.scope.manifest import Manifest
from orchestration.scope.package import bind_package, open_rows, unseal
from orchestration.scope.prepared_rows import compile_prepared_intake
from orchestration.scope.source import WRONG_DIGEST, open_source, require_volume
from orchestration.scope.tabular import Source

OTHER_KEY = Reason(
    "contribution.other_key",
    "The package was prepared with another key than the collaboration's present one.",
    "Have the house invite you anew (`glasshouse room invite`), and prepare the file again.",
)


@dataclass(frozen=True)
class Arrived:
    """The file that is read, the key it is encrypted with (of a package), and its rows."""

    file: Path
    source: Source
    intake: Intake
    key: bytes | None = None
    content_key: bytes | None = None

    def bind(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the rows readable on another connection."""
        if self.key is not None:
            bind_package(connection, self.key)

    def require_content(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, manifest: Manifest
    ) -> None:
        """Refuse rows that are more than the charter allows, or not the ones that were signed.

        Raises: ContributionError (`contribution.too_much_data`, `wrong_digest`).
        """
        if manifest.format == "parquet":
            names = self.source.columns if manifest.prepared else [field.name for field in dataset.fields]
            require_volume(connection, self.source, names, limit=dataset.max_bytes, dataset=dataset.id)
        if manifest.prepared is not None and self.content_key is not None:
            _, found = fingerprint(connection, self.source.relation, self.content_key)
            if found != manifest.prepared.content:
                raise ContributionError(WRONG_DIGEST)


def open_arrived(
    house: House,
    charter: Charter,
    dataset: Dataset,
    manifest: Manifest,
    file: Path,
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
) -> Arrived:
    """Open the rows of `file` on this connection.

    Args:
        folder: of this run alone; a package is unsealed there.

    Raises: ContributionError with the first reason for which the file cannot be read.
    """
    if manifest.prepared is None:
        wanted = {field.name for field in dataset.fields}
        source = open_source(connection, file, manifest.format, wanted)
        return Arrived(file, source, compile_intake(dataset, source))
    shared = house.pseudonym_key(charter.collaboration)
    if manifest.prepared.key_id != shared_key_id(shared):
        raise ContributionError(OTHER_KEY)
    rows = folder / "package.parquet"
    identity = house.package_identity(charter.collaboration)
    key = unseal(file, rows, identity, limit=dataset.max_bytes, dataset=dataset.id)
    source = open_rows(connection, rows, key, dataset)
    return Arrived(rows, source, compile_prepared_intake(dataset, source), key, shared)
