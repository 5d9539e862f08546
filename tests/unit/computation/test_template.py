"""A template says what it asks, reads and returns; its digest covers everything that shapes the answer."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestration.charter import ENTITIES
from orchestration.computation import template as module
from orchestration.computation.template import Template, load_templates

TEMPLATES = load_templates()


def test_the_three_templates_are_there() -> None:
    assert sorted(TEMPLATES) == ["audience_overlap", "campaign_response", "joint_segmentation"]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
def test_a_template_is_coherent(template: Template) -> None:
    names = {each.name for each in template.parameters}
    assert set(template.distinct) <= names
    assert template.resolve({}).keys() == names
    for parameter in template.parameters:
        assert parameter.default in parameter.choices
        for choice in parameter.choices:
            given = {parameter.name: choice}
            assert template.dimensions_for(given)
            assert set(template.entities(given)) <= set(ENTITIES)
    defaults = template.resolve({})
    assert len({defaults[name] for name in template.distinct}) == len(template.distinct)


def test_titles_name_what_was_chosen() -> None:
    dimensions = TEMPLATES["audience_overlap"].dimensions_for({"left": "mailed", "right": "redeemers"})
    assert [each.title for each in dimensions] == ["Mailed", "Redeemers"]


def test_the_second_dimension_disappears_when_none_was_asked_for() -> None:
    template = TEMPLATES["joint_segmentation"]
    assert [each.name for each in template.dimensions_for({"rows": "age"})] == ["row_value"]
    both = template.dimensions_for({"rows": "age", "columns": "income"})
    assert [each.name for each in both] == ["row_value", "column_value"]


def test_only_the_chosen_audiences_are_read() -> None:
    template = TEMPLATES["audience_overlap"]
    assert template.entities({"left": "shoppers", "right": "mailed"}) == ("assignment", "transaction")


def test_the_sources_are_the_sql_between_the_admitted_entities_and_the_cells() -> None:
    models = [path for path in TEMPLATES["campaign_response"].sources if path.startswith("models/")]
    assert models == [
        "models/cells/cells_campaign_response.sql",
        "models/intermediate/int_assignments__responded.sql",
        "models/staging/stg_assignment.sql",
        "models/staging/stg_campaign.sql",
        "models/staging/stg_interaction.sql",
    ]


@pytest.mark.parametrize("change", [{"version": 2}, {"sources": {"models/a.sql": "sha256:0"}}])
def test_the_digest_changes_with_the_specification_and_with_the_sql(change: dict[str, object]) -> None:
    template = TEMPLATES["audience_overlap"]
    assert template.model_copy(update=change).digest != template.digest


def test_the_digest_is_stable_between_readings() -> None:
    assert module.load_templates.__wrapped__() == TEMPLATES


def test_a_specification_with_an_unknown_key_is_refused() -> None:
    document = TEMPLATES["audience_overlap"].model_dump() | {"sql": "select 1"}
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Template.model_validate(document)
