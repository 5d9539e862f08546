"""The SQL of a model as dbt compiles it: every model, every choice."""

from __future__ import annotations

import pytest
import sqlglot

from orchestration.computation.model_sql import compiled, models, variants
from orchestration.computation.template import load_templates


def test_every_template_has_its_model_and_every_model_its_columns() -> None:
    assert {each.model for each in load_templates().values()} <= set(models())
    assert all(model.columns for model in models().values())


@pytest.mark.parametrize("template", load_templates().values(), ids=lambda each: each.id)
def test_every_choice_is_taken_and_is_sql(template) -> None:
    taken = list(variants(template))
    for parameter in template.parameters:
        assert {each[parameter.name] for each in taken} == set(parameter.choices)
    for choices in taken:
        sql = compiled(models()[template.model], choices)
        assert sqlglot.parse_one(sql, dialect="duckdb").key == "select"
        assert "{" not in sql


def test_what_is_not_given_takes_the_first_choice() -> None:
    model = models()["cells_campaign_response"]
    assert compiled(model, {}) == compiled(model, {"by": "campaign_type"})
    assert compiled(model, {}) != compiled(model, {"by": "campaign"})
