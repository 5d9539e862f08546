"""The table of `test_policy`: who may do what, and every way to be refused, by its code.

Belongs here: rows, and the little world they are asked in. Must not be here: assertions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from tests.unit.participants.facts import NAME, START, Facts, charter, dataset, located

Setup = Callable[[Facts], object]
ALLOWED = None
TERMS = [{"id": "fair", "title": "Fair", "text": "Nobody tries to find out who anybody is."}]
CHECKLIST = [{"id": "consented", "text": "Consent is on file.", "required": True}]
YEAR = START + timedelta(days=365)


def world(f: Facts) -> None:
    """A request of `brand.analyst`, its release for brand, and the decision about it."""
    f.request("r-1")
    f.release("r-1")
    f.decision("r-1", "request", "r-1", asked_by="brand.analyst")
    f.grant("shop.analyst", "reviewer", "g-lent", emergency=True)


def _disputed(kind: str, about: str) -> Setup:
    return lambda f: f.dispute("s-1", kind, about)


def _revoked(kind: str, about: str) -> Setup:
    return lambda f: f.dispute("s-1", kind, about, remedy="revoke", status="upheld")


def lent(*names: str) -> Setup:
    """Roles lent to `shop.analyst` in an emergency."""
    return lambda f: [f.grant("shop.analyst", name, f"e-{name}", emergency=True) for name in names]


def _overdue(f: Facts) -> None:
    """What `shop.steward` lent was to be reviewed a moment ago, and nobody did."""
    f.change(g.grants, {"grant": "g-lent"}, lender="shop.steward")
    f.review("review-1", ("g-lent",), f.at, kind="emergency")


def _attested(f: Facts) -> None:
    f.review("review-1", ("shop.steward/steward",), f.at + timedelta(days=14))
    f.change(g.attestations, {"review": "review-1"}, keep=True)


def _status(table: Any, where: dict[str, str], **values: object) -> Setup:
    return lambda f: f.change(table, where, **values)


RETIRED = _status(g.members, {"member": "shop.steward"}, status="retired")
SHOP = {"participant": "shop"}
SUSPENDED = _status(g.participants, SHOP, status="suspended")
INVITED = _status(g.participants, SHOP, status="invited")
FROZEN: Setup = lambda f: f.phase("frozen")  # noqa: E731
CLOSED: Setup = lambda f: f.phase("closed")  # noqa: E731
FORMING: Setup = lambda f: f.phase("forming")  # noqa: E731
ENDED: Setup = lambda f: f.later(days=400)  # noqa: E731
LENT = lent("steward", "owner", "executive", "reviewer", "auditor")
OVERDUE: Setup = _overdue
ATTESTED: Setup = _attested
REVIEWED = {"review": "review-1", "keep": True}
WHY = {"justification": "Monthly review."}
ASKED = {"purpose": "insight"}
READS_SALES = {**ASKED, "datasets": ("sales",)}
READS_BOTH = {**ASKED, "datasets": ("sales", "health")}
IN_FRANCE = {"brand": "FR", "shop": "US"}
SALES_THERE = {"sales": ["DE", "FR"]}


@dataclass(frozen=True)
class Row:
    member: str
    action: str
    subject: str
    code: str | None = ALLOWED
    facts: Mapping[str, object] = field(default_factory=dict)
    setup: Setup | None = None
    clauses: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.member} {self.action} {self.subject}: {self.code or 'yes'}"


def roles(*names: str, until: object = YEAR) -> dict[str, object]:
    return {"roles": names, "expires_at": until}


DIGEST = charter().digest
ROWS = [
    # a charter
    Row("nobody.knows", "propose_charter", NAME, setup=FORMING),
    Row("shop.steward", "propose_charter", NAME),
    Row("brand.owner", "propose_charter", NAME, setup=FROZEN),
    Row("shop.analyst", "propose_charter", NAME, "policy.no_role"),
    Row("nobody.knows", "propose_charter", NAME, "policy.unknown_member"),
    Row("shop.steward", "propose_charter", "other", "policy.unknown_subject"),
    Row("shop.steward", "propose_charter", NAME, "policy.closed", setup=CLOSED),
    Row("shop.steward", "propose_charter", NAME, "policy.participant_not_active", setup=SUSPENDED),
    Row("shop.steward", "sign_charter", DIGEST, facts={"participant": "shop"}),
    Row("shop.steward", "sign_charter", NAME),
    Row("shop.steward", "sign_charter", DIGEST, "policy.not_own_organization", {"participant": "brand"}),
    Row("brand.owner", "sign_charter", DIGEST, "policy.no_role"),
    Row("shop.steward", "sign_charter", "sha256:0", "policy.unknown_subject"),
    Row("shop.steward", "sign_charter", DIGEST, "policy.grant_expired", setup=ENDED),
    Row("brand.owner", "withdraw_charter", DIGEST),
    Row("brand.analyst", "withdraw_charter", DIGEST, "policy.no_role"),
    # organizations
    Row("shop.steward", "accept_invitation", "shop", setup=INVITED),
    Row("shop.steward", "accept_invitation", "shop", "policy.not_invited"),
    Row("shop.analyst", "accept_invitation", "shop", "policy.no_role", setup=INVITED),
    Row("brand.steward", "accept_invitation", "shop", "policy.not_own_organization", setup=INVITED),
    Row("brand.steward", "accept_invitation", "stranger", "policy.unknown_subject"),
    Row("brand.owner", "leave", "brand"),
    Row("brand.analyst", "leave", "brand", "policy.no_role"),
    Row("brand.owner", "leave", "shop", "policy.not_own_organization"),
    Row("shop.steward", "leave", "shop", setup=SUSPENDED),  # nobody is held
    Row("shop.analyst", "leave", "shop", "policy.no_role", setup=SUSPENDED),
    Row("shop.steward", "leave", "shop", "policy.participant_not_active", setup=INVITED),
    # members and keys
    Row("shop.steward", "enroll_member", "shop.analyst", facts=roles("analyst")),
    Row("shop.steward", "enroll_member", "shop.steward", facts=roles("steward")),
    Row(
        "shop.steward",
        "enroll_member",
        "shop.steward",
        "policy.role_not_in_charter",
        roles("steward", "owner"),
    ),
    Row("shop.steward", "enroll_member", "shop.analyst", "policy.role_not_in_charter"),
    Row(
        "shop.steward",
        "enroll_member",
        "shop.analyst",
        "policy.grant_too_long",
        roles("analyst", until=YEAR + timedelta(days=1)),
    ),
    Row("shop.steward", "enroll_member", "brand.analyst", "policy.not_own_organization", roles("analyst")),
    Row("shop.steward", "enroll_member", "shop.stranger", "policy.unknown_subject", roles("analyst")),
    Row("shop.analyst", "enroll_member", "shop.analyst", "policy.no_role", roles("analyst")),
    Row("shop.steward", "retire_member", "shop.analyst"),
    Row("brand.steward", "retire_member", "shop.analyst", "policy.not_own_organization"),
    Row("shop.reviewer", "retire_member", "shop.analyst", "policy.no_role"),
    Row("shop.steward", "retire_member", "shop.analyst", "policy.member_not_active", setup=RETIRED),
    Row("shop.analyst", "rotate_key", "shop.analyst"),
    Row("shop.steward", "rotate_key", "shop.analyst", "policy.not_oneself"),
    Row("shop.analyst", "revoke_key", "shop.analyst"),
    Row("shop.analyst", "revoke_key", "shop.analyst", setup=SUSPENDED),
    Row("shop.steward", "revoke_key", "shop.analyst", setup=SUSPENDED),
    Row("shop.steward", "rotate_key", "shop.steward", "policy.participant_not_active", setup=SUSPENDED),
    Row(
        "shop.steward",
        "enroll_member",
        "shop.analyst",
        "policy.participant_not_active",
        roles("analyst"),
        SUSPENDED,
    ),
    Row("shop.steward", "revoke_key", "shop.analyst"),
    Row("shop.analyst", "revoke_key", "shop.steward", "policy.no_role"),
    Row("brand.steward", "revoke_key", "shop.analyst", "policy.not_own_organization"),
    Row("shop.analyst", "acknowledge_terms", "shop.analyst"),
    Row("shop.steward", "acknowledge_terms", "shop.analyst", "policy.not_oneself"),
    Row("shop.analyst", "acknowledge_terms", "shop.analyst", "policy.other_terms", {"terms": "sha256:0"}),
    Row("shop.analyst", "arrange_login", "shop.analyst"),
    Row("shop.steward", "arrange_login", "shop.analyst", "policy.not_oneself"),
    Row("shop.steward", "arrange_login", "shop.steward", "policy.member_not_active", setup=RETIRED),
    # grants
    Row("shop.steward", "give_grant", "shop.analyst", facts={"role": "analyst", "expires_at": YEAR}),
    Row("shop.steward", "give_grant", "shop.analyst", "policy.role_not_in_charter", {"role": "steward"}),
    Row("shop.steward", "give_grant", "shop.steward", "policy.role_not_in_charter", {"role": "analyst"}),
    Row("shop.reviewer", "give_grant", "shop.analyst", "policy.no_role", {"role": "analyst"}),
    Row("media.steward", "give_grant", "shop.analyst", "policy.not_own_organization", {"role": "analyst"}),
    Row("shop.steward", "renew_grant", "shop.analyst/analyst", facts={"expires_at": YEAR}),
    Row(
        "shop.steward",
        "renew_grant",
        "shop.analyst/analyst",
        "policy.grant_too_long",
        {"expires_at": YEAR + timedelta(seconds=1)},
    ),
    Row("shop.steward", "renew_grant", "g-lent", "policy.role_not_in_charter"),
    Row("shop.steward", "renew_grant", "g-none", "policy.unknown_subject"),
    Row("media.steward", "renew_grant", "shop.analyst/analyst", "policy.not_own_organization"),
    Row("shop.steward", "revoke_grant", "g-lent"),
    Row("media.steward", "revoke_grant", "g-lent", "policy.not_own_organization"),
    Row("shop.reviewer", "revoke_grant", "g-lent", "policy.no_role"),
    Row(
        "shop.steward",
        "open_emergency",
        "shop.analyst",
        facts={"role": "steward", "expires_at": START + timedelta(hours=4)},
    ),
    Row("brand.owner", "open_emergency", "brand.analyst", facts={"role": "steward"}),
    Row("shop.reviewer", "open_emergency", "shop.analyst", "policy.no_role", {"role": "steward"}),
    Row("shop.analyst", "open_emergency", "shop.reviewer", "policy.lent_role", {"role": "steward"}, LENT),
    Row(
        "shop.steward",
        "open_emergency",
        "shop.analyst",
        "policy.emergency_not_reviewed",
        {"role": "steward"},
        OVERDUE,
    ),
    Row("brand.steward", "open_emergency", "brand.analyst", facts={"role": "owner"}, setup=OVERDUE),
    Row("shop.analyst", "open_emergency", "shop.analyst", "policy.self_approval", {"role": "steward"}),
    Row(
        "media.steward", "open_emergency", "shop.analyst", "policy.not_own_organization", {"role": "steward"}
    ),
    Row(
        "shop.reviewer",
        "open_emergency",
        "shop.analyst",
        "policy.grant_too_long",
        {"role": "steward", "expires_at": START + timedelta(hours=5)},
    ),
    Row("shop.analyst", "open_emergency", "shop.steward", "policy.member_not_active", setup=RETIRED),
    # decisions
    Row("shop.reviewer", "open_decision", "thaw", setup=FROZEN),
    Row("brand.analyst", "open_decision", "thaw", "policy.no_role"),
    Row("shop.analyst", "open_decision", "exception"),
    Row("shop.steward", "open_decision", "request", "policy.unknown_subject"),
    Row("shop.steward", "open_decision", "thaw", "policy.not_agreed", setup=FORMING),
    Row("shop.reviewer", "vote", "r-1"),
    Row("brand.steward", "vote", "r-1"),
    Row("brand.analyst", "vote", "r-1", "policy.self_approval"),
    Row("media.auditor", "vote", "r-1", "policy.not_a_voter"),
    Row("shop.analyst", "vote", "r-1", "policy.not_a_voter"),  # a role lent does not vote
    Row("shop.reviewer", "vote", "d-none", "policy.unknown_subject"),
    Row(
        "shop.reviewer",
        "vote",
        "r-1",
        "policy.decided",
        setup=_status(g.decisions, {"decision": "r-1"}, status="approved"),
    ),
    Row("shop.reviewer", "vote", "r-1", "policy.participant_not_active", setup=SUSPENDED),
    Row("media.steward", "freeze", NAME),
    Row("media.auditor", "freeze", NAME, "policy.no_role"),
    Row("media.steward", "freeze", NAME, "policy.closed", setup=CLOSED),
    Row("media.steward", "freeze", NAME, "policy.not_agreed", setup=FORMING),
    # disputes and reviews
    Row("media.auditor", "raise_dispute", "i-r-1", facts={"kind": "release"}),
    Row("media.auditor", "raise_dispute", "r-1"),
    Row("media.auditor", "raise_dispute", "sales", setup=FROZEN),
    Row("media.auditor", "raise_dispute", "shop", facts={"kind": "participant"}),
    Row("media.auditor", "raise_dispute", "i-r-1", "policy.unknown_subject", {"kind": "participant"}),
    Row("brand.analyst", "raise_dispute", "sales", "policy.no_role"),
    Row("media.auditor", "attest_review", "shop.steward/steward", facts={"keep": True}),
    Row(
        "media.auditor",
        "attest_review",
        "shop.steward/steward",
        "policy.not_own_organization",
        {"keep": False},
    ),
    Row("media.auditor", "attest_review", "g-lent", facts={"keep": False}),
    Row("shop.reviewer", "attest_review", "shop.steward/steward", facts={"keep": False}),
    Row("shop.reviewer", "attest_review", "shop.steward/steward", facts=REVIEWED, setup=ATTESTED),
    Row(
        "panel.reviewer",
        "attest_review",
        "shop.steward/steward",
        "policy.not_own_organization",
        REVIEWED,
        ATTESTED,
    ),
    Row("brand.steward", "attest_review", "shop.steward/steward", "policy.no_role"),
    Row("shop.steward", "attest_review", "g-lent", "policy.self_approval", setup=OVERDUE),
    Row("media.auditor", "attest_review", "media.auditor/auditor", "policy.self_approval"),
    Row("brand.analyst", "attest_review", "shop.steward/steward", "policy.no_role"),
    Row("shop.steward", "attest_dataset", "sales"),
    Row("media.steward", "attest_dataset", "sales", "policy.not_own_organization"),
    Row("shop.analyst", "attest_dataset", "sales", "policy.no_role"),
    Row("shop.steward", "attest_dataset", "gossip", "policy.unknown_subject"),
    *(
        row
        for verb in ("withdraw_contribution", "withdraw_people")
        for row in (
            Row("shop.steward", verb, "sales"),
            Row("shop.steward", verb, "sales", setup=FROZEN),
            Row("shop.steward", verb, "sales", setup=SUSPENDED),
            Row("media.steward", verb, "sales", "policy.not_own_organization"),
            Row("shop.analyst", verb, "sales", "policy.no_role"),
            Row("shop.steward", verb, "gossip", "policy.unknown_subject"),
            Row("shop.steward", verb, "sales", "policy.not_agreed", setup=FORMING),
            Row("shop.steward", verb, "sales", "policy.closed", setup=CLOSED),
        )
    ),
    # data
    Row("shop.steward", "contribute", "sales", facts=ASKED),
    Row("shop.analyst", "contribute", "sales", "policy.no_role"),
    Row("media.steward", "contribute", "sales", "policy.not_own_organization"),
    Row("shop.steward", "contribute", "sales", "policy.purpose_not_permitted", {"purpose": "resale"}),
    Row("shop.steward", "contribute", "gossip", "policy.unknown_subject"),
    Row("shop.steward", "contribute", "sales", "policy.frozen", setup=FROZEN),
    Row("shop.steward", "contribute", "sales", "policy.closed", setup=CLOSED),
    Row("shop.steward", "contribute", "sales", "policy.not_agreed", setup=FORMING),
    Row("shop.steward", "contribute", "sales", "policy.participant_not_active", setup=SUSPENDED),
    Row("shop.steward", "contribute", "sales", "policy.disputed", setup=_disputed("dataset", "sales")),
    Row("shop.steward", "contribute", "sales", "policy.disputed", setup=_disputed("participant", "shop")),
    Row("shop.steward", "contribute", "sales", setup=_disputed("dataset", "adverts")),
    Row("shop.steward", "contribute", "sales", "policy.revoked", setup=_revoked("dataset", "sales")),
    Row("shop.steward", "contribute", "sales", "policy.revoked", setup=_revoked("participant", "shop")),
    Row("shop.steward", "contribute", "sales", setup=_revoked("dataset", "adverts")),
    Row(
        "shop.steward",
        "contribute",
        "sales",
        "policy.not_attested",
        clauses={"datasets": [{**dataset("sales", "shop"), "onboarding": CHECKLIST}]},
    ),
    # questions
    Row("brand.analyst", "submit_request", "overlap", facts={**ASKED, "datasets": ("sales",)}),
    Row("brand.owner", "submit_request", "overlap", facts=ASKED),
    Row("media.steward", "submit_request", "overlap", "policy.not_a_requester", ASKED),
    Row("shop.reviewer", "submit_request", "overlap", "policy.no_role", ASKED),
    Row("brand.analyst", "submit_request", "overlap", "policy.purpose_not_stated"),
    Row("brand.analyst", "submit_request", "overlap", "policy.purpose_not_permitted", {"purpose": "resale"}),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.purpose_not_permitted",
        {**ASKED, "datasets": ("sales",)},
        clauses={"datasets": [{**dataset("sales", "shop"), "purposes": ["other"]}]},
    ),
    Row("brand.analyst", "submit_request", "guesses", "policy.computation_not_agreed", ASKED),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.computation_not_agreed",
        ASKED,
        clauses={"prohibited_uses": [{"id": "no", "description": "Not that.", "templates": ["overlap"]}]},
    ),
    Row("brand.analyst", "submit_request", "overlap", "policy.frozen", ASKED, FROZEN),
    Row("brand.analyst", "submit_request", "overlap", "policy.closed", ASKED, CLOSED),
    Row("brand.analyst", "submit_request", "overlap", "policy.grant_expired", ASKED, ENDED),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.disputed",
        {**ASKED, "datasets": ("sales",)},
        _disputed("dataset", "sales"),
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.terms_not_acknowledged",
        ASKED,
        clauses={"terms": TERMS},
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.not_in_effect",
        ASKED,
        clauses={"effective_from": "2026-03-03"},
    ),
    Row("brand.analyst", "submit_request", "overlap", facts=ASKED, clauses={"effective_until": "2026-03-02"}),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.not_in_effect",
        ASKED,
        clauses={"effective_until": "2026-03-01"},
    ),
    # where data may be
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        facts=READS_SALES,
        clauses=located(IN_FRANCE, SALES_THERE),
    ),
    Row(
        "shop.analyst",
        "submit_request",
        "overlap",
        "policy.jurisdiction",
        READS_SALES,
        clauses=located(IN_FRANCE, SALES_THERE),
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.jurisdiction",
        READS_SALES,
        clauses=located({}, SALES_THERE),
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        facts=READS_SALES,
        clauses=located({}, {"health": ["DE"]}),
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.jurisdiction",
        READS_BOTH,
        clauses=located(IN_FRANCE, {**SALES_THERE, "health": ["DE"]}),
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        facts=READS_BOTH,
        clauses=located(IN_FRANCE, {**SALES_THERE, "health": ["FR"]}),
    ),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.jurisdiction",
        READS_BOTH,
        clauses=located(IN_FRANCE, {"sales": ["FR"], "health": ["DE"]}),
    ),
    Row("brand.steward", "open_insight", "i-r-1", facts=WHY, clauses=located(IN_FRANCE, SALES_THERE)),
    Row(
        "brand.steward",
        "open_insight",
        "i-r-1",
        "policy.jurisdiction",
        WHY,
        clauses=located({"brand": "US"}, SALES_THERE),
    ),
    Row(
        "brand.steward", "open_insight", "i-r-1", "policy.jurisdiction", WHY, clauses=located({}, SALES_THERE)
    ),
    Row(
        "brand.steward",
        "open_insight",
        "i-r-1",
        facts=WHY,
        clauses=located({"brand": "US"}, {"health": ["DE"]}),
    ),
    # insights
    Row("brand.steward", "open_insight", "i-r-1", facts=WHY),
    Row("brand.analyst", "open_insight", "i-r-1", "policy.no_role", WHY),
    Row("shop.steward", "open_insight", "i-r-1", "policy.not_a_receiver", WHY),
    Row("brand.steward", "open_insight", "i-r-1", "policy.justification_missing"),
    Row("brand.steward", "open_insight", "i-r-1", "policy.justification_missing", {"justification": "  "}),
    Row("brand.steward", "open_insight", "i-none", "policy.unknown_subject", WHY),
    Row("brand.steward", "open_insight", "i-r-1", "policy.expired", WHY, lambda f: f.later(days=30)),
    Row("brand.steward", "open_insight", "i-r-1", "policy.frozen", WHY, FROZEN),
    Row("brand.steward", "open_insight", "i-r-1", "policy.disputed", WHY, _disputed("release", "i-r-1")),
    Row("brand.steward", "open_insight", "i-r-1", "policy.disputed", WHY, _disputed("request", "r-1")),
    Row(
        "brand.steward",
        "open_insight",
        "i-r-1",
        "policy.terms_not_acknowledged",
        WHY,
        clauses={"terms": TERMS},
    ),
    Row("brand.steward", "open_insight", "i-r-1", "policy.revoked", WHY, _revoked("release", "i-r-1")),
    Row("brand.steward", "open_insight", "i-r-1", "policy.revoked", WHY, _revoked("request", "r-1")),
    Row(
        "brand.analyst",
        "submit_request",
        "overlap",
        "policy.revoked",
        {**ASKED, "datasets": ("sales",)},
        _revoked("dataset", "sales"),
    ),
    Row(
        "brand.steward",
        "open_insight",
        "i-r-1",
        "policy.recalled",
        WHY,
        lambda f: f.change(t.releases, {"release": "i-r-1"}, recalled=True),
    ),
    Row("shop.steward", "fly", "away", "policy.unknown_action"),
]
