"""The law of every technique, against the same in Python; none makes a value missing, none loses a row."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, get_args

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter.fields import Field
from orchestration.charter.loader import parse_charter
from orchestration.charter.model import Dataset
from orchestration.charter.techniques import AnyTechnique, Drop
from orchestration.scope.deidentification import compile_deidentification, compile_preparation
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.techniques.duck import FORMS
from tests.support import CHARTER

KEY, BLINDING = bytes(range(32)), bytes(range(32, 64))
TINY = parse_charter(CHARTER.encode())
SQL = {"string": "VARCHAR", "integer": "BIGINT", "decimal": "DECIMAL(12,2)", "date": "DATE"}
# An attribute of the type that the technique leaves behind, with its entity.
PLACES = {
    ("string", "string"): ("profile", "age"),
    ("integer", "integer"): ("transaction", "quantity"),
    ("decimal", "decimal"): ("transaction", "amount"),
    ("integer", "string"): ("profile", "age"),
    ("decimal", "string"): ("profile", "age"),
    ("date", "date"): ("transaction", "occurred_on"),
}
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200)
MONEY = st.decimals(Decimal("-9999999999.99"), Decimal("9999999999.99"), places=2) | st.decimals(
    -200, 200, places=2
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        bind_keys(opened, collaboration=KEY, blinding=BLINDING)
        yield opened


def fields(type_: str, technique: dict[str, Any], left: str | None = None) -> Dataset:
    entity, attribute = PLACES[type_, left or type_]
    given_: list[dict[str, Any]] = [
        {"name": "person", "as": "unit", "type": "string",
         "technique": {"kind": "pseudonymize", "domain": "household"}},
        {"name": "x", "as": attribute, "type": type_, "technique": technique},
        {"name": "n", "as": "income" if entity == "profile" else "store", "type": "string",
         "technique": "pass"},
    ]  # fmt: skip
    changes = {
        "entity": entity,
        "fields": tuple(Field.model_validate(each | {"classification": "behavioural"}) for each in given_),
    }
    return TINY.dataset("sales").model_copy(update=changes)


def apply(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, values: list[Any], person: str = "p"
) -> list[Any]:
    """The technique's results, in the order of the values."""
    field = dataset.fields[1]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE given (n INTEGER, person VARCHAR, x {field.sql_type})")
    connection.executemany(
        "INSERT INTO given VALUES (?, ?, ?)", [(n, person, v) for n, v in enumerate(values)]
    )
    compiled = compile_deidentification(dataset, "given")
    place = f"CAST({dataset.fields[2].attribute} AS INTEGER)"
    query = f"SELECT {field.attribute} FROM ({compiled.query}) ORDER BY {place}"
    return [row[0] for row in connection.execute(query).fetchall()]


def test_every_technique_that_reaches_the_room_has_a_form() -> None:
    assert set(FORMS) == set(get_args(AnyTechnique)) - {Drop}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | WHOLE, min_size=1, max_size=12))
def test_top_and_bottom_codes_bound_keep_order_and_change_nothing_inside(
    connection: duckdb.DuckDBPyConnection, values: list[int | None]
) -> None:
    top = fields("integer", {"kind": "top_code", "at": 90})
    bottom = fields("integer", {"kind": "bottom_code", "at": -5})
    assert apply(connection, top, values) == [None if v is None else min(v, 90) for v in values]
    assert apply(connection, bottom, values) == [None if v is None else max(v, -5) for v in values]


def rounded(value: Decimal, multiple: Decimal, largest: Decimal) -> Decimal:
    steps = min((abs(value) / multiple).quantize(Decimal(1), ROUND_HALF_UP), largest // multiple)
    return (steps * multiple).copy_sign(value) + 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.none() | MONEY, min_size=1, max_size=12), st.sampled_from(["0.05", "0.25", "1", "7", "500"])
)
def test_rounding_gives_the_nearest_multiple_and_does_so_once(
    connection: duckdb.DuckDBPyConnection, values: list[Decimal | None], multiple: str
) -> None:
    money = fields("decimal", {"kind": "round", "multiple": float(multiple)})
    found = apply(connection, money, values)
    largest = Decimal("9999999999.99")
    assert found == [None if v is None else rounded(v, Decimal(multiple), largest) for v in values]
    assert apply(connection, money, found) == found


@settings(max_examples=60, deadline=None)
@given(st.lists(WHOLE, min_size=1, max_size=12), st.sampled_from([1, 5, 10, 1000, 10**18]))
def test_rounding_whole_numbers_never_leaves_their_type(
    connection: duckdb.DuckDBPyConnection, values: list[int], multiple: int
) -> None:
    found = apply(connection, fields("integer", {"kind": "round", "multiple": multiple}), values)
    for value, result in zip(values, found, strict=True):
        assert result % multiple == 0
        assert abs(result - value) * 2 <= multiple or abs(result) + multiple > 2**63 - 1
    assert [r for _, r in sorted(zip(values, found, strict=True))] == sorted(found), "order is kept"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.none() | TEXT, min_size=1, max_size=8),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(1, 6),
)
def test_a_masked_text_has_one_length_and_shows_only_its_ends(
    connection: duckdb.DuckDBPyConnection, values: list[str | None], first: int, last: int, stars: int
) -> None:
    mask = {"kind": "mask", "keep_first": first, "keep_last": last, "stars": stars}
    expected = [
        None
        if value is None
        else value[:first] + "*" * stars + (value[-last:] if last else "")
        if len(value) > first + last
        else "*" * (first + stars + last)
        for value in values
    ]
    found = apply(connection, fields("string", mask), values)
    assert found == expected
    assert {len(each) for each in found if each is not None} <= {first + stars + last}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | MONEY, min_size=1, max_size=12))
