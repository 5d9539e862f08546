"""Whose rows may be used, person by person: decisions delivered as data, applied when the room is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestration.audit import tables
from orchestration.audit.replay import replay
from orchestration.audit.withdrawal_events import ContributionWithdrawn
from orchestration.charter import CharterMistakesError, parse_charter
from orchestration.errors import ContributionError, GlasshouseError, ReceiptError
from orchestration.participants.handovers import release_name
from orchestration.stages import compute, governance, protect, refresh, release
from orchestration.stages.withdrawal import withdraw_people
from tests.support import CALLER, CHARTER, UNITS, TinyHouse, csv_bytes, household, make_house

DECISIONS = """
  - id: decisions
    participant: panel
    entity: consent
    title: Decisions
    description: One row per household and decision.
    classification: personal
    purposes: [insight, planning]
    lawful_basis: consent
    license: {id: LicenseRef-test, terms: Test only, redistribution: false}
    max_rows: 1000
    max_bytes: 100000
    deidentify: in_room
    fields:
      - {name: household_id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}
      - {name: agrees, as: granted, type: boolean, classification: sensitive, technique: pass}
      - {name: on, as: decided_on, type: date, classification: quasi_identifier, technique: pass}
"""
_KEY = "max_bytes: 100000\n    deidentify: in_room\n    unique_key: [unit]"


def charter(mode: str) -> str:
    text = CHARTER.replace(_KEY, f"{_KEY}\n    consent: {{dataset: decisions, mode: {mode}}}")
    return text.replace("\npurposes:\n", f"{DECISIONS}purposes:\n", 1)


@pytest.fixture(params=["opt_in", "opt_out"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home(tmp_path: Path, prepared_dbt: Path) -> Path:
    """An empty place for a house, with dbt's manifest parsed."""
    shutil.copytree(prepared_dbt, tmp_path / "house" / "dbt")
    return tmp_path


def made(home: Path, mode: str) -> TinyHouse:
    return make_house(home, charter=charter(mode))


def decided(*decisions: tuple[int, object, str]) -> bytes:
    """Household, whether it agrees, and the day."""
    rows = [{"household_id": household(n), "agrees": agrees, "on": on} for n, agrees, on in decisions]
    return csv_bytes(rows)


def admitted(tiny: TinyHouse, entity: str = "profile") -> int:
    """Units whose rows the room admits."""
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    with tiny.house.room("tiny").open() as connection:
        query = f"SELECT count(DISTINCT unit) FROM room.admitted.{entity}"
        (built,) = connection.execute("SELECT count(*) FROM room.staging.stg_profile").fetchall()[0]
        (found,) = connection.execute(query).fetchall()[0]
    if entity == "profile":
        assert built == found
    return int(found)


def answer(tiny: TinyHouse) -> str:
    request = tiny.request().request.id
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    release.release(tiny.house, tiny.charter, request, CALLER)
    return release_name(request)


def test_without_decisions_nobody_is_admitted_until_they_come(home: Path) -> None:
    tiny = made(home, "opt_in")
    tiny.contribute("people")
    with pytest.raises(ReceiptError, match=r"^room\.nothing_passed"):
        refresh.refresh(tiny.house, tiny.charter, CALLER)
    assert refresh.due(tiny.house, tiny.charter) == set()
    tiny.contribute("sales")
    assert admitted(tiny) == 0
    assert admitted(tiny, "transaction") == UNITS, "other data does not wait"
    tiny.contribute("decisions", decided(*((n, "true", "2024-01-01") for n in range(50))))
    assert refresh.due(tiny.house, tiny.charter)
    assert admitted(tiny) == 50, "its table waited in the room"
    tiny.house.log.close()


def test_a_new_delivery_of_decisions_changes_the_room(home: Path) -> None:
    tiny = made(home, "opt_out")
    for dataset in ("people", "sales", "products"):
        tiny.contribute(dataset)
    everybody = [(n, "true", "2024-01-01") for n in range(UNITS)]
    first = tiny.contribute("decisions", decided(*everybody))
    assert admitted(tiny) == UNITS
    answered = answer(tiny)
    tiny.contribute("decisions", decided(*everybody, *((n, "false", "2024-03-01") for n in range(9))))
    assert refresh.due(tiny.house, tiny.charter)
    assert admitted(tiny) == UNITS - 9
    assert refresh.due(tiny.house, tiny.charter) == set()
    governance.settle(tiny.house, "tiny")
    (marked,) = tiny.payloads("output.outdated")
    assert (marked.release, marked.by, marked.contributions) == (answered, "superseded", (first,))  # type: ignore[attr-defined]
    assert replay(tiny.house.log).ok
    tiny.house.log.close()


