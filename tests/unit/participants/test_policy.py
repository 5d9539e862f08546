"""Who may do what: every verb with somebody who may, and every way to be refused, by its code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.vocabulary import timestamp
from orchestration.participants import policy
from orchestration.participants.denials import BY_CODE
from orchestration.participants.facts import MATTERS
from orchestration.participants.permissions import ACTIONS
from orchestration.participants.policy import FOLDER, allows, ask, decide, emergency_grant, policies
from orchestration.participants.question import Question
from tests.unit.participants.facts import NAME, Facts, charter, dataset, facts
from tests.unit.participants.policy_table import (
    ALLOWED,
    ASKED,
    CHECKLIST,
    DIGEST,
    LENT,
    ROWS,
    TERMS,
    Row,
    world,
)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_verb_and_every_way_to_be_refused(row: Row) -> None:
    with facts(charter(**row.clauses)) as f:
        world(f)
        if row.setup is not None:
            row.setup(f)
        question = Question(row.member, row.action, row.subject, row.facts)
        decision = decide(f.state, question)
        assert (decision.allowed, decision.code) == (row.code is ALLOWED, row.code), decision
        assert allows(f.state, question) is decision.allowed
        assert decision.message
        if row.code is not ALLOWED:
            assert decision.next_step
            assert "{" not in decision.message + decision.next_step
        if row.code is ALLOWED or row.code in BY_CODE:
            assert decision.policies


def test_the_table_has_every_verb_both_ways_and_every_code() -> None:
    allowed = {row.action for row in ROWS if row.code is ALLOWED}
    denied = {row.action for row in ROWS if row.code is not ALLOWED}
    assert allowed == set(ACTIONS)
    assert denied - {"fly"} == set(ACTIONS)
    codes = {row.code for row in ROWS}
    assert set(BY_CODE) - codes == {"policy.not_a_party"}  # a newcomer's charter: below


def test_terms_and_checklists_open_the_way_once_they_are_there() -> None:
    agreed = charter(terms=TERMS, datasets=[{**dataset("sales", "shop"), "onboarding": CHECKLIST}])
    with facts(agreed) as f:
        question = Question("brand.analyst", "submit_request", "overlap", ASKED)
        assert not allows(f.state, question)
        f.add(g.acknowledgements, member="brand.analyst", terms=agreed.terms_digest)
        assert allows(f.state, question)
        f.add(
            g.attested_datasets,
            dataset="sales",
            evidence="{}",
            expires_at=timestamp(f.at + timedelta(days=1)),
        )
        assert allows(f.state, Question("shop.steward", "contribute", "sales"))
        f.later(days=1)
        assert decide(f.state, Question("shop.steward", "contribute", "sales")).code == "policy.not_attested"


def test_a_charter_is_signed_and_withdrawn_only_by_those_it_names() -> None:
    with facts() as f:
        smaller = charter(
            version=2,
            participants=charter().document["participants"][1:],  # type: ignore[index,call-overload]
        )
        f.proposed(smaller)
        for action in ("sign_charter", "withdraw_charter"):
            denied = decide(f.state, Question("shop.steward", action, smaller.digest))
            assert denied.code == "policy.not_a_party"
            assert allows(f.state, Question("brand.steward", action, smaller.digest))


def test_self_approval_is_refused_in_words_a_steward_understands() -> None:
    with facts() as f:
        world(f)
        decision = decide(f.state, Question("brand.analyst", "vote", "r-1"))
    assert decision.message == "brand.analyst asked this question and may not approve it."
    assert decision.policies[0] == "Whoever asked does not decide."
    for organization in ("shop", "media"):
        assert organization in decision.next_step
    assert "brand.analyst" not in decision.next_step


def test_emergency_access_is_told_apart_from_a_lasting_role() -> None:
    with facts() as f:
        f.grant("shop.analyst", "steward", "g-now", emergency=True)
        freeze = Question("shop.analyst", "freeze", NAME)
        assert allows(f.state, freeze)
        used = emergency_grant(f.state, freeze)
        assert used is not None
        assert used.id == "g-now"
        own = Question("shop.analyst", "submit_request", "overlap", ASKED)
        assert emergency_grant(f.state, own) is None
        assert emergency_grant(f.state, Question("media.steward", "freeze", NAME)) is None


GOVERNS = [
    ("propose_charter", NAME, {}),
    ("sign_charter", DIGEST, {"participant": "shop"}),
    ("withdraw_charter", DIGEST, {}),
    ("leave", "shop", {}),
    ("enroll_member", "shop.steward", {"roles": ["steward"]}),
    ("retire_member", "shop.steward", {}),
    ("revoke_key", "shop.steward", {}),
    ("give_grant", "shop.steward", {"role": "steward"}),
    ("renew_grant", "shop.steward/steward", {}),
    ("revoke_grant", "shop.steward/steward", {}),
    ("open_emergency", "shop.reviewer", {"role": "steward"}),
    ("open_decision", "closing", {}),
    ("vote", "r-1", {}),
    ("raise_dispute", "sales", {"kind": "dataset"}),
    ("attest_review", "shop.steward/steward", {"keep": True}),
    ("attest_dataset", "sales", {}),
    ("withdraw_contribution", "sales", {}),
    ("withdraw_people", "sales", {}),
]
USES = [
    ("freeze", NAME, {}),
    ("contribute", "sales", ASKED),
    ("submit_request", "overlap", ASKED),
    ("open_insight", "i-r-1", {"justification": "Why."}),
]
ALONE = ("accept_invitation", "rotate_key", "acknowledge_terms", "arrange_login")  # each does these alone


@pytest.mark.parametrize("own", ["with a role of its own", "with none"])
@pytest.mark.parametrize(("verb", "subject", "said"), GOVERNS, ids=[each[0] for each in GOVERNS])
def test_a_lent_role_governs_nothing(verb: str, subject: str, said: dict[str, object], own: str) -> None:
    with facts() as f:
        world(f)
        LENT(f)
        if own == "with none":
            f.change(g.grants, {"grant": "shop.analyst/analyst"}, revoked=True)
        question = Question("shop.analyst", verb, subject, said)
        denied = decide(f.state, question)
        assert not denied.allowed
        assert denied.code in ("policy.lent_role", "policy.not_a_voter")
        assert emergency_grant(f.state, question) is None


@pytest.mark.parametrize(("verb", "subject", "said"), USES, ids=[each[0] for each in USES])
def test_a_lent_role_uses_and_stops(verb: str, subject: str, said: dict[str, object]) -> None:
    clauses = {"computations": [{**charter().document["computations"][0], "requesters": ["shop"]}]}  # type: ignore[index,call-overload]
    with facts(charter(**clauses)) as f:
        world(f)
        f.change(t.releases, {"release": "i-r-1"}, receivers='["shop"]')
        f.change(g.grants, {"grant": "shop.analyst/analyst"}, revoked=True)
        question = Question("shop.analyst", verb, subject, said)
        assert not allows(f.state, question)
        LENT(f)
        assert allows(f.state, question)
        assert emergency_grant(f.state, question) is not None


def test_every_verb_is_governing_or_using_or_done_by_each_alone() -> None:
    named = [*(each[0] for each in (*GOVERNS, *USES)), *ALONE]
    assert sorted(named) == sorted(ACTIONS)


def test_what_was_revoked_is_given_back_by_a_charter_that_all_sign() -> None:
    with facts() as f:
        question = Question("shop.steward", "contribute", "sales")
        f.dispute("s-1", "dataset", "sales", remedy="revoke", status="upheld")
        denied = decide(f.state, question)
        assert denied.code == "policy.revoked"
        assert "sales" in denied.message
        assert "agree on a new version" in denied.next_step
        f.change(g.charters, {}, activated_at=timestamp(f.at))
        assert allows(f.state, question)


def test_policies_and_schema_agree() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.cedar")))
    schema = (FOLDER / "glasshouse.cedarschema").read_text(encoding="utf-8")
    result = cedarpy.validate_policies(text, schema)
    assert result.validation_passed, [str(error) for error in result.errors]
    assert len(policies()) == text.count("@id(") == text.count("@says(")
    codes = {each.code for each in policies().values() if each.effect == "forbid"}
    assert codes == set(BY_CODE)
    assert all(each.says.endswith(".") for each in policies().values())


def test_a_request_that_does_not_fit_the_schema_is_refused() -> None:
    with facts() as f:
        case = policy.case_of(f.state, Question("shop.steward", "freeze", NAME))
        assert ask(case).allowed
        assert not ask(case.told(surprise="yes")).allowed
        assert ask(case.told(surprise="yes")).failed
        assert ask(case.but(case.member, roles="steward")).failed
        assert ask(case.but(case.member, admin=True)).failed


def test_a_policy_that_cannot_be_evaluated_denies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cedar itself would skip a broken `forbid` and allow."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.cedar").write_text(
        '@id("broken") @code("policy.closed") @says("It breaks.")'
        " forbid (principal, action, resource)"
        ' when { context.now.offset(duration("9223372036854775807ms")) < context.now };'
    )
    monkeypatch.setattr(policy, "FOLDER", tmp_path)
    policy._engine.cache_clear()
    try:
        with facts() as f:
            decision = decide(f.state, Question("shop.steward", "freeze", NAME))
        assert (decision.allowed, decision.code) == (False, "policy.error")
        assert decision.next_step
    finally:
        policy._engine.cache_clear()


ENROLLED = [each.id for each in charter().members]
MEMBERS = [*ENROLLED, "shop.nobody", "stranger.steward", ""]
SUBJECTS = [
    NAME,
    DIGEST,
    "shop",
    "brand",
    "sales",
    "overlap",
    "i-r-1",
    "r-1",
    "shop.analyst",
    *MATTERS,
    "",
    "é",
]
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "purpose": st.sampled_from(["insight", "resale"]),
        "role": st.sampled_from(["analyst", "owner"]),
        "participant": st.sampled_from(["shop", "brand"]),
        "justification": st.just("why"),
        "kind": st.sampled_from(["dataset", "bogus"]),
    },
)
QUESTIONS = st.builds(
    Question,
    st.sampled_from(MEMBERS),
    st.sampled_from([*ACTIONS, "fly"]),
    st.sampled_from([*SUBJECTS, *MEMBERS]),
    FACTS,
)


@pytest.fixture(scope="module")
def populated() -> Iterator[Facts]:
    with facts() as f:
        world(f)
        yield f


@pytest.fixture(scope="module")
def grantless() -> Iterator[Facts]:
    with facts() as f:
        world(f)
        f.connection.execute(g.grants.delete())
        yield f


@settings(deadline=None)
@given(question=QUESTIONS)
def test_without_grants_nothing_but_ones_own_key_terms_and_login_is_allowed(
    grantless: Facts, question: Question
) -> None:
    """Default deny; and no denial leaves the asker without a next step."""
    decision = decide(grantless.state, question)
    own = ("rotate_key", "revoke_key", "acknowledge_terms", "arrange_login")
    if question.action in own and question.member == question.subject and question.member in ENROLLED:
        assert decision.allowed
        return
    assert not decision.allowed
    assert decision.code
    assert decision.next_step
    assert decision.error is not None


@settings(deadline=None)
@given(question=QUESTIONS, phase=st.sampled_from(["active", "frozen", "closed", "forming"]))
def test_every_answer_is_explained(populated: Facts, question: Question, phase: str) -> None:
    populated.phase(phase)
    decision = decide(populated.state, question)
    if decision.allowed:
        assert decision.policies
        assert phase != "closed"
    else:
        assert decision.next_step
        assert "{" not in decision.message + decision.next_step
