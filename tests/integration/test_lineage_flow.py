"""The lineage of a whole run on real data: valid events, a run per attempt, a way back for every column."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from orchestration.audit import forward
from orchestration.audit.lineage_graph import LineageGraph, build_graph
from orchestration.output.protect import ProtectedTable
from orchestration.settings import PROJECT_ROOT
from tests.integration.conftest import QUESTIONS, RealHouse

SPEC = PROJECT_ROOT.parent / "shared" / "openlineage-spec"
FACETS = PROJECT_ROOT / "orchestration" / "audit" / "facets"
Event = dict[str, Any]


@pytest.fixture(scope="module")
def events(real_house: RealHouse) -> list[Event]:
    house = real_house.open()
    try:
        return house.log.lineage()
    finally:
        house.log.close()


@pytest.fixture(scope="module")
def graph(events: list[Event]) -> LineageGraph:
    return build_graph(events, "grocery")


def facets_of(event: Event) -> Iterator[dict[str, Any]]:
    yield from event["run"]["facets"].values()
    yield from event["job"]["facets"].values()
    for dataset in (*event["inputs"], *event["outputs"]):
        for place in ("facets", "inputFacets", "outputFacets"):
            yield from dataset.get(place, {}).values()


def test_every_event_and_facet_is_valid_by_its_schema(events: list[Event]) -> None:
    if not SPEC.is_dir():
        pytest.skip("the OpenLineage schemas are not beside this checkout")
    files = [SPEC / "OpenLineage.json", *SPEC.glob("facets/*.json"), *FACETS.glob("*.json")]
    schemas = [json.loads(file.read_text("utf-8")) for file in files]
    registry: Registry[Any] = Registry().with_resources(
        [(each["$id"], Resource.from_contents(each)) for each in schemas]
    )
    validators: dict[str, Draft202012Validator] = {}

    def check(value: dict[str, Any], schema: str) -> None:
        if schema not in validators:
            validators[schema] = Draft202012Validator(
                {"$ref": schema}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
            )
        validators[schema].validate(value)

    for event in events:
        check(event, event["schemaURL"])
        for facet in facets_of(event):
            check(facet, facet["_schemaURL"])
    assert any("GovernanceRunFacet" in schema for schema in validators)


def test_every_attempt_is_a_run_of_its_own_that_starts_and_ends_once(events: list[Event]) -> None:
    runs: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        runs[event["run"]["runId"]].append(event)
    for run_id, found in runs.items():
        assert UUID(run_id).version == 7
        assert [event["eventType"] for event in found] == ["START", "COMPLETE"]
        assert len({(event["job"]["namespace"], event["job"]["name"]) for event in found}) == 1
        assert found[0]["eventTime"] <= found[1]["eventTime"]


def test_every_stage_of_every_thing_is_there(events: list[Event], real_house: RealHouse) -> None:
    jobs = {event["job"]["name"] for event in events}
    datasets = [d.id for d in real_house.charter.datasets if d.id != "promotions"]
    expected = {f"{stage}.{name}" for stage in ("contribution", "deidentified", "gate") for name in datasets}
    expected |= {f"{stage}.{name}" for stage in ("cells", "protected", "insight") for name in QUESTIONS}
    expected |= {"room.refresh"}
    assert expected <= jobs
    # What is left are the models inside the refresh and the computations.
    assert {job.split(".")[0] for job in jobs - expected} <= {"staging", "intermediate", "cells"}


def test_models_name_the_stage_they_ran_in(events: list[Event]) -> None:
    runs = {event["run"]["runId"]: event["job"]["name"] for event in events}
    models = [event for event in events if event["job"]["name"].startswith(("staging.", "intermediate."))]
    assert models
    for event in models:
        parent = event["run"]["facets"]["parent"]
        assert runs[parent["run"]["runId"]] == parent["job"]["name"] == "room.refresh"


def test_every_run_says_under_which_charter_and_on_which_receipts(
    events: list[Event], real_house: RealHouse
) -> None:
    house = real_house.open()
    known = {logged.receipt_id for logged in house.log.events()}
    house.log.close()
    for event in events:
        facet = event["run"]["facets"]["glasshouse_governance"]
        assert facet["charterDigest"] == real_house.charter.digest
        assert set(facet["receipts"]) <= known
        if event["eventType"] == "COMPLETE" and facet["stage"] not in ("contribution", "room"):
            assert facet["receipts"], event["job"]["name"]
        if facet["stage"] in ("cells", "protected", "insight"):
            assert facet["purpose"]


def test_gates_report_their_assertions(events: list[Event]) -> None:
    gates = [e for e in events if e["job"]["name"].startswith("gate.") and e["eventType"] == "COMPLETE"]
    assert len(gates) == 7
    for event in gates:
        assertions = event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
        assert len(assertions) >= 3
        assert all(isinstance(each["success"], bool) for each in assertions)


def test_row_counts_are_published_down_to_the_threshold_only(events: list[Event]) -> None:
    counts = [
        dataset["outputFacets"]["outputStatistics"]["rowCount"]
        for event in events
        for dataset in event["outputs"]
        if "outputStatistics" in dataset.get("outputFacets", {})
    ]
    assert 1_469_307 in counts
    assert min(counts) >= 10
    cells = [d for e in events for d in e["outputs"] if d["name"].startswith("cells.")]
    assert cells
    assert not any("outputStatistics" in d.get("outputFacets", {}) for d in cells)


@pytest.mark.parametrize("template", QUESTIONS)
def test_every_column_of_an_insight_reaches_a_contribution(
    graph: LineageGraph, real_house: RealHouse, template: str
) -> None:
    insight = next(table for table in graph.tables if table.name == f"insight.{template}")
    path = real_house.settings.root / "shelf" / real_house.releases[template] / "table.json"
    released = ProtectedTable.from_json(json.loads(path.read_bytes()))
    columns = {each.name for each in (*released.dimensions, *released.measures)} | {"status", "reason"}
    assert {column.name for column in insight.columns} == columns
    for column in insight.columns:
        above = graph.upstream(insight.id, column.name)
        origins = {
            (graph.table(table).name, name)
            for table, name in above
            if graph.table(table).layer == "contribution"
        }
        assert origins, f"{column.name} comes from nowhere"


@pytest.mark.parametrize(
    ("template", "column", "origins"),
    [
        ("joint_segmentation", "row_value", {("contribution.demographics", "age")}),
        ("joint_segmentation", "column_value", {("contribution.demographics", "income")}),
        ("joint_segmentation", "amount", {("contribution.transactions", "sales_value")}),
        ("campaign_response", "campaign_group", {("contribution.campaign_descriptions", "campaign_type")}),
        ("campaign_response", "redeemed", {("contribution.coupon_redemptions", "household_id")}),
        ("audience_overlap", "in_right", {("contribution.campaigns", "household_id")}),
    ],
)
def test_a_figure_comes_from_where_one_would_say(
    graph: LineageGraph, template: str, column: str, origins: set[tuple[str, str]]
) -> None:
    insight = next(table for table in graph.tables if table.name == f"insight.{template}")
    above = {(graph.table(table).name, name) for table, name in graph.upstream(insight.id, column)}
    assert origins <= above


def test_nothing_hangs_loose(graph: LineageGraph) -> None:
    """Every table but a contribution was made of something, and every contribution was used."""
    made = {target for _, target in graph.table_edges}
    used = {source for source, _ in graph.table_edges}
    loose = {table.name for table in graph.tables if table.layer != "contribution" and table.id not in made}
    empty = ("placement", "consent", "session", "subscription", "opportunity", "signal", "aggregate")
    assert loose == {f"admitted.{entity}" for entity in empty}  # views of what nobody gave here
    assert {table.name for table in graph.tables if table.layer == "contribution"} == {
        graph.table(source).name for source in used if graph.table(source).layer == "contribution"
    }


def test_identifiers_are_masked_on_their_way_in(graph: LineageGraph) -> None:
    edges = [
        edge
        for edge in graph.edges
        if edge.from_column in ("household_id", "basket_id") and edge.to_column in ("unit", "basket")
    ]
    assert len(edges) >= 4
    assert all(edge.masking for edge in edges)


def test_the_forwarded_file_is_the_stored_lineage(events: list[Event], real_house: RealHouse) -> None:
    house = real_house.open()
    forward.forward(house.log, real_house.settings)
    house.log.close()
    written = forward.lineage_file(real_house.settings).read_text("utf-8").splitlines()
    assert [json.loads(line) for line in written] == events
