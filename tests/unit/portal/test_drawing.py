"""Coordinates: nothing overlaps, everything is on the page, every fact is a curve."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.audit.lineage_datasets import LAYERS, Column
from orchestration.audit.lineage_graph import GraphEdge, LineageGraph, Table, build_graph
from orchestration.house import House
from orchestration.portal.drawing import Drawing, draw, label_of, wrapped
from orchestration.portal.layout import BOX_GAP, Placed, arrange


def table(layer: int, number: int, columns: int = 2) -> Table:
    name = f"{LAYERS[layer]}.t{number}"
    return Table(
        name, name, LAYERS[layer], "room", tuple(Column(f"c{each}", "VARCHAR") for each in range(columns))
    )


@st.composite
def graphs(draw_from: st.DrawFn) -> LineageGraph:
    sizes = draw_from(st.lists(st.integers(0, 6), min_size=8, max_size=8))
    tables = tuple(
        table(layer, number, draw_from(st.integers(0, 5)))
        for layer, size in enumerate(sizes)
        for number in range(size)
    )
    ids = [each.id for each in tables]
    pairs = st.tuples(st.sampled_from(ids), st.sampled_from(ids)) if ids else st.nothing()
    links = draw_from(st.lists(pairs, max_size=30, unique=True)) if ids else []
    return LineageGraph(tables, (), tuple(links))


def drawn(graph: LineageGraph, *, columns: bool) -> Drawing:
    expanded = {each.id for each in graph.tables} if columns else set()
    return draw(graph, {each.id: () for each in graph.tables}, [], expanded)


@given(graphs(), st.booleans())
def test_no_box_lies_on_another_and_all_are_on_the_page(graph: LineageGraph, columns: bool) -> None:
    drawing = drawn(graph, columns=columns)
    assert len(drawing.boxes) == len(graph.tables)
    by_layer: dict[float, list[tuple[float, float]]] = {}
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
        by_layer.setdefault(box.x, []).append((box.y, box.y + box.height))
        assert all(box.y < row.y < box.y + box.height for row in box.rows)
    for spans in by_layer.values():
        assert all(second[0] - first[1] >= BOX_GAP - 0.01 for first, second in pairwise(sorted(spans)))


@given(graphs())
def test_layers_follow_each_other_from_left_to_right(graph: LineageGraph) -> None:
    drawing = drawn(graph, columns=False)
    ordered = sorted(drawing.boxes, key=lambda box: box.x)
    order = [LAYERS.index(box.table.layer) for box in ordered]
    assert order == sorted(order)
    assert all(left.x + left.width < right.x for left, right in pairwise(drawing.bands))


def test_a_layer_is_ordered_so_that_links_do_not_cross() -> None:
    layers = [[Placed("a", 10), Placed("b", 10)], [Placed("y", 10), Placed("x", 10)]]
    arrange(layers, [("a", "x"), ("b", "y")])
    orders = [[placed.id for placed in layer] for layer in layers]
    assert orders in ([["a", "b"], ["x", "y"]], [["b", "a"], ["y", "x"]])


def test_a_box_between_two_stands_between_them() -> None:
    top, bottom, middle = Placed("a", 20), Placed("b", 20), Placed("m", 20)
    arrange([[top, bottom], [middle]], [("a", "m"), ("b", "m")])
    assert middle.middle == pytest.approx((top.middle + bottom.middle) / 2)


def edges(*found: tuple[str, str | None, str]) -> tuple[GraphEdge, ...]:
    first, second = table(0, 0), table(1, 0)
    return tuple(
        GraphEdge(first.id, source, second.id, target, kind, "JOIN", False)  # type: ignore[arg-type]
        for source, target, kind in found
    )


PAIR = (table(0, 0), table(1, 0))
LINK = ((PAIR[0].id, PAIR[1].id),)


def test_values_and_influence_between_two_tables_are_two_curves_side_by_side() -> None:
    found = edges(("c0", "c0", "DIRECT"), ("c1", "c1", "DIRECT"), ("c0", None, "INDIRECT"))
    drawing = drawn(LineageGraph(PAIR, found, LINK), columns=False)
    assert [curve.kind for curve in drawing.curves] == ["INDIRECT", "DIRECT"]  # values lie on top
    assert len({curve.path for curve in drawing.curves}) == 2
    assert "2 columns by value" in drawing.curves[1].title


def test_between_columns_each_fact_has_its_own_curve_and_rows_end_at_the_head() -> None:
    found = edges(("c0", "c1", "DIRECT"), ("c1", None, "INDIRECT"))
    drawing = drawn(LineageGraph(PAIR, found, LINK), columns=True)
    ends = {(curve.source, curve.target, curve.kind) for curve in drawing.curves}
    assert ends == {("t0.0", "t1.1", "DIRECT"), ("t0.1", "t1", "INDIRECT")}


def test_a_table_read_without_reported_columns_is_said_so() -> None:
    drawing = drawn(LineageGraph(PAIR, (), LINK), columns=True)
    assert [(curve.source, curve.target, curve.kind) for curve in drawing.curves] == [("t0", "t1", "UNKNOWN")]
    assert "not reported" in drawing.curves[0].title


def test_a_column_is_marked_masked_only_when_no_way_shows_its_value() -> None:
    first, second = PAIR
    masked = GraphEdge(first.id, "c0", second.id, "c0", "DIRECT", "TRANSFORMATION", True)
    bare = GraphEdge(first.id, "c1", second.id, "c0", "DIRECT", "IDENTITY", False)
    for found, expected in (((masked,), 1), ((masked, bare), 0), ((bare,), 0)):
        box = drawn(LineageGraph(PAIR, found, LINK), columns=True).boxes[1]
        assert (box.masked, box.rows[0].masked) == (expected, bool(expected))


def test_every_edge_of_a_real_house_is_drawn(house: House) -> None:
    graph = build_graph(house.log.lineage(), "grocery")
    drawing = drawn(graph, columns=True)
    places = {box.key: box.table.id for box in drawing.boxes}
    curves = {
        (places[c.source.split(".")[0]], places[c.target.split(".")[0]], c.kind) for c in drawing.curves
    }
    assert curves == {(edge.from_table, edge.to_table, edge.kind) for edge in graph.edges}


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("product", ("product",)),
        ("campaign_descriptions", ("campaign_", "descriptions")),
        ("units__joined", ("units__joined",)),
        ("a_b_c", ("a_b_c",)),
        ("unbreakablelongname", ("unbreakablelongname",)),
    ],
)
def test_long_names_break_after_underscores(label: str, lines: tuple[str, ...]) -> None:
    assert wrapped(label) == lines
    assert "".join(wrapped(label)) == label


def test_a_label_leaves_out_what_its_layer_says() -> None:
    staged = Table("x", "staging.stg_profile", "staging", "room", ())
    assert label_of(staged) == "profile"
