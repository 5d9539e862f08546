"""Who may decide, and what votes come to: every rule of the charter, one row of a table each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from orchestration.audit import governance_tables as g
from orchestration.audit.vocabulary import timestamp
from orchestration.participants.approvals import Tally, electorate, tally
from orchestration.participants.consequences import due
from tests.unit.participants.facts import Facts, charter, facts, right

THREE = ["shop", "media", "panel"]
BODY = {"members": ["shop.reviewer", "media.auditor", "panel.reviewer"], "quorum": 2}
ETHICS = {"members": ["media.auditor"], "quorum": 1}


@dataclass(frozen=True)
class Case:
    """A right for requests, votes on `brand.analyst`'s request (+ yes, - no, ~ neither), and the outcome."""

    id: str
    right: dict[str, Any]
    votes: str
    outcome: str | None
    rule: str | None = None
    clauses: dict[str, Any] = field(default_factory=dict)
    datasets: tuple[str, ...] = ("sales",)
    asked_by: str = "brand.analyst"
    template: str = "overlap"
    gone: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None


ALL = {"rule": "unanimity"}
TWO = {"deciders": THREE, "quorum": 2}
YES, NO = "approve", "reject"
VOTES = {"+": YES, "-": NO, "~": "abstain"}

CASES = [
    # --- quorum
    Case(
        "quorum: nobody voted yet",
        TWO,
        "",
        None,
        "2 of media, panel, shop",
        missing=("media", "panel", "shop"),
    ),
    Case("quorum: one of two", TWO, "shop.steward+", None, missing=("media", "panel")),
    Case("quorum: reached", TWO, "shop.steward+ media.steward+", "approved"),
    Case("quorum: one may reject", TWO, "shop.steward- media.steward+ panel.steward+", "approved"),
    Case("quorum: out of reach", TWO, "shop.steward- media.steward-", "rejected"),
    Case("quorum: abstaining is not agreeing", TWO, "media.steward~ shop.steward+", None),
    Case(
        "quorum: everybody of two abstained",
        TWO,
        "media.steward~ panel.steward~ panel.reviewer~",
        "rejected",
    ),
    Case("quorum: a reviewer speaks too", TWO, "shop.reviewer+ media.steward+", "approved"),
    Case("quorum: one voice each", TWO, "shop.reviewer+ shop.steward+", None),
    Case(
        "quorum: a house divided says no",
        TWO,
        "shop.reviewer- shop.steward+ media.steward+",
        None,
        missing=("panel",),
    ),
    Case("quorum: others do not count", TWO, "shop.analyst+ media.auditor+ brand.steward+", None),
    Case("quorum: more than there are", TWO | {"quorum": 4}, "", "rejected"),
    Case("quorum: one left", TWO, "shop.steward+ media.steward+", None, gone=("media",)),
    Case("quorum: two left", TWO, "shop.steward+", "rejected", gone=("media", "panel")),
    # --- unanimity
    Case(
        "all: one is missing",
        ALL,
        "shop.steward+ media.steward+ panel.steward+",
        None,
        "all of brand, media, panel, shop",
        missing=("brand",),
    ),
    Case("all: everybody", ALL, "shop.steward+ media.steward+ panel.steward+ brand.owner+", "approved"),
    Case("all: one says no", ALL, "panel.steward-", "rejected"),
    Case("all: one abstains", ALL, "media.steward~", "rejected"),
    Case(
        "all: who left does not block",
        ALL,
        "shop.steward+ media.steward+ brand.owner+",
        "approved",
        gone=("panel",),
    ),
    # --- segregation of duties
    Case(
        "asker: does not vote",
        ALL,
        "shop.steward+ media.steward+ panel.steward+ brand.steward+",
        None,
        asked_by="brand.steward",
        missing=("brand",),
    ),
    Case(
        "asker: another of its house may",
        ALL,
        "shop.steward+ media.steward+ panel.steward+ brand.owner+",
        "approved",
        asked_by="brand.steward",
    ),
    Case(
        "asker: its only voter drops out",
        ALL,
        "shop.steward+ brand.steward+ panel.steward+",
        "approved",
        "all of brand, panel, shop",
        asked_by="media.steward",
    ),
    Case(
        "asker: alone",
        {"deciders": ["media"]},
        "media.steward+",
        "rejected",
        "1 of nobody; nobody may decide",
        asked_by="media.steward",
    ),
    Case(
        "beneficiary: abstains",
        ALL | {"beneficiaries_abstain": True},
        "shop.steward+ media.steward+ panel.steward+",
        "approved",
        "all of media, panel, shop",
    ),
    Case(
        "beneficiary: not where others receive too",
        ALL | {"beneficiaries_abstain": True},
        "shop.steward+ media.steward+ panel.steward+",
        None,
        template="lift",
    ),
    Case(
        "beneficiary: not where others ask",
        ALL | {"beneficiaries_abstain": True},
        "shop.steward+ media.steward+ panel.steward+",
        None,
        asked_by="shop.analyst",
    ),
    # --- affected
    Case(
        "affected: its own agreement is needed",
        {"rule": "affected", "quorum": 2, "deciders": THREE},
        "media.steward+ panel.steward+",
        None,
        "all whose data is read (shop), and 2 of media, panel, shop",
    ),
    Case(
        "affected: with the quorum",
        {"rule": "affected", "quorum": 2, "deciders": THREE},
        "shop.steward+ panel.steward+",
        "approved",
    ),
    Case(
        "affected: its no is enough",
        {"rule": "affected", "quorum": 1, "deciders": THREE},
        "shop.steward-",
        "rejected",
    ),
    Case(
        "affected: everyone",
        {"rule": "affected", "quorum": 1, "deciders": THREE},
        "shop.steward+",
        None,
        datasets=("sales", "adverts"),
    ),
    Case(
        "affected: though no decider",
        {"rule": "affected", "quorum": 1, "deciders": ["panel"]},
        "panel.steward+",
        None,
        "all whose data is read (shop), and 1 of panel, shop",
    ),
    # --- panels
    Case(
        "body: its quorum",
        {"body": "review_body", "quorum": 1},
        "shop.reviewer+",
        None,
        "2 of the review body (media.auditor, panel.reviewer, shop.reviewer)",
        {"review_body": BODY},
    ),
    Case(
        "body: agreed",
        {"body": "review_body"},
        "shop.reviewer+ media.auditor+",
        "approved",
        clauses={"review_body": BODY},
    ),
    Case(
        "body: stewards outside it do not count",
        {"body": "review_body"},
        "shop.steward+ media.steward+",
        None,
        clauses={"review_body": BODY},
    ),
    Case(
        "body: who left sends nobody",
        {"body": "review_body"},
        "shop.reviewer+ panel.reviewer+",
        "approved",
        "2 of the review body (panel.reviewer, shop.reviewer)",
        {"review_body": BODY},
        gone=("media",),
    ),
    Case(
        "body: the asker is on it",
        {"body": "review_body"},
        "shop.reviewer+ media.auditor+",
        None,
        clauses={"review_body": BODY},
        asked_by="shop.reviewer",
    ),
    Case(
        "body: its term is over",
        {"body": "review_body"},
        "shop.reviewer+ media.auditor+",
        "rejected",
        "2 of the review body (nobody); nobody may decide",
        {"review_body": BODY | {"term_until": "2026-03-01"}},
    ),
    Case(
        "body: its last day",
        {"body": "review_body"},
        "shop.reviewer+ media.auditor+",
        "approved",
        clauses={"review_body": BODY | {"term_until": "2026-03-02"}},
    ),
    Case("body: there is none", {"body": "review_body"}, "shop.reviewer+", "rejected"),
    # --- ethics
    Case(
        "ethics: not for other data",
        TWO | {"ethics_for": ["sensitive"]},
        "shop.steward+ media.steward+",
        "approved",
        "2 of media, panel, shop",
        {"ethics_panel": ETHICS},
    ),
    Case(
        "ethics: not without it",
        TWO | {"ethics_for": ["sensitive"]},
        "shop.steward+ media.steward+",
        None,
        "2 of media, panel, shop; 1 of the ethics panel (media.auditor)",
        {"ethics_panel": ETHICS},
        ("health",),
    ),
    Case(
        "ethics: with it",
        TWO | {"ethics_for": ["sensitive"]},
        "shop.steward+ media.steward+ media.auditor+",
        "approved",
        clauses={"ethics_panel": ETHICS},
        datasets=("health",),
    ),
    Case(
        "ethics: its no is enough",
        TWO | {"ethics_for": ["sensitive"]},
        "shop.steward+ media.steward+ media.auditor-",
        "rejected",
        clauses={"ethics_panel": ETHICS},
        datasets=("health",),
    ),
    Case(
        "ethics: its members do not speak for their house",
        TWO | {"ethics_for": ["sensitive"]},
        "shop.steward+ media.auditor+",
        None,
        clauses={"ethics_panel": ETHICS},
        datasets=("health",),
    ),
    Case(
        "ethics: there is none",
        TWO | {"ethics_for": ["sensitive"]},
        "shop.steward+ media.steward+",
        "rejected",
        datasets=("health",),
    ),
]


