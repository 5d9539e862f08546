"""Sealing prepared rows for the room, and opening them there, so that neither side has them lie open.

The rows are a Parquet file encrypted under a key of its own; the age file holds that key, 32 bytes, and then
the Parquet file. So the room decrypts the seal in a stream and puts only the inner ciphertext to disk; the
engine reads it with a key that was in memory alone. Formats: https://age-encryption.org/v1, Parquet Modular
Encryption. Must not be here: what the rows may be (`prepared_rows`), or who made them.
"""

from __future__ import annotations

import secrets
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyrage

from orchestration.charter.entities import ENTITIES
from orchestration.charter.model import Dataset
from orchestration.digests import digest_file
from orchestration.engine import sealing
from orchestration.engine.duck import quote_name, quote_text
from orchestration.engine.files import replacing
from orchestration.errors import ContributionError, Reason
from orchestration.scope.deidentification import compile_preparation
from orchestration.scope.tabular import MALFORMED, Source

OTHER_ROOM = Reason(
    "contribution.other_room",
    "The package is not sealed to this room, or it was changed after it was sealed.",
    "Prepare it again with an invitation of this house (`glasshouse room invite`).",
)
EXPANDS = Reason(
    "contribution.expands",
    "The package grows beyond the {limit:,} bytes that the charter allows for {dataset}; it was cut there.",
    "Deliver fewer rows, or have the charter's limit changed.",
)
PACKAGE_COLUMNS = Reason(
    "contribution.package_columns",
    "The package does not hold exactly the de-identified columns of {dataset}: {columns}.",
    "Prepare it with `glasshouse prepare` and the charter in force.",
)

_KEY_BYTES = 32
_CHUNK = 1 << 20


def seal_rows(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    folder: Path,
    target: Path,
    recipient: pyrage.x25519.Recipient,
) -> str:
    """Seal the rows of `query` as `target`; returns the digest of that file.

    Args:
        folder: a place for the encrypted Parquet file meanwhile.
    """
    key, inner = secrets.token_bytes(_KEY_BYTES), folder / "package.parquet"
    connection.execute(
        f"COPY ({query}) TO {quote_text(str(inner))} (FORMAT parquet, COMPRESSION zstd,"
        " ENCRYPTION_CONFIG {footer_key_value: ?})",
        [key],
    )
    try:
        with inner.open("rb") as rows, replacing(target) as temporary, temporary.open("wb") as sealed:
            pieces = chain([key], iter(partial(rows.read, _CHUNK), b""))
            sealing.seal(sealing.Streamed(pieces), sealed, [recipient])
    finally:
        inner.unlink(missing_ok=True)
    return digest_file(target)


def unseal(
    sealed: Path, target: Path, identity: pyrage.x25519.Identity, *, limit: int, dataset: str
) -> bytes:
    """Write the encrypted Parquet file to `target`; returns the key that opens it.

    Args:
        limit: most bytes to write.

    Raises: ContributionError (`contribution.other_room`, `contribution.expands`).
    """
    with sealed.open("rb") as package, target.open("xb") as rows:
        writer = _Splitting(rows, limit)
        try:
            pyrage.decrypt_io(package, writer, [identity])
        except (pyrage.DecryptError, OSError):
            if writer.error is not None:
                raise writer.error from None
            if writer.is_too_long:
                raise ContributionError(EXPANDS, limit=limit, dataset=dataset) from None
            raise ContributionError(OTHER_ROOM) from None
    if len(writer.key) != _KEY_BYTES:
        raise ContributionError(MALFORMED, format="package")
    return writer.key


class _Splitting:
    """The first bytes are the key and stay in memory; the rest goes to the file, up to its limit."""

    def __init__(self, rows: BinaryIO, limit: int) -> None:
        self.key = b""
        self.is_too_long = False
        self.error: OSError | None = None
        self._rows, self._left = rows, limit

    def write(self, data: bytes) -> int:
        missing = _KEY_BYTES - len(self.key)
        self.key += data[:missing]
        rest = data[missing:]
        self._left -= len(rest)
        if self._left < 0:
            self.is_too_long = True
            raise OSError("the charter's limit")
        try:
            self._rows.write(rest)
        except OSError as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        self._rows.flush()


def open_rows(connection: duckdb.DuckDBPyConnection, path: Path, key: bytes, dataset: Dataset) -> Source:
    """The rows of an unsealed package; binds its key as a variable of the connection.

    Raises: ContributionError (`contribution.package_columns`, `malformed`).
    """
    bind_package(connection, key)
    relation = (
        f"read_parquet({quote_text(str(path))},"
        " encryption_config = {footer_key_value: getvariable('package_key')})"
    )
    expected = {
        name: ENTITIES[dataset.entity].attributes[name] for name in compile_preparation(dataset, "t").columns
    }
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except (duckdb.Error, UnicodeDecodeError):
        raise ContributionError(MALFORMED, format="package") from None
    if [(str(row[0]), str(row[1])) for row in rows] != list(expected.items()):
        raise ContributionError(PACKAGE_COLUMNS, dataset=dataset.id, columns=", ".join(expected))
    return Source(relation, {name: quote_name(name) for name in expected}, dict(expected))


def bind_package(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Make the key of an unsealed package usable on this connection."""
    connection.execute("SET VARIABLE package_key = ?", [key])
