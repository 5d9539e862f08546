"""The dbt project, the templates and the charter's entities are one design: drift is found both ways."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestration.charter import ENTITIES
from orchestration.computation.template import DBT_PROJECT, Template, load_templates

TEMPLATES = load_templates()
MODELS = sorted(DBT_PROJECT.glob("models/*/*.sql"))
TYPES = {"count": "bigint", "money": "decimal(18,2)"}


def document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return loaded


def contract(model: Path) -> dict[str, str]:
    described = document(model.with_suffix(".yml"))["models"][0]
    assert described["name"] == model.stem
    return {each["name"]: each["data_type"] for each in described["columns"]}


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_every_model_has_its_yaml_beside_it_and_says_its_grain(model: Path) -> None:
    described = document(model.with_suffix(".yml"))["models"][0]
    assert re.search(r"One row per [^.]+\.$", described["description"].strip())
    assert all(column["description"] for column in described["columns"])


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
def test_staging_has_the_attributes_and_types_of_the_entity(entity: Any) -> None:
    model = DBT_PROJECT / "models" / "staging" / f"stg_{entity.name}.sql"
    expected = [(name, kind.lower()) for name, kind in entity.attributes.items()]
    assert list(contract(model).items()) == expected


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
def test_cells_have_the_columns_the_template_states(template: Template) -> None:
    kinds = {each.name: TYPES[each.type] for each in template.measures}
    dimensions = {each.name: "varchar" for each in template.dimensions}
    flags = {f"{name}_is_total": "boolean" for name in dimensions}
    expected = dimensions | flags | {name: kinds.get(name, "bigint") for name in template.figures}
    assert list(contract(DBT_PROJECT / "models" / "cells" / f"{template.model}.sql").items()) == list(
        expected.items()
    )


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
def test_the_model_accepts_the_choices_of_the_template_and_no_other(template: Template) -> None:
    sql = (DBT_PROJECT / "models" / "cells" / f"{template.model}.sql").read_text(encoding="utf-8")
    lists = dict(re.findall(r"set (\w+) = (\[[^\]]+\])", sql))
    accepted = {}
    for name, choices in re.findall(r"parameter\('(\w+)', ([^)]+)\)", sql):
        for variable, value in lists.items():
            choices = choices.replace(variable, value)
        accepted[name] = sorted(
            each for part in choices.split(" + ") for each in ast.literal_eval(part.strip())
        )
    assert accepted == {each.name: sorted(each.choices) for each in template.parameters}


def test_the_project_downloads_nothing_and_phones_nobody() -> None:
    assert not list(DBT_PROJECT.glob("packages.yml")) + list(DBT_PROJECT.glob("dependencies.yml"))
    flags = document(DBT_PROJECT / "dbt_project.yml")["flags"]
    assert flags["send_anonymous_usage_stats"] is False
    assert flags["log_level_file"] == "none"


def test_contracts_are_enforced_on_every_model() -> None:
    models = document(DBT_PROJECT / "dbt_project.yml")["models"]["glasshouse"]
    assert models["+contract"] == {"enforced": True}
    assert models["+database"] == "room"
