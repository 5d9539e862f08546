"""Another key for the room's pseudonyms: everything is made anew, and nobody has to deliver."""

from __future__ import annotations

from orchestration.audit import tables
from orchestration.audit.replay import replay
from orchestration.participants.handovers import table_name
from orchestration.stages import landing, refresh
from orchestration.stages.repseudonymizing import rotate_pseudonyms
from tests.support import CALLER, UNITS, TinyHouse


def units(tiny: TinyHouse, dataset: str) -> set[str]:
    with tiny.house.state("tiny") as state:
        (row,) = state.rows(tables.contributions, dataset=dataset, status="accepted")
    with tiny.house.room("tiny").open() as connection:
        found = connection.execute(f"SELECT DISTINCT unit FROM {table_name(row.contribution)}").fetchall()
    return {str(each[0]) for each in found}


def test_everything_is_made_anew_and_parties_still_join(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    before = units(tiny, "people")
    assert before == units(tiny, "sales")
    rotate_pseudonyms(tiny.house, "tiny", "A disk was lost.")
    assert refresh.current(tiny.house, tiny.charter) is None
    for waiting in landing.sort(tiny.house, tiny.charter, CALLER):
        logged = tiny.accept(waiting.dataset.id, waiting.delivery)
        contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
        tiny.deidentify(waiting.dataset.id, contribution)
        assert tiny.gate(waiting.dataset.id, contribution).passed
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    after = units(tiny, "people")
    assert after == units(tiny, "sales")
    assert len(after) == UNITS
    assert not after & before
    assert replay(tiny.house.log).ok
