"""OpenLineage events of the stages: valid by the public schemas, complete, and free of values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from orchestration.audit.lineage import (
    GOVERNANCE_SCHEMA,
    completed,
    failed,
    new_run_id,
    parent_run_id,
    started,
)
from orchestration.audit.lineage_datasets import ColumnEdge
from orchestration.settings import PROJECT_ROOT
from tests.unit.audit.lineage_house import (
    CELLS_SQL,
    CHARTER,
    PARENT,
    RECEIPT,
    STAGING_SQL,
    datasets,
    house_events,
    run,
)

SPEC = PROJECT_ROOT.parent / "shared" / "openlineage-spec"
FACET = PROJECT_ROOT / "orchestration" / "audit" / "facets" / "GovernanceRunFacet.json"


def facet_schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FACET.read_text("utf-8"))
    return found


def facets_of(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every facet of an event, wherever it hangs."""
    yield from event["run"]["facets"].values()
    yield from event["job"]["facets"].values()
    for dataset in (*event["inputs"], *event["outputs"]):
        for place in ("facets", "inputFacets", "outputFacets"):
            yield from dataset.get(place, {}).values()


def failure() -> dict[str, Any]:
    return failed(run("gate", "transactions"), [datasets()["deidentified"]], "gate.failed", "A check failed.")


@pytest.fixture(scope="module")
def registry() -> Registry[Any]:
    if not SPEC.is_dir():
        pytest.skip("the OpenLineage schemas are not beside this checkout")
    files = [SPEC / "OpenLineage.json", *sorted((SPEC / "facets").glob("*.json")), FACET]
    schemas = [json.loads(file.read_text("utf-8")) for file in files]
    return Registry().with_resources([(each["$id"], Resource.from_contents(each)) for each in schemas])


