"""What a technique cannot have given is left out with its reason; what it gives always stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter.fields import Field
from orchestration.charter.loader import parse_charter
from orchestration.charter.model import Dataset
from orchestration.charter.techniques import AnyTechnique
from orchestration.engine.duck import quote_name
from orchestration.scope.deidentification import compile_preparation
from orchestration.scope.prepared_rows import compile_prepared_intake
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.tabular import Source
from tests.support import CHARTER

TINY = parse_charter(CHARTER.encode())
EDUCATION = [{"name": "BSc", "becomes": ["degree", "any"]}, {"name": "none", "becomes": ["school", "any"]}]
SCHOOL = {"kind": "generalize", "hierarchy": EDUCATION, "level": 1}
BANDS = {"kind": "generalize", "bands": [{"label": "low", "until": 5}, {"label": "high", "from": 5}]}
YEAR = {"minimum": date(2024, 1, 10), "maximum": date(2024, 12, 20)}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
NUMBERS = st.integers(-50, 50)
CENTS = st.decimals(-50, 50, places=2)
DAYS = st.dates(YEAR["minimum"], YEAR["maximum"])


class Case(NamedTuple):
    """A technique with what may go in, and what cannot have come out for each reason."""

    type: str
    technique: Any
    limits: dict[str, Any]
    attribute: str
    values: st.SearchStrategy[Any]
    outside: dict[str, list[Any]]


def case(
    type_: str, technique: Any, attribute: str, values: st.SearchStrategy[Any], /, **outside: list[Any]
) -> Case:
    limits = outside.pop("limits", {})
    return Case(type_, technique, limits, attribute, values, outside)  # type: ignore[arg-type]


WITHIN = {"minimum": -50, "maximum": 50}
CASES = [
    case("string", {"kind": "pseudonymize", "domain": "household"}, "age", TEXTS,
         type=["H000001", "A" * 64, "g" * 64, "a" * 63]),
    case("integer", {"kind": "clamp", "low": -3, "high": 9}, "quantity", NUMBERS, out_of_range=[-4, 10]),
    case("date", {"kind": "generalize", "to": "day"}, "occurred_on", DAYS, limits=YEAR,
         out_of_range=[date(2024, 1, 9), date(2024, 12, 21)]),
    case("date", {"kind": "generalize", "to": "week"}, "occurred_on", DAYS, limits=YEAR,
         out_of_range=[date(2024, 1, 1), date(2024, 1, 9), date(2024, 12, 23)]),
    case("date", {"kind": "generalize", "to": "month"}, "occurred_on", DAYS, limits=YEAR,
         out_of_range=[date(2023, 12, 1), date(2024, 3, 2), date(2025, 1, 1)]),
    case("date", {"kind": "generalize", "to": "year"}, "occurred_on", DAYS, limits=YEAR,
         out_of_range=[date(2023, 1, 1), date(2024, 2, 1)]),
    case("integer", BANDS, "age", NUMBERS, not_allowed=["7", "middle", ""]),
    case("string", {"kind": "generalize", "prefix": 3}, "postcode", TEXTS,
         not_allowed=["1234", "1-2", " 12"]),
    case("string", SCHOOL, "age", st.sampled_from(["BSc", "none"]), not_allowed=["BSc", "any", "MSc"]),
    case("integer", {"kind": "top_code", "at": 9}, "quantity", NUMBERS, limits=WITHIN,
         out_of_range=[10, -51]),
    case("decimal", {"kind": "bottom_code", "at": -2.5}, "amount", CENTS, limits=WITHIN,
         out_of_range=[Decimal("-2.51"), Decimal("50.01")]),
    case("decimal", {"kind": "round", "multiple": 0.3}, "amount", CENTS, limits=WITHIN,
         out_of_range=[Decimal("0.31"), Decimal("50.40"), Decimal("-50.40")]),
    case("integer", {"kind": "round", "multiple": 10}, "quantity", st.integers(-(2**63), 2**63 - 1),
         out_of_range=[5, -11]),
    case("string", {"kind": "mask", "keep_first": 2, "keep_last": 1, "stars": 3}, "age", TEXTS,
         not_allowed=["ab***", "ab*c", "abcdef", "ab****c"]),
    case("integer", {"kind": "bucket", "boundaries": [1, 5], "source": "s"}, "age", NUMBERS,
         not_allowed=["q0", "q4", "4"]),
    case("date", {"kind": "date_shift", "days": 5}, "occurred_on", DAYS, limits=YEAR,
         out_of_range=[date(2024, 1, 4), date(2024, 12, 26)]),
    case("string", {"kind": "redact"}, "age", st.text("aDE17@ -", max_size=70),
         not_allowed=["ask jane@shop-mail.de", "DE89370400440532013000", "call 030 901820"]),
    case("string", {"kind": "pass"}, "age", TEXTS, limits={"max_length": 12}, too_long=["a" * 13]),
    case("string", {"kind": "pass"}, "age", st.sampled_from(["a", "b"]), limits={"values": ["a", "b"]},
         not_allowed=["c"]),
    case("integer", {"kind": "pass"}, "quantity", NUMBERS, limits=WITHIN, out_of_range=[51, -51]),
    case("date", {"kind": "pass"}, "occurred_on", DAYS, limits=YEAR, out_of_range=[date(2025, 1, 1)]),
]  # fmt: skip
names = pytest.mark.parametrize("each", CASES, ids=lambda each: f"{each.type} {each.technique}"[:60])


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        bind_keys(opened, collaboration=bytes(range(32)))
        yield opened


def dataset(each: Case) -> Dataset:
    entity = "transaction" if each.attribute in ("quantity", "amount", "occurred_on") else "profile"
    stated: list[dict[str, Any]] = [
        {"name": "person", "as": "unit", "type": "string", "required": True,
         "technique": {"kind": "pseudonymize", "domain": "household"}},
        {"name": "x", "as": each.attribute, "type": each.type, "technique": each.technique, **each.limits},
    ]  # fmt: skip
    fields = tuple(Field.model_validate(one | {"classification": "behavioural"}) for one in stated)
    return TINY.dataset("sales").model_copy(update={"entity": entity, "fields": fields})


def prepared(connection: duckdb.DuckDBPyConnection, of: Dataset, values: list[Any]) -> Source:
    """The table `prepared`, as a desk makes it of these values."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE raw (person VARCHAR, x {of.fields[1].sql_type})")
    connection.executemany("INSERT INTO raw VALUES ('p', ?)", [(value,) for value in values])
    compiled = compile_preparation(of, "raw")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE prepared AS {compiled.query}")
    return Source("prepared", {name: quote_name(name) for name in compiled.columns}, {})


