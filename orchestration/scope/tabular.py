"""Rows of whatever was delivered as one SQL table expression, and why some files have none.

Belongs here: what a source is, once it is open, and the refusals every format shares. Must not be here: any
one format (`csv_files`, `parquet_files`, `ndjson_files`), or where files lie (`origin`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.engine.duck import quote_text
from orchestration.errors import ContributionError, Reason

ENCODING = Reason(
    "contribution.encoding",
    "The {format} file is not UTF-8 text ({found}).",
    "Export it as UTF-8, with or without a byte order mark.",
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
TOO_MANY_COLUMNS = Reason(
    "contribution.too_many_columns",
    "The file has more than {limit:,} columns.",
    "Deliver the columns that the charter names; all others are dropped anyway.",
)
MIXED_COLUMNS = Reason(
    "prepare.mixed_columns",
    "The files of the folder do not have the same columns with the same types.",
    "Keep one kind of file in a folder; the order of rows, files and columns does not matter.",
)

MOST_COLUMNS = 4096
LONGEST_LINE = 1 << 20
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


def require_names(names: Sequence[str]) -> None:
    """Refuse columns that cannot be told apart, or that nobody can mean.

    Raises: ContributionError (`too_many_columns`, `duplicate_columns`).
    """
    if len(names) > MOST_COLUMNS:
        raise ContributionError(TOO_MANY_COLUMNS, limit=MOST_COLUMNS)
    if len(set(names)) != len(names):
        raise ContributionError(DUPLICATE_COLUMNS)


def united(sources: Sequence[Source]) -> Source:
    """Sources with the same columns, perhaps in another order, as one.

    Raises: ContributionError (`prepare.mixed_columns`).
    """
    first = sources[0]
    if any(each.types != first.types for each in sources):
        raise ContributionError(MIXED_COLUMNS)
    if len(sources) == 1:
        return first
    parts = (
        "SELECT "
        + ", ".join(f"{each.columns[name]} AS c{i}" for i, name in enumerate(first.columns))
        + f" FROM {each.relation}"
        for each in sources
    )
    return Source(
        f"({' UNION ALL '.join(parts)})",
        {name: f"c{i}" for i, name in enumerate(first.columns)},
        first.types,
    )


def quote_paths(paths: Sequence[str]) -> str:
    """Files as the engine's readers take them; a `*` in a name is that sign and no pattern."""
    literal = (quote_text(re.sub(r"([*?[])", r"[\1]", path)) for path in paths)
    return f"[{', '.join(literal)}]"
