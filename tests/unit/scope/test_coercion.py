"""Types and limits: a value is kept exactly, or its row goes to quarantine with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import product

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter.fields import SQL_TYPES, Field, FieldType
from orchestration.charter.model import Dataset, Licence
from orchestration.errors import ContributionError
from orchestration.scope.coercion import compile_intake
from orchestration.scope.source import Source


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def field(type_: str = "string", name: str = "x", **limits: object) -> Field:
    return Field.model_validate(
        {"name": name, "type": type_, "classification": "reference", "technique": "drop"} | limits
    )


def dataset(*fields: Field) -> Dataset:
    return Dataset(
        id="d",
        participant="p",
        entity="product",
        title="D",
        description="D",
        classification="public",
        purposes=("any",),
        lawful_basis="not_personal_data",
        license=Licence(id="MIT", terms="t", redistribution=True),
        max_rows=10,
        max_bytes=10,
        fields=fields,
    )


def coerce(
    connection: duckdb.DuckDBPyConnection, value: object, given_field: Field, kind: str = "VARCHAR"
) -> tuple[object, str | None]:
    """(typed value, None) of a kept row, (None, reason) of a quarantined one."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE raw (c0 {kind})")
    connection.execute("INSERT INTO raw VALUES (?)", [value])
    source = Source("raw", {given_field.name: "c0"}, {given_field.name: kind})
    intake = compile_intake(dataset(given_field), source)
    kept = connection.execute(intake.kept).fetchall()
    reasons = connection.execute(intake.reasons).fetchall()
    rejected = connection.execute(intake.rejected).fetchall()
    assert len(kept) + len(rejected) == connection.execute(intake.rows).fetchall()[0][0] == 1
    assert [reason for reason, _ in reasons] == [row[1] for row in rejected]
    return (kept[0][0], None) if kept else (None, rejected[0][1])


DAY = date(2024, 2, 29)


def at(*parts: int) -> datetime:
    """The engine's timestamps have no zone."""
    return datetime(*parts)  # type: ignore[misc]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        ("string", "007", "007"),
        ("string", " a ", " a "),
        ("string", "1e5", "1e5"),
        ("integer", "007", 7),
        ("integer", " 12 ", 12),
        ("integer", "-3", -3),
        ("integer", "+3", 3),
        ("integer", str(2**63 - 1), 2**63 - 1),
        ("decimal", "1.5", Decimal("1.50")),
        ("decimal", "0.10", Decimal("0.10")),
        ("decimal", "-0.01", Decimal("-0.01")),
        ("decimal", "9999999999.99", Decimal("9999999999.99")),
        ("decimal", "1.250000", Decimal("1.25")),
        ("decimal", "0.30000000000000004", Decimal("0.30")),
        ("decimal", "1.776357e-15", Decimal("0.00")),
        ("decimal", " 5 ", Decimal("5.00")),
        ("date", "2024-02-29", DAY),
        ("date", "2024-2-29", DAY),
        ("timestamp", "2024-02-29 23:59:59", at(2024, 2, 29, 23, 59, 59)),
        ("timestamp", "2024-02-29T23:59:59.5Z", at(2024, 2, 29, 23, 59, 59, 500000)),
        ("timestamp", "2024-02-29", at(2024, 2, 29)),
        ("boolean", "true", True),
        ("boolean", "0", False),
    ],
)
def test_text_that_has_the_type(
    connection: duckdb.DuckDBPyConnection, type_: str, text: str, expected: object
) -> None:
    assert coerce(connection, text, field(type_)) == (expected, None)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", "1.5"),
        ("integer", "1.0"),
        ("integer", "0x10"),
        ("integer", "1e3"),
        ("integer", "1_000"),
        ("integer", "1,000"),
        ("integer", str(2**63)),
        ("integer", "9" * 30),
        ("integer", "٣"),
        ("decimal", "1.239"),
        ("decimal", "1e3"),
        ("decimal", "1.25e-2"),
        ("decimal", "5e-3"),
        ("decimal", "NaN"),
        ("decimal", "inf"),
        ("decimal", "99999999999.00"),
        ("decimal", "1,5"),
        ("decimal", "$5"),
        ("date", "2024-02-30"),
        ("date", "2024-02-29garbage"),
        ("date", "29.02.2024"),
        ("date", "epoch"),
        ("date", "24-02-29"),
        ("date", "0044-03-15 (BC)"),
        ("timestamp", "0044-03-15 (BC) 10:00:00"),
        ("timestamp", "24-02-29 10:00:00"),
        ("date", "infinity"),
        ("date", "44-03-15 (BC)"),
        ("date", "2024-02-29 10:00:00"),
        ("timestamp", "infinity"),
        ("timestamp", "epoch"),
        ("timestamp", "2024-02-29 25:00:00"),
        ("timestamp", "1709164800"),
        ("boolean", "2"),
        ("boolean", "maybe"),
    ],
)
def test_text_that_has_not(connection: duckdb.DuckDBPyConnection, type_: str, text: str) -> None:
    assert coerce(connection, text, field(type_)) == (None, "type")


