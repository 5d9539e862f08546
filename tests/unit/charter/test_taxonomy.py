"""The taxonomy: every class means something, and what it forces is demanded of every charter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from orchestration.charter import CharterMistakesError, Field
from orchestration.charter.fields import TechniqueKind
from orchestration.charter.model import LawfulBasis
from orchestration.charter.taxonomy import CLASSES, TAXONOMY
from tests.unit.charter.charter_text import changed_grocery, named

DIGESTS = {1: "sha256:8c33918366bd87182aacbde5044ff968c371cadae56454ca8a9065df1d8d02bc"}
Change = Callable[[Any], object]


def test_a_changed_taxonomy_is_a_new_version() -> None:
    assert DIGESTS[TAXONOMY.version] == TAXONOMY.digest


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_names_techniques_and_grounds_that_exist(name: str) -> None:
    found = CLASSES[name]
    kinds = {*found.techniques, *([found.default] if found.default else [])}
    assert kinds <= set(get_args(TechniqueKind))
    assert set(found.safeguards.lawful_bases) <= set(get_args(LawfulBasis))
    assert not found.techniques or found.default is None or found.default in found.techniques


def test_no_default_lets_anything_about_anybody_through() -> None:
    assert {name for name, found in CLASSES.items() if found.default not in (None, "drop")} == {"reference"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_technique_may_be_left_out_where_the_class_has_a_safe_one(name: str) -> None:
    given = {"name": "x", "type": "string", "classification": name}
    default = CLASSES[name].default
    if default is None:
        with pytest.raises(ValidationError, match="technique"):
            Field.model_validate(given)
    else:
        assert Field.model_validate(given) == Field.model_validate({**given, "technique": default})


def test_the_technique_that_was_left_out_is_under_the_digest() -> None:
    def leave_out(value: Any) -> None:
        for field in named(value["datasets"], "products")["fields"]:
            del field["technique"]

    assert changed_grocery(leave_out).digest == changed_grocery(lambda _: None).digest


def test_free_text_never_reaches_a_room() -> None:
    def note(value: Any) -> None:
        field = named(named(value["datasets"], "products")["fields"], "package_size")
        field["classification"] = "free_text"

    assert _mistakes(note) == {"datasets.products.fields.package_size.technique": ("drop",)}


def _special(value: Any) -> None:
    named(named(value["datasets"], "demographics")["fields"], "marital_status").update(
        classification="special_category"
    )


def _safe(value: Any) -> None:
    _special(value)
    named(value["datasets"], "demographics")["threshold"] = 20
    review = named(value["decision_rights"], "request_review")
    review["ethics_for"] = [*review["ethics_for"], "special_category"]
    for computation in value["computations"]:
        if {"customer_insight", "collaboration_planning"} & set(computation["purposes"]):
            computation["approval"] = "request_review"


def test_a_special_category_with_every_safeguard_is_accepted() -> None:
    assert changed_grocery(_safe).dataset("demographics").threshold == 20


def test_a_special_category_without_safeguards_is_refused() -> None:
    assert _mistakes(_special) == {
        "datasets.demographics.threshold": ("20 or more",),
        "computations.audience_overlap.approval": ("a decision right with ethics_for: [special_category]",),
        "computations.joint_segmentation.approval": ("a decision right with ethics_for: [special_category]",),
    }


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (
            lambda v: named(v["datasets"], "demographics").update(threshold=19),
            "datasets.demographics.threshold",
        ),
        (
            lambda v: named(v["datasets"], "demographics").update(lawful_basis="legitimate_interests"),
            "datasets.demographics.lawful_basis",
        ),
        (
            lambda v: named(v["computations"], "joint_segmentation").pop("approval"),
            "computations.joint_segmentation.approval",
        ),
    ],
)
def test_each_safeguard_is_needed(change: Change, path: str) -> None:
    def change_both(value: Any) -> None:
        _safe(value)
        change(value)

    assert list(_mistakes(change_both)) == [path]


def test_a_special_category_that_is_dropped_needs_nothing() -> None:
    def drop(value: Any) -> None:
        _special(value)
        field = named(named(value["datasets"], "demographics")["fields"], "marital_status")
        del field["technique"], field["as"]

    assert changed_grocery(drop).dataset("demographics").threshold is None


def _mistakes(change: Change) -> dict[str, tuple[str, ...]]:
    with pytest.raises(CharterMistakesError) as caught:
        changed_grocery(change)
    return {each.path: each.allowed for each in caught.value.mistakes}
