"""Fair shares: the closed form is the Shapley value, and every release that counts is divided completely."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.audit import tables as t
from orchestration.participants.shares import ledger, unanimity_shares
from tests.unit.participants.facts import Facts, facts

PARTIES = ("shop", "brand", "media", "panel", "other")


def shapley(needed: frozenset[str]) -> dict[str, Fraction]:
    """By definition: what each adds when the parties arrive one by one, averaged over all orders."""
    orders = list(permutations(PARTIES))
    added = dict.fromkeys(PARTIES, Fraction(0))
    for order in orders:
        here: set[str] = set()
        for party in order:
            before = needed <= here
            here.add(party)
            added[party] += (needed <= here) - before
    return {party: value / len(orders) for party, value in added.items()}


@given(st.frozensets(st.sampled_from(PARTIES), min_size=1))
def test_the_closed_form_is_the_shapley_value(needed: frozenset[str]) -> None:
    closed = unanimity_shares(needed)
    assert {party: closed.get(party, Fraction(0)) for party in PARTIES} == shapley(needed)
    assert sum(closed.values()) == 1


def released(here: Facts, id_: str, *datasets: str, recalled: bool = False) -> None:
    here.request(id_, datasets=datasets, status="released")
    here.release(id_, recalled=recalled)


def contributed(
    here: Facts, id_: str, dataset: str, participant: str, rows: int, status: str = "accepted"
) -> None:
    empty = dict.fromkeys(("code", "table_name", "gate"))
    here.add(
        t.contributions,
        contribution=id_,
        dataset=dataset,
        participant=participant,
        delivery=id_,
        status=status,
        rows=rows,
        quarantined=0,
        source_digest=id_,
        charter_digest="c",
        **empty,
    )


def test_releases_add_up() -> None:
    with facts() as here:
        contributed(here, "c-1", "sales", "shop", 100)
        contributed(here, "c-2", "sales", "shop", 20, "destroyed")
        contributed(here, "c-4", "sales", "shop", 5, "refused")
        contributed(here, "c-3", "adverts", "media", 7)
        released(here, "r-1", "sales", "adverts", "health")
        released(here, "r-2", "sales")
        released(here, "r-3", "adverts", "health")
        found = ledger(here.state)
    lines = {share.participant: share for share in found.shares}
    assert {name: share.value for name, share in lines.items()} == {
        "brand": Fraction(0),
        "media": Fraction(5, 6),
        "panel": Fraction(5, 6),
        "shop": Fraction(4, 3),
    }
    assert found.total == 3
    assert sum(share.part_of(found.total) for share in found.shares) == 1
    assert (lines["shop"].contributions, lines["shop"].rows, lines["brand"].contributions) == (2, 120, 0)
    assert lines["panel"].releases == ("i-r-1", "i-r-3")


@pytest.mark.parametrize(
    ("datasets", "recalled", "unassigned"),
    [(("sales",), True, ()), ((), False, ("i-r-1",)), (("forgotten",), False, ("i-r-1",))],
    ids=["recalled", "no data", "unknown data"],
)
def test_what_counts_for_nobody(
    datasets: tuple[str, ...], recalled: bool, unassigned: tuple[str, ...]
) -> None:
    with facts() as here:
        released(here, "r-1", *datasets, recalled=recalled)
        found = ledger(here.state)
    assert found.total == 0
    assert found.unassigned == unassigned
    assert all(share.part_of(found.total) == 0 for share in found.shares)


def test_a_dataset_of_an_earlier_charter_belongs_to_who_delivered_it() -> None:
    with facts() as here:
        contributed(here, "c-1", "old", "brand", 5)
        released(here, "r-1", "old", "sales")
        values = {share.participant: share.value for share in ledger(here.state).shares}
    assert (values["brand"], values["shop"]) == (Fraction(1, 2), Fraction(1, 2))