def check(value: dict[str, Any], schema_url: str, registry: Registry[Any]) -> None:
    validator = Draft202012Validator(
        {"$ref": schema_url}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(value)


def test_every_event_and_every_facet_is_valid_by_the_schema_it_names(registry: Registry[Any]) -> None:
    events = [*house_events(), failure()]
    facets = [facet for event in events for facet in facets_of(event)]
    for event in events:
        check(event, event["schemaURL"], registry)
    for facet in facets:
        check(facet, facet["_schemaURL"], registry)
    kinds = {facet["_schemaURL"].rpartition("/")[2] for facet in facets}
    assert kinds == {
        "GovernanceRunFacet",
        "ParentRunFacet",
        "JobTypeJobFacet",
        "SchemaDatasetFacet",
        "ColumnLineageDatasetFacet",
        "DataQualityAssertionsDatasetFacet",
        "OutputStatisticsOutputDatasetFacet",
        "ErrorMessageRunFacet",
    }


def test_the_validation_can_fail(registry: Registry[Any]) -> None:
    event = failure()
    del event["run"]["runId"]
    with pytest.raises(ValidationError):
        check(event, event["schemaURL"], registry)


@pytest.mark.parametrize(
    "change",
    [{"charterDigest": "sha256:1"}, {"stage": "kitchen"}, {"receipts": ["short"]}, {"purpose": "Free text"}],
    ids=lambda change: next(iter(change)),
)
def test_our_facet_schema_accepts_ours_and_refuses_others(change: dict[str, Any]) -> None:
    own = {"$schema": facet_schema()["$schema"]} | facet_schema()["$defs"]["GovernanceRunFacet"]["allOf"][1]
    facet = failure()["run"]["facets"]["glasshouse_governance"]
    Draft202012Validator(own).validate(facet)
    with pytest.raises(ValidationError):
        Draft202012Validator(own).validate(facet | change)


def test_the_facet_names_the_schema_in_this_repository() -> None:
    assert facet_schema()["$id"] == GOVERNANCE_SCHEMA
    assert GOVERNANCE_SCHEMA.endswith(FACET.relative_to(PROJECT_ROOT).as_posix())


def test_every_run_starts_once_ends_once_and_says_under_what_it_ran() -> None:
    events = house_events()
    by_run: dict[str, list[str]] = {}
    for event in events:
        by_run.setdefault(event["run"]["runId"], []).append(event["eventType"])
        governance = event["run"]["facets"]["glasshouse_governance"]
        assert governance["charterDigest"] == CHARTER
        assert governance["receipts"] == [RECEIPT]
        assert governance["purpose"] == "customer_insight"
        assert event["job"]["name"].startswith(governance["stage"] + ".")
        assert event["run"]["facets"]["parent"]["run"]["runId"] == PARENT.run_id
    assert list(by_run.values()) == [["START", "COMPLETE"]] * (len(events) // 2)


def test_run_ids_are_version_7_and_an_attempt_never_shares_one() -> None:
    ids = {new_run_id() for _ in range(100)}
    assert len(ids) == 100
    assert {UUID(each).version for each in ids} == {7}


def test_all_stages_of_an_orchestrators_run_find_the_same_parent() -> None:
    created = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    one = parent_run_id("4b1c…", created)
    assert UUID(one).version == 7
    assert one == parent_run_id("4b1c…", created)
    assert one != parent_run_id("5c2d…", created)


def test_a_stage_that_makes_several_tables_reports_each_as_its_child() -> None:
    stage = run("room", "grocery")
    child = stage.child("room.int_units__joined")
    event = started(child, [])
    assert child.run_id != stage.run_id
    assert event["run"]["facets"]["parent"]["run"]["runId"] == stage.run_id
    assert event["run"]["facets"]["parent"]["job"]["name"] == stage.job_name


def test_a_gate_reports_its_checks_by_name_and_nothing_they_found() -> None:
    gate = next(
        e for e in house_events() if e["job"]["name"] == "gate.transactions" and e["eventType"] == "COMPLETE"
    )
    assertions = gate["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert assertions == [
        {
            "assertion": "not_null",
            "success": True,
            "column": "unit",
            "severity": "error",
            "name": "transactions.r1",
        },
        {"assertion": "row_count", "success": False, "severity": "error", "name": "transactions.r2"},
    ]


def test_a_failure_carries_the_public_message_only() -> None:
    error = failure()["run"]["facets"]["errorMessage"]
    assert error["message"] == "gate.failed: A check failed."
    assert "stackTrace" not in error


def test_column_lineage_says_how_each_column_came_about() -> None:
    event = next(
        e for e in house_events() if e["job"]["name"].startswith("deid") and e["eventType"] == "COMPLETE"
    )
    lineage = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert lineage["unit"]["inputFields"] == [
        {
            "namespace": "glasshouse://grocery/retailer",
            "name": "contribution.transactions",
            "field": "household_id",
            "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}],
        }
    ]
    assert "card" not in lineage


def test_influence_on_all_rows_stands_on_the_dataset() -> None:
    event = next(
        e for e in house_events() if e["job"]["name"].startswith("cells") and e["eventType"] == "COMPLETE"
    )
    influence = event["outputs"][0]["facets"]["columnLineage"]["dataset"]
    found = {(each["field"], how["subtype"]) for each in influence for how in each["transformations"]}
    assert found == {("amount", "FILTER"), ("store", "GROUP_BY")}


@pytest.mark.parametrize(
    "edge",
    [
        ColumnEdge("store", "cells.elsewhere", "store", "DIRECT", "IDENTITY"),
        ColumnEdge("store", "cells.store_sales", "nowhere", "DIRECT", "IDENTITY"),
        ColumnEdge("nowhere", "cells.store_sales", "store", "DIRECT", "IDENTITY"),
    ],
)
def test_an_edge_that_ends_in_the_air_is_refused(edge: ColumnEdge) -> None:
    tables = datasets()
    output = replace(tables["protected"], edges=(edge,))
    with pytest.raises(ValueError, match="lineage edge"):
        completed(run("protected", "store_sales"), [tables["cells"]], [output])


def test_row_counts_are_given_for_the_room_and_withheld_where_they_would_disclose() -> None:
    rows = {
        dataset["name"]: dataset.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
        for event in house_events()
        for dataset in event["outputs"]
    }
    assert rows["contribution.transactions"] == 100
    assert rows["protected.store_sales"] == 12
    assert rows["insight.store_sales"] is None, "3 is below the threshold of 10"
    assert rows["cells.store_sales"] is None, "cells were not yet protected"


def test_no_event_holds_sql_a_path_or_an_address_of_this_machine() -> None:
    text = json.dumps([*house_events(), failure()])
    for sql in (STAGING_SQL, CELLS_SQL):
        assert sql.strip()[:30] not in text
    assert not re.search(r"\bselect\b", text, re.IGNORECASE)
    assert not re.search(r'"(/|file:|[A-Z]:\\)', text)
    for path in (Path.home(), PROJECT_ROOT, Path.cwd()):
        assert str(path) not in text
