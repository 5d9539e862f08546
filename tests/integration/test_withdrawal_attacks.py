"""Withdrawal under attack: names that mislead, lists that are gone, what others can see before and after."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import duckdb
import pytest

from orchestration.audit.governance_events import ParticipantLeft
from orchestration.audit.replay import replay
from orchestration.audit.vocabulary import now
from orchestration.audit.withdrawal_events import ContributionWithdrawn, PeopleWithdrawn
from orchestration.errors import GlasshouseError
from orchestration.participants.withdrawals import is_list
from orchestration.stages import governance, withdrawal
from orchestration.stages.withdrawal import apply_due
from tests.integration.test_withdrawal import in_vault, rows, run_again, take_out
from tests.support import CHARTER, UNITS, TinyHouse, csv_bytes, household, people_rows


def test_a_dataset_called_people_is_not_taken_for_a_list_nobody_signed(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    long_ago = time.time() - 7 * 24 * 3600
    for path in tiny.house.vault.folder.glob("*.parquet"):
        os.utime(path, (long_ago, long_ago))
    take_out(tiny, *(household(n) for n in range(5)), dataset="sales")
    apply_due(tiny.house, "tiny")
    assert len(in_vault(tiny, "people")) == UNITS


def test_a_list_nobody_signed_is_dropped_after_a_day_though_nobody_waits(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    name = "people-20240101-0123abcd"
    tiny.house.keys.create(tiny.house.vault.key_id(name))
    path = tiny.house.vault.path(name)
    path.write_bytes(b"left by a kill")
    apply_due(tiny.house, "tiny")
    assert path.exists(), "somebody may be about to sign for it"
    os.utime(path, (time.time() - 7 * 24 * 3600,) * 2)
    apply_due(tiny.house, "tiny")
    assert not path.exists()
    assert not tiny.house.keys.holds(tiny.house.vault.key_id(name))


def test_who_leaves_takes_no_lists_of_others_along(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    take_out(tiny, household(1), dataset="sales")
    tiny.act("panel.steward", "panel", ParticipantLeft(participant="panel"))  # it gave the dataset `people`
    (asked,) = rows(tiny, "withdrawals", dataset="sales")
    assert tiny.house.vault.path(asked.withdrawal).exists()


def test_a_withdrawal_of_somebody_who_left_holds_up_nobody(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    take_out(tiny, household(1))
    tiny.act("panel.steward", "panel", ParticipantLeft(participant="panel"))
    assert not list(tiny.house.vault.folder.glob("people-*")), "the list went with the data"
    take_out(tiny, *(household(n) for n in range(5)), dataset="sales")
    apply_due(tiny.house, "tiny")
    assert len(in_vault(tiny, "sales")) == UNITS - 5
    assert replay(tiny.house.log).ok


def test_a_withdrawal_without_its_list_is_not_recorded(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    claimed = PeopleWithdrawn(dataset="people", reason="error", list_digest="sha256:" + "0" * 64)
    for subject in ("people-20240101-0123abcd", "people-../../master", "people-20240101-0123abcd-next"):
        with pytest.raises(GlasshouseError, match=r"^withdrawal[.]no_list: "):
            tiny.act("panel.steward", subject, claimed)
        if not is_list(subject):
            with pytest.raises(GlasshouseError, match=r"^withdrawal[.]other_subject: "):
                tiny.house.log.append(tiny.signed("panel.steward", subject, claimed))


def test_a_list_that_was_changed_holds_up_nobody_else(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    take_out(tiny, household(1))
    (asked,) = rows(tiny, "withdrawals", dataset="people")
    tiny.house.vault.path(asked.withdrawal).write_bytes(b"changed")
    take_out(tiny, *(household(n) for n in range(5)), dataset="sales")
    with pytest.raises(GlasshouseError, match=r"^vault[.]changed: "):
        apply_due(tiny.house, "tiny")
    assert len(in_vault(tiny, "sales")) == UNITS - 5


def test_nobody_leaves_alone_from_the_contribution_in_use_because_a_newer_one_lacks_them(
    refreshed_house: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = refreshed_house
    tiny.accept("people", tiny.deliver("people", csv_bytes(people_rows()[:100])))  # its gate has not spoken
    take_out(tiny, household(110))
    assert apply_due(tiny.house, "tiny") == [], "one person less in the room would show"
    monkeypatch.setattr(withdrawal, "now", lambda: now() + timedelta(days=31))
    apply_due(tiny.house, "tiny")
    older, newer = _units(tiny, "people")
    assert len(older) <= UNITS - 5
    assert len(newer) <= 100 - 5 or len(newer) == 100, "nobody drawn by lot stands out either"


def _units(tiny: TinyHouse, dataset: str) -> list[set[str]]:
    """Raw identifiers that the vault holds, contribution by contribution, oldest first."""
    found = []
    for row in sorted(rows(tiny, "contributions", dataset=dataset), key=lambda row: int(row.seq)):
        with duckdb.connect() as connection:
            relation = tiny.house.vault.reader(row.contribution).relation(connection)
            query = f"SELECT household_id FROM {relation}"
            found.append({str(each[0]) for each in connection.execute(query).fetchall()})
    return found


def test_what_was_superseded_does_not_come_back_when_people_are_taken_out_of_it(
    refreshed_house: TinyHouse,
) -> None:
    tiny = refreshed_house
    newer = tiny.contribute("people", csv_bytes(people_rows()[:119]))
    tiny.act(
        "panel.steward",
        newer,
        ContributionWithdrawn(contribution=newer, dataset="people", reason="error"),
    )
    take_out(tiny, *(household(n) for n in range(5)))
    apply_due(tiny.house, "tiny")
    run_again(tiny)
    assert rows(tiny, "datasets", dataset="people") == []


def test_a_withdrawn_contribution_leaves_no_sealed_list_behind(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    bad = [*people_rows()[:119], {"household_id": "", "age": "old", "income": "low"}]
    name = tiny.contribute("people", csv_bytes(bad))
    assert (tiny.house.quarantine / name).exists()
    payload = ContributionWithdrawn(contribution=name, dataset="people", reason="error")
    tiny.act("panel.steward", name, payload)
    governance.settle(tiny.house, "tiny")
    assert not (tiny.house.quarantine / name).exists()
    assert replay(tiny.house.log).ok


def test_a_delivery_name_used_twice_loses_neither_contribution(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    (older,) = rows(tiny, "contributions", dataset="people")
    tiny.accept("people", tiny.deliver("people", csv_bytes(people_rows()[:119]), name=older.delivery))
    take_out(tiny, *(household(n) for n in range(5)))
    apply_due(tiny.house, "tiny")
    for _ in range(2):
        run_again(tiny)
    assert [row.gate for row in rows(tiny, "contributions", dataset="people")] == ["passed", "passed"]


def test_what_was_given_as_a_dataset_that_is_no_more_can_be_taken_back(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    start, end = CHARTER.index("  - id: products\n"), CHARTER.index("  - id: people\n")
    tiny.amend(CHARTER[start:end], "")
    (row,) = rows(tiny, "contributions", dataset="products")
    payload = ContributionWithdrawn(contribution=row.contribution, dataset="products", reason="error")
    with pytest.raises(GlasshouseError, match=r"^policy[.]not_own_organization: "):
        tiny.act("panel.steward", row.contribution, payload)
    types = [each.event.type for each in tiny.act("shop.steward", row.contribution, payload)]
    assert types == ["contribution.withdrawn", "data.destroyed"]
    assert replay(tiny.house.log).ok


def test_who_is_given_a_dataset_cannot_take_back_what_another_gave(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    start = CHARTER.index("  - id: products\n")
    line = CHARTER[start : CHARTER.index("title", start)]
    tiny.amend(line, line.replace("shop", "panel"))
    (row,) = rows(tiny, "contributions", dataset="products")
    payload = ContributionWithdrawn(contribution=row.contribution, dataset="products", reason="error")
    with pytest.raises(GlasshouseError, match=r"^withdrawal[.]no_such_contribution: "):
        tiny.act("panel.steward", row.contribution, payload)


def test_a_new_delivery_does_not_show_who_waits_and_brings_back_nobody_who_left(
    refreshed_house: TinyHouse,
) -> None:
    tiny = refreshed_house
    take_out(tiny, household(1))
    tiny.accept("people", tiny.deliver("people", csv_bytes(people_rows()[:119])))
    assert [len(units) for units in _units(tiny, "people")] == [UNITS, UNITS - 1], "nobody left alone"
    take_out(tiny, *(household(n) for n in range(2, 6)))
    apply_due(tiny.house, "tiny")
    tiny.accept("people", tiny.deliver("people", csv_bytes(people_rows()[:118])))
    assert [len(units) for units in _units(tiny, "people")] == [UNITS - 5, UNITS - 6, UNITS - 7]