def reasons(connection: duckdb.DuckDBPyConnection, of: Dataset, source: Source) -> dict[str, int]:
    intake = compile_prepared_intake(of, source)
    found = dict(connection.execute(intake.reasons).fetchall())
    (kept,) = connection.execute(f"SELECT count(*) FROM ({intake.kept})").fetchone() or (0,)
    (rows,) = connection.execute(intake.rows).fetchone() or (0,)
    assert kept + sum(found.values()) == rows
    assert len(connection.execute(intake.rejected).fetchall()) == sum(found.values())
    return found


@names
def test_what_the_technique_cannot_have_given_is_left_out(
    connection: duckdb.DuckDBPyConnection, each: Case
) -> None:
    of = dataset(each)
    for reason, values in each.outside.items():
        for value in values:
            source = prepared(connection, of, [None, None])
            connection.execute(f"UPDATE prepared SET {each.attribute} = ? WHERE rowid = 1", [value])
            assert reasons(connection, of, source) == {reason: 1}, value


@names
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_the_technique_gives_always_stays(
    connection: duckdb.DuckDBPyConnection, each: Case, data: st.DataObject
) -> None:
    values = data.draw(st.lists(each.values | st.none(), min_size=1, max_size=8))
    of = dataset(each)
    assert reasons(connection, of, prepared(connection, of, values)) == {}


def test_a_value_that_is_required_must_be_there(connection: duckdb.DuckDBPyConnection) -> None:
    of = dataset(CASES[0])
    source = prepared(connection, of, ["a", "b"])
    connection.execute("UPDATE prepared SET unit = NULL WHERE rowid = 0")
    assert reasons(connection, of, source) == {"required": 1}


def test_every_technique_is_tried() -> None:
    kinds = {each.model_fields["kind"].default for each in AnyTechnique.__args__}
    assert {each.technique["kind"] for each in CASES} == kinds - {"drop"}
