"""Normalization: the spellings of one identifier become one, and what is none is nobody's pseudonym."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter.fields import Field
from orchestration.charter.loader import parse_charter
from orchestration.charter.techniques import Pseudonymize
from orchestration.engine.duck import confine
from orchestration.scope.coercion import compile_intake
from orchestration.scope.deidentification import compile_preparation
from orchestration.scope.normalization import e164, normalized, register_normalizers
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.source import Source
from tests.support import CHARTER

TINY = parse_charter(CHARTER.encode())
LATIN = st.text(st.characters(codec="utf-8", max_codepoint=0x24F, exclude_characters="\0"), max_size=30)
HOSTILE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        register_normalizers(opened)
        register_normalizers(opened)
        yield opened


def read(connection: duckdb.DuckDBPyConnection, text: str | None, normalize: str, region: str = "US") -> Any:
    technique = Pseudonymize.model_validate({"domain": "d", "normalize": normalize, "region": region})
    row = connection.execute(f"SELECT {normalized(technique, '$text')}", {"text": text}).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("normalize", "spellings", "identifier"),
    [
        ("email", [" Jane@Example.ORG ", "jane@example.org", "JANE@example.org"], "jane@example.org"),
        ("email", ["j.a.n.e+news@gmail.com", "Jane@GMail.com"], "jane@gmail.com"),
        ("email", ["jane+news@googlemail.com"], "jane@googlemail.com"),
        ("email", ["j.ane+news@example.org"], "j.ane+news@example.org"),
        (
            "phone",
            ["(650) 253-0000", "+1 650 253 0000", "1-650-253-0000 ext. 5", "6502530000"],
            "+16502530000",
        ),
        ("phone", ["+44 (0)20 7946 0958", "0044 20 7946 0958".replace("00", "+", 1)], "+442079460958"),
        ("name", ["O'Neil-Smith", "ONEIL SMITH", "o\u2019neil\u00a0smith", "Óneil Smith 2"], "oneilsmith"),
        ("name", ["José", "JOSE\u0301", "jose"], "jose"),
        ("postal_address", ["12 North Main Street, Apt. #5", "12 N MAIN ST APT 5"], "12 n main st apt 5"),
        ("postal_address", ["1 St. John's Road", "1 ST JOHNS RD"], "1 st johns rd"),
    ],
)
def test_spellings_of_one_identifier_become_one(
    connection: duckdb.DuckDBPyConnection, normalize: str, spellings: list[str], identifier: str
) -> None:
    assert {read(connection, each, normalize) for each in spellings} == {identifier}


@pytest.mark.parametrize(
    ("normalize", "text"),
    [
        *[("email", each) for each in ("n/a", "", "@", "a@", "@b.org", "a@b@c", "a b@c.org", "+x@gmail.com")],
        *[("phone", each) for each in ("n/a", "", "0000000000", "12", "9" * 100_000, "+999 1234567", "٣")],
        *[("name", each) for each in ("", "  ", "-", "123")],
        *[("postal_address", each) for each in ("", " ", "#-.,")],
    ],
)
def test_what_cannot_be_read_is_nobody(
    connection: duckdb.DuckDBPyConnection, normalize: str, text: str
) -> None:
    assert read(connection, text, normalize) is None


@pytest.mark.parametrize("normalize", ["identifier", "email", "phone", "name", "postal_address"])
def test_missing_stays_missing(connection: duckdb.DuckDBPyConnection, normalize: str) -> None:
    assert read(connection, None, normalize) is None


@settings(max_examples=150, deadline=None)
@given(HOSTILE, st.sampled_from(["identifier", "email", "phone", "name", "postal_address"]))
def test_normalizing_twice_changes_nothing_and_nothing_makes_it_fail(
    connection: duckdb.DuckDBPyConnection, text: str, normalize: str
) -> None:
    once = read(connection, text, normalize)
    assert read(connection, once, normalize) == once


def plain(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        each for each in unicodedata.normalize("NFD", composed) if unicodedata.category(each)[0] != "M"
    ).lower()


@settings(max_examples=150, deadline=None)
@given(LATIN)
def test_a_name_is_its_letters_as_python_sees_them(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    letters = "".join(each for each in plain(text) if unicodedata.category(each)[0] == "L")
    assert read(connection, text, "name") == (letters or None)


@settings(max_examples=100, deadline=None)
@given(HOSTILE, st.sampled_from([None, "US", "DE", "ZZ"]))
def test_a_telephone_number_is_e164_or_none(text: str, region: str | None) -> None:
    found = e164(text, region)
    assert found is None or (found.startswith("+") and found[1:].isdecimal() and len(found) <= 16)


def test_a_national_number_needs_its_country(connection: duckdb.DuckDBPyConnection) -> None:
    assert e164("030 901820", "DE") == "+4930901820"
    assert e164("030 901820", None) is None
    assert e164("+49 30 901820", None) == "+4930901820"


def contacts(normalize: str) -> Any:
    unit = {
        "name": "contact",
        "as": "unit",
        "type": "string",
        "required": True,
        "classification": "direct_identifier",
        "technique": {"kind": "pseudonymize", "domain": "household", "normalize": normalize, "region": "US"},
    }
    return TINY.dataset("sales").model_copy(update={"fields": (Field.model_validate(unit),)})


@pytest.mark.parametrize(
    ("normalize", "good", "bad"),
    [
        ("phone", ["(650) 253-0000", "6502530000", "+442079460958"], ["n/a", "12", "unknown"]),
        ("email", ["a@b.org", "A@B.org", "c@b.org"], ["none", "a@", "x y@z.org"]),
        ("name", ["Ann", "ANN", "Bob"], ["?", "1", "--"]),
    ],
)
def test_intake_keeps_what_can_be_read_and_quarantines_the_rest(
    tmp_path: Path, normalize: str, good: list[str], bad: list[str]
) -> None:
    dataset = contacts(normalize)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE given (c VARCHAR)")
        connection.executemany("INSERT INTO given VALUES (?)", [[each] for each in (*good, *bad, "a\0b", "")])
        confine(connection, folders=[tmp_path])
        bind_keys(connection, collaboration=bytes(32))  # functions can be made known to a confined one
        intake = compile_intake(dataset, Source("given", {"contact": "c"}, {"contact": "VARCHAR"}))
        kept = connection.execute(intake.kept).fetchall()
        assert sorted(each for (each,) in kept) == sorted(good)
        assert dict(connection.execute(intake.reasons).fetchall()) == {"type": len(bad) + 1, "required": 1}
        assert len(connection.execute(intake.rejected).fetchall()) == len(bad) + 2
        compiled = compile_preparation(dataset, f"({intake.kept})")
        pseudonyms = [row[0] for row in connection.execute(compiled.query).fetchall()]
        assert None not in pseudonyms
        assert len(set(pseudonyms)) == len(good) - 1, "two of them are one"


def test_numbers_that_came_as_floats_are_read_too() -> None:
    dataset = contacts("phone")
    with duckdb.connect() as connection:
        register_normalizers(connection)
        connection.execute("CREATE TABLE given AS SELECT unnest([6502530000.0, 1.5, 7.0]::DOUBLE[]) AS c")
        intake = compile_intake(dataset, Source("given", {"contact": "c"}, {"contact": "DOUBLE"}))
        assert connection.execute(intake.kept).fetchall() == [("6502530000",)]
        assert connection.execute(intake.reasons).fetchall() == [("type", 2)]
