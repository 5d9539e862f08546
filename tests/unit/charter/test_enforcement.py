"""Every clause is kept by code or by a person; nothing is in between."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from orchestration.charter import Charter, enforcement, load_charter
from orchestration.charter.enforcement_rules import LABELS, PACKAGES, RULES
from orchestration.charter.loader import STARTER
from orchestration.errors import CharterError
from orchestration.settings import PROJECT_ROOT

STARTED = load_charter(STARTER)


def _patterns(annotation: Any, pattern: str = "") -> set[str]:
    """Every leaf that a charter could hold, from the model itself."""
    models = _models(annotation)
    if not models:
        return {pattern}
    found: set[str] = set()
    for model in models:
        for name, field in model.model_fields.items():
            key = field.alias or name
            star = ".*" if "tuple" in str(field.annotation) and _models(field.annotation) else ""
            found |= _patterns(field.annotation, f"{pattern}.{key}{star}".lstrip("."))
    return found


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def test_every_leaf_a_charter_could_hold_has_a_rule_and_no_rule_is_stale() -> None:
    ruled = {f"{rule.clause}.{leaf}".rstrip(".") for rule in RULES for leaf in rule.leaves} | set(LABELS)
    assert ruled == _patterns(Charter)


def test_every_stage_of_a_rule_lives_in_a_package_of_the_tree() -> None:
    assert {stage for rule in RULES for stage in rule.stages} == set(PACKAGES)
    assert all((PROJECT_ROOT / package).is_dir() for package in PACKAGES.values())


def test_each_clause_has_code_or_an_owner_and_never_neither() -> None:
    kept = enforcement(STARTED)
    assert all(bool(each.stages) != bool(each.owner) for each in kept)
    by_path = {each.path: each for each in kept}
    assert by_path["retention.releases_days"].stages == (("destruction", "orchestration/stages"),)
    assert by_path["output.aggregation_threshold"].stages == (("protected", "orchestration/output"),)
    assert "pseudonymized (customer) as unit" in by_path["datasets.receipts.fields.customer_number"].states
    assert len(by_path) == len(kept)


def test_a_clause_that_loses_its_duty_is_refused() -> None:
    duties = tuple(duty for duty in STARTED.human_duties if duty.id != "fair_use")
    with pytest.raises(CharterError) as caught:
        enforcement(STARTED.model_copy(update={"human_duties": duties}))
    assert caught.value.code == "charter.unenforced"
    assert "prohibited_uses.re_identification, output.formats" in caught.value.message


def test_a_clause_without_any_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = tuple(rule for rule in RULES if rule.clause != "output.max_cells")
    monkeypatch.setitem(enforcement.__globals__, "RULES", fewer)
    with pytest.raises(CharterError) as caught:
        enforcement(STARTED)
    assert "output.max_cells" in caught.value.message
