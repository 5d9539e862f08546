"""The lineage of a collaboration as one graph, for people to look at: made from stored events alone.

A table is shown as the newest finished run made it, so the graph says how things are, and each edge can be
traced to the run that reported it. Must not be here: drawing, SQL, OpenLineage's classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from orchestration.audit.lineage_datasets import LAYERS, Column, Kind, Layer, Subtype, layer_of


@dataclass(frozen=True)
class Made:
    """The run that last made a table."""

    run_id: str
    job: str
    at: str
    charter_digest: str
    receipts: tuple[str, ...]
    rows: int | None


@dataclass(frozen=True)
class Table:
    """`id` is namespace/name, unique over collaborations; `owner` a participant, `room` or `shelf`.

    `made` is None for a table that runs have read but none has reported to have made.
    """

    id: str
    name: str
    layer: Layer
    owner: str
    columns: tuple[Column, ...]
    made: Made | None = None


@dataclass(frozen=True, order=True)
class GraphEdge:
    """A column's influence on a column; `to_column` is None when it decides which rows there are."""

    from_table: str
    from_column: str
    to_table: str
    to_column: str | None
    kind: Kind
    subtype: Subtype
    masking: bool


@dataclass(frozen=True)
class LineageGraph:
    """Tables in the order of the layers, column edges, and table edges as (from id, to id)."""

    tables: tuple[Table, ...]
    edges: tuple[GraphEdge, ...]
    table_edges: tuple[tuple[str, str], ...]

    def table(self, table_id: str) -> Table:
        """Raises: KeyError."""
        return self._by_id[table_id]

    def upstream(self, table_id: str, column: str) -> frozenset[tuple[str, str]]:
        """Every (table id, column) that a column depends on, by value or by influence, at any distance."""
        seen: set[tuple[str, str]] = set()
        waiting = [(table_id, column)]
        while waiting:
            table, name = waiting.pop()
            into = (*self._into.get((table, name), ()), *self._into.get((table, None), ()))
            for place in into:
                if place not in seen:
                    seen.add(place)
                    waiting.append(place)
        return frozenset(seen)

    def as_rows(self) -> list[dict[str, str | bool]]:
        """The column edges as flat rows with names for people: the CSV and JSON twin of the picture."""
        return [
            {
                "from_layer": source.layer,
                "from_owner": source.owner,
                "from_table": source.name,
                "from_column": edge.from_column,
                "to_layer": target.layer,
                "to_owner": target.owner,
                "to_table": target.name,
                "to_column": edge.to_column or "(all rows)",
                "kind": edge.kind,
                "subtype": edge.subtype,
                "masking": edge.masking,
            }
            for edge in self.edges
            for source, target in [(self._by_id[edge.from_table], self._by_id[edge.to_table])]
        ]

    @cached_property
    def _by_id(self) -> dict[str, Table]:
        return {table.id: table for table in self.tables}

    @cached_property
    def _into(self) -> dict[tuple[str, str | None], list[tuple[str, str]]]:
        found: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
        for edge in self.edges:
            place = (edge.from_table, edge.from_column)
            found.setdefault((edge.to_table, edge.to_column), []).append(place)
        return found


def build_graph(lineage_rows: Iterable[Mapping[str, Any]], collaboration: str | None = None) -> LineageGraph:
    """The graph of everything that was made, as its newest COMPLETE event tells it.

    Args:
        lineage_rows: stored events, oldest first, as `AuditLog.lineage()` gives them.
        collaboration: only this one; default: all.
    """
    prefix = f"glasshouse://{collaboration}/" if collaboration else "glasshouse://"
    read: dict[str, Table] = {}
    made: dict[str, Table] = {}
    edges: dict[str, list[GraphEdge]] = {}  # by the table they end at, like the next one
    sources: dict[str, set[str]] = {}
    for event in lineage_rows:
        if event["eventType"] != "COMPLETE":
            continue
        inputs = [dataset for dataset in event.get("inputs", ()) if dataset["namespace"].startswith(prefix)]
        read |= {_id(dataset): _table(dataset, None) for dataset in inputs}
        for dataset in event.get("outputs", ()):
            key = _id(dataset)
            if not dataset["namespace"].startswith(prefix):
                continue
            made[key] = _table(dataset, _made(event, dataset))
            edges[key] = list(_edges(dataset))
            # A run that makes several tables reads every input, but not each for all of them.
            sources[key] = {edge.from_table for edge in edges[key]} or {_id(source) for source in inputs}
    every = sorted((edge for found in edges.values() for edge in found), key=_place)
    tables = _with_columns_of({**read, **made}, every)
    return LineageGraph(
        tuple(sorted(tables, key=lambda table: (LAYERS.index(table.layer), table.owner, table.name))),
        tuple(every),
        tuple(sorted((source, key) for key, found in sources.items() for source in found)),
    )


def _id(dataset: Mapping[str, Any]) -> str:
    return f"{dataset['namespace']}/{dataset['name']}"


def _table(dataset: Mapping[str, Any], made: Made | None) -> Table:
    fields = dataset.get("facets", {}).get("schema", {}).get("fields", ())
    return Table(
        _id(dataset),
        dataset["name"],
        layer_of(dataset["name"]),
        dataset["namespace"].rpartition("/")[2],
        tuple(Column(each["name"], each.get("type", ""), each.get("description", "")) for each in fields),
        made,
    )


def _made(event: Mapping[str, Any], dataset: Mapping[str, Any]) -> Made:
    governance = event["run"]["facets"]["glasshouse_governance"]
    return Made(
        event["run"]["runId"],
        event["job"]["name"],
        event["eventTime"],
        governance["charterDigest"],
        tuple(governance["receipts"]),
        dataset.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount"),
    )


def _edges(dataset: Mapping[str, Any]) -> Iterator[GraphEdge]:
    facet = dataset.get("facets", {}).get("columnLineage", {})
    ends: list[tuple[str | None, Any]] = [(None, facet.get("dataset", ()))]
    ends += [(output, found["inputFields"]) for output, found in facet.get("fields", {}).items()]
    for output, origins in ends:
        for origin in origins:
            for how in origin["transformations"]:
                yield GraphEdge(
                    _id(origin),
                    origin["field"],
                    _id(dataset),
                    output,
                    how["type"],
                    how["subtype"],
                    how["masking"],
                )


def _place(edge: GraphEdge) -> tuple[str, str, str, str, str, str]:
    """A stable order: by target, rows first."""
    return (edge.to_table, edge.to_column or "", edge.from_table, edge.from_column, edge.kind, edge.subtype)


def _with_columns_of(tables: Mapping[str, Table], edges: Iterable[GraphEdge]) -> list[Table]:
    """The tables, each with every column an edge names: an older run may have read one that is gone now."""
    columns = {key: {column.name: column for column in table.columns} for key, table in tables.items()}
    for edge in edges:
        for table, name in ((edge.from_table, edge.from_column), (edge.to_table, edge.to_column)):
            if name:
                columns[table].setdefault(name, Column(name, ""))
    return [replace(table, columns=tuple(columns[key].values())) for key, table in tables.items()]
