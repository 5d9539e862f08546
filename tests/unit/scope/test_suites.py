"""What a gate asserts: the charter's own promises, then the entity's rules; a slip of the pen is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.charter.loader import parse_charter
from orchestration.charter.model import Dataset
from orchestration.errors import ConfigError
from orchestration.scope.expectations import compile_suite
from orchestration.settings import PROJECT_ROOT
from tests.support import CHARTER

EXPECTATIONS = PROJECT_ROOT / "expectations"
TINY = parse_charter(CHARTER.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profile.yaml").write_text("entity: profile\nrules: []\n")
    return tmp_path


def people() -> Dataset:
    return TINY.dataset("people")


def test_the_charters_promises_become_rules() -> None:
    suite = compile_suite(TINY.dataset("sales"), EXPECTATIONS)
    rules = {rule.rule: rule for rule in suite.rules}
    assert list(rules)[:2] == ["has_rows", "columns_as_chartered"]
    assert rules["has_rows"].arguments == {"min_value": 1, "max_value": 100_000}
    columns = ["unit", "basket", "product", "quantity", "amount", "week", "occurred_on"]
    assert rules["columns_as_chartered"].arguments == {"column_list": columns}
    assert rules["unit_pseudonymous"].arguments == {"column": "unit"}
    assert rules["quantity_clamped"].arguments == {"column": "quantity", "min_value": 0, "max_value": 100}
    assert rules["week_in_range"].arguments == {"column": "week", "min_value": 1, "max_value": 53}
    assert {f"{name}_present" for name in columns} <= rules.keys()
    assert "reason" not in {rule.column for rule in suite.rules}, "a dropped field is not there to be checked"
    closed = {rule.rule: rule for rule in compile_suite(people(), EXPECTATIONS).rules}
    assert closed["age_in_set"].arguments["value_set"] == ["young", "middle", "old"]
    assert closed["key_unique"].arguments == {"column": "unit"}
    assert closed["income_not_all_missing"].arguments["mostly"] > 0  # type: ignore[operator]


def test_an_entity_without_rules_still_has_the_charters(folder: Path) -> None:
    assert len(compile_suite(people(), folder).rules) >= 5


def test_the_digest_changes_with_any_rule(folder: Path) -> None:
    before = compile_suite(people(), folder).digest
    rule = "{rule: more, expectation: expect_column_values_to_be_unique, arguments: {column: unit}}"
    (folder / "profile.yaml").write_text(f"entity: profile\nrules:\n  - {rule}\n")
    assert compile_suite(people(), folder).digest != before


def test_rules_about_what_a_dataset_does_not_give_are_left_out(folder: Path) -> None:
    rule = "{rule: more, expectation: expect_column_values_to_be_unique, arguments: {column: children}}"
    (folder / "profile.yaml").write_text(f"entity: profile\nrules:\n  - {rule}\n")
    assert "more" not in {rule.rule for rule in compile_suite(people(), folder).rules}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "entity: profile\nrules: [",
        "entity: profile",
        "entity: transaction\nrules: []",
        "entity: profile\nrules: []\nmore: 1",
        "entity: profile\nrules: [{rule: a, expectation: unexpected_rows_expectation}]",
        "entity: profile\nrules: [{rule: 'A b', expectation: expect_x}]",
        "entity: profile\nrules: [{rule: a, expectation: expect_x, severity: mild}]",
        # A misspelled column must not make the rule disappear.
        "entity: profile\nrules: [{rule: a, expectation: expect_x, arguments: {column: agee}}]",
        "entity: profile\nrules: [{rule: a, expectation: expect_x, arguments: {column_list: [unit, agee]}}]",
        # Two rules of one name: one answer would stand for both.
        "entity: profile\nrules: [{rule: has_rows, expectation: expect_x}]",
    ],
)
def test_an_unusable_suite_is_refused(folder: Path, text: str) -> None:
    (folder / "profile.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        compile_suite(people(), folder)
    assert caught.value.code == "gate.bad_suite"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_suite(people(), tmp_path)
    assert caught.value.code == "gate.bad_suite"
