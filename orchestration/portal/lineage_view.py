"""Which part of the lineage a page shows: read from its address, cut out of the whole graph.

Belongs here: the address and the cut, both pure. Must not be here: drawing (`drawing.py`), HTML, events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal
from urllib.parse import urlencode

from orchestration.audit.lineage_datasets import LAYERS
from orchestration.audit.lineage_graph import GraphEdge, LineageGraph, Table
from orchestration.errors import ConfigError, Reason

UNKNOWN_PLACE = Reason(
    "portal.no_such_lineage",
    "The lineage has no {kind} of that name.",
    "Open /lineage and follow a link, or run a stage that makes it.",
)
UNKNOWN_CHOICE = Reason(
    "portal.unknown_choice",
    "{name} cannot be set to that here.",
    "Use one of: {known}.",
)

CSV_COLUMNS = (
    "from_layer",
    "from_owner",
    "from_table",
    "from_column",
    "to_layer",
    "to_owner",
    "to_table",
    "to_column",
    "kind",
    "subtype",
    "masking",
)

Level = Literal["table", "column"]
Shown = Literal["all", "values"]
_Place = tuple[str, str | None]  # table id, column; None: every row of it


@dataclass(frozen=True)
class View:
    """What the address asks for. Tables are given by name (`staging.stg_transaction`)."""

    collaboration: str
    level: Level = "table"
    edges: Shown = "all"
    dataset: str = ""
    insight: str = ""
    table: str = ""
    column: str = ""

    def to(self, **changes: str) -> View:
        return replace(self, **changes)  # type: ignore[arg-type]  # templates pass the literals above

    @property
    def query(self) -> str:
        """`?level=column&…` without what is the default anyway; empty for the default view."""
        default = View("")
        pairs = [(field.name, getattr(self, field.name)) for field in fields(self)]
        stated = [(name, value) for name, value in pairs if value and value != getattr(default, name)]
        return f"?{urlencode(stated)}"

    @property
    def is_cut(self) -> bool:
        return bool(self.dataset or self.insight or self.table or self.column)


def read_view(query: Mapping[str, str], collaborations: Collection[str]) -> View:
    """The view an address asks for. Raises: ConfigError `portal.unknown_choice`."""
    collaboration = query.get("collaboration", next(iter(collaborations), ""))
    if collaborations and collaboration not in collaborations:
        raise ConfigError(UNKNOWN_CHOICE, name="collaboration", known=", ".join(collaborations))
    level, edges = query.get("level", "table"), query.get("edges", "all")
    if level not in ("table", "column"):
        raise ConfigError(UNKNOWN_CHOICE, name="level", known="table, column")
    if edges not in ("all", "values"):
        raise ConfigError(UNKNOWN_CHOICE, name="edges", known="all, values")
    column = query.get("column", "")
    return View(
        collaboration=collaboration,
        level="column" if level == "column" or column else "table",
        edges="values" if edges == "values" else "all",
        dataset=query.get("dataset", ""),
        insight=query.get("insight", ""),
        table=query.get("table", ""),
        column=column,
    )


def cut(graph: LineageGraph, view: View) -> LineageGraph:
    """The part of `graph` that `view` asks for; with a column, only the columns on its paths.

    Raises: ConfigError `portal.no_such_lineage`.
    """
    if view.edges == "values":
        graph = _values_only(graph)
    by_name = {table.name: table.id for table in graph.tables}
    if view.column:
        return _path(graph, *_column(graph, by_name, view.column))
    keep = {table.id for table in graph.tables}
    links = graph.table_edges
    back = [(target, source) for source, target in links]
    if view.dataset:
        keep &= _reachable(_known(by_name, f"contribution.{view.dataset}", "dataset"), links)
    if view.insight:
        keep &= _reachable(_known(by_name, f"insight.{view.insight}", "insight"), back)
    if view.table:
        focus = _known(by_name, view.table, "table")
        keep &= _reachable(focus, links) | _reachable(focus, back)
    return LineageGraph(
        tuple(table for table in graph.tables if table.id in keep),
        tuple(edge for edge in graph.edges if edge.from_table in keep and edge.to_table in keep),
        tuple((source, target) for source, target in links if source in keep and target in keep),
    )


def edge_rows(graph: LineageGraph) -> list[dict[str, str | bool]]:
    """The edges as flat rows, in the order in which data moves through the house."""
    order = {str(layer): index for index, layer in enumerate(LAYERS)}
    return sorted(
        graph.as_rows(),
        key=lambda row: (order[str(row["from_layer"])], order[str(row["to_layer"])], *map(str, row.values())),
    )


def parties(graph: LineageGraph, owners: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Table id → the participants whose contributions it was made from, sorted.

    Args:
        owners: dataset → participant: a viewer may see that data of others was joined, but not its way there.
    """
    back = [(target, source) for source, target in graph.table_edges]
    owner = {table.id: table.owner for table in graph.tables if table.layer == "contribution"}
    for table in graph.tables:
        dataset = table.name.removeprefix("deidentified.")
        if table.layer == "deidentified" and dataset in owners:
            owner[table.id] = owners[dataset]
    return {
        table.id: tuple(sorted({owner[each] for each in _reachable(table.id, back) if each in owner}))
        for table in graph.tables
    }


