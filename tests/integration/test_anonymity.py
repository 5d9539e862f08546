"""Floors of anonymity where they bite: in the room of a real house, with its log and gate."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration.audit import receipts
from orchestration.audit.stage_events import AnonymityFigures, DatasetDeidentified, RoomRefreshed, StageFailed
from orchestration.defs.contributions import plotted
from orchestration.errors import ContributionError, DisclosureError, ReceiptError
from orchestration.participants.handovers import table_name
from orchestration.scope.anonymity_figures import numbers
from orchestration.stages import refresh
from tests.integration.conftest import copy_manifest
from tests.support import CALLER, CHARTER, TinyHouse, csv_bytes, household, make_house

FEW_OLD = ["young"] * 97 + ["middle"] * 20 + ["old"] * 3


def people(ages: list[str]) -> bytes:
    incomes = ("low", "high")
    return csv_bytes(
        [{"household_id": household(n), "age": age, "income": incomes[n % 2]} for n, age in enumerate(ages)]
    )


def charter(floor: str = "", joined: str = "") -> str:
    at = CHARTER.index("    fields:\n", CHARTER.index("entity: profile"))
    text = CHARTER[:at] + (f"    anonymity: {floor}\n" if floor else "") + CHARTER[at:]
    return text.replace("\npurposes:\n", f"\njoined_anonymity: {joined}\npurposes:\n", 1) if joined else text


def accepted(tiny: TinyHouse, data: bytes) -> str:
    logged = tiny.accept("people", tiny.deliver("people", data))
    return str(logged.event.payload.receipt.subject)  # type: ignore[attr-defined]


def tables(tiny: TinyHouse) -> set[str]:
    with tiny.house.room("tiny").open() as connection:
        return {
            str(row[0]) for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }


def deidentified(tiny: TinyHouse) -> DatasetDeidentified:
    payload = tiny.payloads("dataset.deidentified")[-1]
    assert isinstance(payload, DatasetDeidentified)
    return payload


# --- stage 2


def test_without_a_floor_figures_are_measured_and_told_in_steps(tmp_path: Path) -> None:
    tiny = make_house(tmp_path)
    tiny.deidentify("people", accepted(tiny, people(FEW_OLD)))
    figures = deidentified(tiny).anonymity
    # 120 households and a threshold of 5: steps of 5 %, and k 3 is told as 2.
    assert figures == AnonymityFigures(
        k=2,
        uniqueness=0.0,
        average_risk=0.05,
        l_distinct={"income": 2},
        l_entropy={"income": 1.8},
        t={"income": 0.2},
    )
    shown = plotted(numbers(figures))
    assert shown["anonymity/k"].value == 2
    assert shown["anonymity/average_risk"].value == 0.05
    tiny.house.log.close()


def test_a_table_about_nobody_has_no_figures(tmp_path: Path) -> None:
    tiny = make_house(tmp_path)
    tiny.contribute("products")
    assert deidentified(tiny).anonymity is None
    tiny.house.log.close()


def test_within_the_budget_small_classes_are_suppressed_and_the_gate_passes(tmp_path: Path) -> None:
    tiny = make_house(tmp_path, charter=charter("{k: 10, suppress: 0.2}"))
    contribution = accepted(tiny, people(FEW_OLD))
    tiny.deidentify("people", contribution)
    with tiny.house.room("tiny").open() as connection:
        found = connection.execute(
            f'SELECT age, count(*), count(income) FROM "{table_name(contribution)}" GROUP BY age ORDER BY age'
        ).fetchall()
    assert found == [("young", 97, 97), (None, 23, 23)]  # the 20 keep the 3 company
    event = deidentified(tiny)
    assert event.rows == 120
    assert event.anonymity is not None
    assert (event.anonymity.k, event.anonymity.suppressed) == (20, 0.2)
    assert tiny.gate("people", contribution).passed
    tiny.house.log.close()


@pytest.mark.parametrize(
    ("floor", "code"),
    [
        ("{k: 10}", "anonymity.floor_missed"),
        ("{k: 10, suppress: 0.1}", "anonymity.budget_exceeded"),
        ("{average_risk: 0.01, suppress: 0.5}", "anonymity.floor_missed"),
        ("{sensitive: [{attribute: income, t: 0.1}]}", "anonymity.floor_missed"),
    ],
)
def test_a_table_that_misses_its_floor_was_never_in_the_room(tmp_path: Path, floor: str, code: str) -> None:
    tiny = make_house(tmp_path, charter=charter(floor))
    contribution = accepted(tiny, people(FEW_OLD))
    with pytest.raises(ContributionError) as caught:
        tiny.deidentify("people", contribution)
    assert caught.value.code == code
    assert tables(tiny) == set()
    assert tiny.payloads("dataset.deidentified") == []
    (failure,) = tiny.payloads("stage.failed")
    assert isinstance(failure, StageFailed)
    assert (failure.stage, failure.code) == ("deidentified", code)
    with pytest.raises(ReceiptError):
        receipts.require(tiny.house.log, "deidentified", contribution)
    with pytest.raises(ReceiptError):
        tiny.gate("people", contribution)
    # The next, better delivery is welcome.
    better = (
        accepted(tiny, people(["young", "middle"] * 60)) if "t:" not in floor and "risk" not in floor else ""
    )
    if better:
        tiny.deidentify("people", better)
        assert tables(tiny) == {table_name(better)}
    tiny.house.log.close()


def test_lines_of_one_receipt_do_not_hide_a_household(tmp_path: Path) -> None:
    """Every household buys twice on one day: rows look safer than the people they are about."""
    text = CHARTER.replace("    fields:\n", "    anonymity: {k: 5}\n    fields:\n", 1)
    tiny = make_house(tmp_path, charter=text)
    logged = tiny.accept("sales", tiny.deliver("sales"))  # 4 or 5 households a day, 8 to 10 rows
    with pytest.raises(ContributionError, match="k of at least 5"):
        tiny.deidentify("sales", logged.event.payload.receipt.subject)  # type: ignore[attr-defined]
    tiny.house.log.close()


def test_events_of_before_have_no_figures_and_still_replay() -> None:
    fields = set(DatasetDeidentified.model_fields) - {"anonymity"}
    receipt = {
        "stage": "deidentified",
        "subject": "people-1",
        "charter_digest": f"sha256:{0:064x}",
        "run_id": "run",
    }
    document = {
        "dataset": "people",
        "contribution": "people-1",
        "table": "people_1",
        "rows": 3,
        "techniques": {},
        "receipt": receipt,
    }
    assert set(document) == fields
    assert DatasetDeidentified.model_validate(document).anonymity is None
    assert RoomRefreshed.model_fields["anonymity"].default is None


# --- the joined room


def test_joined_units_must_reach_the_joined_floor(tmp_path: Path, prepared_dbt: Path) -> None:
    """Alone, the profiles have k 40; joined, one household that buys and has no profile stands alone."""
    tiny = make_house(tmp_path, charter=charter("{k: 10}", "{k: 10}"))
    copy_manifest(prepared_dbt, tiny.house.settings)
    tiny.contribute("people")
    stranger = csv_bytes([{**row, "household_id": household(9999)} for row in _sales(1)])
    sold = csv_bytes(_sales(120)) + b"\n".join(stranger.splitlines()[1:]) + b"\n"
    tiny.contribute("sales", sold)
    with pytest.raises(DisclosureError) as caught:
        refresh.refresh(tiny.house, tiny.charter, CALLER)
    assert caught.value.code == "anonymity.room_floor_missed"
    assert "k of at least 10" in caught.value.message
    assert tiny.payloads("room.refreshed") == []
    assert refresh.current(tiny.house, tiny.charter) is None
    with pytest.raises(ReceiptError):
        receipts.require(tiny.house.log, "room", "tiny")

    tiny.contribute("sales", csv_bytes(_sales(120)))  # without the stranger
    refreshed = refresh.refresh(tiny.house, tiny.charter, CALLER)
    (event,) = tiny.payloads("room.refreshed")
    assert isinstance(event, RoomRefreshed)
    assert event.anonymity == refreshed.anonymity
    assert event.anonymity is not None
    assert (event.anonymity.k, event.anonymity.uniqueness) == (20, 0.0)
    tiny.house.log.close()


def _sales(units: int) -> list[dict[str, object]]:
    from tests.support import sales_rows

    return sales_rows(units)


def test_a_transaction_that_is_left_open_leaves_nothing(tmp_path: Path) -> None:
    """What stage 2 rests on: an unfinished transaction of the room ends with its connection."""
    tiny = make_house(tmp_path)
    with tiny.house.room("tiny").open() as connection:
        connection.execute("BEGIN TRANSACTION")
        connection.execute("CREATE TABLE unfinished AS SELECT 1 AS one")
    with tiny.house.room("tiny").open() as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("FROM unfinished")
    tiny.house.log.close()
