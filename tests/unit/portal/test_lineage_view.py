"""The part of the lineage an address asks for."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from orchestration.audit.lineage_graph import LineageGraph, build_graph
from orchestration.errors import ConfigError
from orchestration.house import House
from orchestration.portal import lineage_view
from orchestration.portal.lineage_view import View, cut, read_view

EVERYTHING = View("grocery")
OWNERS = {
    "demographics": "data_provider",
    "transactions": "retailer",
    "products": "retailer",
    "campaigns": "brand_agency",
}
AMOUNT = "insight.joint_segmentation.amount"


@pytest.fixture(scope="module")
def graph(house: House) -> LineageGraph:
    return build_graph(house.log.lineage(), "grocery")


def names(graph: LineageGraph) -> set[str]:
    return {table.name for table in graph.tables}


def test_by_default_everything_is_shown(graph: LineageGraph) -> None:
    assert cut(graph, EVERYTHING).as_rows() == graph.as_rows()
    assert len(graph.tables) == 55


def test_an_insight_shows_only_what_it_is_made_from(graph: LineageGraph) -> None:
    shown = names(cut(graph, EVERYTHING.to(insight="campaign_response")))
    assert {"insight.campaign_response", "contribution.coupon_redemptions"} <= shown
    assert not {"contribution.demographics", "insight.audience_overlap", "contribution.products"} & shown


def test_a_dataset_shows_only_where_it_goes(graph: LineageGraph) -> None:
    shown = names(cut(graph, EVERYTHING.to(dataset="demographics")))
    assert {"contribution.demographics", "staging.stg_profile", "insight.joint_segmentation"} <= shown
    assert not {"contribution.transactions", "insight.campaign_response"} & shown


def test_dataset_and_insight_together_show_the_way_between_them(graph: LineageGraph) -> None:
    view = EVERYTHING.to(dataset="demographics", insight="joint_segmentation")
    layers = [table.layer for table in cut(graph, view).tables]
    assert layers == sorted(set(layers), key=layers.index)  # one table in each layer
    assert len(layers) == 8


def test_a_table_shows_what_leads_to_it_and_what_comes_of_it(graph: LineageGraph) -> None:
    shown = names(cut(graph, EVERYTHING.to(table="staging.stg_profile")))
    assert {"contribution.demographics", "insight.audience_overlap"} <= shown
    assert "staging.stg_transaction" not in shown


def test_the_path_of_a_column_is_all_it_depends_on(graph: LineageGraph) -> None:
    shown = cut(graph, EVERYTHING.to(column=AMOUNT))
    table = next(table for table in graph.tables if table.name == "insight.joint_segmentation")
    expected = {*graph.upstream(table.id, "amount"), (table.id, "amount")}
    assert {(table.id, column.name) for table in shown.tables for column in table.columns} == expected
    assert "sales_value" in {edge.from_column for edge in shown.edges}


def test_downstream_of_a_filter_column_every_column_of_the_table_counts(graph: LineageGraph) -> None:
    shown = cut(graph, EVERYTHING.to(column="intermediate.int_units__joined.shopper"))
    cells = next(table for table in shown.tables if table.name == "cells.joint_segmentation")
    influenced = {edge.to_column for edge in shown.edges if edge.to_table == cells.id}
    assert None in influenced
    assert "insight.joint_segmentation" in names(shown)


def test_values_only_leaves_out_every_influence(graph: LineageGraph) -> None:
    shown = cut(graph, EVERYTHING.to(edges="values"))
    assert {edge.kind for edge in shown.edges} == {"DIRECT"}
    by_value = cut(graph, EVERYTHING.to(edges="values", column=AMOUNT))
    assert len(by_value.edges) < len(cut(graph, EVERYTHING.to(column=AMOUNT)).edges)
    assert all(edge.kind == "DIRECT" for edge in by_value.edges)


def test_the_csv_names_every_fact_of_a_row(graph: LineageGraph) -> None:
    rows = lineage_view.edge_rows(graph)
    assert tuple(rows[0]) == lineage_view.CSV_COLUMNS
    assert rows[0]["from_layer"] == "contribution"
    assert rows[-1]["to_layer"] == "insight"
    assert sorted(map(str, rows)) == sorted(map(str, graph.as_rows()))


def test_whose_data_it_is_stays_known_where_its_contribution_is_not_shown(graph: LineageGraph) -> None:
    hidden = {table.id for table in graph.tables if table.layer == "contribution"}
    seen = LineageGraph(
        tuple(table for table in graph.tables if table.id not in hidden),
        (),
        tuple(link for link in graph.table_edges if link[0] not in hidden),
    )
    found = {
        table.name: parties
        for table in seen.tables
        for parties in [lineage_view.parties(seen, OWNERS)[table.id]]
    }
    assert found["staging.stg_profile"] == ("data_provider",)
    assert set(found["insight.joint_segmentation"]) == {"brand_agency", "data_provider", "retailer"}


def test_data_of_a_party_is_known_in_every_later_table(graph: LineageGraph) -> None:
    found = {table.name: lineage_view.parties(graph, {})[table.id] for table in graph.tables}
    assert found["staging.stg_profile"] == ("data_provider",)
    assert found["insight.campaign_response"] == ("brand_agency",)
    assert set(found["insight.joint_segmentation"]) == {"brand_agency", "data_provider", "retailer"}


@pytest.mark.parametrize(
    "view",
    [
        EVERYTHING,
        View("grocery", "column"),
        View("grocery", edges="values", insight="a b&c"),
        View("x", column=AMOUNT),
    ],
)
def test_an_address_says_its_view_again(view: View) -> None:
    read = read_view(dict(parse_qsl(view.query[1:])), ["grocery", "x"])
    assert read == (view if not view.column else view.to(level="column"))


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        (View("grocery", dataset="nope"), "dataset"),
        (View("grocery", insight="nope"), "insight"),
        (View("grocery", table="nope"), "table"),
        (View("grocery", column="nope"), "table"),
        (View("grocery", column="insight.joint_segmentation.nope"), "column"),
    ],
)
def test_what_is_not_there_is_refused_by_kind_only(graph: LineageGraph, view: View, kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cut(graph, view)
    assert (caught.value.code, caught.value.facts) == ("portal.no_such_lineage", {"kind": kind})


@pytest.mark.parametrize("query", [{"level": "row"}, {"edges": "none"}, {"collaboration": "other"}])
def test_a_choice_nobody_offers_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_view(query, ["grocery"])
    assert caught.value.code == "portal.unknown_choice"
