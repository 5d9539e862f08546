"""Evidence packs: approved scope beside what ran, every difference named, every event proven."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit import governance_events as ge
from orchestration.audit.case_file import check_case_file, make_case_file
from orchestration.digests import canonical_json, digest_bytes
from orchestration.errors import ConfigError, IntegrityError
from tests.unit.audit.answered_story import RELEASE, REQUEST, Story, Wrong, answered

OTHER = digest_bytes(b"another charter")

DIFFERENCES = {
    "nothing": (Wrong(), []),
    "under another charter": (
        Wrong(ran_under=OTHER),
        ["Stage cells ran under a charter not in force then (event 14)."],
    ),
    "another template": (Wrong(ran_template="lift"), ["lift ran in place of overlap (event 14)."]),
    "by a stranger": (Wrong(requester="panel.steward"), ["panel is not among those who may ask for it."]),
    "for another purpose": (
        Wrong(purpose="resale"),
        [
            "The purpose resale is not among those of the computation.",
            "sales was not given for the purpose resale.",
            "Contribution c-sales was not given for the purpose resale.",
        ],
    ),
    "given for another purpose": (
        Wrong(given_for="planning"),
        ["Contribution c-sales was not given for the purpose insight."],
    ),
    "without asking": (
        Wrong(approval=None, approved="never"),
        ["It did not wait for the decision right questions."],
    ),
    "without approval": (
        Wrong(approved="never"),
        ["It ran without approval under the decision right questions."],
    ),
    "approved afterwards": (
        Wrong(approved="after"),
        ["It ran (event 11) before it was approved (event 14)."],
    ),
    "threshold": (Wrong(threshold=9), ["Its threshold was 9; the charter wants 10 (event 15)."]),
    "cells": (Wrong(cells=101), ["It shows 101 cells; the charter allows 100 (event 15)."]),
    "receivers": (
        Wrong(released_to=("brand", "panel")),
        ["It was released to panel, not named by the charter (event 16)."],
    ),
    "valid too long": (Wrong(valid_days=31), ["It can be opened for longer than 30 days."]),
    "opened by a stranger": (
        Wrong(opened_by="shop.steward"),
        ["shop.steward opened it, whose organization the charter does not name (event 17)."],
    ),
    "opened late": (
        Wrong(opened_after_days=31),
        ["media.auditor opened it after it had expired (event 17)."],
    ),
    "opened after recall": (
        Wrong(recalled=True),
        ["media.auditor opened it after it was recalled (event 18)."],
    ),
}


def packed(story: Story, kind: Any = "release", about: str = RELEASE) -> dict[str, Any]:
    raised = ge.DisputeRaised(about_kind=kind, about=about, remedy="recall")
    story.say("s-1", raised, "media.steward", "It looks wrong.")
    with story.state() as state:
        document: Any = make_case_file(story.log, state, "s-1")
    assert document == json.loads(canonical_json(document))
    return document


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with answered(tmp_path_factory.mktemp("case")) as story:
        yield packed(story)


@pytest.mark.parametrize(("wrong", "named"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_every_difference_is_named(wrong: Wrong, named: list[str], tmp_path: Path) -> None:
    with answered(tmp_path, wrong) as story:
        document = packed(story)
    assert document["differences"] == [f"{REQUEST}: {each}" for each in named]


def test_approved_scope_stands_beside_what_ran(pack: dict[str, Any]) -> None:
    (found,) = pack["requests"]
    assert found["approved"]["threshold"] == 10
    assert found["approved"]["receivers"] == ["brand", "media"]
    assert found["decision"]["outcome"] == "approved"
    assert [(vote["vote"], vote["reason"]) for vote in found["decision"]["votes"]] == [
        ("reject", "Not yet."),
        ("approve", "It is for the plan."),
    ]
    ran = found["ran"]
    assert [each["threshold"] for each in ran["thresholds"]] == [10]
    assert {each["id"]: each["read_by_this_request"] for each in ran["contributions"]} == {
        "c-sales": True,
        "c-adverts": False,
    }
    assert [each["stage"] for each in ran["receipts"]] == ["cells", "protected", "insight"]
    assert [(each["member"], each["granted"]) for each in ran["accesses"]] == [
        ("media.auditor", True),
        ("panel.steward", False),
    ]
    assert [each["events"] for each in ran["lineage_runs"]] == [1]


def test_the_claim_is_in_the_pack(pack: dict[str, Any]) -> None:
    assert pack["claim"]["by"] == "media.steward"
    assert pack["claim"]["reason"] == "It looks wrong."
    assert pack["claim"]["about"] == {"kind": "release", "id": RELEASE}


def test_every_event_is_proven(pack: dict[str, Any]) -> None:
    size, root = check_case_file(pack)
    assert size == pack["tree"]["size"]
    assert len(root) == 32
    types = {each["event"]["type"] for each in pack["events"]}
    assert {"contribution.accepted", "room.refreshed", "request.submitted", "dispute.raised"} <= types


def change_event(pack: dict[str, Any]) -> None:
    pack["events"][3]["event"]["justification"] = "Another."


def change_salt(pack: dict[str, Any]) -> None:
    pack["events"][3]["salt"] = pack["events"][4]["salt"]


def change_number(pack: dict[str, Any]) -> None:
    pack["events"][3]["seq"] += 1


def change_root(pack: dict[str, Any]) -> None:
    pack["tree"]["root"] = "A" * 43 + "="


def drop_tree(pack: dict[str, Any]) -> None:
    del pack["tree"]


def change_format(pack: dict[str, Any]) -> None:
    pack["format"] = "another/v1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (change_event, "case_file.not_included"),
        (change_salt, "case_file.not_included"),
        (change_number, "case_file.not_included"),
        (change_root, "case_file.not_included"),
        (drop_tree, "case_file.unreadable"),
        (change_format, "case_file.unreadable"),
    ],
)
def test_a_changed_pack_does_not_verify(change: Any, code: str, pack: dict[str, Any]) -> None:
    document = copy.deepcopy(pack)
    change(document)
    with pytest.raises(IntegrityError) as refused:
        check_case_file(document)
    assert refused.value.code == code


@pytest.mark.parametrize("document", [None, [], "text", {}, {"format": "glasshouse.case-file/v1"}])
def test_what_is_no_pack_is_refused(document: Any) -> None:
    with pytest.raises(IntegrityError, match=r"case_file\.unreadable"):
        check_case_file(document)


@pytest.mark.parametrize(
    ("kind", "about", "requests"),
    [
        ("request", REQUEST, 1),
        ("dataset", "sales", 1),
        ("dataset", "adverts", 0),
        ("participant", "brand", 1),
        ("participant", "media", 0),
    ],
)
def test_a_pack_finds_what_its_dispute_touches(kind: str, about: str, requests: int, tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        document = packed(story, kind, about)
    assert len(document["requests"]) == requests
    assert (document["agreed"] is not None) == (kind in ("dataset", "participant"))
    check_case_file(document)


def test_a_pack_can_be_made_again_when_the_dispute_is_over(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        packed(story)
        story.say("s-1", ge.DisputeResolved(outcome="upheld", remedy="recall", decision="s-1"))
        with story.state() as state:
            again: Any = make_case_file(story.log, state, "s-1")
    assert again["claim"]["reason"] == "It looks wrong."


def test_a_dispute_of_the_same_name_elsewhere_is_another(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        raised = ge.DisputeRaised(about_kind="request", about=REQUEST, remedy="recall")
        ours = story.event("s-1", raised, "media.steward", "It looks wrong.")
        story.log.append(ours.model_copy(update={"collaboration": "elsewhere", "justification": "Theirs."}))
        story.log.append(ours)
        story.say("s-1", ge.DisputeDocumented(digest=OTHER))
        with story.state() as state:
            pack: Any = make_case_file(story.log, state, "s-1")
        assert pack["claim"]["reason"] == "It looks wrong."


def test_an_unknown_dispute_has_none(tmp_path: Path) -> None:
    with (
        answered(tmp_path) as story,
        story.state() as state,
        pytest.raises(ConfigError, match=r"dispute\.not_found"),
    ):
        make_case_file(story.log, state, "s-9")
