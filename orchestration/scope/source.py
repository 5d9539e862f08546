"""A delivered file as a SQL table expression, after the checks that need no knowledge of its rows.

Two formats: CSV (UTF-8, comma, double quotes, header) and Parquet. Types never come from sniffing: CSV is
read as text and the charter's types are applied by `coercion`. Column names of a CSV are the sender's and
so hostile: they never reach SQL, columns are addressed by position.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
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
_SCALARS = ("VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP", "UUID", "DOUBLE", "FLOAT")
_INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")


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
        if kind.endswith("]"):  # a list, whatever of
            return False
        return kind in _SCALARS or bool(_INTEGER.fullmatch(kind)) or kind.startswith(("DECIMAL", "TIMESTAMP"))


def check_file(delivery: Path, manifest: Manifest, *, limit: int) -> Path:
    """The data file, after its size, digest and (for CSV) its bytes were checked in one pass.

    Args:
        limit: the charter's maximum size in bytes.

    Raises: ContributionError (`link`, `no_file`, `too_large`, `empty`, `wrong_digest`, `nul_bytes`,
    `encoding`).
    """
    path = delivery / manifest.file
    if path.is_symlink():
        raise ContributionError(IS_LINK)
    if not path.is_file():
        raise ContributionError(NO_FILE)
    size = path.stat().st_size
    if size > limit:
        raise ContributionError(TOO_LARGE, size=size, limit=limit, dataset=manifest.dataset)
    sha, text = hashlib.sha256(), _Utf8()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
            if manifest.format == "csv":
                text.feed(chunk)
    if f"sha256:{sha.hexdigest()}" != manifest.sha256:
        raise ContributionError(WRONG_DIGEST)
    if size == 0:
        raise ContributionError(EMPTY)
    if manifest.format == "csv":
        text.require()
    return path


class _Utf8:
    """Watches the bytes of a CSV go by; what is wrong with them only matters once the digest is right."""

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

    def require(self) -> None:
        self._decode(b"", final=True)
        if self._start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ContributionError(ENCODING, found="it starts with the byte order mark of UTF-16")
        if self._has_nul:
            raise ContributionError(NUL_BYTES)
        if self._is_broken:
            raise ContributionError(ENCODING, found="some of its bytes have no meaning in UTF-8")


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
        raise ContributionError(ENCODING, found="some of its bytes have no meaning in UTF-8") from None
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
