"""CSV and TSV files as a table expression: everything text, columns by position.

UTF-8, comma or tab, double quotes, a header. The header's names are the sender's and so hostile: they never
reach SQL. Must not be here: bytes that are no text (`source` looks at those first).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

import duckdb

from orchestration.errors import ContributionError
from orchestration.scope.tabular import (
    EMPTY,
    ENCODING,
    LONGEST_LINE,
    MALFORMED,
    Source,
    quote_paths,
    require_names,
    united,
)

_DELIMITERS = {"csv": ",", "tsv": "\t"}


def open_csv(connection: duckdb.DuckDBPyConnection, paths: Sequence[str], format_: str) -> Source:
    """Files of one schema; those with their columns in the same order share a reader.

    Raises: ContributionError (`malformed`, `encoding`, `empty`, `duplicate_columns`, `too_many_columns`,
    `prepare.mixed_columns`).
    """
    by_header: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        header = _remote_header if "://" in path else _header
        by_header.setdefault(tuple(header(connection, path, format_)), []).append(path)
    return united([_reader(group, names, format_) for names, group in by_header.items()])


def _reader(paths: Sequence[str], names: Sequence[str], format_: str) -> Source:
    positions = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(names)))
    relation = (
        f"read_csv({quote_paths(paths)}, auto_detect = false, header = true,"
        f" delim = '{_DELIMITERS[format_]}', quote = '\"', escape = '\"', nullstr = '', strict_mode = true,"
        f" null_padding = false, ignore_errors = false, max_line_size = {LONGEST_LINE},"
        f" columns = {{{positions}}})"
    )
    columns = {name: f"c{i}" for i, name in enumerate(names)}
    return Source(relation, columns, dict.fromkeys(names, "VARCHAR"))


def _header(_: duckdb.DuckDBPyConnection, path: str, format_: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = iter(lambda: file.readline(LONGEST_LINE), "")  # in quotes, a header may span lines
            return _names(lines, format_)
    except UnicodeDecodeError:
        found = "some of its bytes have no meaning in UTF-8"
        raise ContributionError(ENCODING, format=format_.upper(), found=found) from None


def _remote_header(connection: duckdb.DuckDBPyConnection, url: str, format_: str) -> list[str]:
    """The first line of a file that only the engine reaches."""
    # To read whole lines, a delimiter that no line has.
    first = connection.execute(
        f"SELECT line FROM read_csv({quote_paths([url])}, auto_detect = false, header = false,"
        f" delim = '\x1e', quote = '', escape = '', max_line_size = {LONGEST_LINE},"
        " columns = {line: 'VARCHAR'}) LIMIT 1"
    ).fetchone()
    return _names(iter([str(first[0] or "").removeprefix("\ufeff")] if first else []), format_)


def _names(lines: Iterator[str], format_: str) -> list[str]:
    try:
        header = next(csv.reader(lines, delimiter=_DELIMITERS[format_], strict=True), [])
    except csv.Error:
        raise ContributionError(MALFORMED, format=format_.upper()) from None
    if not header:
        raise ContributionError(EMPTY)
    names = [name.strip() for name in header]
    require_names(names)
    return names
