"""What looks like personal data is found wherever it stands, and codes that only happen to are left alone."""

from __future__ import annotations

import random
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.nl import bsn

from orchestration.scope import personal_data
from orchestration.scope.personal_data import Kind, Search, search, too_many

NOTES = [f"some remark {number}" for number in range(50)]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def look(connection: duckdb.DuckDBPyConnection, values: list[str]) -> Search:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE given AS SELECT value, count(*) AS rows"
        " FROM (SELECT unnest(?) AS value) GROUP BY ALL",
        [values],
    )
    return search(connection, "given")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("write to jane@example.org, please", "email"),
        ("JANE@EXÄMPLE.ORG", "email"),
        ("call +49 30 901820", "phone"),
        ("+12127365000", "phone"),
        ("0049 (30) 901820", "phone"),
        ("(212) 736-5000", "phone"),
        ("020 7946 0018", "phone"),
        ("DE89370400440532013000", "iban"),
        ("to de89 3704 0044 0532 0130 00 by friday", "iban"),
        ("paid with 4111111111111111", "card"),
        ("4111 1111 1111 1111", "card"),
        ("536-90-4399", "national_id"),
        ("529.982.247-25", "national_id"),
        ("RCCMNL83S18D969H", "national_id"),
        ("131052-308T", "national_id"),
    ],
)
def test_one_among_many_remarks_is_found(
    connection: duckdb.DuckDBPyConnection, value: str, kind: str
) -> None:
    assert look(connection, [*NOTES, value, value]).rows.get(kind) in (2, 4)
    assert look(connection, NOTES).clean


@pytest.mark.parametrize(
    "value",
    ["2024-01-15", "2017-01-01 11:53:26", "8-10.5 OZ", "100-124K", "a@b", "0012345678905", "30198765432",
     "DE89370400440532013001", "4111 1111 1111 1112", "R 12/34", "3,456.12 EUR"],
)  # fmt: skip
def test_what_only_resembles_it_is_left_alone(connection: duckdb.DuckDBPyConnection, value: str) -> None:
    assert look(connection, [*NOTES, value]).clean


@pytest.mark.parametrize("digits", [8, 9, 10, 11, 12, 13, 15, 16, 18])
def test_codes_of_any_length_are_no_identifiers(connection: duckdb.DuckDBPyConnection, digits: int) -> None:
    """One in ten passes a check digit; serial numbers do as random ones do."""
    seeded = random.Random(digits)
    assert look(
        connection, [str(seeded.randrange(10 ** (digits - 1), 10**digits)) for _ in range(5000)]
    ).clean
    assert look(connection, [str(10 ** (digits - 1) + number) for number in range(5000)]).clean


def test_a_column_of_identifiers_is_told_from_a_column_of_codes(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    codes = [f"{number:09d}" for number in range(100_000_000, 100_003_000)]
    citizens = [code for code in codes if bsn.is_valid(code)]
    assert look(connection, codes).clean
    assert not look(connection, citizens).clean
    cards = [f"4{number:014d}" for number in range(300)]
    assert not look(connection, [card + luhn.calc_check_digit(card) for card in cards]).clean


def test_more_candidates_than_anybody_looks_at_are_not_called_clean(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "MOST_CANDIDATES", 10)
    found = look(connection, [f"+1 000 000 {number:04d}" for number in range(11)])
    assert found.unseen
    assert not found.clean
    assert look(connection, [f"+1 000 000 {number:04d}" for number in range(10)]).clean


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.data(), st.sampled_from([0.02, 0.1, 0.5, 0.9]))
def test_more_hits_never_clear_a_column(seen: int, data: st.DataObject, chance: float) -> None:
    kind = Kind("code", "", lambda _: True, chance, bare=True)
    fewer, more = sorted((data.draw(st.integers(0, seen)), data.draw(st.integers(0, seen))))
    assert too_many(fewer, seen, kind) <= too_many(more, seen, kind)
    assert not too_many(int(chance * seen), seen, kind)
