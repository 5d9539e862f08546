"""Techniques: pseudonyms are RFC 2104's HMAC, everything else is what the charter says, and nothing more."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter.fields import Field
from orchestration.charter.loader import parse_charter
from orchestration.charter.model import Dataset
from orchestration.scope.deidentification import (
    compile_blinding,
    compile_deidentification,
    compile_preparation,
)
from orchestration.scope.pseudonymization import bind_keys
from tests.support import CHARTER

KEY, BLINDING = bytes(range(32)), bytes(range(32, 64))
TINY = parse_charter(CHARTER.encode())
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\0"), max_size=60)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        bind_keys(opened, collaboration=KEY, blinding=BLINDING)
        yield opened


def dataset(*fields: dict[str, object], entity: str = "transaction") -> Dataset:
    """A dataset of these fields; shape is checked, rules between clauses are not."""
    changes = {"entity": entity, "fields": tuple(field_of(**each) for each in fields)}
    return TINY.dataset("sales").model_copy(update=changes)


def field_of(**given_: object) -> Field:
    return Field.model_validate({"classification": "behavioural", "technique": "pass"} | given_)


def unit(technique: dict[str, object]) -> Dataset:
    return dataset({"name": "id", "as": "unit", "type": "string", "technique": technique})


def layer(text: str, domain: str, key: bytes) -> str:
    return hmac.new(key, domain.encode() + b"\0" + text.encode(), hashlib.sha256).hexdigest()


def desk_pseudonym(normalized: str, domain: str = "household") -> str:
    return layer(normalized, domain, KEY)


def pseudonym(normalized: str, domain: str = "household") -> str:
    return layer(desk_pseudonym(normalized, domain), domain, BLINDING)


def normalize(text: str) -> str:
    """Surrounding blanks (Unicode Zs) away, then NFC."""
    blanks = "".join(each for each in set(text) if unicodedata.category(each) == "Zs")
    return unicodedata.normalize("NFC", text.strip(blanks or " "))


def run(
    connection: duckdb.DuckDBPyConnection, compiled: str, values: list[object], kind: str
) -> list[object]:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE given (n INTEGER, id {kind})")
    connection.executemany("INSERT INTO given VALUES (?, ?)", list(enumerate(values)))
    return [row[0] for row in connection.execute(compiled).fetchall()]


@settings(max_examples=120, deadline=None)
@given(TEXT)
def test_a_pseudonym_is_pythons_hmac_of_pythons_hmac_of_domain_nul_identifier(
    connection: duckdb.DuckDBPyConnection, text: str
) -> None:
    compiled = compile_deidentification(unit({"kind": "pseudonymize", "domain": "household"}), "given")
    assert run(connection, compiled.query, [text], "VARCHAR") == [pseudonym(normalize(text))]


@pytest.mark.parametrize("text", ["", " ", "0", "é", "e\u0301", "\U0001f600", "x" * 5000, "--'\";"])
def test_awkward_identifiers(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    compiled = compile_deidentification(unit({"kind": "pseudonymize", "domain": "household"}), "given")
    assert run(connection, compiled.query, [text], "VARCHAR") == [pseudonym(normalize(text))]


def test_equal_identifiers_join_however_they_are_written(connection: duckdb.DuckDBPyConnection) -> None:
    technique = {"kind": "pseudonymize", "domain": "mail", "normalize": "email"}
    written = ["Zoë@Example.org", " zoe\u0308@example.org ", "ZOË@EXAMPLE.ORG"]
    query = compile_deidentification(unit(technique), "given").query
    assert set(run(connection, query, list(written), "VARCHAR")) == {pseudonym("zoë@example.org", "mail")}
    plain = unit({"kind": "pseudonymize", "domain": "mail"})
    identifiers = run(connection, compile_deidentification(plain, "given").query, ["a1", "A1"], "VARCHAR")
    assert len(set(identifiers)) == 2, "identifiers keep their case"


def test_domains_and_keys_never_meet(connection: duckdb.DuckDBPyConnection) -> None:
    one = compile_deidentification(unit({"kind": "pseudonymize", "domain": "household"}), "given")
    other = compile_deidentification(unit({"kind": "pseudonymize", "domain": "basket"}), "given")
    (first,) = run(connection, one.query, ["7"], "VARCHAR")
    (second,) = run(connection, other.query, ["7"], "VARCHAR")
    with duckdb.connect() as elsewhere:
        bind_keys(elsewhere, collaboration=bytes(32), blinding=BLINDING)
        (third,) = run(elsewhere, one.query, ["7"], "VARCHAR")
    assert len({first, second, third}) == 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | TEXT, min_size=1, max_size=8))
def test_preparing_then_blinding_is_deidentifying(
    connection: duckdb.DuckDBPyConnection, texts: list[str | None]
) -> None:
    sales = dataset(
        {"name": "id", "as": "unit", "type": "string", "technique": {"kind": "pseudonymize", "domain": "a"}},
        {"name": "n", "as": "week", "type": "integer"},
    )
    at_once = compile_deidentification(sales, "given")
    run(connection, "SELECT 1", list(texts), "VARCHAR")
    prepared = compile_preparation(sales, "given")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE prepared AS {prepared.query}")
    blinded = compile_blinding(sales, "prepared")
    assert prepared.columns == blinded.columns == at_once.columns == ("unit", "week")
    assert prepared.techniques == blinded.techniques == at_once.techniques
    found = connection.execute(f"{blinded.query} ORDER BY week").fetchall()
    assert found == connection.execute(f"{at_once.query} ORDER BY week").fetchall()
    desk = [row[0] for row in connection.execute("SELECT unit FROM prepared ORDER BY week").fetchall()]
    assert desk == [None if text is None else desk_pseudonym(normalize(text), "a") for text in texts]


def test_a_layer_without_its_key_makes_no_pseudonym() -> None:
    compiled = compile_deidentification(unit({"kind": "pseudonymize", "domain": "household"}), "given")
    with duckdb.connect() as keyless:
        bind_keys(keyless, collaboration=KEY)
        assert run(keyless, compiled.query, ["7"], "VARCHAR") == [None]


def test_missing_stays_missing_and_every_row_stays(connection: duckdb.DuckDBPyConnection) -> None:
    compiled = compile_deidentification(unit({"kind": "pseudonymize", "domain": "household"}), "given")
    found = run(connection, compiled.query, ["a", None, "a", None, "b"], "VARCHAR")
    assert len(found) == 5
    assert found.count(None) == 2
    assert found.count(pseudonym("a")) == 2


def test_the_key_is_no_text_of_the_statement() -> None:
    compiled = compile_deidentification(unit({"kind": "pseudonymize", "domain": "household"}), "given")
    assert KEY.hex() not in compiled.query
    assert BLINDING.hex() not in compiled.query
    assert "household" in compiled.query


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1, max_size=20))
def test_clamping_is_min_and_max_and_keeps_missing(
    connection: duckdb.DuckDBPyConnection, values: list[int | None]
) -> None:
    clamp = {
        "name": "id",
        "as": "quantity",
        "type": "integer",
        "technique": {"kind": "clamp", "low": -5, "high": 100},
    }
    found = run(connection, compile_deidentification(dataset(clamp), "given").query, list(values), "BIGINT")
    assert found == [None if value is None else min(max(value, -5), 100) for value in values]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 150), min_size=1, max_size=20))
def test_bands_are_half_open(connection: duckdb.DuckDBPyConnection, values: list[int]) -> None:
    bands = [
        {"label": "low", "until": 10},
        {"label": "mid", "from": 10, "until": 20},
        {"label": "it's", "from": 20},
    ]
    age = {"name": "id", "as": "age", "type": "integer", "technique": {"kind": "generalize", "bands": bands}}
    query = compile_deidentification(dataset(age, entity="profile"), "given").query
    expected = ["low" if value < 10 else "mid" if value < 20 else "it's" for value in values]
    assert run(connection, query, list(values), "BIGINT") == expected


def test_a_value_between_bands_has_no_label(connection: duckdb.DuckDBPyConnection) -> None:
    bands = [{"label": "low", "until": 10}, {"label": "high", "from": 20}]
    age = {"name": "id", "as": "age", "type": "integer", "technique": {"kind": "generalize", "bands": bands}}
    query = compile_deidentification(dataset(age, entity="profile"), "given").query
    assert run(connection, query, [15, None], "BIGINT") == [None, None]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("day", date(2024, 5, 17)),
        ("week", date(2024, 5, 13)),
        ("month", date(2024, 5, 1)),
        ("year", date(2024, 1, 1)),
    ],
)
def test_dates_keep_only_what_is_allowed(
    connection: duckdb.DuckDBPyConnection, to: str, expected: date
) -> None:
    day = {
        "name": "id",
        "as": "occurred_on",
        "type": "timestamp",
        "technique": {"kind": "generalize", "to": to},
    }
    query = compile_deidentification(dataset(day), "given").query
    assert run(connection, query, ["2024-05-17 23:59:59"], "TIMESTAMP") == [expected]


def test_columns_come_in_the_entitys_order_and_dropped_ones_do_not_come() -> None:
    compiled = compile_deidentification(
        dataset(
            {"name": "paid", "as": "amount", "type": "decimal"},
            {"name": "mail", "type": "string", "classification": "direct_identifier", "technique": "drop"},
            {"name": "shop", "as": "store", "type": "string"},
        ),
        "given",
    )
    assert compiled.columns == ("store", "amount")
    assert compiled.techniques == {"store": "pass", "amount": "pass"}
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE given AS SELECT 1.25::DECIMAL(12,2) paid, 'j@x' mail, 'S' shop")
        assert connection.execute(compiled.query).fetchall() == [("S", Decimal("1.25"))]