@pytest.mark.parametrize(
    ("kind", "value", "type_", "expected"),
    [
        ("DOUBLE", 1029.0, "string", "1029"),
        ("DOUBLE", 3.0, "integer", 3),
        ("DOUBLE", 0.1 + 0.2, "decimal", Decimal("0.30")),
        ("DOUBLE", 1234567.89, "decimal", Decimal("1234567.89")),
        ("FLOAT", 12345.67, "decimal", Decimal("12345.67")),
        ("DECIMAL(18,4)", Decimal("1.2500"), "decimal", Decimal("1.25")),
        ("BIGINT", 7, "decimal", Decimal("7.00")),
        ("BIGINT", 7, "string", "7"),
        ("TIMESTAMP", at(2024, 2, 29, 1), "date", DAY),
        ("UUID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "string", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("INTEGER", 1, "boolean", True),
    ],
)
def test_typed_values_that_fit(
    connection: duckdb.DuckDBPyConnection, kind: str, value: object, type_: str, expected: object
) -> None:
    assert coerce(connection, value, field(type_), kind) == (expected, None)


@pytest.mark.parametrize(
    ("kind", "value", "type_"),
    [
        ("DOUBLE", 1.5, "integer"),
        ("DOUBLE", 1.5, "string"),
        ("DOUBLE", 1.239, "decimal"),
        ("DOUBLE", 1e300, "decimal"),
        ("DOUBLE", 1e300, "integer"),
        ("DECIMAL(18,4)", Decimal("1.2345"), "decimal"),
        ("DECIMAL(18,4)", Decimal("1.5"), "integer"),
        ("HUGEINT", 2**80, "integer"),
        ("DATE", "infinity", "date"),
        ("TIMESTAMP", "-infinity", "timestamp"),
        ("INTEGER", 5, "boolean"),
        ("DATE", "2024-02-29", "integer"),
        *(
            ("DOUBLE", float(odd), type_)
            for odd in ("nan", "inf", "-inf")
            for type_ in ("integer", "decimal", "string")
        ),
    ],
)
def test_typed_values_that_do_not(
    connection: duckdb.DuckDBPyConnection, kind: str, value: object, type_: str
) -> None:
    assert coerce(connection, value, field(type_), kind) == (None, "type")


_KINDS = (
    "VARCHAR TINYINT UINTEGER BIGINT HUGEINT UHUGEINT FLOAT DOUBLE DECIMAL(30,3) BOOLEAN DATE TIMESTAMP"
    " TIMESTAMP_NS TIMESTAMPTZ UUID"
)


@pytest.mark.parametrize(("type_", "kind"), list(product(SQL_TYPES, _KINDS.split())))
def test_no_combination_of_types_is_an_engine_error(
    connection: duckdb.DuckDBPyConnection, type_: FieldType, kind: str
) -> None:
    samples = {"UUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "DATE": "2024-01-01", "BOOLEAN": "true"}
    value = samples.get(kind, "2024-01-01" if kind.startswith("TIMESTAMP") else "1")
    coerced, reason = coerce(connection, value, field(type_), kind)
    assert (coerced is None) == (reason is not None)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_a_string_is_kept_as_it_is_or_missing(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert coerce(connection, text, field("string")) == (text or None, None)


@settings(max_examples=150, deadline=None)
@given(st.decimals(-(10**10) + 1, 10**10 - 1, places=2))
def test_money_is_exact(connection: duckdb.DuckDBPyConnection, amount: Decimal) -> None:
    assert coerce(connection, str(amount), field("decimal")) == (amount, None)


@settings(max_examples=150, deadline=None)
@given(st.text("0123456789+-. exX_", max_size=24))
def test_integers_are_pythons_or_quarantined(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    value, reason = coerce(connection, text, field("integer"))
    if reason is None and text:
        assert value == int(text)
    else:
        assert value is None


@pytest.mark.parametrize(
    ("value", "given_field", "reason"),
    [
        (None, field(required=True), "required"),
        ("", field(required=True), "required"),
        ("   ", field(required=True), "required"),
        (None, field("integer", required=True), "required"),
        (None, field(), None),
        ("abcd", field(max_length=3), "too_long"),
        ("äöü", field(max_length=3), None),
        ("11", field("integer", maximum=10), "out_of_range"),
        ("-1", field("integer", minimum=0), "out_of_range"),
        ("10", field("integer", minimum=10, maximum=10), None),
        ("0.01", field("decimal", maximum=0), "out_of_range"),
        ("2024-02-29", field("date", minimum=date(2024, 3, 1)), "out_of_range"),
        ("2024-03-01 00:00:01", field("timestamp", maximum=date(2024, 3, 1)), "out_of_range"),
        ("c", field(values=("a", "b", "it's")), "not_allowed"),
        ("it's", field(values=("a", "b", "it's")), None),
        ("A", field(values=("a",)), "not_allowed"),
        ("x", field("integer", minimum=5, required=True), "type"),
    ],
)
def test_limits_and_the_first_reason(
    connection: duckdb.DuckDBPyConnection, value: object, given_field: Field, reason: str | None
) -> None:
    assert coerce(connection, value, given_field)[1] == reason


def test_of_a_rejected_row_only_number_and_reason_are_told(connection: duckdb.DuckDBPyConnection) -> None:
    fields = (field("integer", "a"), field("string", "reason"))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE raw AS"
        " FROM (VALUES ('1', 'because', 's'), ('x1', 'because', 's')) v(c0, c1, c2)"
    )
    source = Source(
        "raw",
        {"a": "c0", "reason": "c1", "undeclared": "c2"},
        dict.fromkeys(("a", "reason", "undeclared"), "VARCHAR"),
    )
    intake = compile_intake(dataset(*fields), source)
    result = connection.execute(intake.rejected)
    assert result.fetchall() == [(2, "type")]
    assert intake.dropped == 1


def test_an_optional_column_may_be_absent_a_required_one_may_not(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE raw AS SELECT '1' c0")
    source = Source("raw", {"a": "c0"}, {"a": "VARCHAR"})
    intake = compile_intake(dataset(field("integer", "a"), field("date", "b")), source)
    assert connection.execute(intake.kept).fetchall() == [(1, None)]
    with pytest.raises(ContributionError) as caught:
        compile_intake(dataset(field("integer", "a"), field("date", "b", required=True)), source)
    assert caught.value.code == "contribution.missing_column"
    assert "b" in caught.value.message


@pytest.mark.parametrize(
    "kind",
    ["INTEGER[]", "TIMESTAMP[]", "DECIMAL(4,2)[]", "BLOB", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)"],
)
def test_nested_columns_are_refused_only_where_the_charter_wants_them(kind: str) -> None:
    with pytest.raises(ContributionError) as caught:
        compile_intake(dataset(field()), Source("raw", {"x": "x"}, {"x": kind}))
    assert caught.value.code == "contribution.column_type"
    source = Source("raw", {"x": "x", "other": "other"}, {"x": "VARCHAR", "other": kind})
    assert compile_intake(dataset(field()), source).dropped == 1


def test_an_identifier_with_a_nul_is_no_identifier(connection: duckdb.DuckDBPyConnection) -> None:
    """The engine's normalization would cut both `é NUL 1` and `é NUL 2` to the same household."""
    pseudonymized = field(technique={"kind": "pseudonymize", "domain": "household"})
    assert coerce(connection, "é\0001", pseudonymized) == (None, "type")
    assert coerce(connection, "é1", pseudonymized) == ("é1", None)


@pytest.mark.parametrize(
    ("value", "limit", "outcome"),
    [
        (-(2**63), 20, (str(-(2**63)), None)),
        (-(2**63), 19, (None, "too_long")),
        (12345, 4, (None, "too_long")),
        (12345, 5, ("12345", None)),
        (None, 20, (None, "required")),
    ],
)
def test_integers_given_for_text_obey_its_limits(
    connection: duckdb.DuckDBPyConnection, value: int | None, limit: int, outcome: tuple[object, str | None]
) -> None:
    """Checks that integers cannot fail are left out of the statement; these can."""
    assert coerce(connection, value, field(required=True, max_length=limit), "BIGINT") == outcome


@pytest.mark.parametrize("text", [" ", "   ", "", " x", "\t", "!"])
def test_only_blanks_are_no_value(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    blank = not text.strip(" ")
    outcome = (None, "required") if blank else (text, None)
    assert coerce(connection, text, field(required=True)) == outcome