def test_decisions_taken_back_close_the_room_to_those_they_were_about(home: Path) -> None:
    tiny = made(home, "opt_out")
    tiny.contribute("people")
    tiny.contribute("sales")
    name = tiny.contribute("decisions", decided(*((n, "true", "2024-01-01") for n in range(UNITS))))
    assert admitted(tiny) == UNITS
    payload = ContributionWithdrawn(contribution=name, dataset="decisions", reason="error")
    tiny.act("panel.steward", name, payload)
    assert refresh.current(tiny.house, tiny.charter) is None
    assert admitted(tiny) == 0
    tiny.contribute("decisions", decided(*((n, "true", "2024-02-01") for n in range(UNITS))))
    assert admitted(tiny) == UNITS
    tiny.house.log.close()


def test_decisions_of_which_one_cannot_be_read_are_refused_whole(home: Path, mode: str) -> None:
    tiny = made(home, mode)
    good = decided((1, "true", "2024-01-01"))
    for bad in ((1, "nope", "2024-02-01"), (1, "false", "yesterday"), ("", "false", "2024-02-01")):
        row = "{},{},{}\n".format(household(bad[0]) if bad[0] else "", *bad[1:]).encode()
        with pytest.raises(ContributionError, match=r"^contribution\.decisions_unclear"):
            tiny.accept("decisions", tiny.deliver("decisions", good + row))
    assert not list(tiny.house.vault.folder.glob("*.parquet"))
    with tiny.house.state("tiny") as state:
        assert not state.rows(tables.contributions, status="accepted")
    assert len(list(tiny.house.quarantine.iterdir())) == 3
    tiny.house.log.close()


def test_a_decision_that_says_nothing_stops_at_the_gate(home: Path, mode: str) -> None:
    tiny = made(home, mode)
    tiny.contribute("people")
    silent = decided((1, "true", "2024-01-01"), (2, "", "2024-01-01"))
    logged = tiny.accept("decisions", tiny.deliver("decisions", silent))
    contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
    tiny.deidentify("decisions", contribution)
    assert not tiny.gate("decisions", contribution).passed
    with pytest.raises(ReceiptError, match=r"^room\.nothing_passed"):
        refresh.refresh(tiny.house, tiny.charter, CALLER)
    tiny.house.log.close()


def test_objections_are_not_taken_out(home: Path, mode: str) -> None:
    """Without their objection people would be used again: they, and those drawn by lot to leave with them."""
    tiny = made(home, mode)
    tiny.contribute("decisions", decided(*((n, "false", "2024-01-01") for n in range(UNITS))))
    people = home / "people.csv"
    people.write_text(f"household_id\n{household(1)}\n")

    def withdraw() -> None:
        withdraw_people(
            tiny.house, tiny.charter, tiny.dataset("decisions"), people,
            signer="panel.steward", key=tiny.key("panel.steward"), reason="erasure", justification="test",
        )  # fmt: skip

    if mode == "opt_in":
        withdraw()
    else:
        with pytest.raises(GlasshouseError, match=r"^withdrawal\.decisions_stay"):
            withdraw()
        assert not list(tiny.house.vault.folder.glob("people-2*"))
    tiny.house.log.close()


def test_decisions_say_who_agreed(mode: str) -> None:
    without = charter(mode).replace("as: granted, type: boolean,", "type: boolean,")
    without = without.replace(
        "classification: sensitive, technique: pass}\n      - {name: on",
        "classification: sensitive, technique: drop}\n      - {name: on",
    )
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(without.encode(), "tiny.yaml")
    assert [mistake.path for mistake in caught.value.mistakes] == ["datasets.decisions.fields"]
    other = charter(mode).replace("dataset: decisions,", "dataset: sales,")
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(other.encode(), "tiny.yaml")
    assert [mistake.path for mistake in caught.value.mistakes] == ["datasets.people.consent.dataset"]
