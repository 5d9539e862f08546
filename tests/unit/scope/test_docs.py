"""docs/techniques.md: every technique is there, and every example does what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import duckdb
import pytest
from ruamel.yaml import YAML

from orchestration.charter.fields import Field
from orchestration.charter.techniques import Normalization, Pseudonymize, TechniqueKind
from orchestration.scope.normalization import normalized, register_normalizers
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.techniques.form import Place, form
from orchestration.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "techniques.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `(\{kind: [^`]*\})` \| `([^`]*)` \| `([^`]*)` \|$", PAGE, re.M)
SPELLINGS = re.findall(r"^\| `([a-z_]+)` \| `([^`]*)` \| (?:`([^`]*)`|quarantined) \|$", PAGE, re.M)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        register_normalizers(opened)
        bind_keys(opened, collaboration=bytes(32), blinding=bytes(32))
        yield opened


def typed(value: str) -> tuple[str, Any]:
    if re.fullmatch(r"-?[0-9]{1,3}", value):
        return "integer", int(value)
    return (
        ("date", date.fromisoformat(value))
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)
        else ("string", value)
    )


@pytest.mark.parametrize(("technique", "value", "expected"), EXAMPLES)
def test_an_example_becomes_what_the_page_says(
    connection: duckdb.DuckDBPyConnection, technique: str, value: str, expected: str
) -> None:
    type_, given = typed(value)
    field = Field.model_validate(
        {"name": "x", "as": "x", "type": type_, "classification": "reference",
         "technique": YAML(typ="safe").load(technique)}
    )  # fmt: skip
    expression = form(field, Place(("collaboration",))).expression
    source = f"(SELECT $x::{field.sql_type} AS x) AS source"
    query = f"SELECT CAST({expression} AS {field.deidentified_type}) FROM {source}"
    row = connection.execute(query, {"x": given}).fetchone()
    assert row is not None
    assert str(row[0]) == expected
    assert not isinstance(row[0], float | Decimal)


@pytest.mark.parametrize(("normalize", "spelling", "identifier"), SPELLINGS)
def test_a_spelling_becomes_the_identifier_on_the_page(
    connection: duckdb.DuckDBPyConnection, normalize: str, spelling: str, identifier: str
) -> None:
    technique = Pseudonymize.model_validate({"domain": "d", "normalize": normalize, "region": "US"})
    row = connection.execute(f"SELECT {normalized(technique, '$x')}", {"x": spelling}).fetchone()
    assert row == (identifier or None,)


def test_the_page_names_every_technique_and_every_normalization() -> None:
    assert set(re.findall(r"`([a-z_]+)`", PAGE.partition("## Examples")[0])) >= set(get_args(TechniqueKind))
    assert {normalize for normalize, _, _ in SPELLINGS} == set(get_args(Normalization))
    assert len(EXAMPLES) >= 10
    assert len(SPELLINGS) >= 10
