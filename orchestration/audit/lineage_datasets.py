"""What a lineage event speaks of: datasets, their columns, and how one column came from others.

Belongs here: plain values, the names lineage uses, and the edges of the stages that are not SQL of dbt.
Must not be here: OpenLineage (`lineage.py`), SQL (`column_lineage.py`), anything that reads a row.

A dataset is named `<layer>.<thing>`, so a name alone tells its place in the house; its namespace tells
who owns it. Names are checked: no path, no SQL and no key can travel inside one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Layer = Literal[
    "contribution", "deidentified", "admitted", "staging", "intermediate", "cells", "protected", "insight"
]
Kind = Literal["DIRECT", "INDIRECT"]
Subtype = Literal[
    # DIRECT: the value travels.
    "IDENTITY",
    "TRANSFORMATION",
    "AGGREGATION",
    # INDIRECT: it decides which values there are.
    "JOIN",
    "FILTER",
    "GROUP_BY",
    "SORT",
    "WINDOW",
    "CONDITIONAL",
]

LAYERS: tuple[Layer, ...] = get_args(Layer)

_NAMESPACE = re.compile(r"glasshouse://[a-z0-9_-]+/[a-z0-9_-]+")
_NAME = re.compile(rf"({'|'.join(LAYERS)})\.[a-z0-9_]+")
# How each technique of the charter changes a value, and whether the original is hidden by it. A clamp
# hides only the values beyond its bounds, and redaction only parts of a text: neither counts as masking. A
# dropped field has no edge.
_TECHNIQUES: dict[str, tuple[Subtype, bool]] = {
    "pass": ("IDENTITY", False),
    "clamp": ("TRANSFORMATION", False),
    "pseudonymize": ("TRANSFORMATION", True),
    "generalize": ("TRANSFORMATION", True),
    "top_code": ("TRANSFORMATION", False),
    "bottom_code": ("TRANSFORMATION", False),
    "round": ("TRANSFORMATION", True),
    "mask": ("TRANSFORMATION", True),
    "bucket": ("TRANSFORMATION", True),
    "date_shift": ("TRANSFORMATION", True),
    "redact": ("TRANSFORMATION", False),
}


@dataclass(frozen=True, order=True)
class ColumnEdge:
    """One influence on an output column: `output` depends on `source_column` of dataset `source_table`.

    An `output` of `""` means every row of the output: a filter, a join key, a grouping. `masking` says
    that the original value cannot be read from the output.
    """

    output: str
    source_table: str
    source_column: str
    kind: Kind
    subtype: Subtype
    masking: bool = False


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    description: str = ""


@dataclass(frozen=True)
class Assertion:
    """One check of a gate and whether it passed; never what it found."""

    rule: str
    expectation: str
    passed: bool
    column: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A table as one run read or wrote it.

    `edges` name other datasets by their `name`; `rows` counts rows of a table of the vault or the room, or
    what `published_rows` allows. Cells have no row count: it would be a figure before output control.

    Raises: ValueError for a name or namespace that is not of the house, or a row count of cells.
    """

    namespace: str
    name: str
    columns: tuple[Column, ...] = ()
    edges: tuple[ColumnEdge, ...] = ()
    rows: int | None = None
    assertions: tuple[Assertion, ...] = ()

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ValueError("a lineage namespace must read glasshouse://<collaboration>/<owner>")
        if not _NAME.fullmatch(self.name):
            raise ValueError("a lineage name must read <layer>.<thing> in lower case")
        if self.rows is not None and self.layer == "cells":
            raise ValueError("the row count of cells is a figure before output control")

    @property
    def layer(self) -> Layer:
        return layer_of(self.name)


def layer_of(name: str) -> Layer:
    """The layer of a dataset name; ValueError when it has none."""
    head = name.partition(".")[0]
    for layer in LAYERS:
        if layer == head:
            return layer
    raise ValueError("a lineage name must begin with a layer of the house")


def participant_namespace(collaboration: str, participant: str) -> str:
    """Where a participant's contributions live (the vault)."""
    return f"glasshouse://{collaboration}/{participant}"


def room_namespace(collaboration: str) -> str:
    return f"glasshouse://{collaboration}/room"


def shelf_namespace(collaboration: str) -> str:
    return f"glasshouse://{collaboration}/shelf"


def relation_name(schema: str, table: str) -> str:
    """The lineage name of a table of the room.

    Tables made per contribution or per request (`cells.<template>__<request>`) are one dataset to lineage:
    what a reader follows is the template, and the run says which request it was.
    """
    return f"{schema}.{table.partition('__')[0]}" if schema == "cells" else f"{schema}.{table}"


def published_rows(rows: int, threshold: int) -> int | None:
    """The row count of something published, or nothing when the count itself is below the threshold."""
    return rows if rows >= threshold else None


class FieldTechnique(Protocol):
    @property
    def kind(self) -> str: ...


class DeclaredField(Protocol):
    """The part of a charter's field that lineage needs."""

    @property
    def name(self) -> str: ...
    @property
    def attribute(self) -> str | None: ...
    @property
    def technique(self) -> FieldTechnique: ...


def deidentified_edges(dataset: str, fields: Iterable[DeclaredField]) -> tuple[ColumnEdge, ...]:
    """Contribution to de-identified table, from the technique of each field.

    Raises: KeyError for a technique this table does not know: guessing would misstate the masking.
    """
    return tuple(
        ColumnEdge(
            field.attribute,
            f"contribution.{dataset}",
            field.name,
            "DIRECT",
            *_TECHNIQUES[field.technique.kind],
        )
        for field in fields
        if field.attribute is not None and field.technique.kind != "drop"
    )


def identity_edges(source: str, columns: Iterable[str]) -> tuple[ColumnEdge, ...]:
    """Columns handed on unchanged under the same name: gated table to entity, protected to insight."""
    return tuple(ColumnEdge(name, source, name, "DIRECT", "IDENTITY") for name in columns)


def admitted_edges(tables: Mapping[str, Iterable[str]]) -> tuple[ColumnEdge, ...]:
    """De-identified tables to the entity view over them.

    Args:
        tables: de-identified dataset name → the attributes it fills; the entity's others are null.
    """
    return tuple(edge for source, attributes in tables.items() for edge in identity_edges(source, attributes))


def protected_edges(
    source: str, dimensions: Sequence[str], measures: Mapping[str, str], markers: Sequence[str] = ()
) -> tuple[ColumnEdge, ...]:
    """Cells to protected table: the same columns, where some values are hidden.

    Args:
        source: name of the cells dataset.
        dimensions: columns handed on as they are.
        measures: measure → the column that counts its contributors, which decides what is suppressed.
        markers: columns that only say what was suppressed (status, reason).
    """
    contributors = sorted(set(measures.values()))
    return (
        *identity_edges(source, dimensions),
        *(ColumnEdge(name, source, name, "DIRECT", "IDENTITY", masking=True) for name in measures),
        *(
            ColumnEdge(output, source, contributor, "INDIRECT", "CONDITIONAL", masking=True)
            for output in (*measures, *markers)
            for contributor in contributors
        ),
    )
