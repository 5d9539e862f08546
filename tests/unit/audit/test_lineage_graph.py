"""The graph people look at: built from stored events alone, whole from insight back to contribution."""

from __future__ import annotations

from dataclasses import replace

from orchestration.audit.lineage import completed, failed
from orchestration.audit.lineage_datasets import LAYERS, Column, ColumnEdge
from orchestration.audit.lineage_graph import build_graph
from tests.unit.audit.lineage_house import CHARTER, RECEIPT, datasets, house_events, run

CONTRIBUTION = "glasshouse://grocery/retailer/contribution.transactions"
INSIGHT = "glasshouse://grocery/shelf/insight.store_sales"
STAGING = "glasshouse://grocery/room/staging.stg_transaction"


def test_every_column_of_an_insight_reaches_a_column_of_a_contribution() -> None:
    graph = build_graph(house_events())
    insight = graph.table(INSIGHT)
    assert insight.columns
    for column in insight.columns:
        reached = graph.upstream(INSIGHT, column.name)
        assert any(table == CONTRIBUTION for table, _ in reached), column.name


def test_a_dropped_field_reaches_no_insight() -> None:
    graph = build_graph(house_events())
    every = {
        place for column in graph.table(INSIGHT).columns for place in graph.upstream(INSIGHT, column.name)
    }
    assert (CONTRIBUTION, "household_id") in every
    assert (CONTRIBUTION, "card_number") not in every


def test_tables_stand_in_the_order_of_the_layers_and_know_their_owner() -> None:
    graph = build_graph(house_events())
    layers = [LAYERS.index(table.layer) for table in graph.tables]
    assert layers == sorted(layers)
    assert {table.owner for table in graph.tables} == {"retailer", "room", "shelf"}
    assert (CONTRIBUTION, "glasshouse://grocery/room/deidentified.transactions") in graph.table_edges


def test_a_table_knows_the_run_that_made_it() -> None:
    made = build_graph(house_events()).table(STAGING).made
    assert made is not None
    assert (made.charter_digest, made.receipts, made.rows) == (CHARTER, (RECEIPT,), 98)


def test_the_newest_finished_run_wins() -> None:
    tables = datasets()
    admitted = tables["admitted"]
    newer = replace(
        tables["staging"],
        columns=(Column("unit", "VARCHAR"),),
        edges=(ColumnEdge("unit", "admitted.transaction", "unit", "DIRECT", "TRANSFORMATION"),),
    )
    attempt = run("room", "stg_transaction")
    events = [
        *house_events(),
        completed(attempt, [admitted], [newer]),
        failed(run("room", "x"), [admitted], "c", "m"),
    ]
    graph = build_graph(events)
    made = graph.table(STAGING).made
    assert made is not None
    assert made.run_id == attempt.run_id
    assert [(e.to_column, e.subtype) for e in graph.edges if e.to_table == STAGING] == [
        ("unit", "TRANSFORMATION")
    ]


def test_a_column_that_only_an_older_reader_knows_keeps_its_place() -> None:
    tables = datasets()
    newer = replace(tables["staging"], columns=(Column("unit", "VARCHAR"),), edges=())
    graph = build_graph([*house_events(), completed(run("room", "stg"), [tables["admitted"]], [newer])])
    assert {column.name for column in graph.table(STAGING).columns} == {"unit", "store", "amount"}


def test_a_run_that_makes_two_tables_does_not_join_them_by_accident() -> None:
    tables = datasets()
    inputs = [tables["deidentified"], tables["admitted"]]
    event = completed(run("room", "grocery"), inputs, [tables["admitted"], tables["staging"]])
    assert [pair for pair in build_graph([event]).table_edges if pair[1] == STAGING] == [
        ("glasshouse://grocery/room/admitted.transaction", STAGING)
    ]


def test_another_collaboration_is_left_out() -> None:
    assert build_graph(house_events(), "grocery").tables
    assert build_graph(house_events(), "travel").tables == ()


def test_the_table_twin_says_what_the_picture_says() -> None:
    graph = build_graph(house_events())
    rows = graph.as_rows()
    assert len(rows) == len(graph.edges)
    assert {
        "from_layer": "staging",
        "from_owner": "room",
        "from_table": "staging.stg_transaction",
        "from_column": "amount",
        "to_layer": "cells",
        "to_owner": "room",
        "to_table": "cells.store_sales",
        "to_column": "(all rows)",
        "kind": "INDIRECT",
        "subtype": "FILTER",
        "masking": False,
    } in rows


def test_an_empty_log_is_an_empty_graph() -> None:
    assert build_graph([]).as_rows() == []
