"""Who may open a release: one test for each way to be told no, and what each no says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestration.charter.loader import parse_charter
from orchestration.errors import PolicyDeniedError
from orchestration.participants.decision import Decision
from orchestration.participants.entitlement import EXPIRED, Release, decide_opening
from orchestration.participants.registry import RegisteredMember, roles_in_force
from tests.support import CHARTER

TINY = parse_charter(CHARTER.encode())
UNTIL = datetime(2026, 6, 1, 12, tzinfo=UTC)
RELEASE = Release("i-1", "r-1", ("panel",), UNTIL)
NOW = UNTIL - timedelta(days=1)


def member(id_: str = "panel.steward", roles: tuple[str, ...] = ("steward",)) -> RegisteredMember:
    return RegisteredMember(id_, id_.partition(".")[0], roles, {})


@pytest.mark.parametrize(
    ("who", "detail"),
    [
        (member(), "full"),
        (member("panel.executive", ("executive",)), "summary"),
    ],
)
def test_a_receivers_member_may(who: RegisteredMember, detail: str) -> None:
    found = decide_opening(TINY, RELEASE, who, justification="monthly review", now=NOW)
    assert found.decision.allowed
    assert found.detail == detail
    found.decision.require()


@pytest.mark.parametrize(
    ("code", "who", "why", "now"),
    [
        ("access.not_a_receiver", member("shop.steward"), "why", NOW),
        ("access.not_a_receiver", member("panelx.steward"), "why", NOW),
        ("access.expired", member(), "why", UNTIL),
        ("access.expired", member(), "why", UNTIL + timedelta(days=900)),
        ("access.no_role", member("panel.auditor", ("auditor",)), "why", NOW),
        ("access.no_role", member("panel.auditor", ("operator",)), "why", NOW),
        # Registered as a steward, but the charter now in force names no such member, or other roles.
        ("access.no_role", member("panel.former", ("steward",)), "why", NOW),
        ("access.no_role", member("panel.auditor", ("steward",)), "why", NOW),
        ("access.no_role", member("panel.steward", ()), "why", NOW),
        ("access.no_justification", member(), "", NOW),
        ("access.no_justification", member(), " \t\n", NOW),
    ],
)
def test_everybody_else_may_not(code: str, who: RegisteredMember, why: str, now: datetime) -> None:
    found = decide_opening(TINY, RELEASE, who, justification=why, now=now)
    assert (found.decision.allowed, found.detail, found.decision.code) == (False, None, code)
    assert found.decision.message
    assert found.decision.next_step
    with pytest.raises(PolicyDeniedError) as caught:
        found.decision.require()
    assert caught.value.code == code


def test_no_receiver_means_nobody() -> None:
    nobody = Release("i-1", "r-1", (), UNTIL)
    assert not decide_opening(TINY, nobody, member(), justification="why", now=NOW).decision.allowed


def test_a_reason_is_asked_for_only_where_the_charter_wants_one() -> None:
    relaxed = TINY.model_copy(
        update={"audit": TINY.audit.model_copy(update={"justification_required": False})}
    )
    assert decide_opening(relaxed, RELEASE, member(), justification="", now=NOW).decision.allowed


def test_roles_count_only_when_registration_and_charter_agree() -> None:
    assert roles_in_force(TINY, member(roles=("steward", "operator"))) == ("steward",)
    assert roles_in_force(TINY, member("panel.nobody")) == ()


def test_a_decision_is_a_value_with_a_reason() -> None:
    denied = Decision.deny(EXPIRED, release="i-1", until="noon")
    assert (denied.allowed, denied.code) == (False, "access.expired")
    assert denied.message == "Release i-1 could be opened until noon."
    assert denied.next_step == EXPIRED.next_step
    permitted = Decision.permit("fine")
    assert (permitted.allowed, permitted.code) == (True, None)
    permitted.require()
