"""A delivered file as a SQL table expression, after the checks that need no knowledge of its rows.

Four formats: CSV and TSV, NDJSON, Parquet. Types never come from sniffing: text formats are read as text and
the charter's types are applied by `coercion`. Must not be here: how each format is read.
"""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import duckdb

from orchestration.errors import ContributionError, Reason
from orchestration.scope.csv_files import open_csv
from orchestration.scope.manifest import IS_LINK, MANIFEST_FILE, Format, Manifest
from orchestration.scope.ndjson_files import open_ndjson
from orchestration.scope.parquet_files import open_parquet
from orchestration.scope.tabular import EMPTY as EMPTY
from orchestration.scope.tabular import ENCODING
from orchestration.scope.tabular import MALFORMED as MALFORMED
from orchestration.scope.tabular import Source as Source

NO_FILE = Reason(
    "contribution.no_file",
    "The file that the manifest names is not in the delivery.",
    "Deliver the data file beside its manifest.",
)
MORE_FILES = Reason(
    "contribution.more_files",
    "The delivery holds more than its manifest and the one file that the manifest names.",
    "Deliver each file as a delivery of its own (`glasshouse contribute`).",
)
TOO_LARGE = Reason(
    "contribution.too_large",
    "The file has {size:,} bytes; the charter allows {limit:,} for {dataset}.",
    "Deliver fewer rows or columns, or have the charter's limit changed.",
)
WRONG_DIGEST = Reason(
    "contribution.wrong_digest",
    "The file is not the one the steward signed: its SHA-256 differs from the manifest's.",
    "Deliver the file again; if it keeps differing, it is changed on its way.",
)
NUL_BYTES = Reason(
    "contribution.nul_bytes",
    "The {format} file contains NUL bytes, which text does not have.",
    "Export it again; a file copied while being written often looks like this.",
)
COMPRESSED = Reason(
    "contribution.compressed",
    "The file is compressed ({kind}); what is in it was not looked at.",
    "Unpack it first; Parquet is small as it is.",
)
VOLUME = Reason(
    "contribution.too_much_data",
    "The values of the rows take {size:,} bytes; the charter allows {limit:,} for {dataset}.",
    "Deliver fewer rows or shorter values; packing a file does not make it smaller.",
)

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
TEXT_FORMATS = ("csv", "tsv", "ndjson")
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
}
_CHUNK = 1 << 20


def check_file(delivery: Path, manifest: Manifest, *, limit: int) -> Path:
    """The data file, after its size, digest and (for CSV) its bytes were checked in one pass.

    Args:
        limit: the charter's maximum size in bytes.

    Raises: ContributionError (`link`, `no_file`, `too_large`, `empty`, `wrong_digest`, `compressed`,
    `nul_bytes`, `encoding`, `more_files`).
    """
    path = delivery / manifest.file
    if path.is_symlink():
        raise ContributionError(IS_LINK)
    if not path.is_file():
        raise ContributionError(NO_FILE)
    size = path.stat().st_size
    if size > limit:
        raise ContributionError(TOO_LARGE, size=size, limit=limit, dataset=manifest.dataset)
    is_text = manifest.format in TEXT_FORMATS and manifest.prepared is None
    sha, text, start = hashlib.sha256(), Utf8(), b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            start = start or chunk[:8]
            sha.update(chunk)
            if is_text:
                text.feed(chunk)
    if f"sha256:{sha.hexdigest()}" != manifest.sha256:
        raise ContributionError(WRONG_DIGEST)
    if size == 0:
        raise ContributionError(EMPTY)
    if kind := packing(start):
        raise ContributionError(COMPRESSED, kind=kind)
    if is_text:
        text.require(manifest.format)
    with os.scandir(delivery) as entries:
        if any(entry.name not in (MANIFEST_FILE, manifest.file) for entry in entries):
            raise ContributionError(MORE_FILES)  # they would be gone with the folder, and nobody told
    return path


class Utf8:
    """Watches the bytes of a text go by; what is wrong with them only matters once the digest is right."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._start = b""
        self._has_nul = self._is_broken = False

    def feed(self, chunk: bytes) -> None:
        self._start = self._start or chunk[:2]
        self._has_nul = self._has_nul or b"\0" in chunk
        self._decode(chunk)

    def _decode(self, chunk: bytes, *, final: bool = False) -> None:
        if not self._is_broken:
            try:
                self._decoder.decode(chunk, final)
            except UnicodeDecodeError:
                self._is_broken = True

    def require(self, format_: str) -> None:
        """Raises: ContributionError (`nul_bytes`, `encoding`)."""
        self._decode(b"", final=True)
        name = format_.upper()
        if self._start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ContributionError(
                ENCODING, format=name, found="it starts with the byte order mark of UTF-16"
            )
        if self._has_nul:
            raise ContributionError(NUL_BYTES, format=name)
        if self._is_broken:
            raise ContributionError(ENCODING, format=name, found="some of its bytes have no meaning in UTF-8")


def packing(start: bytes) -> str | None:
    """How a file is compressed, by its first bytes; None: it is not."""
    return next((kind for magic, kind in _PACKED.items() if start.startswith(magic)), None)


def open_source(
    connection: duckdb.DuckDBPyConnection, path: Path, format_: str, wanted: Collection[str] | None = None
) -> Source:
    """The file as a table expression.

    Args:
        wanted: columns that will be read; default: all.

    Raises: ContributionError (`malformed`, `encoding`, `empty`, `duplicate_columns`, `too_many_columns`).
    """
    return open_files(connection, [str(path)], format_, wanted)


def open_files(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[str],
    format_: str,
    wanted: Collection[str] | None = None,
) -> Source:
    """Files of one format and one schema as one table expression; their order means nothing.

    Args:
        wanted: columns that will be read; default: all. Only NDJSON needs to be told.

    Raises: like `open_source`; ContributionError (`prepare.mixed_columns`).
    """
    match format_:
        case "parquet":
            return open_parquet(connection, paths)
        case "ndjson":
            return open_ndjson(connection, paths, wanted)
        case _:
            return open_csv(connection, paths, format_)


def require_volume(
    connection: duckdb.DuckDBPyConnection, source: Source, names: Iterable[str], *, limit: int, dataset: str
) -> None:
    """Refuse rows whose values take more room than the charter allows, however small they were packed.

    Measured by reading: what a Parquet file says of its own size is its sender's word.

    Args:
        names: the columns that will be read.
        limit: the charter's maximum size in bytes.

    Raises: ContributionError (`too_much_data`).
    """
    sizes = [
        f"coalesce(sum(strlen({source.columns[name]})), 0)"
        if source.types[name] == "VARCHAR"
        else "count(*) * 8"
        for name in names
        if name in source.columns and source.scalar(name)
    ]
    try:
        row = connection.execute(f"SELECT {' + '.join(sizes or ['0'])} FROM {source.relation}").fetchone()
    except duckdb.OutOfMemoryException:  # it keeps nothing, so one page was too large
        raise ContributionError(MALFORMED, format="Parquet") from None
    size = int(row[0]) if row else 0
    if size > limit:
        raise ContributionError(VOLUME, size=size, limit=limit, dataset=dataset)