def asked(here: Facts, case: Case) -> Tally:
    here.request(
        template=case.template,
        datasets=case.datasets,
        requester=case.asked_by,
        participant=case.asked_by.partition(".")[0],
    )
    here.decision("r-1", "request", "r-1", right="rule", asked_by=case.asked_by)
    here.votes("r-1", **{vote[:-1].replace(".", "_"): VOTES[vote[-1]] for vote in case.votes.split()})
    for participant in case.gone:
        here.status(participant, "left")
    decision = here.state.decision("r-1")
    assert decision is not None
    return tally(here.state, decision)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_votes_come_to_what_the_charter_says(case: Case) -> None:
    with facts(charter(decision_rights=[right(**case.right)], **case.clauses)) as here:
        found = asked(here, case)
    assert found.outcome == case.outcome, found
    if case.rule is not None:
        assert found.rule == case.rule
    if case.missing is not None:
        assert found.missing == case.missing


def test_a_right_nobody_names_is_unanimity_of_all() -> None:
    with facts() as here:
        here.phase("frozen").decision()
        assert current(here).rule == "all of brand, media, panel, shop"


@pytest.mark.parametrize(
    ("hours", "outcome"), [(335.9, None), (336, "expired"), (400, "expired")], ids=["before", "at", "after"]
)
def test_a_pending_decision_expires(hours: float, outcome: str | None) -> None:
    with facts() as here:
        here.phase("frozen").decision()
        here.later(hours=hours)
        assert current(here).outcome == outcome


