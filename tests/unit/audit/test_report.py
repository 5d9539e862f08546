"""Reports: the contributor's four questions, the summary, decisions, agenda; signed, and checked offline."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit import checkpoint
from orchestration.audit import governance_events as ge
from orchestration.audit import governance_tables as g
from orchestration.audit.agenda import agenda, contribution_ledger
from orchestration.audit.decision_log import decision_log
from orchestration.audit.report import check_report, contributor_report, executive_summary, sign_report
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import timestamp
from orchestration.digests import canonical_json, digest_bytes
from orchestration.errors import ConfigError, IntegrityError
from orchestration.signing import SigningKey
from tests.support import tampered
from tests.unit.audit.answered_story import RELEASE, REQUEST, Story, Wrong, answered
from tests.unit.participants.facts import NAME, charter, facts

KEY = SigningKey.from_seed(bytes(range(32)))
BODY = {"members": ["shop.reviewer", "media.auditor"], "quorum": 1, "term_until": "2026-04-30"}


def told(story: Story, participant: str) -> dict[str, Any]:
    with story.state() as state:
        document: Any = contributor_report(story.log, state, participant)
    assert document == json.loads(canonical_json(document))
    return document


def test_a_contributor_learns_all_four_answers(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        report = told(story, "shop")
    (given,) = report["contributed"]
    assert (given["contribution"], given["dataset"], given["rows"]) == ("c-sales", "sales", 100)
    assert (given["gate"], given["purposes"], given["destroyed_at"]) == ("passed", ["insight"], None)
    (analysed,) = report["analysed"]
    assert (analysed["request"], analysed["release"]) == (REQUEST, RELEASE)
    assert analysed["of_its_datasets"] == ["sales"]
    assert [(each["member"], each["granted"]) for each in report["accessed"]] == [
        ("media.auditor", True),
        ("panel.steward", False),
    ]
    assert report["within_limits"]["ok"] is True
    (check,) = report["within_limits"]["checks"]
    assert (check["threshold"], check["threshold_agreed"], check["differences"]) == (10, 10, [])


def test_a_contributor_learns_that_limits_were_exceeded(tmp_path: Path) -> None:
    with answered(tmp_path, Wrong(threshold=5, released_to=("brand", "panel"))) as story:
        report = told(story, "shop")
    assert report["within_limits"]["ok"] is False
    (check,) = report["within_limits"]["checks"]
    assert len(check["differences"]) == 2


def test_nobody_learns_of_what_its_data_was_not_part_of(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        report = told(story, "media")
    assert [each["contribution"] for each in report["contributed"]] == ["c-adverts"]
    assert report["analysed"] == report["accessed"] == report["within_limits"]["checks"] == []


def test_destroyed_data_is_shown_as_destroyed(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        story.say("shop", ge.DataDestroyed(rule="left", contributions=("c-sales",)))
        (given,) = told(story, "shop")["contributed"]
    assert given["destroyed_at"] == timestamp(story.at)


def test_a_stranger_gets_no_report(tmp_path: Path) -> None:
    with answered(tmp_path) as story, pytest.raises(ConfigError, match=r"participant\.unknown"):
        told(story, "nobody")


def test_the_summary_counts_and_shows_no_result(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with answered(tmp_path) as story:
        checkpoint.make(story.log, KEY, tmp_path / "checkpoints")
        story.say("x-1", exception(story))
        with story.state() as state:
            verified = verify_log(story.log, tmp_path / "checkpoints", KEY.public)
            report: Any = executive_summary(state, verified)
    assert report["counts"] == {
        "contributions": 2,
        "contributions_destroyed": 0,
        "contributions_refused": 0,
        "requests": 1,
        "requests_denied": 0,
        "requests_withheld": 0,
        "releases": 1,
        "releases_recalled": 0,
        "openings": 1,
        "openings_refused": 1,
    }
    assert report["log"] | {"root": ""} == {
        "sound": True,
        "problems": 0,
        "size": 20,
        "under_checkpoint": 19,
        "root": "",
    }
    assert [each["exception"] for each in report["exceptions"]] == ["x-1"]
    assert report["objectives"] == ["Learn."]
    text = canonical_json(report).decode()
    assert "shoppers" not in text
    assert digest_bytes(b"table") not in text


def exception(story: Story) -> ge.ExceptionGranted:
    return ge.ExceptionGranted(
        what="Late.",
        owner="shop.steward",
        residual_risk="Old rows.",
        expires_at=story.at + timedelta(days=10),
        decision="d-x",
    )


def test_the_decision_log_tells_question_rule_votes_and_outcome(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        opened = ge.DecisionOpened(matter="membership", about="panel", content={"step": "remove"})
        story.say("d-2", opened, "shop.steward", "It never delivered.")
        with story.state() as state:
            first, second = (entry for entry in decision_log(story.log, state))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["question"] == f"May request {REQUEST} run?"
    assert (first["reason"], first["outcome"]) == ("Who shops?", "approved")
    assert first["rule"] == "all whose data is read (shop)"
    votes: Any = first["votes"]
    assert [(vote["vote"], vote["reason"], vote["stands"]) for vote in votes] == [
        ("reject", "Not yet.", False),
        ("approve", "It is for the plan.", True),
    ]
    assert second["question"] == "Shall panel be removed?"
    assert (second["reason"], second["outcome"], second["concluded"]) == (
        "It never delivered.",
        "pending",
        None,
    )


def test_the_ledger_divides_every_release(tmp_path: Path) -> None:
    with answered(tmp_path) as story, story.state() as state:
        report: Any = contribution_ledger(state)
    assert report["total"] == "1"
    assert {each["participant"]: each["value"] for each in report["shares"]}["shop"] == "1"
    assert canonical_json(report)


def test_the_council_sees_what_is_open_and_what_ends() -> None:
    with facts(charter(review_body=BODY)) as here:
        here.request()
        here.dispute("s-1", "dataset", "sales", remedy="warn")
        here.decision("d-2", "purpose", "churn", content={"title": "Churn", "description": "Who leaves."})
        for name, days in (("near", 29), ("far", 31)):
            here.add(
                g.exceptions,
                exception=name,
                what="Late.",
                owner="shop.steward",
                residual_risk="Small.",
                expires_at=timestamp(here.at + timedelta(days=days)),
                status="granted",
                decision="d",
            )
        here.review("review-1", ("shop.steward/steward",), here.at + timedelta(days=14))
        report: Any = agenda(here.state)
        assert report["panels"] == [
            {"panel": "review body", "members": BODY["members"], "term_until": "2026-04-30"}
        ]
        assert [each["request"] for each in report["requests"]] == ["r-1"]
        assert [each["dispute"] for each in report["disputes"]] == ["s-1"]
        assert [each["decision"] for each in report["decisions"]] == ["d-2"]
        assert [each["exception"] for each in report["exceptions"]] == ["near"]
        (review,) = report["reviews"]
        assert review["unattested"] == ["shop.steward/steward"]
        here.later(days=60)
        later: Any = agenda(here.state)
        assert [each["due"] for each in later["reviews"]][-1] == timestamp(here.at + timedelta(days=30))


def test_a_panel_whose_term_is_far_away_is_no_business() -> None:
    with facts(charter(review_body=BODY | {"term_until": "2026-05-02"})) as here:
        assert agenda(here.state)["panels"] == []


def test_a_report_is_checked_with_the_operators_key(tmp_path: Path) -> None:
    with answered(tmp_path) as story:
        report = told(story, "shop")
    envelope = sign_report(report, KEY)
    assert check_report(envelope, KEY.public) == report
    changed = tampered(envelope, participant="media")
    with pytest.raises(IntegrityError, match=r"signature\.invalid"):
        check_report(changed, KEY.public)
    with pytest.raises(IntegrityError, match=r"signature\.invalid"):
        check_report(envelope, SigningKey.generate().public)
    other = copy.deepcopy(envelope) | {"payloadType": "application/json"}
    with pytest.raises(IntegrityError):
        check_report(other, KEY.public)


@pytest.mark.parametrize("document", [None, [], {}, {"report": "summary"}])
def test_what_is_no_report_is_refused(document: Any) -> None:
    with pytest.raises(IntegrityError):
        check_report(document, KEY.public)


def test_another_signed_document_is_no_report() -> None:
    with pytest.raises(IntegrityError, match=r"report\.unreadable"):
        check_report(sign_report({"collaboration": NAME}, KEY), KEY.public)
