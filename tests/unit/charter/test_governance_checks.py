"""What may not be agreed about decision rights, panels, the matrix, witnesses and maturity."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from orchestration.charter import CharterMistakesError, Mistake, enforcement, parse_charter
from orchestration.charter.governance_checks import AREAS, VOTING_ROLES
from orchestration.participants import electorates
from tests.unit.charter.charter_text import GROCERY, changed_grocery, grocery_with, named


def _right(name: str, **changes: object) -> Callable[[Any], None]:
    return lambda value: named(value["decision_rights"], name).update(changes)


def _drop(*keys: str) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in keys[:-1]:
            value = value[key]
        del value[keys[-1]]

    return change


def _set(*keys: str, to: object) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in keys[:-1]:
            value = named(value, key) if isinstance(value, list) else value[key]
        value[keys[-1]] = to

    return change


def _all(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for each in changes:
            each(value)

    return change


def _without_row(value: Any) -> None:
    value["responsibilities"] = [row for row in value["responsibilities"] if row["id"] != "deletion"]


_REVIEWER = "brand_agency.reviewer"
# name, change, path of the mistake, part of its message, one allowed value
_REFUSED: list[tuple[str, Callable[[Any], None], str, str, str]] = [
    ("decider unknown", _right("thaw", deciders=["court"]),
     "decision_rights.thaw.deciders", "no participant", "retailer"),
    ("quorum of all out of reach",
     _all(_right("thaw", quorum=5), lambda value: named(value["decision_rights"],
     "thaw").pop("deciders")),
     "decision_rights.thaw.quorum", "cannot be reached by 4", "1 to 4"),
    ("the same decider twice", _right("thaw", deciders=["retailer", "retailer"], quorum=2),
     "decision_rights.thaw.quorum", "cannot be reached by 1", "1 to 1"),
    ("no review body", _all(_drop("review_body"), _right("exception", body="participants")),
     "decision_rights.dispute.body", "has none", "review_body: {members, quorum}"),
    ("deciders beside a review body", _right("dispute", deciders=["retailer"]),
     "decision_rights.dispute.deciders", "would not count", "leave out deciders"),
    ("a quorum beside a review body", _right("dispute", quorum=2),
     "decision_rights.dispute.quorum", "would not count", "leave out quorum"),
    ("a rule beside a review body", _right("dispute", rule="unanimity"),
     "decision_rights.dispute.rule", "would not count", "body: participants"),
    ("no ethics panel", _drop("ethics_panel"),
     "decision_rights.request_review.ethics_for", "has none", "leave out ethics_for"),
    ("escalated to nobody known", _right("dispute", escalate_to="retailer.king"),
     "decision_rights.dispute.escalate_to", "no member", "retailer.steward"),
    ("escalated, to whom", _right("thaw", escalate_hours=1),
     "decision_rights.thaw.escalate_hours", "without", "add escalate_to"),
    ("escalated, when", _right("thaw", escalate_to="retailer.steward"),
     "decision_rights.thaw.escalate_to", "without", "add escalate_hours"),
    ("escalated too late", _right("thaw", escalate_to="retailer.steward", escalate_hours=168),
     "decision_rights.thaw.escalate_hours", "expired", "1 to 167"),
    ("two rights for one matter", _right("membership", matters=["membership", "thaw"]),
     "decision_rights.membership.matters", "'thaw' decides 'thaw' already", ""),
    ("a right nobody waits for", _set("computations", "joint_segmentation", "approval", to=None),
     "decision_rights.request_review.matters", "No computation waits", "leave out request"),
    ("affected by a thaw", _right("thaw", rule="affected"),
     "decision_rights.thaw.rule", "would not count", "matters: [request]"),
    ("ethics of a thaw", _right("thaw", ethics_for=["sensitive"]),
     "decision_rights.thaw.ethics_for", "would not count", "matters: [request]"),
    ("who gains by a thaw", _right("thaw", beneficiaries_abstain=True),
     "decision_rights.thaw.beneficiaries_abstain", "would not count", "matters: [request]"),
    ("approval under another right", _set("computations", "audience_overlap", "approval", to="thaw"),
     "computations.audience_overlap.approval", "no decision right about requests", "request_review"),
    ("a stranger on the panel",
     _set("review_body", "members", to=["retailer.king", _REVIEWER, "media_owner.reviewer"]),
     "review_body.members", "no member", _REVIEWER),
    ("a panel that cannot decide", _set("ethics_panel", "quorum", to=3),
     "ethics_panel.quorum", "by 2", "1 to 2"),
    ("one panel seat twice", _set("review_body", "members", to=[_REVIEWER, _REVIEWER]),
     "review_body.quorum", "by 1", "1 to 1"),
    ("an analyst on the panel", _set("review_body", "members", to=["retailer.analyst", _REVIEWER]),
     "review_body.members", "is analyst", "without the roles"),
    ("the operator on the panel", _set("ethics_panel", "members", to=["retailer.operator", _REVIEWER]),
     "ethics_panel.members", "is operator", "without the roles"),
    ("a term that ended", _set("review_body", "term_until", to=date(2025, 12, 31)),
     "review_body.term_until", "before the charter begins", "2026-01-01 or later"),
    ("the sole reviewer is the requester",
     _all(_set("review_body", "members", to=[_REVIEWER]), _set("review_body", "quorum", to=1),
          _set("computations", "audience_overlap", "requesters", to=["brand_agency"])),
     "review_body.members", "alone may ask for audience_overlap", "a second member, of retailer"),
    ("nobody accountable", _without_row,
     "responsibilities", "Nobody is accountable for deletion", "a row with id: deletion"),
    ("a stranger accountable", _set("responsibilities", "audit", "accountable", to="court"),
     "responsibilities.audit.accountable", "no participant", "retailer"),
    ("a stranger responsible", _set("responsibilities", "audit", "responsible", to=["court"]),
     "responsibilities.audit.responsible", "no participant", "retailer"),
    ("nobody responsible", _set("responsibilities", "audit", "responsible", to=[]),
     "responsibilities.audit.responsible", "too few", "at least 1"),
    ("two accountable", _set("responsibilities", "audit", "accountable", to=["retailer", "media_owner"]),
     "responsibilities.audit.accountable", "must be text", ""),
    ("a stranger witnesses", _set("audit", "witnesses", "participants", to=["court", "retailer"]),
     "audit.witnesses.participants", "no participant", "retailer"),
    ("too few witnesses", _set("audit", "witnesses", "quorum", to=3),
     "audit.witnesses.quorum", "by 2", "1 to 2"),
    ("formal audit unwitnessed", _drop("audit", "witnesses"),
     "maturity", "audit.witnesses", "automatic_checks"),
    ("formal audit without reasons", _set("audit", "justification_required", to=False),
     "maturity", "audit.justification_required", "automatic_checks"),
    ("private computation", _set("maturity", to="private_computation"),
     "maturity", "no template of the house does today", "formal_audit"),
    ("manual approvals by nobody",
     _all(_set("maturity", to="manual_approvals"), _right("purpose", matters=[]),
          _right("request_review", matters=["purpose"], rule="quorum",
                 beneficiaries_abstain=False, ethics_for=[]),
          _set("computations", "joint_segmentation", "approval", to=None)),
     "maturity", "One has the matter 'request'", "automatic_checks"),
    ("a machine that signs", lambda value: value["participants"][0]["members"][0].update(roles=["steward",
     "service"]),
     "participants.retailer.members.retailer.steward.roles", "a machine signs nothing", ""),
    ("a right for people without a duty", _right("purpose", matters=[]),
     "decision_rights.purpose", "No code enforces", "human_duties"),
    ("an emergency of a week", _set("access", "emergency_hours", to=168),
     "access.emergency_hours", "too large", "72 or less"),
    ("no remedy", _set("remedies", to=[]), "remedies", "too few", "at least 1"),
]  # fmt: skip


def _mistakes(change: Callable[[Any], None]) -> tuple[Mistake, ...]:
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(grocery_with(change))
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("change", "path", "says", "allowed"), [row[1:] for row in _REFUSED], ids=[row[0] for row in _REFUSED]
)
def test_is_refused(change: Callable[[Any], None], path: str, says: str, allowed: str) -> None:
    found = [mistake for mistake in _mistakes(change) if mistake.path == path]
    assert len(found) == 1, _mistakes(change)
    assert says in found[0].message
    assert allowed in " | ".join(found[0].allowed)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("responsibilities"),  # no matrix, no gaps
        _all(
            _drop("review_body"),
            _right("dispute", body="participants"),
            _right("exception", body="participants"),
        ),
        _set("maturity", to="manual_approvals"),
        _set("audit", "witnesses", to={"participants": ["retailer", "data_provider"], "quorum": 1}),
    ],
    ids=["no matrix", "participants decide", "manual approvals", "the host witnesses too"],
)  # fmt: skip
def test_is_allowed(change: Callable[[Any], None]) -> None:
    def with_duty(value: Any) -> None:
        change(value)
        if "responsibilities" not in value:
            named(value["human_duties"], "participation")["clauses"].remove("responsibilities")

    assert enforcement(changed_grocery(with_duty))


def test_a_broken_panel_is_one_mistake_and_hides_no_other() -> None:
    def change(value: Any) -> None:
        value["review_body"]["quorum"] = "two"
        value["output"]["max_cells"] = 0

    assert {mistake.path for mistake in _mistakes(change)} == {"review_body.quorum", "output.max_cells"}


def test_the_matrix_of_the_demo_covers_every_area() -> None:
    assert {row.id for row in GROCERY.responsibilities} == set(AREAS)


def test_rights_that_the_house_asks_are_kept_by_code_and_the_others_by_people() -> None:
    kept = {each.path: each for each in enforcement(GROCERY)}
    assert kept["decision_rights.thaw"].stages == (("approvals", "orchestration/participants"),)
    assert kept["decision_rights.charter_change"].owner == "media_owner.steward"
    assert kept["terms.confidentiality"].stages
    assert kept["terms.confidentiality.text"].owner == "brand_agency.steward"


def _second_voter(place: int, participant: str) -> Callable[[Any], None]:
    voter = {"id": f"{participant}.second", "name": "Second", "roles": ["owner"]}
    return lambda value: value["participants"][place]["members"].append(voter)


_WORST: list[tuple[str, str, dict[str, object], tuple[str, ...]]] = [
    ("thaw by all", "thaw", {"quorum": 4}, ("1 to 3", "rule: unanimity", "a second voter of retailer")),
    ("a member by all others", "membership", {"quorum": 3}, ("1 to 2", "rule: unanimity")),
    ("by the two whom it may be about", "membership", {"quorum": 1, "deciders": ["retailer", "media_owner"]},
     ("rule: unanimity",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "changes", "allowed"), [row[1:] for row in _WORST], ids=[row[0] for row in _WORST]
)
def test_a_quorum_counts_only_those_who_are_left_when_somebody_asks(
    right: str, changes: dict[str, object], allowed: tuple[str, ...]
) -> None:
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(grocery_with(_right(right, **changes)))
    [mistake] = caught.value.mistakes
    assert mistake.path == f"decision_rights.{right}.quorum"
    assert set(allowed) <= set(mistake.allowed), mistake


def test_a_second_voter_or_unanimity_brings_a_quorum_within_reach() -> None:
    changed_grocery(_right("thaw", quorum=4, rule="unanimity"))
    others = (_second_voter(place, each.id) for place, each in enumerate(GROCERY.participants))
    changed_grocery(_all(_right("thaw", quorum=4), *others))


def test_who_votes_is_the_same_in_the_charter_and_where_votes_are_counted() -> None:
    assert set(VOTING_ROLES) == electorates.VOTING_ROLES
