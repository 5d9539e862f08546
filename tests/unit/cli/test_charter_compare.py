"""`glasshouse charter diff`, `charter maturity` and the notes of `charter check`, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.charter import CharterMistakesError
from orchestration.charter.loader import STARTER
from orchestration.cli import console
from orchestration.cli.charter import app
from orchestration.settings import PROJECT_ROOT

GROCERY = PROJECT_ROOT / "charters" / "grocery.yaml"
run = CliRunner().invoke


@pytest.fixture(autouse=True)
def _narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 80)


def changed(tmp_path: Path, *changes: tuple[str, str], of: Path = GROCERY) -> Path:
    text = of.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "new.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def words(text: str) -> str:
    return " ".join(text.split())


def test_diff_says_by_section_what_got_looser_or_stricter(tmp_path: Path) -> None:
    new = changed(
        tmp_path,
        ("version: 1", "version: 2"),
        ("aggregation_threshold: 10", "aggregation_threshold: 5"),
        ("contributions_days: 730", "contributions_days: 365"),
        ("    lawful_basis: consent", "    lawful_basis: contract"),
    )
    result = run(app, ["diff", str(GROCERY), str(new)])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    headings = [line for line in lines if line in ("Term", "Permitted data", "Retention", "Output limits")]
    assert headings == ["Term", "Permitted data", "Retention", "Output limits"]
    said = words(result.stdout)
    assert "looser output.aggregation_threshold Fewest units of a shown cell: 10 becomes 5." in said
    assert "stricter retention.contributions_days Days contributions are kept: 730 becomes 365." in said
    assert "consent becomes contract. Treated as looser: no rule can tell. Concerns brand_agency." in said
    assert "4 changes: 2 looser (1 of them treated as looser), 1 stricter, 1 neutral." in said
    assert "Signatures needed, one steward each: retailer, brand_agency, media_owner, data_provider." in said


def test_diff_as_json(tmp_path: Path) -> None:
    new = changed(tmp_path, ("max_cells: 500", "max_cells: 400"))
    document = json.loads(run(app, ["diff", str(GROCERY), str(new), "--json"]).stdout)
    assert document["changes"] == [
        {
            "section": "Output limits",
            "path": "output.max_cells",
            "words": "Most cells of an insight: 500 becomes 400.",
            "direction": "stricter",
            "assumed": False,
            "affects": [],
        }
    ]
    assert document["signatures"] == ["retailer", "brand_agency", "media_owner", "data_provider"]
    assert document["old"]["digest"] != document["new"]["digest"]


def test_the_same_charter_needs_no_signature() -> None:
    assert "nothing to sign" in run(app, ["diff", str(GROCERY), str(GROCERY)]).stdout
    document = json.loads(run(app, ["diff", str(GROCERY), str(GROCERY), "--json"]).stdout)
    assert (document["changes"], document["signatures"]) == ([], [])


def test_another_order_is_another_text_to_sign_without_a_change(tmp_path: Path) -> None:
    new = changed(tmp_path, ("formats: [parquet, csv,", "formats: [csv, parquet,"))
    result = run(app, ["diff", str(GROCERY), str(new)])
    assert "only the order of some lists" in result.stdout
    assert "Signatures needed" in result.stdout


def test_diff_compares_only_what_passes_check(tmp_path: Path) -> None:
    new = changed(tmp_path, ("lineage: true", "lineage: no"))
    result = run(app, ["diff", str(GROCERY), str(new)])
    assert isinstance(result.exception, CharterMistakesError)


def test_maturity_lists_the_levels_and_what_the_next_lacks() -> None:
    result = run(app, ["maturity", str(STARTER)])
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    said = words(result.stdout)
    for level in ("1 manual_approvals", "2 automatic_checks", "3 formal_audit", "4 private_computation"):
        assert level in said
    assert "What formal_audit asks for" in said
    assert "lacks audit.witnesses" in said
    assert "has audit.justification_required" in said


def test_maturity_says_when_nothing_is_lacking(tmp_path: Path) -> None:
    ready = changed(tmp_path, ("maturity: formal_audit", "maturity: automatic_checks"))
    assert "state `maturity: formal_audit`" in words(run(app, ["maturity", str(ready)]).stdout)


def test_maturity_as_json() -> None:
    document = json.loads(run(app, ["maturity", str(GROCERY), "--json"]).stdout)
    assert (document["stated"], document["next"]) == ("formal_audit", "private_computation")
    assert [each["clause"] for each in document["next_asks"] if not each["met"]] == ["computations"]
    assert len(document["levels"]) == 4


def test_check_notes_who_could_decide_about_their_own(tmp_path: Path) -> None:
    roles = "name: Data steward of the shop, roles: [steward"
    noted = changed(tmp_path, (roles, f"{roles}, analyst"), of=STARTER)
    result = run(app, ["check", str(noted)])
    assert result.exit_code == 0
    assert "Notes on segregation of duties" in result.stdout
    assert "shop.steward is steward and analyst" in words(result.stdout)
    [note] = json.loads(run(app, ["check", str(noted), "--json"]).stdout)["notes"]
    assert note["path"] == "participants.shop.members.shop.steward.roles"
    assert json.loads(run(app, ["check", str(GROCERY), "--json"]).stdout)["notes"] == []
