"""`glasshouse charter` as people and programs use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.charter import load_charter
from orchestration.charter.loader import STARTER
from orchestration.cli import console
from orchestration.cli.charter import app
from orchestration.errors import CharterError, ConfigError
from orchestration.settings import PROJECT_ROOT

GROCERY = PROJECT_ROOT / "charters" / "grocery.yaml"
run = CliRunner().invoke


@pytest.fixture(autouse=True)
def _narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 80)


def test_check_prints_what_each_clause_enforces_in_eighty_columns() -> None:
    result = run(app, ["check", str(GROCERY)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for heading in ("Participants and responsibilities", "Permitted data", "Purposes and prohibited uses",
                    "Computations", "Decision rights", "Access rules", "Retention", "Output limits",
                    "Audit procedures", "Human duties"):  # fmt: skip
        assert heading in lines
    assert "Duty of data_provider.auditor." in " ".join(result.stdout.split())


def test_check_prints_every_mistake_and_says_no(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    text = (
        STARTER.read_text(encoding="utf-8")
        .replace("quorum: 1", "quorum: 9", 1)
        .replace("lineage: true", "lineage: no")
    )
    bad.write_text(text, encoding="utf-8")
    result = run(app, ["check", str(bad)])
    assert result.exit_code == 2
    assert "bad.yaml: 2 mistakes" in result.stdout
    assert "decision_rights.thaw.quorum" in result.stdout
    assert "audit.lineage" in result.stdout

    document = json.loads(run(app, ["check", str(bad), "--json"]).stdout)
    assert document["error"]["code"] == "charter.invalid"
    assert [each["path"] for each in document["error"]["mistakes"]] == [
        "decision_rights.thaw.quorum",
        "audit.lineage",
    ]
    assert document["error"]["mistakes"][1]["allowed"] == ["true"]


def test_a_computation_without_a_template_in_this_house_is_a_mistake(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    text = STARTER.read_text(encoding="utf-8").replace("audience_overlap", "audience_overlop")
    bad.write_text(text, encoding="utf-8")
    result = run(app, ["check", str(bad), "--json"])
    assert result.exit_code == 2
    [mistake] = json.loads(result.stdout)["error"]["mistakes"]
    assert mistake["path"] == "computations.audience_overlop.template"
    assert "Did you mean 'audience_overlap'?" in mistake["message"]
    assert "campaign_response" in mistake["allowed"]


def test_hostile_text_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    text = STARTER.read_text(encoding="utf-8")
    bad.write_text(text.replace("entity: transaction", 'entity: "[red]\\e[2Jx"'), encoding="utf-8")
    result = run(app, ["check", str(bad)])
    assert result.exit_code == 2
    assert "\x1b[2J" not in result.stdout
    assert "[red]" in result.stdout


def test_check_as_json_names_who_keeps_each_clause() -> None:
    document = json.loads(run(app, ["check", str(GROCERY), "--json"]).stdout)
    assert document["digest"] == load_charter(GROCERY).digest
    clauses = {each["path"]: each for each in document["clauses"]}
    assert clauses["output.max_cells"]["stages"] == ["protected"]
    assert clauses["audit.review_days"]["owner"] == "data_provider.auditor"


def test_a_file_that_is_not_there_is_a_coded_refusal(tmp_path: Path) -> None:
    result = run(app, ["check", str(tmp_path / "none.yaml")])
    assert isinstance(result.exception, CharterError)
    assert result.exception.code == "charter.unreadable"


def test_new_writes_a_starter_that_passes_check_and_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    assert run(app, ["new", str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8").count("#") > 30
    assert run(app, ["check", str(file)]).exit_code == 0
    assert json.loads((tmp_path / "charter.schema.json").read_text(encoding="utf-8"))["title"] == "Charter"

    file.write_text("mine", encoding="utf-8")
    again = run(app, ["new", str(file)])
    assert isinstance(again.exception, ConfigError)
    assert again.exception.code == "charter.exists"
    assert file.read_text(encoding="utf-8") == "mine"


def test_schema_prints_json_schema() -> None:
    result = run(app, ["schema"])
    assert json.loads(result.stdout)["additionalProperties"] is False
    assert json.loads(run(app, ["schema", "--json"]).stdout) == json.loads(result.stdout)
