"""Making a delivery: the contributor's side of the manifest.

Counts, hashes and signs a file and puts it into a landing folder in one step, so that nobody ever sees half
a delivery. Must not be here: any check of the charter's; the room does those, on its own side.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_file
from orchestration.engine.files import sync, write_durably
from orchestration.errors import ContributionError
from orchestration.scope.manifest import MANIFEST_FILE, Format, Manifest, Period
from orchestration.scope.source import FORMATS, MALFORMED, open_source
from orchestration.signing import SigningKey


def make_delivery(
    file: Path,
    *,
    charter: Charter,
    dataset: Dataset,
    signer: str,
    key: SigningKey,
    landing: Path,
    period: Period,
    provenance: str,
    purposes: tuple[str, ...] | None = None,
    supersedes: str | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> str:
    """Sign `file` as a delivery of `dataset` and put it into `landing`; returns the delivery's name.

    Args:
        period: the days the rows speak of.
        purposes: default: all the charter permits for the dataset.
        supersedes: the contribution, or refused delivery, that this file corrects.
        on_bytes: told how many bytes were copied, for progress.

    Raises: ContributionError (`contribution.malformed`) when the rows cannot even be counted.
    """
    format_ = format_of(file.name)
    created = datetime.now(UTC).replace(microsecond=0)
    digest = digest_file(file)
    name = f"{dataset.id}-{created:%Y%m%dT%H%M%S}-{digest[7:15]}-{secrets.token_hex(2)}"
    manifest = Manifest(
        collaboration=charter.collaboration,
        dataset=dataset.id,
        participant=dataset.participant,
        signer=signer,
        purposes=purposes or dataset.purposes,
        provenance=provenance,
        period=period,
        file=f"{dataset.id}.{format_}",
        format=format_,
        rows=count_rows(file, format_),
        sha256=digest,
        created=created,
        supersedes=supersedes,
    )
    staging = landing / f".{name}.partial"
    staging.mkdir(parents=True, mode=0o700)
    try:
        _copy(file, staging / manifest.file, on_bytes)
        write_durably(staging / MANIFEST_FILE, json.dumps(manifest.signed(key), indent=1).encode())
        os.replace(staging, landing / name)
        sync(landing)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return name


def format_of(name: str) -> Format:
    """The format that a file's name tells; CSV when it tells none."""
    return FORMATS.get(Path(name).suffix.lower(), "csv")


def count_rows(file: Path, format_: str) -> int:
    """Rows of a file.

    Raises: ContributionError (`contribution.malformed`).
    """
    with duckdb.connect() as connection:
        source = open_source(connection, file, format_)
        try:
            row = connection.execute(f"SELECT count(*) FROM {source.relation}").fetchone()
        except duckdb.Error:
            raise ContributionError(MALFORMED, format=format_.upper()) from None
    return int(row[0]) if row else 0


def _copy(source: Path, target: Path, on_bytes: Callable[[int], None]) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(1 << 22):
            writing.write(chunk)
            on_bytes(len(chunk))
        writing.flush()
        os.fsync(writing.fileno())