def test_votes_cannot_save_an_expired_decision() -> None:
    with facts() as here:
        here.phase("frozen").decision()
        here.votes(brand_owner=YES, media_steward=YES, panel_steward=YES, shop_steward=YES)
        assert current(here).outcome == "approved"
        here.later(days=14)
        found = current(here)
    assert found.outcome == "expired"
    assert found.rule.endswith("; undecided after 336 hours")


def test_a_vote_counts_only_while_its_role_is_in_force() -> None:
    with facts(charter(decision_rights=[right(matters=["thaw"], deciders=["shop", "media"])])) as here:
        here.phase("frozen").decision()
        here.votes(shop_reviewer=YES)
        assert current(here).outcome == "approved"
        here.change(g.grants, {"grant": "shop.reviewer/reviewer"}, revoked=True)
        assert current(here).outcome is None
        here.votes(media_steward=YES)
        assert current(here).outcome == "approved"


def test_a_house_with_nobody_to_speak_is_waited_for() -> None:
    with facts() as here:
        here.phase("frozen").decision()
        here.change(g.grants, {"grant": "media.steward/steward"}, revoked=True)
        here.votes(brand_owner=YES, panel_steward=YES, shop_steward=YES)
        assert current(here).missing == ("media",)
        assert current(here).outcome is None


def test_nobody_at_all_rejects() -> None:
    with facts() as here:
        here.phase("frozen").decision()
        here.change(g.grants, {}, revoked=True)
        assert current(here).outcome == "rejected"


def test_emergency_roles_do_not_vote() -> None:
    with facts(charter(decision_rights=[right(matters=["thaw"], deciders=["shop"])])) as here:
        here.phase("frozen").decision()
        soon = timestamp(here.at + timedelta(hours=4))
        here.grant("shop.analyst", "reviewer", "e-1", emergency=True, expires_at=soon)
        here.votes(shop_analyst=YES)
        assert current(here).outcome is None


@pytest.mark.parametrize("step", ["suspend", "remove"])
def test_nobody_decides_on_its_own_membership(step: str) -> None:
    with facts() as here:
        here.decision(matter="membership", about="media", content={"step": step}, asked_by="panel.steward")
        decision = here.state.decision("d-1")
        assert decision is not None
        who = electorate(here.state, decision)
        assert who.parties == ("brand", "panel", "shop")
        assert who.excluded == {"media.steward": "it is about media", "panel.steward": "asked for it"}
        here.votes(brand_steward=YES, panel_reviewer=YES, shop_steward=YES, media_steward=NO)
        assert current(here).outcome == "approved"


def test_nobody_decides_a_dispute_about_itself() -> None:
    with facts(charter(review_body=BODY)) as here:
        here.dispute("d-1", "participant", "shop")
        here.decision("d-1", "dispute", "d-1", asked_by="media.steward")
        assert current(here).rule == "2 of the review body (media.auditor, panel.reviewer)"


