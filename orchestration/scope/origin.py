"""Where a contributor's rows lie before they are prepared: a file, a folder, S3 or PostgreSQL.

Belongs here: telling these apart and opening each as one source. Must not be here: credentials
(`engine/remote`), the formats of files (`source`), or anything the room reads: it takes single files only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.engine.duck import quote_name, quote_text
from orchestration.engine.remote import POSTGRES, attach_postgres, use_s3
from orchestration.errors import ConfigError, ContributionError, Reason, ServiceError
from orchestration.scope.manifest import IS_LINK, Format
from orchestration.scope.source import COMPRESSED, EMPTY, FORMATS, TEXT_FORMATS, Utf8, open_files, packing
from orchestration.scope.tabular import Source
from orchestration.settings import Settings

NO_FILE = Reason(
    "prepare.no_file",
    "There is no such file or folder to prepare.",
    "Check the path; s3://bucket/key and postgres:table are read from there.",
)
NO_FORMAT = Reason(
    "prepare.no_format",
    "The name of {what} does not tell its format.",
    "Name it .csv, .tsv, .ndjson or .parquet; a folder holds files of one of these only.",
)
UNREACHABLE = Reason(
    "prepare.unreachable",
    "{what} cannot be read: it is not there, not reachable, or not open to these credentials.",
    "Check the name, the network and the settings (docs/settings.md); nothing was written.",
)

POSTGRES_KIND = "PostgreSQL"

_PACKED = {".gz": "gzip", ".zip": "zip", ".bz2": "bzip2", ".zst": "zstd", ".xz": "xz"}
_QUERY = re.compile(r"\s*(select|with|table|values)\b", re.IGNORECASE)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Origin:
    """An opened source, what it is called in a manifest, and the files or objects it goes on reading."""

    source: Source
    kind: str
    files: tuple[str, ...] = ()


def open_origin(connection: duckdb.DuckDBPyConnection, settings: Settings, location: str) -> Origin:
    """Open whatever `location` names on a connection that is not confined yet.

    Args:
        location: a path, `s3://bucket/key` (ending in `/` for all files below it), `postgres:schema.table`
            or `postgres:SELECT …`.

    Raises: ConfigError or ServiceError (`prepare.…`), ContributionError as `source.open_files` does.
    """
    if location.startswith("s3://"):
        return _s3(connection, settings, location)
    if location.startswith("postgres:"):
        return _postgres(connection, settings, location.removeprefix("postgres:"))
    return _local(connection, Path(location))


def format_of(names: Sequence[str], what: str) -> Format:
    """The one format that all these names tell.

    Raises: ConfigError (`prepare.no_format`), ContributionError (`contribution.compressed`).
    """
    endings = {Path(name).suffix.lower() for name in names}
    if packed := endings & _PACKED.keys():
        raise ContributionError(COMPRESSED, kind=_PACKED[packed.pop()])
    formats = {FORMATS.get(ending) for ending in endings}
    found = formats.pop() if len(formats) == 1 else None
    if found is None:
        raise ConfigError(NO_FORMAT, what=what)
    return found


def _local(connection: duckdb.DuckDBPyConnection, path: Path) -> Origin:
    if path.is_dir():
        files = sorted(
            each for each in path.rglob("*") if not each.name.startswith(".") and not each.is_dir()
        )
        if not files:
            raise ContributionError(EMPTY)
        what, kind = "the files of the folder", "folder"
    elif path.is_file():
        files, what, kind = [path], "the file", "file"
    else:
        raise ConfigError(NO_FILE)
    if any(each.is_symlink() or not each.is_file() for each in files):
        raise ContributionError(IS_LINK)
    format_ = format_of([each.name for each in files], what)
    for each in files:
        _check_bytes(each, format_)
    paths = tuple(str(each.absolute()) for each in files)
    return Origin(open_files(connection, paths, format_), f"{format_} {kind}", paths)


def _check_bytes(path: Path, format_: Format) -> None:
    """Raises: ContributionError (`empty`, `compressed`, `nul_bytes`, `encoding`)."""
    text, start = Utf8(), b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            start = start or chunk[:8]
            if format_ not in TEXT_FORMATS:
                break
            text.feed(chunk)
    if not start:
        raise ContributionError(EMPTY)
    if kind := packing(start):
        raise ContributionError(COMPRESSED, kind=kind)
    if format_ in TEXT_FORMATS:
        text.require(format_)


def _s3(connection: duckdb.DuckDBPyConnection, settings: Settings, url: str) -> Origin:
    what = "The object in S3"
    use_s3(connection, settings)
    try:
        paths = [url]
        if url.endswith("/"):
            listed = connection.execute(f"SELECT file FROM glob({quote_text(f'{url}**')})").fetchall()
            paths = sorted(str(each) for (each,) in listed if not str(each).endswith("/"))
            what = "The folder in S3"
        if not paths:
            raise ContributionError(EMPTY)
        format_ = format_of(paths, what)
        return Origin(open_files(connection, paths, format_), f"{format_} in S3", tuple(paths))
    except duckdb.Error:
        raise ServiceError(UNREACHABLE, what=what) from None


def _postgres(connection: duckdb.DuckDBPyConnection, settings: Settings, said: str) -> Origin:
    """One table, or the rows of one query that the server itself answers."""
    if _QUERY.match(said):
        relation, what = f"postgres_query('{POSTGRES}', {quote_text(said)})", "The query of PostgreSQL"
    else:
        names = said.strip().split(".")
        schema, table = ("public", names[0]) if len(names) == 1 else (names[0], ".".join(names[1:]))
        relation = f"{POSTGRES}.{quote_name(schema)}.{quote_name(table)}"
        what = "The table of PostgreSQL"
    try:
        attach_postgres(connection, settings)
        rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.Error:
        raise ServiceError(UNREACHABLE, what=what) from None
    types = {str(row[0]): str(row[1]) for row in rows}
    # A type of the server's own with named values is text to everybody else.
    named = [name for name, kind in types.items() if kind.startswith("ENUM")]
    columns = {n: f"CAST({quote_name(n)} AS VARCHAR)" if n in named else quote_name(n) for n in types}
    return Origin(Source(relation, columns, types | dict.fromkeys(named, "VARCHAR")), "PostgreSQL")
