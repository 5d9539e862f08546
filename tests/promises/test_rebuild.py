"""Tables are projections: making them again from the log after a full run changes nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from orchestration.audit.tables import PROJECTIONS
from orchestration.audit.verify import verify_log
from orchestration.stages import refresh
from orchestration.stages.withdrawal import withdraw_people
from tests.support import TinyHouse, household


def shown(tiny: TinyHouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every projection."""
    with tiny.house.log.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in PROJECTIONS
        }


def test_rebuilding_after_a_full_run_changes_nothing(finished: TinyHouse) -> None:
    people = finished.root.parent / "people.csv"
    people.write_text(f"household_id\n{household(1)}\n")
    withdraw_people(
        finished.house,
        finished.charter,
        finished.dataset("people"),
        people,
        signer="panel.steward",
        key=finished.key("panel.steward"),
        reason="objection",
        justification="Asked for it.",
    )
    before = shown(finished)
    assert all(before.values()), "an empty table proves nothing"
    root, size = finished.house.log.root(), finished.house.log.size
    finished.house.log.rebuild()
    assert shown(finished) == before
    assert (finished.house.log.root(), finished.house.log.size) == (root, size)
    assert verify_log(finished.house.log, finished.house.checkpoints, finished.house.operator.public).ok


def test_rebuilding_brings_back_what_was_lost_and_takes_away_what_was_made_up(finished: TinyHouse) -> None:
    before = shown(finished)
    due = refresh.due(finished.house, finished.charter)
    with finished.house.log.write() as connection:
        connection.exec_driver_sql("DELETE FROM receipts WHERE seq % 2 = 0")
        connection.exec_driver_sql("UPDATE releases SET receivers = '[\"panel\"]'")
        connection.exec_driver_sql("INSERT INTO datasets VALUES ('tiny', 'made_up', 'c', 't', 1)")
    assert shown(finished) != before
    finished.house.log.rebuild()
    assert shown(finished) == before
    assert refresh.due(finished.house, finished.charter) == due


def test_a_house_whose_tables_are_gone_works_again(finished: TinyHouse) -> None:
    before = shown(finished)
    with finished.house.log.write() as connection:
        for table in PROJECTIONS:
            connection.exec_driver_sql(f"DROP TABLE {table.name}")
    finished.house.log.rebuild()
    assert shown(finished) == before
