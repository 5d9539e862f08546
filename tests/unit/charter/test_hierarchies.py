"""Hierarchies from files: a charter keeps them whole, and the real ones of Adult are hierarchies indeed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from orchestration.charter import Field
from orchestration.charter.hierarchies import hierarchy_clause, read_hierarchy
from orchestration.charter.technique_checks import check_technique
from orchestration.cli.charter import app
from orchestration.errors import CharterError
from orchestration.settings import PROJECT_ROOT

ADULT = PROJECT_ROOT.parent / "shared" / "data" / "adult_arx"
if not ADULT.exists():
    ADULT = PROJECT_ROOT.parent.parent / "shared" / "data" / "adult_arx"


def field(clause: object) -> Field:
    return Field.model_validate(
        {"name": "x", "as": "x", "type": "string", "classification": "quasi_identifier", "technique": clause}
    )


def test_a_file_becomes_a_clause_that_a_charter_can_keep(tmp_path: Path) -> None:
    file = tmp_path / "education.csv"
    file.write_text('\ufeffBSc; degree;*\nit\'s: "x";degree;*\n', encoding="utf-8")
    rungs = read_hierarchy(file)
    assert [(rung.name, rung.becomes) for rung in rungs] == [
        ("BSc", ("degree", "*")),
        ('it\'s: "x"', ("degree", "*")),
    ]
    clause = YAML(typ="safe").load(hierarchy_clause(rungs, 2))
    assert field(clause).technique.hierarchy == rungs  # type: ignore[union-attr]
    printed = CliRunner().invoke(app, ["hierarchy", str(file), "--level", "2"])
    assert YAML(typ="safe").load(printed.stdout) == clause
    assert json.loads(CliRunner().invoke(app, ["hierarchy", str(file), "--json"]).stdout)["level"] == 1


@pytest.mark.parametrize("line", ["", "alone", ";x", "a;", "a;\x07"])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"a;b\n{line}\n")
    with pytest.raises(CharterError, match=r"charter\.bad_hierarchy"):
        read_hierarchy(file)


@pytest.mark.skipif(not ADULT.exists(), reason="needs the shared data")
@pytest.mark.parametrize(
    "column", ["education", "marital-status", "native-country", "occupation", "workclass"]
)
def test_the_hierarchies_of_adult_are_hierarchies_and_know_every_value(column: str) -> None:
    rungs = read_hierarchy(ADULT / f"adult_hierarchy_{column}.csv")
    clause = {"kind": "generalize", "level": 1, "hierarchy": [rung.model_dump() for rung in rungs]}
    assert not list(check_technique(field(clause), ("x",)))
    with (ADULT / "adult.csv").open(newline="") as file:
        values = {row[column] for row in csv.DictReader(file, delimiter=";")}
    assert values <= set(field(clause).closed_set)
