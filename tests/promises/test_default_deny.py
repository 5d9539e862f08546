"""Deny is the default: of everything that could be asked, only what a charter names is allowed.

What is expected is read from the YAML by hand, so that a permissive model or rule cannot vouch for itself.
"""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestration.audit import governance_tables
from orchestration.charter import Charter, load_charter
from orchestration.computation import request as rules
from orchestration.computation.request import Request, check_request
from orchestration.computation.template import load_templates
from orchestration.errors import CharterError, ContributionError, GlasshouseError, PolicyDeniedError
from orchestration.participants.policy import decide
from orchestration.participants.question import Question
from orchestration.participants.state import State
from orchestration.settings import PROJECT_ROOT
from tests.support import CHARTER, TinyHouse, csv_bytes, people_rows
from tests.unit.participants.facts import facts

GROCERY = PROJECT_ROOT / "charters" / "grocery.yaml"
DURING = date(2026, 6, 1)
# One valid choice of parameters per template; the choices themselves are `test_request`'s business.
PARAMETERS = {
    "audience_overlap": {"left": "shoppers", "right": "mailed"},
    "joint_segmentation": {"rows": "age", "columns": "income"},
    "campaign_response": {"by": "campaign_type"},
    "household_list": {},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    text: dict[str, Any] = YAML(typ="safe", pure=True).load(GROCERY)
    return text


@pytest.fixture(scope="module")
def charter() -> Charter:
    return load_charter(GROCERY)


def ask(charter: Charter, member: str, template: str, purpose: str, today: date = DURING) -> bool:
    request = Request(
        id="r-1",
        collaboration="grocery",
        template=template,
        parameters=PARAMETERS[template],
        purpose=purpose,
        requester=member,
    )
    return check_request(charter, load_templates(), request, today).allowed


def test_of_all_requests_only_the_named_ones_are_permitted(
    document: dict[str, Any], charter: Charter
) -> None:
    members = {m["id"]: m["roles"] for p in document["participants"] for m in p["members"]}
    purposes = [p["id"] for p in document["purposes"]]
    asked = list(
        itertools.product(
            [*members, "retailer.nobody", "stranger.analyst"], PARAMETERS, [*purposes, "resale"]
        )
    )
    permitted = {each for each in asked if ask(charter, *each)}
    named = {
        (member, computation["template"], purpose)
        for computation in document["computations"]
        for purpose in computation["purposes"]
        for member, roles in members.items()
        if "analyst" in roles and member.split(".")[0] in computation["requesters"]
    }
    assert permitted == named
    assert len(asked) == 240
    assert len(permitted) == 8


def test_nothing_is_permitted_outside_the_charters_dates(document: dict[str, Any], charter: Charter) -> None:
    permitted = ("brand_agency.analyst", "campaign_response", "campaign_effectiveness")
    first, last = document["effective_from"], document["effective_until"]
    day = timedelta(days=1)
    assert ask(charter, *permitted, today=first)
    assert ask(charter, *permitted, today=last)
    assert not ask(charter, *permitted, today=first - day)
    assert not ask(charter, *permitted, today=last + day)


def test_a_rule_that_breaks_permits_nothing(charter: Charter, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_case: object) -> object:
        raise RuntimeError("a bug in a rule")

    monkeypatch.setattr(rules, "_RULES", (*rules._RULES, broken))
    with pytest.raises(RuntimeError):
        ask(charter, "brand_agency.analyst", "campaign_response", "campaign_effectiveness")


def test_a_template_that_is_gone_is_not_run(charter: Charter) -> None:
    request = Request(
        id="r-1",
        collaboration="grocery",
        template="campaign_response",
        parameters={"by": "campaign_type"},
        purpose="campaign_effectiveness",
        requester="brand_agency.analyst",
    )
    assert not check_request(charter, MappingProxyType({}), request, DURING).allowed


def test_of_all_openings_only_the_named_ones_are_granted(document: dict[str, Any], charter: Charter) -> None:
    detail = document["access"]["detail"]
    strength = {None: 0, "summary": 1, "full": 2}
    with facts(charter) as f:
        for each in charter.members:
            f.add(governance_tables.acknowledgements, member=each.id, terms=charter.terms_digest)
        for computation in document["computations"]:
            f.request(computation["template"])
            f.release(computation["template"], tuple(computation["receivers"]))
        for computation, participant in itertools.product(document["computations"], document["participants"]):
            release = f"i-{computation['template']}"
            for member in participant["members"]:
                levels = [detail.get(role) for role in member["roles"]]
                best = max(levels, key=lambda level: strength[level])
                expected = best if participant["id"] in computation["receivers"] else None
                asked = Question(member["id"], "open_insight", release, {"justification": "To read it."})
                assert decide(f.state, asked).allowed == (expected is not None), asked
                assert charter.access.detail_for(f.state.roles(member["id"])) == best
                late = State(f.connection, f.state.collaboration, f.at + timedelta(days=30))
                assert not decide(late, asked).allowed
                silent = Question(member["id"], "open_insight", release, {"justification": "  "})
                assert not decide(f.state, silent).allowed


def test_a_role_that_only_the_log_or_only_the_charter_gives_does_not_count(charter: Charter) -> None:
    opening = Question("retailer.operator", "open_insight", "i-r-1", {"justification": "x"})
    with facts(charter) as f:
        f.add(governance_tables.acknowledgements, member=opening.member, terms=charter.terms_digest)
        f.request("r-1")
        f.release("r-1", ("retailer",))
        assert not decide(f.state, opening).allowed
        f.grant(opening.member, "analyst")  # the charter gives the operator no such role
        assert not decide(f.state, opening).allowed
        f.connection.execute(governance_tables.grants.delete())
        analyst = Question("retailer.analyst", "open_insight", "i-r-1", {"justification": "x"})
        assert not decide(f.state, analyst).allowed  # the charter alone gives it


@pytest.mark.parametrize(
    ("member", "why", "code"),
    [
        ("panel.steward", "To read it.", "policy.not_a_receiver"),
        ("shop.operator", "To read it.", "policy.no_role"),
        ("shop.analyst", " ", "policy.justification_missing"),
        ("shop.nobody", "To read it.", "policy.unknown_member"),
    ],
)
def test_a_denied_opening_shows_nothing_and_is_on_record(
    finished: TinyHouse, member: str, why: str, code: str
) -> None:
    segments = next(
        payload.release  # type: ignore[attr-defined]
        for payload in finished.payloads("output.released")
        if payload.template == "joint_segmentation"  # type: ignore[attr-defined]
    )
    opened = len(finished.payloads("output.accessed"))
    with pytest.raises(PolicyDeniedError) as denial:
        finished.open(segments, member, why)
    assert denial.value.code == code
    assert denial.value.next_step
    assert len(finished.payloads("output.accessed")) == opened
    denied = finished.payloads("access.denied")
    assert [d.code for d in denied] == [code]  # type: ignore[attr-defined]


def test_a_denied_request_is_on_record_and_never_runs(finished: TinyHouse) -> None:
    """It never becomes a request, because its signer may not ask it; the refusal is on record."""
    asked = {e.event.subject for e in finished.house.log.events(type="request.submitted")}
    (denied,) = (e for e in finished.house.log.events(type="stage.failed") if e.event.subject[:2] == "r-")
    assert denied.event.payload.code == "request.purpose_not_agreed"  # type: ignore[attr-defined]
    assert denied.event.subject not in asked
    assert len(finished.payloads("computation.run")) == len(asked) == 2


def test_what_the_charter_does_not_name_does_not_enter(fresh: TinyHouse) -> None:
    rows = [{**row, "email": "x"} for row in people_rows()]
    payload = fresh.accept("people", fresh.deliver("people", csv_bytes(rows))).event.payload
    assert payload.dropped_columns == 1  # type: ignore[union-attr]
    with pytest.raises(ContributionError, match=r"contribution\.purpose"):
        fresh.accept("people", fresh.deliver("people", purposes=["resale"]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("privacy_unit: household", "privacy_unit: household\nsurprise: 1"),
        ("technique: {kind: pseudonymize, domain: household}}", "technique: pass}"),
        ("technique: {kind: pseudonymize, domain: household}}", "technique: {kind: rot13}}"),
        ("purposes: [planning], requesters", "purposes: [resale], requesters"),
        ("receivers: [shop, panel]", "receivers: [shop, stranger]"),
        ("aggregation_threshold: 5", "aggregation_threshold: 1"),
        ("template: audience_overlap", "template: household_list"),
        ("clauses: [audit.review_days]", "clauses: [prohibited_uses]"),
    ],
)
def test_a_charter_with_anything_unknown_or_unenforced_is_no_charter(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in CHARTER
    path = tmp_path / "tiny.yaml"
    path.write_text(CHARTER.replace(old, new))
    with pytest.raises(CharterError):
        load_charter(path, templates=load_templates())


def test_every_denial_says_what_would_pass(charter: Charter) -> None:
    for template, purpose in itertools.product(PARAMETERS, ["campaign_effectiveness", "resale"]):
        request = Request(
            id="r-1",
            collaboration="grocery",
            template=template,
            parameters=PARAMETERS[template],
            purpose=purpose,
            requester="data_provider.steward",
        )
        decision = check_request(charter, load_templates(), request, DURING)
        assert not decision.allowed
        assert decision.code
        assert decision.next_step
        with pytest.raises(GlasshouseError):
            decision.require()
