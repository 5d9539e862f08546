"""A small house's lineage, end to end: one event per stage, as the stages would build them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.audit import lineage_datasets as ld
from orchestration.audit.column_lineage import trace
from orchestration.audit.lineage import LineageEvent, ParentRun, StageRun, completed, new_run_id, started
from orchestration.audit.lineage_datasets import Assertion, Column, Dataset

COLLABORATION = "grocery"
CHARTER = "sha256:" + "c" * 64
RECEIPT = "a" * 64
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
PARENT = ParentRun(new_run_id(), "intake")

STAGING_SQL = "select unit, store, amount from room.admitted.transaction"
CELLS_SQL = """
with spend as (select unit, store, amount from room.staging.stg_transaction where amount > 0)
select store, count(*) as lines, count(distinct unit) as units, sum(amount) as amount from spend group by all
"""


@dataclass(frozen=True)
class Technique:
    kind: str


@dataclass(frozen=True)
class Field:
    name: str
    attribute: str
    technique: Technique


FIELDS = (
    Field("household_id", "unit", Technique("pseudonymize")),
    Field("store_id", "store", Technique("pass")),
    Field("sales_value", "amount", Technique("clamp")),
    Field("card_number", "card", Technique("drop")),
)
ATTRIBUTES = ("unit", "store", "amount")
MEASURES = {"lines": "units", "units": "units", "amount": "units"}
SCHEMAS = {
    "admitted.transaction": dict.fromkeys(ATTRIBUTES, "VARCHAR"),
    "staging.stg_transaction": dict.fromkeys(ATTRIBUTES, "VARCHAR"),
}


def columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "VARCHAR", f"The {name}.") for name in names)


def run(stage: str, thing: str) -> StageRun:
    return StageRun(
        new_run_id(), stage, f"{stage}.{thing}", COLLABORATION, CHARTER, "customer_insight", PARENT
    )


def datasets() -> dict[str, Dataset]:
    """Every table of the house by layer, with the edges that lead into it."""
    owner = ld.participant_namespace(COLLABORATION, "retailer")
    room, shelf = ld.room_namespace(COLLABORATION), ld.shelf_namespace(COLLABORATION)
    published = (*MEASURES, "store", "status")
    return {
        "contribution": Dataset(
            owner, "contribution.transactions", columns(*(f.name for f in FIELDS)), rows=100
        ),
        "deidentified": Dataset(
            room,
            "deidentified.transactions",
            columns(*ATTRIBUTES),
            ld.deidentified_edges("transactions", FIELDS),
            rows=98,
        ),
        "admitted": Dataset(
            room,
            "admitted.transaction",
            columns(*ATTRIBUTES),
            ld.admitted_edges({"deidentified.transactions": ATTRIBUTES}),
        ),
        "staging": Dataset(
            room, "staging.stg_transaction", columns(*ATTRIBUTES), trace(STAGING_SQL, SCHEMAS), rows=98
        ),
        "cells": Dataset(room, "cells.store_sales", columns(*MEASURES, "store"), trace(CELLS_SQL, SCHEMAS)),
        "protected": Dataset(
            shelf,
            "protected.store_sales",
            columns(*published),
            ld.protected_edges("cells.store_sales", ["store"], MEASURES, ["status"]),
            rows=ld.published_rows(12, 10),
        ),
        "insight": Dataset(
            shelf,
            "insight.store_sales",
            columns(*published),
            ld.identity_edges("protected.store_sales", published),
            rows=ld.published_rows(3, 10),
        ),
    }


def house_events() -> list[LineageEvent]:
    """START and COMPLETE of every stage, oldest first, one second apart."""
    at = (START + timedelta(seconds=second) for second in range(10_000))
    tables = datasets()
    return [event for stage in _stages(tables, at) for event in stage]


def _stages(tables: dict[str, Dataset], at: Iterator[datetime]) -> Iterator[list[LineageEvent]]:
    checks = (
        Assertion("transactions.r1", "not_null", True, "unit"),
        Assertion("transactions.r2", "row_count", False),
    )
    judged = Dataset(**{**vars(tables["deidentified"]), "edges": (), "rows": None, "assertions": checks})
    for stage, inputs, outputs in (
        ("contribution", [], [tables["contribution"]]),
        ("deidentified", [tables["contribution"]], [tables["deidentified"]]),
        ("gate", [judged], []),
        ("room", [tables["deidentified"]], [tables["admitted"]]),
        ("room", [tables["admitted"]], [tables["staging"]]),
        ("cells", [tables["staging"]], [tables["cells"]]),
        ("protected", [tables["cells"]], [tables["protected"]]),
        ("insight", [tables["protected"]], [tables["insight"]]),
    ):
        attempt = run(stage, outputs[0].name.partition(".")[2] if outputs else "transactions")
        yield [
            started(attempt, inputs, [RECEIPT], at=next(at)),
            completed(attempt, inputs, outputs, [RECEIPT], at=next(at)),
        ]
