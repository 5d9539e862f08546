"""Techniques in the charter: which parameters go together, what is said of them, which way they moved."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.charter import CharterMistakesError, Field, parse_charter
from orchestration.charter.diff_directions import technique as direction
from orchestration.charter.enforcement_wording import technique as wording
from orchestration.charter.fields import FieldType
from orchestration.charter.technique_checks import check_technique
from orchestration.charter.techniques import TECHNIQUES
from orchestration.scope.expectations import _limits
from tests.support import CHARTER

EDUCATION = [
    {"name": "BSc", "becomes": ["degree", "*"]},
    {"name": "MSc", "becomes": ["degree", "*"]},
    {"name": "none", "becomes": ["school", "*"]},
]
GOOD: list[tuple[FieldType, dict[str, Any], str, str | None]] = [
    ("string", {"kind": "pass"}, "passed", "VARCHAR"),
    ("string", {"kind": "drop"}, "checked, then dropped", None),
    ("string", {"kind": "pseudonymize", "domain": "d"}, "pseudonymized (d)", "VARCHAR"),
    ("string", {"kind": "pseudonymize", "domain": "d", "normalize": "phone", "region": "DE"},
     "pseudonymized (d, as phone of DE)", "VARCHAR"),
    ("string", {"kind": "generalize", "prefix": 3}, "generalized to its first 3", "VARCHAR"),
    ("string", {"kind": "generalize", "hierarchy": EDUCATION, "level": 1},
     "generalized to level 1 of a hierarchy of 3 values", "VARCHAR"),
    ("string", {"kind": "mask", "keep_first": 2}, "masked but for 2 first and 0 last characters", "VARCHAR"),
    ("string", {"kind": "redact"}, "redacted (e-mail addresses, IBANs, long numbers)", "VARCHAR"),
    ("integer", {"kind": "clamp", "low": 0, "high": 9}, "clamped to 0..9", "BIGINT"),
    ("integer", {"kind": "top_code", "at": 90}, "top-coded at 90", "BIGINT"),
    ("decimal", {"kind": "bottom_code", "at": 0.5}, "bottom-coded at 0.5", "DECIMAL(12,2)"),
    ("decimal", {"kind": "round", "multiple": 0.25}, "rounded to multiples of 0.25", "DECIMAL(12,2)"),
    ("integer", {"kind": "bucket", "boundaries": [10, 20], "source": "Census 2020"},
     "put into 3 parts of Census 2020", "VARCHAR"),
    ("timestamp", {"kind": "date_shift", "days": 30},
     "shifted by up to 30 days, alike for all dates of a unit", "DATE"),
    ("date", {"kind": "generalize", "to": "month"}, "generalized to month", "DATE"),
]  # fmt: skip
BAD: list[tuple[FieldType, dict[str, Any], dict[str, Any], str]] = [
    ("integer", {"kind": "mask"}, {}, "'mask' cannot be applied to integer."),
    ("string", {"kind": "round", "multiple": 5}, {}, "'round' cannot be applied to string."),
    ("integer", {"kind": "round", "multiple": 0.5}, {}, "must be a whole number"),
    ("integer", {"kind": "top_code", "at": 0.5}, {}, "must be a whole number"),
    ("decimal", {"kind": "bucket", "boundaries": [2, 2], "source": "s"}, {}, "Boundaries must rise."),
    ("string", {"kind": "generalize"}, {}, "either 'prefix' or 'hierarchy'"),
    ("string", {"kind": "generalize", "prefix": 2, "hierarchy": EDUCATION, "level": 1}, {}, "either"),
    ("string", {"kind": "generalize", "hierarchy": EDUCATION}, {}, "A hierarchy has a 'level'"),
    ("string", {"kind": "generalize", "prefix": 2, "level": 1}, {}, "A hierarchy has a 'level'"),
    ("string", {"kind": "generalize", "hierarchy": EDUCATION, "level": 3}, {}, "has 2 levels"),
    ("string", {"kind": "generalize", "hierarchy": [*EDUCATION, EDUCATION[0]], "level": 1}, {}, "twice"),
    ("string", {"kind": "generalize", "hierarchy": [*EDUCATION, {"name": "x", "becomes": ["*"]}], "level": 1},
     {}, "needs 2 coarser forms"),
    ("string", {"kind": "generalize", "level": 1,
                "hierarchy": [*EDUCATION, {"name": "PhD", "becomes": ["degree", "science"]}]},
     {}, "'degree' has become '*' already"),
    ("string", {"kind": "generalize", "hierarchy": EDUCATION, "level": 1}, {"values": ["PhD"]},
     "the hierarchy does not know it"),
    ("string", {"kind": "mask", "keep_first": 2, "keep_last": 2}, {"max_length": 4}, "nothing but stars"),
    ("string", {"kind": "pseudonymize", "domain": "d", "region": "DE"}, {}, "'region' is of telephone"),
]  # fmt: skip


def field(type_: FieldType, technique: dict[str, Any], **limits: Any) -> Field:
    given = {"name": "x", "as": "x", "type": type_, "classification": "behavioural", "technique": technique}
    return Field.model_validate(given | limits)


@pytest.mark.parametrize(("type_", "technique", "says", "left"), GOOD, ids=lambda each: str(each)[:30])
def test_a_technique_says_what_it_does_and_what_it_leaves(
    type_: FieldType, technique: dict[str, Any], says: str, left: str | None
) -> None:
    given = field(type_, technique)
    assert not list(check_technique(given, ("x",)))
    assert given.deidentified_type == left
    document = given.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert wording(document["technique"]) == says
    assert Field.model_validate_json(given.model_dump_json(by_alias=True)) == given


def test_every_technique_is_shown_above() -> None:
    assert {technique["kind"] for _, technique, _, _ in GOOD} == {
        kind for kinds in TECHNIQUES.values() for kind in kinds
    }


@pytest.mark.parametrize(("type_", "technique", "limits", "says"), BAD, ids=lambda each: str(each)[:40])
def test_parameters_that_do_not_go_together_are_mistakes(
    type_: FieldType, technique: dict[str, Any], limits: dict[str, Any], says: str
) -> None:
    findings = list(check_technique(field(type_, technique, **limits), ("x",)))
    assert any(says in finding.message for finding in findings), findings


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"kind": "pass"}, {"kind": "mask"}, "stricter"),
        ({"kind": "date_shift"}, {"kind": "generalize"}, None),
        ({"kind": "redact"}, {"kind": "pass"}, "looser"),
        ({"kind": "top_code", "at": 90}, {"at": 100}, "looser"),
        ({"kind": "bottom_code", "at": 90}, {"at": 100}, "stricter"),
        ({"kind": "round", "multiple": 5}, {"multiple": 10}, "stricter"),
        ({"kind": "round", "multiple": 10}, {"multiple": 5}, "looser"),
        ({"kind": "round", "multiple": 10}, {"multiple": 7}, None),
        ({"kind": "mask", "keep_first": 2, "keep_last": 1}, {"keep_first": 1}, "stricter"),
        ({"kind": "mask", "keep_first": 2, "keep_last": 1}, {"keep_first": 1, "keep_last": 2}, None),
        ({"kind": "mask", "keep_first": 2, "keep_last": 1}, {"stars": 9}, "neutral"),
        ({"kind": "bucket", "boundaries": [1, 2], "source": "s"}, {"boundaries": [1, 2, 3]}, "looser"),
        ({"kind": "bucket", "boundaries": [1, 2], "source": "s"}, {"boundaries": [2]}, "stricter"),
        ({"kind": "bucket", "boundaries": [1, 2], "source": "s"}, {"boundaries": [1, 3]}, None),
        ({"kind": "date_shift", "days": 30}, {"days": 60}, "stricter"),
        ({"kind": "generalize", "prefix": 3}, {"prefix": 2}, "stricter"),
        ({"kind": "generalize", "hierarchy": EDUCATION, "level": 2}, {"level": 1}, "looser"),
        ({"kind": "generalize", "hierarchy": EDUCATION, "level": 1}, {"hierarchy": EDUCATION[:2]}, None),
        ({"kind": "pseudonymize", "domain": "d"}, {"normalize": "email"}, None),
    ],
    ids=str,
)
def test_which_way_a_technique_moved(old: dict[str, Any], new: dict[str, Any], expected: str | None) -> None:
    assert direction(old, old | new) == expected


@pytest.mark.parametrize(
    ("type_", "technique", "limits", "suffix", "arguments"),
    [
        ("string", {"kind": "mask", "keep_last": 4, "stars": 3}, {}, "masked", {"value": 7}),
        ("string", {"kind": "generalize", "prefix": 3}, {}, "shortened", {"max_value": 3}),
        ("string", {"kind": "generalize", "hierarchy": EDUCATION, "level": 1}, {}, "at_level",
         {"value_set": ["degree", "school"]}),
        ("integer", {"kind": "bucket", "boundaries": [1], "source": "s"}, {}, "in_parts",
         {"value_set": ["q1", "q2"]}),
        ("integer", {"kind": "top_code", "at": 90}, {"minimum": 0, "maximum": 120}, "coded",
         {"min_value": 0, "max_value": 90}),
        ("integer", {"kind": "bottom_code", "at": 5}, {}, "coded", {"min_value": 5}),
        ("integer", {"kind": "round", "multiple": 10}, {"minimum": -3, "maximum": 101}, "coded",
         {"min_value": -10, "max_value": 110}),
        ("integer", {"kind": "round", "multiple": 10}, {}, None, None),
    ],
)  # fmt: skip
def test_what_the_gate_asserts_of_a_technique(
    type_: FieldType, technique: dict[str, Any], limits: dict[str, Any], suffix: str | None, arguments: Any
) -> None:
    rules = _limits(field(type_, technique, **limits), "x")
    assert [rule.rule for rule in rules] == ([f"x_{suffix}"] if suffix else [])
    for rule in rules:
        assert rule.arguments == {"column": "x"} | arguments


def test_a_hierarchy_closes_the_set_of_values() -> None:
    technique = {"kind": "generalize", "hierarchy": EDUCATION, "level": 1}
    assert field("string", technique).closed_set == ("BSc", "MSc", "none")
    assert field("string", technique, values=["BSc"]).closed_set == ("BSc",)


def test_a_domain_is_normalized_alike_in_every_dataset() -> None:
    changed = CHARTER.replace("domain: household}", "domain: household, normalize: email}", 1)
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(changed.encode())
    (mistake,) = caught.value.mistakes
    assert mistake.path == "datasets.people.fields.household_id.technique.normalize"
    assert mistake.message == "The domain 'household' is normalized as email in sales."


def test_dates_shift_alike_everywhere_and_only_with_a_unit() -> None:
    shifted = CHARTER.replace("{kind: generalize, to: day}", "{kind: date_shift, days: 10}")
    assert parse_charter(shifted.encode()).dataset("sales").fields[6].deidentified_type == "DATE"
    campaigns = (
        """
      - {name: from, type: date, as: starts_on, classification: reference, technique: SHIFT10}
      - {name: until, type: date, as: ends_on, classification: reference, technique: SHIFT20}
""".replace("SHIFT", "{kind: date_shift, days: ")
        .replace("10}", "10}}")
        .replace("20}", "20}}")
    )
    start = CHARTER.index("  - id: products")
    fields_ = CHARTER.index("    fields:", start)
    text = (
        CHARTER[start:fields_].replace("products", "campaigns").replace("entity: product", "entity: campaign")
    )
    text = text.replace("    unique_key: [product]\n", "")
    at = CHARTER.index("purposes:\n  - {id: insight")
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter((CHARTER[:at] + text + "    fields:" + campaigns + CHARTER[at:]).encode())
    messages = [mistake.message for mistake in caught.value.mistakes]
    assert messages.count("A campaign has no privacy unit whose dates could be shifted alike.") == 2
    assert "Dates shift by up to 10 days in campaigns; others would part from them." in messages
