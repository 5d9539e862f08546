"""A lineage graph as coordinates: layers from left to right, boxes with their columns, and curves.

Pure: the template writes these numbers as SVG, so the picture needs no script, prints, and every part of it
is a link. Must not be here: which tables to show (`lineage_view.py`), where boxes go (`layout.py`), colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from orchestration.audit.lineage_datasets import LAYERS, Layer
from orchestration.audit.lineage_graph import LineageGraph, Table
from orchestration.portal.layout import Links, Placed, arrange

LAYER_TITLES: dict[Layer, tuple[str, str]] = {
    "contribution": ("Contribution", "sealed in the vault"),
    "deidentified": ("De-identified", "pseudonyms only"),
    "admitted": ("Admitted", "gate passed"),
    "staging": ("Staging", "one entity each"),
    "intermediate": ("Intermediate", "parties joined"),
    "cells": ("Cells", "never leave"),
    "protected": ("Protected", "small groups hidden"),
    "insight": ("Insight", "on the shelf"),
}

# Pixels. Labels are monospaced, so a text's width is known without a browser.
_CHARACTER = 6.65
_SMALL_CHARACTER = 5.9
_LINE = 14
_ROW = 18
_WRAP = 13
_LEFT, _RIGHT = 26, 7
_LEAST_WIDTH = 90
_LAYER_GAP = 26  # and up to 60 more where curves climb steeply
_TOP = 64
_MARGIN = 12
_KIND_OFFSET = 5  # solid and dashed between the same two boxes run side by side


@dataclass(frozen=True)
class Row:
    """A column inside a box. `y` is the middle of its line."""

    key: str
    name: str
    type: str
    y: float
    masked: bool


@dataclass(frozen=True)
class Box:
    """A table. `lines` is its wrapped label; `parties` are those whose data it holds."""

    key: str
    table: Table
    parties: tuple[str, ...]
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    head: float
    rows: tuple[Row, ...]
    masked: int


@dataclass(frozen=True)
class Curve:
    """An edge between two boxes or rows. `kind`: DIRECT, INDIRECT, or UNKNOWN when no column is reported."""

    path: str
    kind: str
    source: str
    target: str
    title: str


@dataclass(frozen=True)
class Band:
    """The pane behind one layer."""

    title: str
    hint: str
    x: float
    width: float


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]


@dataclass(kw_only=True)
class _Item(Placed):
    """A table on its way to becoming a box."""

    table: Table
    lines: tuple[str, ...]
    shows_rows: bool


def draw(
    graph: LineageGraph,
    parties: Mapping[str, tuple[str, ...]],
    order: Sequence[str],
    expanded: Collection[str],
) -> Drawing:
    """Lay out `graph`.

    Args:
        graph: the part to draw.
        parties: table id → participants whose data it holds.
        order: participants in the order of the charter; the first layer keeps it.
        expanded: table ids that show their columns.
    """
    rank = {participant: index for index, participant in enumerate(order)}

    def place(table: Table) -> tuple[int, str]:
        return (min((rank.get(each, len(rank)) for each in parties[table.id]), default=len(rank)), table.name)

    layers = [
        [_item(table, table.id in expanded) for table in sorted(tables, key=place)]
        for _, tables in groupby(graph.tables, key=lambda table: LAYERS.index(table.layer))
    ]
    arrange(layers, graph.table_edges)
    return _drawn(layers, graph, parties)


def label_of(table: Table) -> str:
    """The name without what its layer says already."""
    name = table.name.partition(".")[2]
    for prefix in ("stg_", "int_", "cells_"):
        name = name.removeprefix(prefix)
    return name


def wrapped(label: str) -> tuple[str, ...]:
    """A label in lines of about 13 characters, broken after underscores only."""
    lines = [""]
    for word in label.replace("_", "_\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(word.rstrip("_")) > _WRAP:
            lines.append("")
        lines[-1] += word
    return tuple(lines)


def _item(table: Table, shows_rows: bool) -> _Item:
    lines = wrapped(label_of(table))
    height = _head(lines) + (len(table.columns) * _ROW + 6 if shows_rows else 0)
    return _Item(id=table.id, height=height, table=table, lines=lines, shows_rows=shows_rows)


def _head(lines: Sequence[str]) -> float:
    return 28 + _LINE * len(lines)


def _drawn(
    layers: Sequence[Sequence[_Item]], graph: LineageGraph, parties: Mapping[str, tuple[str, ...]]
) -> Drawing:
    masked = _masked(graph)
    keys = {table.id: f"t{index}" for index, table in enumerate(graph.tables)}
    bands: list[Band] = []
    boxes: dict[str, Box] = {}
    x = float(_MARGIN)
    for layer in layers:
        width = _width(layer)
        title, hint = LAYER_TITLES[layer[0].table.layer]
        bands.append(Band(title, hint, x, width))
        for placed in layer:
            table, top, head = placed.table, placed.y + _TOP, _head(placed.lines)
            rows = tuple(
                Row(
                    f"{keys[table.id]}.{index}",
                    each.name,
                    each.type,
                    top + head + _ROW * (index + 0.5),
                    (table.id, each.name) in masked,
                )
                for index, each in enumerate(table.columns)
                if placed.shows_rows
            )
            boxes[table.id] = Box(
                keys[table.id],
                table,
                parties[table.id],
                placed.lines,
                x,
                top,
                width,
                placed.height,
                head,
                rows,
                sum((table.id, each.name) in masked for each in table.columns),
            )
        x += width + _gap(layer, graph.table_edges, layers)
    bottom = max((box.y + box.height for box in boxes.values()), default=_TOP)
    right = max((band.x + band.width for band in bands), default=0.0) + _MARGIN
    curves = tuple(_curves(graph, boxes))
    return Drawing(right, bottom + _MARGIN + 6, tuple(bands), tuple(boxes.values()), curves)


def _gap(layer: Sequence[_Item], links: Links, layers: Sequence[Sequence[_Item]]) -> float:
    """The space right of a layer: wider where its links climb, so that curves stay apart."""
    middle = {placed.id: placed.middle for each in layers for placed in each}
    here = {placed.id for placed in layer}
    climbs = [
        abs(middle[target] - middle[source])
        for source, target in links
        if source in here and target in middle
    ]
    return _LAYER_GAP + min(60.0, 0.3 * fmean(climbs or [0.0]))


def _width(layer: Sequence[_Item]) -> float:
    labels = max(len(line) for placed in layer for line in placed.lines) * _CHARACTER
    names = max(
        (len(each.name) for placed in layer if placed.shows_rows for each in placed.table.columns), default=0
    )
    # A row leaves room for the mark of a masked value.
    return max(_LEAST_WIDTH, labels + _LEFT + _RIGHT, names * _SMALL_CHARACTER + 34)


def _masked(graph: LineageGraph) -> frozenset[tuple[str, str]]:
    """The columns whose values arrive masked by every way they come."""
    ways: dict[tuple[str, str], list[bool]] = {}
    for edge in graph.edges:
        if edge.kind == "DIRECT" and edge.to_column is not None:
            ways.setdefault((edge.to_table, edge.to_column), []).append(edge.masking)
    return frozenset(place for place, masking in ways.items() if all(masking))


def _curves(graph: LineageGraph, boxes: Mapping[str, Box]) -> list[Curve]:
    """One curve for each pair of ends and kind; the dashed ones first, so that values lie on top."""
    between: Counter[tuple[str, str | None, str, str | None, str]] = Counter()
    rows = {
        (table_id, row.name): row for table_id, box in boxes.items() for row in box.rows
    }  # only what is drawn
    for edge in graph.edges:
        source = edge.from_column if (edge.from_table, edge.from_column) in rows else None
        target = edge.to_column if (edge.to_table, edge.to_column or "") in rows else None
        between[(edge.from_table, source, edge.to_table, target, edge.kind)] += 1
    told = {(edge.from_table, edge.to_table) for edge in graph.edges}
    for source_table, target_table in graph.table_edges:
        if (source_table, target_table) not in told:
            between[(source_table, None, target_table, None, "UNKNOWN")] += 1
    curves = []
    for (source_table, source, target_table, target, kind), count in sorted(
        between.items(), key=lambda item: (item[0][4] == "DIRECT", str(item[0]))
    ):
        start, end = boxes[source_table], boxes[target_table]
        shift = 0.0 if source or target else _KIND_OFFSET * (-0.5 if kind == "DIRECT" else 0.5)
        y1 = rows[(source_table, source)].y if source else start.y + start.head / 2 + shift
        y2 = rows[(target_table, target)].y if target else end.y + end.head / 2 + shift
        curves.append(
            Curve(
                _bezier(start, y1, end, y2),
                kind,
                rows[(source_table, source)].key if source else start.key,
                rows[(target_table, target)].key if target else end.key,
                _title(start.table, source, end.table, target, kind, count),
            )
        )
    return curves


def _bezier(start: Box, y1: float, end: Box, y2: float) -> str:
    x1 = start.x + start.width
    if end.x <= start.x:  # within a layer: out and back on the right
        x2, bulge = end.x + end.width, _LAYER_GAP * 0.8
        return f"M{x1:.1f},{y1:.1f} C{x1 + bulge:.1f},{y1:.1f} {x2 + bulge:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    reach = max(_LAYER_GAP * 0.55, min((end.x - x1) / 2, 90))
    return f"M{x1:.1f},{y1:.1f} C{x1 + reach:.1f},{y1:.1f} {end.x - reach:.1f},{y2:.1f} {end.x:.1f},{y2:.1f}"


def _title(start: Table, source: str | None, end: Table, target: str | None, kind: str, count: int) -> str:
    left = f"{start.name}.{source}" if source else start.name
    right = f"{end.name}.{target}" if target else end.name
    if kind == "UNKNOWN":
        return f"{left} is read for {right}; which columns is not reported"
    columns = "1 column" if count == 1 else f"{count} columns"
    how = f"{columns} by value" if kind == "DIRECT" else f"{columns} by influence on rows or groups"
    return f"{left} → {right}: {how}"