def _known(by_name: Mapping[str, str], name: str, kind: str) -> str:
    try:
        return by_name[name]
    except KeyError:
        raise ConfigError(UNKNOWN_PLACE, kind=kind) from None


def _column(graph: LineageGraph, by_name: Mapping[str, str], text: str) -> tuple[str, str]:
    name, _, column = text.rpartition(".")
    table = graph.table(_known(by_name, name, "table"))
    if all(each.name != column for each in table.columns):
        raise ConfigError(UNKNOWN_PLACE, kind="column")
    return table.id, column


def _values_only(graph: LineageGraph) -> LineageGraph:
    direct = tuple(edge for edge in graph.edges if edge.kind == "DIRECT")
    by_value = {(edge.from_table, edge.to_table) for edge in direct}
    return LineageGraph(graph.tables, direct, tuple(link for link in graph.table_edges if link in by_value))


def _reachable(start: str, links: Iterable[tuple[str, str]]) -> set[str]:
    following: dict[str, list[str]] = {}
    for source, target in links:
        following.setdefault(source, []).append(target)
    seen, waiting = {start}, [start]
    while waiting:
        for each in following.get(waiting.pop(), ()):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def _path(graph: LineageGraph, table_id: str, column: str) -> LineageGraph:
    """Everything this column depends on and everything that depends on it.

    A column that decides which rows a table has influences all its columns: downstream of it they all count.
    """
    columns = {table.id: tuple(each.name for each in table.columns) for table in graph.tables}
    up = _walk((table_id, column), graph.edges, columns, upstream=True)
    down = _walk((table_id, column), graph.edges, columns, upstream=False)
    edges = tuple(edge for edge in graph.edges if edge in up or edge in down)
    on_path: dict[str, set[str]] = {table_id: {column}}
    for edge in edges:
        on_path.setdefault(edge.from_table, set()).add(edge.from_column)
        on_path.setdefault(edge.to_table, set()).update({edge.to_column} if edge.to_column else ())
    return LineageGraph(
        tuple(_only(table, on_path[table.id]) for table in graph.tables if table.id in on_path),
        edges,
        tuple(sorted({(edge.from_table, edge.to_table) for edge in edges})),
    )


def _walk(
    start: _Place, edges: Iterable[GraphEdge], columns: Mapping[str, tuple[str, ...]], *, upstream: bool
) -> set[GraphEdge]:
    """The edges on all paths into (`upstream`) or out of `start`."""
    at: dict[_Place, list[GraphEdge]] = {}
    for edge in edges:
        place: _Place = (edge.to_table, edge.to_column) if upstream else (edge.from_table, edge.from_column)
        at.setdefault(place, []).append(edge)
    found: set[GraphEdge] = set()
    seen: set[_Place] = {start}
    waiting = [start]
    while waiting:
        table, column = waiting.pop()
        reached: list[_Place] = []
        if upstream:
            into = (*at.get((table, column), ()), *at.get((table, None), ()))
            found.update(into)
            reached += [(edge.from_table, edge.from_column) for edge in into]
        else:
            out = at.get((table, column), ())
            found.update(out)
            reached += [(edge.to_table, edge.to_column) for edge in out]
            if column is None:
                reached += [(table, each) for each in columns[table]]
        for place in reached:
            if place not in seen:
                seen.add(place)
                waiting.append(place)
    return found


def _only(table: Table, names: set[str]) -> Table:
    return replace(table, columns=tuple(column for column in table.columns if column.name in names))
