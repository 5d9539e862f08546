"""Parquet files as a table expression, with the types they were written with."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from orchestration.engine.duck import quote_name
from orchestration.errors import ContributionError
from orchestration.scope.tabular import MALFORMED, Source, quote_paths, require_names, united


def open_parquet(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> Source:
    """Files of one schema; those with their columns in the same order share a reader.

    Raises: ContributionError (`malformed`, `duplicate_columns`, `too_many_columns`,
    `prepare.mixed_columns`).
    """
    by_schema: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for path in paths:
        by_schema.setdefault(_schema(connection, path), []).append(path)
    return united([_reader(group, dict(schema)) for schema, group in by_schema.items()])


def _reader(paths: Sequence[str], types: dict[str, str]) -> Source:
    return Source(f"read_parquet({quote_paths(paths)})", {name: quote_name(name) for name in types}, types)


def _schema(connection: duckdb.DuckDBPyConnection, path: str) -> tuple[tuple[str, str], ...]:
    """Name and type of each column, from the file's footer."""
    file = quote_paths([path])
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()
        names = connection.execute(
            f"SELECT path_in_schema FROM parquet_metadata({file}) WHERE row_group_id = 0"
        ).fetchall()
    except duckdb.Error as error:
        if isinstance(error, duckdb.HTTPException):
            raise
        raise ContributionError(MALFORMED, format="Parquet") from None
    require_names([str(name) for (name,) in names])  # the reader would only rename the second one
    return tuple((str(row[0]), str(row[1])) for row in rows)
