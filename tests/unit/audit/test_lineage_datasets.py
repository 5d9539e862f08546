"""Names, techniques and row counts that lineage may speak of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.audit import lineage_datasets as ld
from orchestration.charter import fields as charter_fields
from tests.unit.audit.lineage_house import FIELDS, Field, Technique

NAMESPACE = ld.room_namespace("grocery")


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("/srv/glasshouse/room.duckdb", "cells.x"),
        ("glasshouse://grocery", "cells.x"),
        ("glasshouse://grocery/room/../vault", "cells.x"),
        (NAMESPACE, "/srv/vault/transactions.parquet"),
        (NAMESPACE, "cells"),
        (NAMESPACE, "kitchen.x"),
        (NAMESPACE, "cells.select * from x"),
        (NAMESPACE, "cells.x\n"),
    ],
)
def test_a_dataset_cannot_be_named_after_a_path_or_a_query(namespace: str, name: str) -> None:
    with pytest.raises(ValueError, match="lineage"):
        ld.Dataset(namespace, name)


def test_cells_have_no_row_count() -> None:
    with pytest.raises(ValueError, match="before output control"):
        ld.Dataset(NAMESPACE, "cells.audience_overlap", rows=1_000)


@given(st.integers(0, 1_000), st.integers(2, 1_000))
def test_a_published_row_count_is_never_below_the_threshold(rows: int, threshold: int) -> None:
    shown = ld.published_rows(rows, threshold)
    assert shown == (rows if rows >= threshold else None)


@pytest.mark.parametrize(
    ("technique", "expected"),
    [
        ("pass", ("DIRECT", "IDENTITY", False)),
        ("clamp", ("DIRECT", "TRANSFORMATION", False)),
        ("generalize", ("DIRECT", "TRANSFORMATION", True)),
        ("pseudonymize", ("DIRECT", "TRANSFORMATION", True)),
    ],
)
def test_each_technique_says_whether_it_masks(technique: str, expected: tuple[str, str, bool]) -> None:
    (edge,) = ld.deidentified_edges("products", [Field("Source Name", "attribute", Technique(technique))])
    assert (edge.output, edge.source_table, edge.source_column) == (
        "attribute",
        "contribution.products",
        "Source Name",
    )
    assert (edge.kind, edge.subtype, edge.masking) == expected


def test_every_technique_of_the_charter_is_known_to_lineage() -> None:
    kinds = {
        kind.model_fields["kind"].default
        for kind in vars(charter_fields).values()
        if isinstance(kind, type) and issubclass(kind, charter_fields.Clause) and "kind" in kind.model_fields
    }
    assert {"pass", "drop", "pseudonymize"} <= kinds
    for kind in kinds:
        ld.deidentified_edges("products", [Field("a", "b", Technique(kind))])


def test_an_unknown_technique_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        ld.deidentified_edges("products", [Field("a", "b", Technique("encrypt"))])


def test_a_dropped_field_leads_nowhere() -> None:
    assert "card_number" not in {edge.source_column for edge in ld.deidentified_edges("transactions", FIELDS)}


def test_requests_of_one_template_are_one_dataset() -> None:
    assert ld.relation_name("cells", "campaign_response__r_42") == "cells.campaign_response"
    assert ld.relation_name("intermediate", "int_units__joined") == "intermediate.int_units__joined"


def test_what_is_hidden_depends_on_every_contributor_count() -> None:
    edges = ld.protected_edges(
        "cells.x", ["group"], {"mailed": "mailed_units", "redeemed": "redeemed_units"}, ["status"]
    )
    deciding = {(e.output, e.source_column) for e in edges if e.kind == "INDIRECT"}
    assert deciding == {
        (output, unit)
        for output in ("mailed", "redeemed", "status")
        for unit in ("mailed_units", "redeemed_units")
    }
    assert {e.output: e.masking for e in edges if e.kind == "DIRECT"} == {
        "group": False,
        "mailed": True,
        "redeemed": True,
    }
