"""What the catalog hands to others, at the command line; it follows from a charter file, without a house."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli import app, console
from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_ROOT

GROCERY = str(PROJECT_ROOT / "charters" / "grocery.yaml")
run = CliRunner().invoke


@pytest.fixture(autouse=True)
def _narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 80)


def test_the_record_is_a_page_a_file_or_json(tmp_path: Path) -> None:
    shown = run(app, ["catalog", "record", "--charter", GROCERY]).stdout
    assert "Record of processing: Grocery collaboration" in shown
    assert max(map(len, shown.splitlines())) <= 80
    document = json.loads(run(app, ["catalog", "record", "--charter", GROCERY, "--json"]).stdout)
    assert [each["purpose"] for each in document["activities"]] == [
        "campaign_effectiveness",
        "customer_insight",
        "collaboration_planning",
    ]
    out = tmp_path / "record.md"
    assert run(app, ["catalog", "record", "--charter", GROCERY, "--out", str(out)]).exit_code == 0
    assert out.read_text().startswith("# Record of processing: ")


def test_the_map_fits_eighty_columns() -> None:
    result = run(app, ["catalog", "map", "--charter", GROCERY])
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "demographics" in result.stdout
    ways = json.loads(run(app, ["catalog", "map", "--charter", GROCERY, "--json"]).stdout)
    assert len(ways) == 8


def test_a_contract_goes_out_and_comes_back_as_a_clause(tmp_path: Path) -> None:
    out = tmp_path / "demographics.odcs.yaml"
    export = ["catalog", "export", "demographics", "--charter", GROCERY]
    assert run(app, [*export, "--odcs", "--out", str(out)]).exit_code == 0
    back = run(app, ["charter", "import-odcs", str(out)])
    assert back.exit_code == 0
    assert "- id: demographics" in back.stdout
    [document] = json.loads(run(app, ["charter", "import-odcs", str(out), "--json"]).stdout)
    assert document["missing"] == []
    terms = json.loads(run(app, [*export, "--odrl"]).stdout)
    assert terms["@type"] == "Agreement"


@pytest.mark.parametrize("form", [[], ["--odcs", "--odrl"]])
def test_one_form_has_to_be_chosen(form: list[str]) -> None:
    result = run(app, ["catalog", "export", "demographics", "--charter", GROCERY, *form])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.code == "catalog.which_form"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = run(app, ["charter", "import-odcs", str(tmp_path / "nothing.yaml")])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.code == "catalog.not_read"


def test_the_taxonomy_is_printed_in_eighty_columns() -> None:
    result = run(app, ["catalog", "taxonomy"])
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "special_category" in result.stdout