MOOT = {
    "thaw of what is not frozen": ({"matter": "thaw"}, "the collaboration is not frozen"),
    "suspension of who left": (
        {"matter": "membership", "about": "media", "content": {"step": "suspend"}},
        "the participant is left",
    ),
    "reinstatement of who is not suspended": (
        {"matter": "membership", "about": "media", "content": {"step": "reinstate"}},
        "the participant is left",
    ),
    "unknown participant": (
        {"matter": "membership", "about": "nobody", "content": {"step": "remove"}},
        "the participant is unknown",
    ),
    "no step": (
        {"matter": "membership", "about": "media", "content": {"step": "praise"}},
        "the question does not say what is to be decided",
    ),
    "half an exception": (
        {"matter": "exception", "about": "x-1", "content": {"what": "Something"}},
        "the question does not say what is to be decided",
    ),
}


@pytest.mark.parametrize(("question", "why"), MOOT.values(), ids=MOOT)
def test_a_question_that_no_longer_stands_is_rejected(question: dict[str, Any], why: str) -> None:
    with facts() as here:
        here.status("media", "left").decision(**question)
        found = current(here)
    assert (found.outcome, found.rule) == ("rejected", f"nothing to decide: {why}")


def test_a_request_that_the_rules_refused_needs_no_votes() -> None:
    with facts() as here:
        here.request(status="denied")
        here.decision("d-1", "request", "r-1")
        assert current(here).rule == "nothing to decide: the charter's rules refused the request"


def test_a_template_the_charter_dropped_cannot_be_approved() -> None:
    with facts(charter(decision_rights=[right(beneficiaries_abstain=True)])) as here:
        here.request(template="forgotten")
        here.decision("d-1", "request", "r-1", right="rule")
        assert current(here).outcome == "rejected"


@pytest.mark.parametrize("status", ["suspended", "left", "removed", "invited"])
def test_nobody_agrees_for_an_owner_who_cannot_speak(status: str) -> None:
    """Its data is read; what is decided while it is away would still be allowed when it is back."""
    affected = right(matters=["request"], rule="affected", deciders=["shop"])
    with facts(charter(decision_rights=[affected])) as here:
        here.request(datasets=("health",))
        here.decision("d-1", "request", "r-1", right="rule", asked_by="brand.analyst")
        here.status("panel", status).votes("d-1", shop_steward=YES, panel_steward=YES)
        waiting = current(here)
        assert (waiting.outcome, waiting.missing) == (None, ("panel",))
        here.status("panel", "active")
        assert current(here).outcome == "approved"


def test_a_dispute_is_not_won_by_keeping_others_out() -> None:
    clauses = {"review_body": BODY | {"quorum": 3}, "decision_rights": [
        right(matters=["dispute"], body="review_body", expires_hours=48, escalate_hours=24,
              escalate_to="media.steward"),
    ]}  # fmt: skip
    with facts(charter(**clauses)) as here:
        here.dispute("d-1", "participant", "shop")
        here.decision("d-1", "dispute", "d-1", asked_by="media.steward")
        here.votes("d-1", media_auditor=YES, panel_reviewer=NO)
        assert current(here).outcome is None
        assert "too few are left" in current(here).rule
        here.later(hours=24)
        assert [event.type for event in due(here.state)] == ["decision.escalated"]
        here.later(hours=24)
        assert current(here).outcome is None  # nor does waiting win it
        here.votes("d-1", shop_reviewer=YES)
        here.change(g.disputes, {}, about_kind="dataset", about="sales")  # all three may decide
        assert current(here).outcome == "expired"


@pytest.mark.parametrize(
    ("question", "change"),
    [
        ({"matter": "thaw"}, lambda here: here.phase("frozen")),
        (
            {"matter": "membership", "about": "media", "content": {"step": "suspend"}},
            lambda here: here.status("media", "active"),
        ),
    ],
    ids=["freeze", "standing"],
)
def test_votes_cast_before_what_they_would_end_do_not_count(
    question: dict[str, Any], change: Callable[[Facts], object]
) -> None:
    """One who froze again, or came back, is not met by votes kept in store."""
    with facts(charter(decision_rights=[right(matters=["thaw", "membership"], quorum=1)])) as here:
        change(here)
        here.decision(**question)
        here.votes(shop_steward=YES)
        assert current(here).outcome == "approved"
        change(here)
        assert current(here).outcome is None
        here.votes(panel_steward=YES)
        assert current(here).outcome == "approved"


def test_a_dispute_that_nobody_may_decide_waits_for_somebody() -> None:
    with facts(charter(review_body=BODY | {"term_until": "2026-03-01"})) as here:
        here.dispute("d-1", "dataset", "sales")
        here.decision("d-1", "dispute", "d-1", asked_by="media.steward")
        assert current(here).outcome is None


def current(here: Facts) -> Tally:
    decision = here.state.decision("d-1")
    assert decision is not None
    return tally(here.state, decision)
