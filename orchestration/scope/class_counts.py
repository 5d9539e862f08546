"""What the search over settings needs to know of a table: its values and its most specific classes, in codes.

Belongs here: the step from a relation to `lattice.ClassCounts`. What grows in memory is the number of
distinct combinations, not of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np

from orchestration.engine.duck import quote_name
from orchestration.errors import ConfigError, Reason
from orchestration.scope.hierarchy import Hierarchy
from orchestration.scope.lattice import ClassCounts

NOT_COVERED = Reason(
    "hierarchy.not_covered",
    "{count:,} values of {attribute} have no line in its hierarchy.",
    "Add a line for each value that can occur.",
)

_BATCH = 50_000


def count_classes(
    connection: duckdb.DuckDBPyConnection, relation: str, hierarchies: Sequence[Hierarchy]
) -> ClassCounts:
    """One GROUP BY over `relation`, read as text: hierarchies are text.

    Raises: ConfigError (`hierarchy.not_covered`), with a count and no value.
    """
    names = ", ".join(f"CAST({quote_name(each.attribute)} AS VARCHAR)" for each in hierarchies)
    cursor = connection.execute(f"SELECT {names}, count(*) FROM {relation} GROUP BY ALL")
    codes: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = []
    missing: list[set[str]] = [set() for _ in hierarchies]
    counts: list[int] = []
    while batch := cursor.fetchmany(_BATCH):
        *columns, numbers = zip(*batch, strict=True)
        coded = np.zeros((len(batch), len(hierarchies)), dtype=np.int64)
        for axis, (hierarchy, values) in enumerate(zip(hierarchies, columns, strict=True)):
            leaves = hierarchy.leaves
            missing[axis] |= {value for value in set(values) if value not in leaves}
            if not missing[axis]:
                coded[:, axis] = [leaves[value] for value in values]
        codes.append(coded)
        counts += numbers
    for hierarchy, absent in zip(hierarchies, missing, strict=True):
        if absent:
            raise ConfigError(NOT_COVERED, count=len(absent), attribute=hierarchy.attribute)
    empty = np.zeros((0, len(hierarchies)), dtype=np.int64)
    return ClassCounts(np.concatenate([empty, *codes]), np.array(counts, dtype=np.int64))


def distinct_values(connection: duckdb.DuckDBPyConnection, relation: str, attribute: str) -> list[str]:
    """The values that occur, as text, in order; without NULL."""
    name = quote_name(attribute)
    query = f"SELECT DISTINCT CAST({name} AS VARCHAR) FROM {relation} WHERE {name} IS NOT NULL ORDER BY 1"
    return [str(row[0]) for row in connection.execute(query).fetchall()]


def is_unique(connection: duckdb.DuckDBPyConnection, relation: str, attribute: str) -> bool:
    """Whether every row has a value of its own."""
    query = f"SELECT count(*) = count(DISTINCT {quote_name(attribute)}) FROM {relation}"
    return bool(connection.execute(query).fetchall()[0][0])
