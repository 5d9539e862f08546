"""For a denial, the smallest change that would pass: found by asking again, and it does pass when made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from orchestration.audit import governance_tables as g
from orchestration.audit.vocabulary import timestamp
from orchestration.participants.explanation import smallest_change
from orchestration.participants.facts import case_of
from orchestration.participants.policy import ask, decide
from orchestration.participants.question import Question
from tests.unit.participants.facts import NAME, START, Facts, charter, facts, located
from tests.unit.participants.policy_table import ASKED, READS_SALES, SALES_THERE, TERMS, WHY, world

Setup = Callable[[Facts], object]


@dataclass(frozen=True)
class Row:
    id: str
    question: Question
    says: str
    setup: Setup = lambda _: None
    clauses: Mapping[str, Any] = field(default_factory=dict)


def ends(member: str, role: str) -> Setup:
    return lambda f: f.change(g.grants, {"grant": f"{member}/{role}"}, expires_at=timestamp(START))


def revoked(member: str, role: str) -> Setup:
    return lambda f: f.change(g.grants, {"grant": f"{member}/{role}"}, revoked=True)


ASKS = Question("brand.analyst", "submit_request", "overlap", ASKED)
ROWS = [
    Row(
        "purpose stated",
        Question("brand.analyst", "submit_request", "overlap"),
        "State a purpose that is agreed: insight.",
    ),
    Row(
        "purpose changed",
        Question("brand.analyst", "submit_request", "overlap", {"purpose": "resale"}),
        "State a purpose that is agreed: insight.",
    ),
    Row("reason given", Question("brand.steward", "open_insight", "i-r-1"), "Say why it is opened."),
    Row(
        "terms acknowledged",
        ASKS,
        "brand.analyst acknowledges the charter's terms.",
        clauses={"terms": TERMS},
    ),
    Row(
        "grant renewed",
        ASKS,
        "A steward of brand renews the role analyst of brand.analyst.",
        ends("brand.analyst", "analyst"),
    ),
    Row(
        "role given",
        ASKS,
        "A steward of brand gives brand.analyst the role analyst, as the charter does.",
        lambda f: f.connection.execute(g.grants.delete().where(g.grants.c.member == "brand.analyst")),
    ),
    Row(
        "somebody else",
        Question("shop.analyst", "freeze", NAME),
        "shop.steward, brand.steward or media.steward can do it instead.",
    ),
    Row(
        "somebody of a requester",
        Question("media.steward", "submit_request", "overlap", ASKED),
        "shop.steward, brand.steward or shop.analyst can do it instead.",
    ),
    Row(
        "somebody else votes",
        Question("brand.analyst", "vote", "r-1"),
        "brand.steward, shop.steward or media.steward can do it instead.",
    ),
    Row(
        "own organization first",
        Question("shop.reviewer", "enroll_member", "shop.analyst", {"roles": ("analyst",)}),
        "shop.steward can do it instead.",
    ),
    Row("thawed", ASKS, f"{NAME} is thawed by a decision.", lambda f: f.phase("frozen")),
    Row("signed", ASKS, "A steward of every organization signs the charter.", lambda f: f.phase("forming")),
    Row("in effect", ASKS, "Wait until 2026-04-01.", clauses={"effective_from": "2026-04-01"}),
    Row(
        "dispute decided",
        Question("brand.steward", "open_insight", "i-r-1", WHY),
        "Wait until the dispute about i-r-1 is decided.",
        lambda f: f.dispute("s-1", "release", "i-r-1"),
    ),
    Row(
        "member enrolled",
        ASKS,
        "A steward of brand enrols brand.analyst.",
        lambda f: f.change(g.members, {"participant": "brand"}, status="retired"),
        clauses={
            "computations": [
                {
                    "template": "overlap",
                    "purposes": ["insight"],
                    "requesters": ["brand"],
                    "receivers": ["brand"],
                }
            ]
        },
    ),
    Row(
        "shorter",
        Question(
            "shop.steward", "renew_grant", "shop.analyst/analyst", {"expires_at": START + timedelta(days=900)}
        ),
        "Give it until 2027-03-02 09:00 UTC at the latest.",
    ),
    Row(
        "charter amended for a role",
        Question("shop.steward", "give_grant", "shop.analyst", {"role": "auditor"}),
        "Amend the charter so that it gives shop.analyst the role auditor.",
    ),
    Row(
        "charter amended for a computation",
        Question("brand.analyst", "submit_request", "guesses", ASKED),
        "Amend the charter so that it names the computation guesses, with brand as a requester.",
    ),
    Row(
        "somebody elsewhere asks",
        Question("brand.analyst", "submit_request", "overlap", READS_SALES),
        "shop.steward or shop.analyst can do it instead.",
        clauses=located({"brand": "US", "shop": "DE"}, SALES_THERE),
    ),
    Row(
        "data may be here too",
        Question("brand.analyst", "submit_request", "overlap", READS_SALES),
        "Amend the charter so that all data behind it may be in US too.",
        clauses=located({"brand": "US", "shop": "US"}, SALES_THERE),
    ),
    Row(
        "the charter says where",
        Question("brand.steward", "open_insight", "i-r-1", WHY),
        "Amend the charter so that it says where brand is: DE or FR.",
        clauses=located({}, SALES_THERE),
    ),
    Row(
        "a release keeps what it was made under",
        Question("brand.steward", "open_insight", "i-r-1", WHY),
        "Amend the charter so that all data behind it may be in US too, and ask the question again.",
        clauses=located({"brand": "US"}, SALES_THERE),
    ),
    Row(
        "two changes",
        Question("brand.steward", "open_insight", "i-r-1"),
        f"Say why it is opened. And {NAME} is thawed by a decision.",
        lambda f: f.phase("frozen"),
    ),
    Row(
        "nobody else is left",
        Question("shop.reviewer", "contribute", "sales"),
        "Amend the charter so that it gives shop.reviewer the role contributor.",
        revoked("shop.steward", "steward"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_smallest_change_is_told_and_would_pass(row: Row) -> None:
    with facts(charter(**row.clauses)) as f:
        world(f)
        row.setup(f)
        decision = decide(f.state, row.question)
        assert not decision.allowed
        assert decision.next_step == row.says
        case = case_of(f.state, row.question)
        found = smallest_change(f.state, row.question, case, ask)
        assert found
        for change in found:
            assert not ask(case).allowed
            case = change.apply(case)
        assert ask(case).allowed


def test_what_no_two_changes_mend_keeps_the_reasons_own_next_step() -> None:
    with facts() as f:
        world(f)
        f.phase("closed")
        decision = decide(f.state, ASKS)
    assert decision.code == "policy.closed"
    assert decision.next_step.startswith("Agree on a new collaboration")


def test_nobody_is_named_who_could_not_do_it() -> None:
    """Somebody the charter gives the role, but whose grant has ended, is no way out."""
    with facts() as f:
        world(f)
        ends("shop.steward", "steward")(f)
        decision = decide(f.state, Question("shop.analyst", "freeze", NAME))
    assert "shop.steward" not in decision.next_step
    assert "brand.steward" in decision.next_step
