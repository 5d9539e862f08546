"""A passport issued before data went still verifies, and whoever has the log at hand is told what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit import tables
from orchestration.audit.agenda import agenda
from orchestration.audit.withdrawal_events import ContributionWithdrawn
from orchestration.participants.handovers import release_name
from orchestration.portal.overview import overview
from orchestration.portal.sight import Sight
from orchestration.stages import compute, governance, protect, refresh, release
from orchestration.stages.login import Viewer
from orchestration.stages.withdrawal import apply_due, withdraw_people
from tests.integration.command import glasshouse
from tests.support import CALLER, TinyHouse, household
from tests.unit.portal.portal_house import client_of


@pytest.fixture
def tiny(refreshed_house: TinyHouse, prepared_dbt: Path, monkeypatch: pytest.MonkeyPatch) -> TinyHouse:
    """A finished house, the house of the environment."""
    shutil.copytree(prepared_dbt, refreshed_house.house.settings.dbt_target, dirs_exist_ok=True)
    monkeypatch.setenv("GLASSHOUSE_HOME", str(refreshed_house.root))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(refreshed_house.house.settings.charters))
    return refreshed_house


def answer(tiny: TinyHouse) -> str:
    request = tiny.request().request.id
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    release.release(tiny.house, tiny.charter, request, CALLER)
    return release_name(request)


def people_leave(tiny: TinyHouse, folder: Path) -> None:
    people = folder / "people.csv"
    people.write_text("\n".join(["household_id", *(household(n) for n in range(6))]))
    withdraw_people(
        tiny.house,
        tiny.charter,
        tiny.dataset("people"),
        people,
        signer="panel.steward",
        key=tiny.key("panel.steward"),
        reason="erasure",
        justification="They asked for it.",
    )
    apply_due(tiny.house, "tiny")
    governance.settle(tiny.house, "tiny")


def said(*arguments: object) -> Any:
    return glasshouse("audit", "passport", *arguments, "--json").document


def test_what_changed_is_told_and_the_passport_holds(tiny: TinyHouse, tmp_path: Path) -> None:
    first = answer(tiny)
    copied = shutil.copytree(tiny.house.shelf / first, tmp_path / "copied")
    before = said(copied)
    assert (before["ok"], before["standing"], before["changes"]) == (True, "in_force", [])

    people_leave(tiny, tmp_path)
    stale = said(copied / "passport.json")
    assert (stale["standing"], [each["became"] for each in stale["changes"]]) == ("stale", ["stale"])
    (change,) = stale["changes"]
    (marked,) = tiny.house.log.events("output.outdated")
    assert (change["seq"], change["contributions"]) == (marked.seq, list(marked.event.payload.contributions))  # type: ignore[attr-defined]
    shown = glasshouse("audit", "passport", copied)
    assert "ask the question anew" in shown.out
    assert "People were taken out" in shown.out
    assert shown.too_wide == []

    key = tmp_path / "operator.json"
    key.write_text(json.dumps(tiny.house.operator.public))
    offline = said(copied, "--key", key)
    assert (offline["ok"], offline["standing"], offline["changes"]) == (True, None, None)

    _everybody_is_told(tiny, first, "stale")
    refresh_again(tiny)
    second = answer(tiny)
    assert said(tiny.house.shelf / second)["standing"] == "in_force"
    assert not agenda_of(tiny)["outdated"], "the question was answered anew"

    (copied / "table.csv").write_bytes(b"changed")
    assert glasshouse("audit", "passport", copied).refusal == "passport.file_changed"
    (copied / "passport.json").write_text("[]")
    assert glasshouse("audit", "passport", copied).refusal == "passport.unreadable"


def test_a_recalled_release_says_so(tiny: TinyHouse, tmp_path: Path) -> None:
    tiny.amend("retention: {", "withdrawal: {releases: recall}\nretention: {")
    for dataset in ("sales", "products", "people"):
        tiny.contribute(dataset)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    name = answer(tiny)
    with tiny.house.state("tiny") as state:
        rows = state.rows(tables.contributions, dataset="people", status="accepted")
    newest = max(rows, key=lambda row: int(row.seq)).contribution
    payload = ContributionWithdrawn(contribution=newest, dataset="people", reason="error")
    tiny.act("panel.steward", newest, payload)
    found = said(tiny.house.shelf / name)
    assert (found["standing"], [each["became"] for each in found["changes"]]) == ("recalled", ["recalled"])
    _everybody_is_told(tiny, name, "recalled")


def test_the_passport_of_another_log_is_not_explained_by_this_one(tiny: TinyHouse, tmp_path: Path) -> None:
    """A log that was put back to before the release: the operator's key is right, and the log is not."""
    before = shutil.copytree(tiny.root, tmp_path / "before")
    copied = shutil.copytree(tiny.house.shelf / answer(tiny), tmp_path / "copied")
    assert said(copied)["standing"] == "in_force"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSHOUSE_HOME", str(before))
        assert glasshouse("audit", "passport", copied).refusal == "passport.other_log"


def refresh_again(tiny: TinyHouse) -> None:
    with tiny.house.state("tiny") as state:
        (row,) = state.rows(tables.contributions, dataset="people", status="accepted")
    tiny.deidentify("people", row.contribution)
    assert tiny.gate("people", row.contribution).passed
    refresh.refresh(tiny.house, tiny.charter, CALLER)


def agenda_of(tiny: TinyHouse) -> Any:
    with tiny.house.state("tiny") as state:
        return agenda(state)


def _everybody_is_told(tiny: TinyHouse, name: str, became: str) -> None:
    """Status, the council's agenda and the portal."""
    (before_council,) = agenda_of(tiny)["outdated"]
    assert (before_council["release"], before_council["became"]) == (name, became)
    assert before_council["receivers"] == ["shop"]
    assert became in glasshouse("report", "council").out
    waiting = glasshouse("status", "--json").document["waiting"]
    assert [each["who"] for each in waiting if name in each["what"]] == ["shop"]
    assert glasshouse("status").too_wide == []
    for member, roles in (("shop.analyst", {"analyst"}), ("panel.auditor", {"auditor"})):
        viewer = Viewer("tiny", member, member.split(".")[0], frozenset(roles))
        seen = Sight(tiny.house.log).of(viewer).numbers
        view = overview(tiny.house, tiny.charter, viewer, seen)
        (card,) = [each for each in view.requests if each.release == name]
        assert (card.recalled, card.outdated is not None) == (became == "recalled", True)
        assert [step.participants for step in view.next_steps if became in step.what] == [("shop",)]
        with client_of(tiny.house, member, "tiny") as client:
            page = client.get("/").text
        assert f"<strong>{became}</strong>" in page
    if became == "stale":
        (chain,) = [each for each in view.chains if each.dataset == "people"]
        assert chain.steps[0].state == "passed"
        assert chain.steps[0].facts == ("people were taken out since",)
