"""NDJSON files (a JSON object per line) as a table expression: everything text, columns by key.

Keys are the sender's and so hostile: they reach SQL as quoted text and never as a name. A key may be missing
from a row; then it has no value there. https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb

from orchestration.engine.duck import quote_text
from orchestration.errors import ContributionError
from orchestration.scope.tabular import (
    DUPLICATE_COLUMNS,
    EMPTY,
    LONGEST_LINE,
    MALFORMED,
    MOST_COLUMNS,
    Source,
    quote_paths,
    require_names,
)


def open_ndjson(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[str], wanted: Collection[str] | None = None
) -> Source:
    """Files read as one, whatever the order of their keys.

    Args:
        wanted: keys to read; of the others there is only the name. One row may have thousands of keys, and
            looking for each of them in each of millions of short rows would take days.

    Raises: ContributionError (`malformed`, `empty`, `duplicate_columns`, `too_many_columns`).
    """
    objects = (
        f"read_ndjson_objects({quote_paths(paths)}, format = 'newline_delimited',"
        f" maximum_object_size = {LONGEST_LINE})"
    )
    try:
        names, nested = _keys(connection, objects)
    except duckdb.InvalidInputException:
        raise ContributionError(MALFORMED, format="NDJSON") from None
    require_names(names)
    read = [name for name in names if wanted is None or name in wanted]
    pointers = ", ".join(quote_text(_pointer(name)) for name in read)
    values = ", ".join(f"{_text(f'v[{i + 1}]')} AS c{i}" for i in range(len(read))) or "v"
    relation = (
        f"(SELECT {values} FROM (SELECT json_extract(json, [{pointers}]::VARCHAR[]) AS v FROM {objects}))"
    )
    columns = dict.fromkeys(names, "NULL") | {name: f"c{i}" for i, name in enumerate(read)}
    return Source(relation, columns, {name: "JSON[]" if name in nested else "VARCHAR" for name in names})


def _keys(connection: duckdb.DuckDBPyConnection, objects: str) -> tuple[list[str], set[str]]:
    """Every key, sorted, and those that somewhere hold a list or an object.

    Raises: ContributionError (`malformed`, `empty`, `duplicate_columns`).
    """
    keys = "CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END"
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (keys IS NULL), bool_or(len(keys) > len(list_distinct(keys)))"
        f" FROM (SELECT {keys} AS keys FROM {objects})"
    ).fetchone()
    rows, others, doubled = row or (0, 0, False)
    if rows == 0:
        raise ContributionError(EMPTY)
    if others:
        raise ContributionError(MALFORMED, format="NDJSON")
    if doubled:
        raise ContributionError(DUPLICATE_COLUMNS)
    found = connection.execute(
        f"SELECT DISTINCT unnest(json_keys(json)) AS name FROM {objects} ORDER BY 1 LIMIT {MOST_COLUMNS + 1}"
    ).fetchall()
    names = [str(name) for (name,) in found]
    if len(names) > MOST_COLUMNS:
        return names, set()
    # A list or an object begins with its bracket: looking there is cheaper than asking for its type.
    nested = connection.execute(
        "SELECT DISTINCT name FROM (SELECT unnest(json_keys(json)) AS name,"
        f" unnest(json_extract(json, '$.*')) AS value FROM {objects})"
        " WHERE left(value::VARCHAR, 1) IN ('[', '{')"
    ).fetchall()
    return names, {str(name) for (name,) in nested}


def _text(value: str) -> str:
    """A JSON value as text; JSON null is no value, and 7.0 is how some programs write the number 7."""
    text = f"({value} ->> '$')"
    whole = f"regexp_full_match({value}::VARCHAR, '-?[0-9]+[.]0+')"
    return f"CASE WHEN {whole} THEN split_part({text}, '.', 1) ELSE {text} END"


def _pointer(key: str) -> str:
    """JSON pointer, RFC 6901."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
