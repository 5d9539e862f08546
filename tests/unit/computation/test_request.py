"""Default deny: a request runs only when every rule between it and the charter passes."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.charter import Charter, load_charter
from orchestration.computation.request import Request, check_request, datasets_read, parse_request
from orchestration.computation.template import load_templates
from orchestration.errors import ConfigError, PolicyDeniedError
from orchestration.participants.decision import Decision
from orchestration.settings import PROJECT_ROOT

CHARTER = load_charter(PROJECT_ROOT / "charters" / "grocery.yaml")
TEMPLATES = load_templates()
TODAY = CHARTER.effective_from
GOOD: dict[str, Any] = {
    "id": "0198c0de-1",
    "collaboration": "grocery",
    "template": "audience_overlap",
    "parameters": {"left": "shoppers", "right": "mailed"},
    "purpose": "collaboration_planning",
    "requester": "retailer.analyst",
}
SEGMENTS = {
    "template": "joint_segmentation",
    "purpose": "customer_insight",
    "parameters": {"rows": "age", "columns": "income"},
}


def decide(charter: Charter = CHARTER, today: date = TODAY, **changes: Any) -> Decision:
    return check_request(charter, TEMPLATES, Request(**(GOOD | changes)), today)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"parameters": {}},
        SEGMENTS,
        {
            "template": "campaign_response",
            "purpose": "campaign_effectiveness",
            "parameters": {"by": "campaign"},
        },
    ],
    ids=["overlap", "defaults", "segments", "response"],
)
def test_what_the_charter_names_is_permitted(changes: dict[str, Any]) -> None:
    assert decide(**changes).allowed


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("request.unknown_template", {"template": "raw_rows"}),
        ("request.other_collaboration", {"collaboration": "pharmacy"}),
        ("request.unknown_requester", {"requester": "retailer.nobody"}),
        ("request.unknown_requester", {"requester": "stranger.analyst"}),
        ("request.not_an_analyst", {"requester": "retailer.steward"}),
        ("request.participant_not_requester", SEGMENTS | {"requester": "media_owner.analyst"}),
        ("request.unknown_purpose", {"purpose": "curiosity"}),
        ("request.purpose_not_agreed", {"purpose": "customer_insight"}),
        ("request.unknown_parameter", {"parameters": {"where": "unit"}}),
        ("request.unknown_choice", {"parameters": {"left": "everybody"}}),
        ("request.same_choice", {"parameters": {"left": "mailed", "right": "mailed"}}),
        ("request.same_choice", {"parameters": {"right": "shoppers"}}),
        ("request.same_choice", SEGMENTS | {"parameters": {"rows": "income", "columns": "income"}}),
    ],
)
def test_each_way_to_be_denied_has_its_own_reason(code: str, changes: dict[str, Any]) -> None:
    decision = decide(**changes)
    assert (decision.allowed, decision.code) == (False, code)
    assert decision.message
    assert decision.next_step
    with pytest.raises(PolicyDeniedError):
        decision.require()


@pytest.mark.parametrize(
    ("today", "allowed"),
    [
        (date(2025, 12, 31), False),
        (CHARTER.effective_from, True),
        (CHARTER.effective_until, True),
        (date(2028, 1, 1), False),
    ],
)
def test_only_while_the_charter_is_in_effect(today: date, allowed: bool) -> None:
    decision = decide(today=today)
    assert decision.allowed is allowed
    assert allowed or decision.code == "request.charter_not_in_effect"


def _without(kind: str, keep: Any) -> Charter:
    return CHARTER.model_copy(update={kind: tuple(each for each in getattr(CHARTER, kind) if keep(each))})


def test_a_template_the_charter_does_not_name_is_denied() -> None:
    charter = _without("computations", lambda each: each.template != "audience_overlap")
    assert decide(charter).code == "request.template_not_agreed"


def test_a_prohibited_use_wins_over_an_agreed_computation() -> None:
    prohibited = CHARTER.prohibited_uses[0].model_copy(update={"templates": ("audience_overlap",)})
    charter = CHARTER.model_copy(update={"prohibited_uses": (prohibited,)})
    assert decide(charter).code == "request.template_prohibited"


def test_an_entity_nobody_gives_is_said_so_instead_of_answered_with_nothing() -> None:
    charter = _without("datasets", lambda each: each.entity != "assignment")
    assert decide(charter).code == "request.no_dataset"
    assert decide(charter, parameters={"left": "shoppers", "right": "profiled"}).allowed


def test_a_dataset_given_for_other_purposes_is_not_read() -> None:
    datasets = tuple(
        each.model_copy(update={"purposes": ("campaign_effectiveness",)}) if each.id == "campaigns" else each
        for each in CHARTER.datasets
    )
    charter = CHARTER.model_copy(update={"datasets": datasets})
    decision = decide(charter)
    assert decision.code == "request.dataset_purpose"
    assert "campaigns" in decision.message


def test_the_datasets_behind_an_answer_follow_its_parameters() -> None:
    parameters = {"left": "profiled", "right": "redeemers"}
    read = datasets_read(CHARTER, TEMPLATES["audience_overlap"], parameters)
    assert {each.id for each in read} == {"demographics", "coupon_redemptions"}


def permitted(document: dict[str, Any]) -> bool:
    try:
        return check_request(CHARTER, TEMPLATES, parse_request(document), TODAY).allowed
    except ConfigError:
        return False


@given(value=st.text(max_size=40) | st.sampled_from(["shoppers", "mailed", "Shoppers", "shoppers "]))
def test_no_text_outside_the_choices_is_ever_permitted(value: str) -> None:
    document = GOOD | {"parameters": {"left": value, "right": "mailed"}}
    assert permitted(document) is (value in {"shoppers", "profiled", "redeemers"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "a_b"),
        ("id", "-a"),
        ("id", "a" * 65),
        ("id", "x'; drop table t; --"),
        ("purpose", "jane@example.org"),
        ("parameters", {"left": "{{ env_var('HOME') }}"}),
    ],
)
def test_a_malformed_request_is_refused_without_repeating_its_text(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_request(GOOD | {field: value})
    assert caught.value.code == "request.malformed"
    assert field in caught.value.message
    assert "jane" not in str(caught.value)


def test_an_unknown_key_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_request(GOOD | {"jane@example.org": 1})
    assert "jane" not in str(caught.value)