def test_every_number_falls_into_exactly_one_part(
    connection: duckdb.DuckDBPyConnection, values: list[Decimal | None]
) -> None:
    boundaries = [Decimal("-10.5"), Decimal(0), Decimal("99.99")]
    bucket = {"kind": "bucket", "boundaries": [float(b) for b in boundaries], "source": "Census"}
    expected = [None if v is None else f"q{1 + sum(v >= b for b in boundaries)}" for v in values]
    assert apply(connection, fields("decimal", bucket, "string"), values) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.sampled_from(["a", "b", "it's"]), min_size=1, max_size=12), st.integers(1, 2))
def test_a_hierarchy_gives_the_form_of_its_level(
    connection: duckdb.DuckDBPyConnection, values: list[str | None], level: int
) -> None:
    rungs = {"a": ["ab", "*"], "b": ["ab", "*"], "it's": ["o'c", "*"]}
    hierarchy = [{"name": name, "becomes": forms} for name, forms in rungs.items()]
    technique = {"kind": "generalize", "hierarchy": hierarchy, "level": level}
    expected = [None if v is None else rungs[v][level - 1] for v in values]
    assert apply(connection, fields("string", technique), values) == expected


@pytest.mark.parametrize(
    ("postcode", "kept"),
    [
        ("94107", "941"),
        ("94107-1234", "941"),
        ("sw1a 1aa", "SW1"),
        ("75 008", "750"),
        ("9", "9"),
        (None, None),
    ],
)
def test_a_postcode_keeps_its_start(
    connection: duckdb.DuckDBPyConnection, postcode: str | None, kept: str | None
) -> None:
    assert apply(connection, fields("string", {"kind": "generalize", "prefix": 3}), [postcode]) == [kept]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=8), st.integers(1, 5))
def test_a_prefix_is_never_longer_and_taken_once(
    connection: duckdb.DuckDBPyConnection, values: list[str], kept: int
) -> None:
    found = apply(connection, fields("string", {"kind": "generalize", "prefix": kept}), values)
    assert all(each is not None and len(each) <= kept for each in found)


def shift_of(person: str, days: int) -> int:
    """As documented, in Python: the shift is drawn from the desk pseudonym under the collaboration's key."""
    desk = hmac.new(KEY, b"household\0" + person.encode(), hashlib.sha256).hexdigest()
    drawn = hmac.new(KEY, b"date shift\0" + desk.encode(), hashlib.sha256).hexdigest()
    return int(drawn[:15], 16) % (2 * days + 1) - days


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | DAYS, min_size=1, max_size=6), st.text("abc1", min_size=1), st.integers(1, 400))
def test_all_dates_of_a_unit_shift_alike_within_the_limit(
    connection: duckdb.DuckDBPyConnection, values: list[date | None], person: str, days: int
) -> None:
    shift = shift_of(person, days)
    assert abs(shift) <= days
    inside = [v if v is None or 400 < v.toordinal() < 3_650_000 else date(2000, 1, 1) for v in values]
    found = apply(connection, fields("date", {"kind": "date_shift", "days": days}), inside, person)
    assert found == [None if v is None else v + timedelta(days=shift) for v in inside]


def test_a_shift_is_the_same_at_the_desk_and_in_the_room_and_another_for_others(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    dataset = fields("date", {"kind": "date_shift", "days": 30})
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE given AS SELECT i AS n, 'p' || i AS person, DATE '2024-05-05' AS x"
        " FROM range(2000) t(i)"
    )
    desk, room = (
        connection.execute(f"SELECT occurred_on FROM ({compile_(dataset, 'given').query})").fetchall()
        for compile_ in (compile_preparation, compile_deidentification)
    )
    assert sorted(desk) == sorted(room)
    assert len(set(room)) == 61, "every shift of the range happens"


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab@. -+0123456789DE\u0661\u00a0\n"), max_size=40))
def test_no_address_and_no_long_number_survives_redaction(
    connection: duckdb.DuckDBPyConnection, text: str
) -> None:
    redact = fields("string", {"kind": "redact"})
    (found,) = apply(connection, redact, [text])
    assert "@" not in found
    assert not re.search(r"\d{7}", found)
    assert apply(connection, redact, [found]) == [found], "once is enough"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please call jane.doe@example.org today", "Please call [email] today"),
        ("IBAN GB29 NWBK 6016 1331 9268 19, thanks", "IBAN [iban], thanks"),
        ("ring +44 (0)20 7946-0958 after 5", "ring [number] after 5"),
        ("card 4111 1111 1111 1111.", "card [number]."),
        ("size 42, 3 boxes, room 101", "size 42, 3 boxes, room 101"),
    ],
)
def test_what_redaction_takes_out_of_a_text(
    connection: duckdb.DuckDBPyConnection, text: str, expected: str
) -> None:
    assert apply(connection, fields("string", {"kind": "redact"}), [text]) == [expected]
