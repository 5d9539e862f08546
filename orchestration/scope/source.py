"""A delivered file as a SQL table expression, after the checks that need no knowledge of its rows.

Two formats: CSV (UTF-8, comma, double quotes, header) and Parquet. Types never come from sniffing: CSV is
read as text and the charter's types are applied by `coercion`. Column names of a CSV are the sender's and
so hostile: they never reach SQL, columns are addressed by position.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.engine.duck import quote_name, quote_text
from orchestration.errors import ContributionError, Reason
from orchestration.scope.manifest import IS_LINK, Manifest

NO_FILE = Reason(
    "contribution.no_file",
    "The file that the manifest names is not in the delivery.",
    "Deliver the data file beside its manifest.",
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
ENCODING = Reason(
    "contribution.encoding",
    "The CSV is not UTF-8 text ({found}).",
    "Export it as UTF-8, with or without a byte order mark.",
)
NUL_BYTES = Reason(
    "contribution.nul_bytes",
    "The CSV contains NUL bytes, which text does not have.",
    "Export it again; a file copied while being written often looks like this.",
)
MALFORMED = Reason(
    "contribution.malformed",
    "The {format} file cannot be read to its end: it is truncated, or its quoting or structure is broken.",
    "Check the export; in CSV every row needs the header's number of fields and quotes must be closed.",
)
EMPTY = Reason(
    "contribution.empty",
    "The file has no rows.",
    "Deliver a file with rows; to take data back, withdraw the contribution instead.",
)
DUPLICATE_COLUMNS = Reason(
    "contribution.duplicate_columns",
    "Two columns of the file have the same name.",
    "Give every column its own name.",
)

_LONGEST_LINE = 1 << 20
_CHUNK = 1 << 20
_SCALARS = frozenset(
    "VARCHAR BIGINT INTEGER SMALLINT TINYINT HUGEINT UBIGINT UINTEGER USMALLINT UTINYINT"
    " DOUBLE FLOAT BOOLEAN DATE TIMESTAMP UUID".split()
)


@dataclass(frozen=True)
class Source:
    """A table expression, and how to address each of the file's columns in it.

    `scalar` tells whether a column holds single values; lists, structs and blobs are nobody's field.
    """

    relation: str
    columns: dict[str, str]
    types: dict[str, str]

    def scalar(self, column: str) -> bool:
        kind = self.types[column]
        return kind in _SCALARS or kind.startswith(("DECIMAL", "TIMESTAMP"))


def check_file(delivery: Path, manifest: Manifest, *, limit: int) -> Path:
    """The data file, after its size, digest and (for CSV) its bytes were checked in one pass.

    Args:
        limit: the charter's maximum size in bytes.

    Raises: ContributionError (`link`, `no_file`, `too_large`, `empty`, `wrong_digest`, `nul_bytes`, `encoding`).
    """
    path = delivery / manifest.file
    if path.is_symlink():
        raise ContributionError(IS_LINK)
    if not path.is_file():
        raise ContributionError(NO_FILE)
    size = path.stat().st_size
    if size > limit:
        raise ContributionError(TOO_LARGE, size=size, limit=limit, dataset=manifest.dataset)
    sha, has_nul, start = hashlib.sha256(), False, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            start = start or chunk[:4]
            sha.update(chunk)
            has_nul = has_nul or (manifest.format == "csv" and b"\0" in chunk)
    if f"sha256:{sha.hexdigest()}" != manifest.sha256:
        raise ContributionError(WRONG_DIGEST)
    if size == 0:
        raise ContributionError(EMPTY)
    if manifest.format == "csv":
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ContributionError(ENCODING, found="it starts with the byte order mark of UTF-16")
        if has_nul:
            raise ContributionError(NUL_BYTES)
    return path


def open_source(connection: duckdb.DuckDBPyConnection, path: Path, format_: str) -> Source:
    """The file as a table expression.

    Raises: ContributionError (`malformed`, `encoding`, `empty`, `duplicate_columns`).
    """
    if format_ == "csv":
        return _open_csv(path)
    relation = f"read_parquet({quote_text(str(path))})"
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        names = connection.execute(
            f"SELECT path_in_schema FROM parquet_metadata({quote_text(str(path))}) WHERE row_group_id = 0"
        ).fetchall()
    except duckdb.Error:
        raise ContributionError(MALFORMED, format="Parquet") from None
    if len(set(names)) != len(names):  # the reader would only rename the second one
        raise ContributionError(DUPLICATE_COLUMNS)
    return Source(relation, {r[0]: quote_name(r[0]) for r in rows}, {r[0]: r[1] for r in rows})


def _open_csv(path: Path) -> Source:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = iter(lambda: file.readline(_LONGEST_LINE), "")  # in quotes, a header may span lines
            header = next(csv.reader(lines, strict=True), [])
    except UnicodeDecodeError:
        raise ContributionError(ENCODING, found="its first line is not valid UTF-8") from None
    except csv.Error:
        raise ContributionError(MALFORMED, format="CSV") from None
    if not header:
        raise ContributionError(EMPTY)
    names = [name.strip() for name in header]
    if len(set(names)) != len(names):
        raise ContributionError(DUPLICATE_COLUMNS)
    positions = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(names)))
    relation = (
        f"read_csv({quote_text(str(path))}, auto_detect = false, header = true, delim = ',', quote = '\"',"
        f" escape = '\"', nullstr = '', strict_mode = true, null_padding = false, ignore_errors = false,"
        f" max_line_size = {_LONGEST_LINE}, columns = {{{positions}}})"
    )
    return Source(
        relation,
        {name: f"c{i}" for i, name in enumerate(names)},
        dict.fromkeys(names, "VARCHAR"),
    )
