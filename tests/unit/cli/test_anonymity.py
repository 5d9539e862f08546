"""`glasshouse anonymity` at a contributor's desk: no house, exact figures, and a way to do better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from orchestration.cli import app, console
from orchestration.errors import ConfigError, ContributionError
from tests.adult import FOLDER, needs_adult
from tests.support import CHARTER, csv_bytes, household, sales_rows

HEADER = "household_id,age,income\n"
LEVELS = "young;under 60;*\nmiddle;under 60;*\nold;60+;*\n"


@pytest.fixture(autouse=True)
def _narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 80)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a charter and a file of 120 households, 3 of them old."""
    monkeypatch.chdir(tmp_path)
    write_charter(tmp_path, "{k: 10, sensitive: [{attribute: income, t: 0.4}]}")
    ages = ["young"] * 97 + ["middle"] * 20 + ["old"] * 3
    rows = [
        {"household_id": household(n), "age": age, "income": ("low", "high")[n % 2]}
        for n, age in enumerate(ages)
    ]
    (tmp_path / "people.csv").write_bytes(csv_bytes(rows))
    (tmp_path / "age.csv").write_text(LEVELS)
    return tmp_path


def write_charter(folder: Path, floor: str) -> None:
    at = CHARTER.index("    fields:\n", CHARTER.index("entity: profile"))
    clause = f"    anonymity: {floor}\n" if floor else ""
    (folder / "charter.yaml").write_text(CHARTER[:at] + clause + CHARTER[at:])


def run(*arguments: str, file: str = "people.csv", dataset: str = "people") -> Result:
    command = ["anonymity", file, "--charter", "charter.yaml", "--dataset", dataset, *arguments]
    return CliRunner().invoke(app, command)


def answer(*arguments: str) -> Any:
    return json.loads(run("--json", *arguments).stdout)


def test_figures_and_floor_fit_the_screen(desk: Path) -> None:
    result = run()
    assert result.exit_code == 1
    assert max(map(len, result.stdout.splitlines())) <= 80
    words = " ".join(result.stdout.split())
    assert "k: units of the smallest class 3" in words
    assert "k of at least 10 3 missed" in words
    assert "t of income of at most 0.4 0.1667 met" in words
    assert "would refuse this file" in words
    assert sorted(path.name for path in desk.iterdir()) == ["age.csv", "charter.yaml", "people.csv"]


def test_programs_get_exact_figures(desk: Path) -> None:
    found = answer()
    assert (found["rows"], found["units"], found["classes"], found["k"], found["unique"]) == (
        120,
        120,
        3,
        3,
        0,
    )
    assert found["average_risk"] == 3 / 120
    assert found["reached"] is False
    assert [limit["met"] for limit in found["limits"]] == [False, True]


def test_a_budget_may_reach_the_floor(desk: Path) -> None:
    write_charter(desk, "{k: 10, suppress: 0.2}")
    result = run()
    assert result.exit_code == 0
    assert "reached by suppressing 23 rows (19.17%)" in " ".join(result.stdout.split())
    write_charter(desk, "{k: 3}")
    assert "The floor is reached." in run().stdout
    write_charter(desk, "")
    assert run().exit_code == 0


def test_the_search_proposes_the_least_lossy_setting(desk: Path) -> None:
    found = answer("--propose", "--hierarchy", "age=age.csv", "--suppress", "0.03")["proposal"]
    assert found["settings_in_all"] == 3
    assert [each["levels"] for each in found["best"]] == [{"age": 0}, {"age": 1}, {"age": 2}]
    assert found["best"][0]["suppressed"] == 3
    strict = run("--propose", "--hierarchy", "age=age.csv")
    assert max(map(len, strict.stdout.splitlines())) <= 80
    assert "age 2 1.0000 0 120" in " ".join(strict.stdout.split())
    assert "No setting" in run("--propose").stdout
    assert answer("--propose", "--hierarchy", "age=prefix", "--k", "3")["proposal"]["best"][0]["loss"] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--propose", "--hierarchy", "age"], "anonymity.bad_hierarchy"),
        (["--propose", "--hierarchy", "income=age.csv"], "anonymity.bad_hierarchy"),
        (["--propose", "--hierarchy", "age=missing.csv"], "hierarchy.unreadable"),
        (["--propose", "--hierarchy", "age=bands:5"], "hierarchy.unknown_kind"),
    ],
)
def test_wrong_use_is_refused_with_a_code(desk: Path, arguments: list[str], code: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, ConfigError)
    assert error.code == code


def test_what_cannot_be_measured_or_searched_is_refused(desk: Path) -> None:
    (desk / "sales.csv").write_bytes(csv_bytes(sales_rows()))
    (desk / "broken.csv").write_text(HEADER + "a,young\n")
    found = {
        str(getattr(result.exception, "code", result.exception))
        for result in (
            run(file="nowhere.csv"),
            run(dataset="products"),
            run("--propose", "--k", "2", file="sales.csv", dataset="sales"),
            run(file="broken.csv"),
        )
    }
    assert found == {
        *("anonymity.no_file", "anonymity.nothing_to_measure", "anonymity.several_rows"),
        "contribution.malformed",
    }
    write_charter(desk, "")
    assert getattr(run("--propose").exception, "code", "") == "anonymity.no_k"
    assert isinstance(run(file="broken.csv").exception, ContributionError)


def test_receipts_are_measured_by_household(desk: Path) -> None:
    (desk / "sales.csv").write_bytes(csv_bytes(sales_rows()))
    result = run("--json", file="sales.csv", dataset="sales")
    found = json.loads(result.stdout)
    assert (found["rows"], found["units"], found["k"]) == (240, 120, 4)


@needs_adult
def test_adult_is_proposed_a_setting_at_the_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adult as a profile: age and marital status by ARX's own hierarchies."""
    monkeypatch.chdir(tmp_path)
    start = CHARTER.index("      - {name: household_id", CHARTER.index("entity: profile"))
    fields = """\
      - {name: id, as: unit, type: string, required: true, max_length: 40,
         classification: direct_identifier, technique: {kind: pseudonymize, domain: household}}
      - {name: age, as: age, type: string, required: true,
         classification: quasi_identifier, technique: pass}
      - {name: marital status, as: marital_status, type: string, required: true,
         classification: quasi_identifier, technique: pass}
"""
    text = CHARTER[:start] + fields + CHARTER[CHARTER.index("purposes:\n  - {id: insight") :]
    (tmp_path / "charter.yaml").write_text(text)
    lines = Path(f"{FOLDER}/adult_arx/adult.csv").read_text().splitlines()
    rows = [line.split(";") for line in lines[1:]]
    body = "\n".join(f"{number},{row[1]},{row[3]}" for number, row in enumerate(rows))
    (tmp_path / "people.csv").write_text(f"id,age,marital status\n{body}\n")
    folder = f"{FOLDER}/adult_arx/adult_hierarchy_"
    levels = (
        "--hierarchy",
        f"age={folder}age.csv",
        "--hierarchy",
        f"marital_status={folder}marital-status.csv",
    )
    found = answer("--propose", "--k", "50", "--suppress", "0.01", *levels)
    assert found["rows"] == 30_162
    best = found["proposal"]["best"][0]
    assert best["k"] >= 50
    assert best["suppressed"] <= 301
    assert best["levels"]["age"] >= 1
