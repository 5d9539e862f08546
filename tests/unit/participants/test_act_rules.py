"""What each act has to say and show: one refusal for each rule, by its code."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit import governance_events as e
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.statement import sign
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json
from orchestration.participants import enrollment
from orchestration.signing import SigningKey
from tests.unit.participants.founding import (
    EVIDENCE,
    START,
    TINY,
    Trio,
    agreed,
    amended,
    found,
    guarded,
    read_terms,
    refused,
    refused_event,
    shelve,
)

# --- charters


def proposed(trio: Trio, **changes: Any) -> e.CharterProposed:
    charter = amended(trio.charter)
    payload = e.CharterProposed(
        digest=charter.digest,
        title=charter.title,
        version=charter.version,
        document=charter.document,
        supersedes=trio.charter.digest,
    )
    return payload.model_copy(update=changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "sha256:" + "0" * 64},
        {"title": "Another"},
        {"version": 7},
    ],
)
def test_a_proposal_says_what_its_document_says(trio: Trio, changes: dict[str, Any]) -> None:
    payload = proposed(trio, **changes)
    refused("charter.other_document", lambda: trio.act("shop.steward", TINY, payload))


def test_a_proposal_is_a_charter_without_mistakes(trio: Trio) -> None:
    for broken in ({}, [], {**proposed(trio).document, "effective_until": "2001-01-01"}):  # type: ignore[dict-item]
        payload = proposed(trio, document=broken)
        refused("charter.unreadable_document", lambda p=payload: trio.act("shop.steward", TINY, p))


def test_a_proposal_is_for_its_own_collaboration(trio: Trio) -> None:
    other = amended(trio.charter, collaboration="other")
    payload = proposed(trio, digest=other.digest, document=other.document)
    refused("charter.other_document", lambda: trio.act("shop.steward", TINY, payload))


def test_a_proposal_follows_the_charter_in_force(trio: Trio) -> None:
    refused(
        "charter.other_predecessor", lambda: trio.act("shop.steward", TINY, proposed(trio, supersedes=None))
    )
    old = amended(trio.charter, version=1, title="Again")
    payload = proposed(trio, digest=old.digest, document=old.document, title="Again", version=1)
    refused("charter.not_newer", lambda: trio.act("shop.steward", TINY, payload))


def test_a_proposal_must_be_signed_once_there_is_a_charter(trio: Trio) -> None:
    refused("statement.unsigned", lambda: trio.operator(TINY, proposed(trio)))


def test_a_new_purpose_needs_the_review_body(trio: Trio) -> None:
    new = {"id": "ranking", "title": "Ranking", "description": "Who is best."}
    known = [each.model_dump() for each in trio.charter.purposes]
    next_ = amended(trio.charter, purposes=[*known, new])
    error = refused("charter.purpose_not_approved", lambda: trio.propose(next_, "shop.steward"))
    assert "ranking" in error.message
    trio.ask("shop.steward", "d-1", "purpose", "ranking", title="Ranking", description="Who is best.")
    trio.vote("panel.steward", "d-1")
    trio.vote("media.steward", "d-1")
    trio.vote("shop.reviewer", "d-1")
    trio.propose(next_, "shop.steward")


def without_panel(charter: Charter) -> Charter:
    """The next version, in which `media` takes every place of `panel`."""
    document: Any = json.loads(canonical_json(charter.document))
    parties = [each for each in document.pop("participants") if each["id"] != "panel"]
    seats = {"steward": "steward", "auditor": "second", "reviewer": "second", "executive": "analyst"}
    text = canonical_json(document).decode()
    for role, other in seats.items():
        text = text.replace(f'"panel.{role}"', f'"media.{other}"')
    text = text.replace('"panel"', '"media"').replace('["shop","media"]', '["media","shop"]')
    document = json.loads(text) | {"version": 2, "participants": parties}
    return Charter.model_validate_json(canonical_json(document))


def test_nobody_is_put_out_by_a_charter_it_never_signed(trio: Trio) -> None:
    smaller = without_panel(trio.charter)
    error = refused("charter.drops_participant", lambda: trio.propose(smaller, "shop.steward"))
    assert "panel" in error.message
    trio.ask("shop.steward", "d-1", "membership", "panel", step="suspend")
    trio.vote("shop.reviewer", "d-1")
    with trio.state() as state:
        assert state.participant_status("panel") == "suspended"
    refused("charter.drops_participant", lambda: trio.propose(smaller, "shop.steward"))
    trio.act("panel.steward", "panel", e.ParticipantLeft(participant="panel"))
    trio.propose(smaller, "shop.steward")


@pytest.mark.parametrize("words", [{"title": "Scoring"}, {"description": "Who is worst."}])
def test_what_was_approved_is_what_is_proposed(trio: Trio, words: dict[str, str]) -> None:
    trio.ask("shop.steward", "d-1", "purpose", "ranking", title="Ranking", description="Who is best.")
    trio.vote("panel.steward", "d-1")
    trio.vote("media.steward", "d-1")
    trio.vote("shop.reviewer", "d-1")
    known = [each.model_dump() for each in trio.charter.purposes]
    new = {"id": "ranking", "title": "Ranking", "description": "Who is best."}
    bait = amended(trio.charter, purposes=[*known, new | words])
    refused("charter.purpose_not_approved", lambda: trio.propose(bait, "shop.steward"))
    reworded = amended(trio.charter, purposes=[known[0] | words, *known[1:]])
    refused("charter.purpose_not_approved", lambda: trio.propose(reworded, "shop.steward"))


# --- coming back


def reinstated(trio: Trio, **content: str) -> Trio:
    for decision, step in (("d-out", {"step": "suspend"}), ("d-in", {"step": "reinstate", **content})):
        trio.ask("shop.steward", decision, "membership", "media", **step)
        trio.vote("panel.steward", decision)
    with trio.state() as state:
        assert state.participant_status("media") == "invited"
    return trio


def test_who_is_reinstated_comes_back_with_the_key_it_had(trio: Trio) -> None:
    mine = SigningKey.generate()
    reinstated(trio)
    refused("key.not_the_agreed", lambda: trio.accept("media.steward", mine))
    refused("key.not_the_agreed", lambda: trio.accept("media.steward", trio.key("shop.steward")))
    trio.accept("media.steward")
    trio.ask("media.steward", "d-1", "closing", TINY)


def test_who_lost_its_key_comes_back_with_the_one_that_was_agreed(trio: Trio) -> None:
    new = SigningKey.generate()
    reinstated(trio, key_id=new.key_id)
    for other in (None, SigningKey.generate()):
        refused("key.not_the_agreed", lambda key=other: trio.accept("media.steward", key))
    trio.accept("media.steward", new)
    with trio.state() as state:
        keys = {each: state.active_key(each) for each in ("media.steward", "media.second")}
    assert keys["media.steward"] is not None
    assert keys["media.steward"].id == new.key_id
    assert keys["media.second"] is None  # stewards' other keys ended with the old one


def test_a_key_that_was_revoked_while_suspended_never_comes_back(trio: Trio) -> None:
    trio.ask("shop.steward", "d-out", "membership", "media", step="suspend")
    trio.vote("panel.steward", "d-out")
    key = trio.key("media.steward").key_id
    lost = e.KeyRevoked(member="media.steward", key_id=key, reason="compromised")
    trio.act("media.steward", "media.steward", lost)
    trio.ask("shop.steward", "d-in", "membership", "media", step="reinstate")
    trio.vote("panel.steward", "d-in")
    refused("key.not_the_agreed", lambda: trio.accept("media.steward"))


def test_who_lost_the_agreed_key_too_is_reinstated_again_with_a_newer_one(trio: Trio) -> None:
    first, second = SigningKey.generate(), SigningKey.generate()
    reinstated(trio, key_id=first.key_id)
    content = {"step": "reinstate", "key_id": second.key_id}
    trio.ask("shop.steward", "d-again", "membership", "media", **content)
    trio.vote("panel.steward", "d-again")
    refused("key.not_the_agreed", lambda: trio.accept("media.steward", first))
    trio.accept("media.steward", second)
    with trio.state() as state:
        assert state.participant_status("media") == "active"


def test_who_is_invited_for_the_first_time_is_not_reinstated(trio: Trio) -> None:
    trio.propose(amended(trio.charter, newcomer=True), "shop.steward")
    trio.ask("shop.steward", "d-1", "membership", "bank", step="reinstate")
    with trio.state() as state:
        decision = state.decision("d-1")
        assert decision is not None
        assert decision.status == "rejected"


def test_who_has_no_key_left_comes_back_only_with_one_that_is_named(trio: Trio) -> None:
    trio.ask("shop.steward", "d-out", "membership", "media", step="suspend")
    trio.vote("panel.steward", "d-out")
    for member in ("media.second", "media.steward"):
        lost = e.KeyRevoked(member=member, key_id=trio.key(member).key_id, reason="lost")
        trio.act(member, member, lost)
    back = {"step": "reinstate"}
    refused(
        "decision.no_key_to_return_with",
        lambda: trio.ask("shop.steward", "d-1", "membership", "media", **back),
    )
    new = SigningKey.generate()
    trio.ask("shop.steward", "d-2", "membership", "media", **back, key_id=new.key_id)
    trio.vote("panel.steward", "d-2")
    trio.accept("media.steward", new)


def test_a_mere_proposal_asks_no_more_of_who_comes_back(trio: Trio) -> None:
    more = [{"id": "audit", "text": "Audited.", "required": True}]
    reinstated(trio)
    trio.propose(amended(trio.charter, eligibility=more), "shop.steward")
    trio.accept("media.steward")


def test_stewards_are_there_after_the_charters_last_day(tmp_path: Path) -> None:
    with guarded(f"sqlite:///{tmp_path / 'short.sqlite'}") as log:
        trio = found(log, agreed(effective_until="2026-03-31"))
        trio.later(days=60)
        for actor, subject, payload in (
            ("media.steward", TINY, e.CollaborationFrozen()),
            ("shop.steward", "d-1", e.DecisionOpened(matter="thaw", about=TINY)),
            ("panel.steward", "d-1", e.VoteCast(decision="d-1", vote="approve")),
            ("media.steward", "media", e.ParticipantLeft(participant="media")),
        ):
            trio.act(actor, subject, payload)
        longer = amended(trio.charter, effective_until="2027-03-31")
        trio.propose(longer, "shop.steward")
        for steward in ("shop.steward", "panel.steward"):
            trio.sign_charter(steward, longer)
        with trio.state() as state:
            assert state.charter is not None
            assert state.charter.digest == longer.digest


def test_who_is_left_in_a_frozen_collaboration_agrees_on_another_way_to_end_it(tmp_path: Path) -> None:
    def ways(quorum: int) -> list[dict[str, Any]]:
        rights: Any = agreed().document["decision_rights"]
        others = [each | {"matters": [m for m in each["matters"] if m != "thaw"]} for each in rights]
        three = ["shop", "panel", "media"]
        thaw = {"id": "thawing", "decision": "Go on.", "matters": ["thaw"], "deciders": three}
        return [*others, thaw | {"quorum": quorum}]

    with guarded(f"sqlite:///{tmp_path / 'left.sqlite'}") as log:
        trio = found(log, agreed(decision_rights=ways(2)))
        trio.act("media.steward", TINY, e.CollaborationFrozen())
        trio.act("media.steward", "media", e.ParticipantLeft(participant="media"))
        trio.act("panel.steward", "panel", e.ParticipantLeft(participant="panel"))
        other = amended(trio.charter, decision_rights=ways(1))
        trio.propose(other, "shop.steward")
        trio.sign_charter("shop.steward", other)
        with trio.state() as state:
            assert (state.charter_status(other.digest), state.phase) == ("active", "frozen")
        trio.ask("shop.steward", "d-1", "thaw", TINY)
        trio.vote("shop.reviewer", "d-1")
        with trio.state() as state:
            assert state.phase == "active"


def test_a_key_is_named_only_for_who_comes_back(trio: Trio) -> None:
    content = {"step": "suspend", "key_id": "0" * 64}
    refused(
        "decision.unclear_content",
        lambda: trio.ask("shop.steward", "d-1", "membership", "media", **content),
    )


def test_a_charter_is_signed_with_the_keys_in_force_in_view(young: Trio) -> None:
    roster = young.roster()
    for stewards in ({}, roster | {"panel.steward": "0" * 64}, roster | {"shop.analyst": "0" * 64}):
        payload = e.CharterSigned(digest=young.charter.digest, participant="shop", stewards=stewards)
        refused("charter.other_roster", lambda p=payload: young.act("shop.steward", TINY, p))


def test_a_charter_is_signed_by_a_steward_for_its_own_organization(young: Trio) -> None:
    def signing(participant: str) -> e.CharterSigned:
        return e.CharterSigned(digest=young.charter.digest, participant=participant, stewards=young.roster())

    refused("policy.no_role", lambda: young.act("shop.analyst", TINY, signing("shop")))
    refused("policy.not_own_organization", lambda: young.act("shop.steward", TINY, signing("panel")))


def test_one_signature_for_each_organization(young: Trio) -> None:
    young.sign_charter("media.steward")
    with pytest.raises(AlreadyRecordedError):
        young.sign_charter("media.steward")


def test_a_key_that_changes_while_others_sign_has_to_be_compared_anew(young: Trio) -> None:
    young.sign_charter("media.steward")
    young.sign_charter("shop.steward")
    new = SigningKey.generate()
    event = enrollment.rotate_key(TINY, "panel.steward", new, "New machine.").model_copy(
        update={"time": START}
    )
    young.log.append(sign(event, young.key("panel.steward"), issued=START))
    young.keys["panel.steward"] = new
    young.sign_charter("panel.steward")
    with young.state() as state:
        assert state.phase == "forming"
    young.sign_charter("media.steward")
    young.sign_charter("shop.steward")
    with young.state() as state:
        assert state.phase == "active"


# --- joining


@pytest.fixture
def invited(tmp_path: Path) -> Any:
    with guarded(f"sqlite:///{tmp_path}/control.db") as log:
        trio = Trio(log)
        trio.propose()
        yield trio


def test_joining_needs_the_evidence_the_charter_asks_for(invited: Trio) -> None:
    bare = invited.accepted("shop.steward", evidence={"insurance": EVIDENCE})
    error = refused("participant.evidence_missing", lambda: invited.act("shop.steward", "shop", bare))
    assert "register" in error.message
    assert "insurance" not in error.message
    invited.accept("shop.steward")


@pytest.mark.parametrize(
    ("actor", "changes", "code"),
    [
        ("shop.analyst", {}, "policy.no_role"),
        ("shop.steward", {"participant": "panel"}, "policy.not_own_organization"),
        ("shop.steward", {"steward": "shop.analyst"}, "statement.wrong_key"),
        ("shop.steward", {"public_key": SigningKey.generate().public}, "statement.wrong_key"),
        ("shop.steward", {"public_key": {"keyid": "0" * 64}}, "key.malformed"),
    ],
)
def test_only_a_steward_joins_for_its_own_organization(
    invited: Trio, actor: str, changes: dict[str, Any], code: str
) -> None:
    payload = invited.accepted(actor).model_copy(update=changes)
    refused(code, lambda: invited.act(actor, "shop", payload))


def test_a_key_cannot_bear_the_name_of_another(invited: Trio) -> None:
    """Whoever could name a key freely would pass for the key that others compared."""
    mine, theirs = SigningKey.generate(), invited.key("shop.steward")
    named = {**mine.public, "keyid": theirs.key_id}
    payload = invited.accepted("shop.steward", public_key=named)
    refused("key.malformed", lambda: invited.act("shop.steward", "shop", payload, mine))


def test_an_organization_joins_once(trio: Trio) -> None:
    again = trio.signed("panel.steward", "panel", trio.accepted("panel.steward"))
    refused_event(trio, "policy.not_invited", again)


# --- keys and members


def test_a_key_is_enrolled_only_with_its_proof(trio: Trio) -> None:
    key = SigningKey.generate()
    good = trio.enrolled("shop.steward", "shop.analyst", key=key).payload
    assert isinstance(good, e.MemberEnrolled)
    for proof in (
        "nonsense",
        enrollment.prove(SigningKey.generate(), TINY, "shop.analyst"),
        enrollment.prove(key, "other", "shop.analyst"),
        enrollment.prove(key, TINY, "shop.operator"),
    ):
        bad = good.model_copy(update={"proof": proof})
        refused("key.not_proven", lambda p=bad: trio.act("shop.steward", "shop.analyst", p))
    trio.act("shop.steward", "shop.analyst", good)


def test_a_key_speaks_for_one_member_and_never_comes_back(trio: Trio) -> None:
    taken = trio.enrolled("shop.steward", "shop.analyst", key=trio.key("panel.steward"))
    refused_event(trio, "key.in_use", taken)
    old = trio.key("shop.analyst")
    trio.enroll("shop.steward", "shop.analyst", key=SigningKey.generate())
    refused_event(trio, "key.in_use", trio.enrolled("shop.steward", "shop.analyst", key=old))


def test_a_member_is_enrolled_again_with_the_same_key(trio: Trio) -> None:
    trio.later(days=1).enroll("shop.steward", "shop.analyst")
    with trio.state() as state:
        assert state.roles("shop.analyst") == {"analyst"}


def test_a_member_gets_only_what_the_charter_gives(trio: Trio) -> None:
    given = trio.enrolled("shop.steward", "shop.analyst", "analyst", "steward")
    refused_event(trio, "policy.role_not_in_charter", given)
    refused_event(trio, "policy.not_own_organization", trio.enrolled("panel.steward", "shop.analyst"))


def test_a_key_is_replaced_by_another_one(trio: Trio) -> None:
    same = enrollment.rotate_key(TINY, "shop.steward", trio.key("shop.steward"), "x")
    refused("key.in_use", lambda: trio.act("shop.steward", "shop.steward", same.payload))
    bad = e.KeyRotated(member="shop.steward", public_key=SigningKey.generate().public, proof="x")
    refused("key.not_proven", lambda: trio.act("shop.steward", "shop.steward", bad))
    other = enrollment.rotate_key(TINY, "shop.analyst", SigningKey.generate(), "x")
    refused("policy.not_oneself", lambda: trio.act("shop.steward", "shop.analyst", other.payload))


# --- grants


def given(**changes: Any) -> e.GrantGiven:
    payload = e.GrantGiven(
        grant="more",
        member="shop.analyst",
        role="analyst",
        not_before=START,
        expires_at=START + timedelta(days=30),
    )
    return payload.model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expires_at": START}, "grant.empty_time"),
        ({"not_before": START + timedelta(days=40)}, "grant.empty_time"),
        ({"grant": "shop.analyst/steward"}, "grant.reserved_name"),
        ({"role": "steward"}, "policy.role_not_in_charter"),
        ({"expires_at": START + timedelta(days=366)}, "policy.grant_too_long"),
        ({"member": "panel.executive", "role": "executive"}, "policy.not_own_organization"),
    ],
)
def test_a_grant_is_in_force_some_time_and_named_apart(
    trio: Trio, changes: dict[str, Any], code: str
) -> None:
    refused(code, lambda: trio.act("shop.steward", "more", given(**changes)))


def test_a_grant_that_was_revoked_is_not_renewed(trio: Trio) -> None:
    trio.act("shop.steward", "more", given())
    trio.act("shop.steward", "more", e.GrantRevoked(grant="more"))
    renewed = e.GrantRenewed(grant="more", expires_at=START + timedelta(days=60))
    refused("lifecycle.illegal_step", lambda: trio.act("shop.steward", "more", renewed))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expires_at": START}, "grant.empty_time"),
        ({"grant": "media.analyst/steward"}, "grant.reserved_name"),
        ({"expires_at": START + timedelta(hours=5)}, "policy.grant_too_long"),
        ({"member": "media.steward"}, "policy.self_approval"),
        ({"member": "shop.analyst"}, "policy.not_own_organization"),
    ],
)
def test_emergency_access_is_for_hours(trio: Trio, changes: dict[str, Any], code: str) -> None:
    refused(code, lambda: trio.act("media.steward", "fire", lent(**changes)))


def lent(**changes: Any) -> e.EmergencyOpened:
    payload = e.EmergencyOpened(
        grant="fire", member="media.analyst", role="steward", expires_at=START + timedelta(hours=2)
    )
    return payload.model_copy(update=changes)


# --- decisions and disputes


def test_a_question_says_what_its_matter_needs(trio: Trio) -> None:
    refused("decision.unclear_content", lambda: trio.ask("shop.steward", "d-1", "membership", "panel"))
    refused("decision.unclear_content", lambda: trio.ask("shop.steward", "d-1", "thaw", TINY, x=1))
    refused("policy.unknown_subject", lambda: trio.ask("shop.steward", "d-1", "request", "r-1"))
    refused("policy.unknown_subject", lambda: trio.ask("shop.steward", "d-1", "dispute", "c-1"))
    refused("statement.other_subject", lambda: trio.ask("shop.steward", "d-1", "closing", "panel"))


def deviation(**changes: str) -> dict[str, str]:
    content = {"what": "More rows", "owner": "shop.steward", "residual_risk": "Small"}
    return content | {"expires_at": "2026-04-02T09:00:00Z"} | changes


def test_an_exception_ends_later_and_somebody_answers_for_it(trio: Trio) -> None:
    def asks(**changes: str) -> None:
        trio.ask("shop.steward", "d-1", "exception", "x-1", **deviation(**changes))

    refused("exception.over_already", lambda: asks(expires_at="2026-03-02T09:00:00Z"))
    refused("exception.over_already", lambda: asks(expires_at="2020-01-01T00:00:00Z"))
    refused("exception.no_owner", lambda: asks(owner="nobody"))
    trio.ask("shop.steward", "d-out", "membership", "media", step="suspend")
    trio.vote("panel.steward", "d-out")
    refused("exception.no_owner", lambda: asks(owner="media.steward"))
    asks()


def test_membership_is_decided_of_who_was_ever_invited(trio: Trio) -> None:
    before = trio.log.size
    refused(
        "decision.unknown_participant",
        lambda: trio.ask("shop.steward", "d-1", "membership", "nobody", step="suspend"),
    )
    assert trio.log.size == before


def test_names_of_requests_are_for_requests(trio: Trio) -> None:
    refused("statement.reserved_id", lambda: trio.ask("shop.steward", "r-1", "closing", TINY))
    dispute = e.DisputeRaised(about_kind="dataset", about="people", remedy="warn")
    refused("statement.reserved_id", lambda: trio.act("media.steward", "r-1", dispute))


def test_the_evidence_of_a_dispute_is_put_together_once(trio: Trio) -> None:
    dispute = e.DisputeRaised(about_kind="dataset", about="people", remedy="warn")
    trio.act("media.steward", "c-1", dispute)
    trio.operator("c-1", e.DisputeDocumented(digest=EVIDENCE))
    with pytest.raises(AlreadyRecordedError):
        trio.operator("c-1", e.DisputeDocumented(digest=EVIDENCE))
    other = e.DisputeDocumented(digest="sha256:" + "0" * 64)
    refused("dispute.documented_already", lambda: trio.operator("c-1", other))


def test_no_login_is_arranged_after_the_end(trio: Trio) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    trio.vote("panel.steward", "d-1")
    trio.close()
    changed = LoginChanged(change="enabled")
    refused("policy.closed", lambda: trio.act("shop.analyst", "shop.analyst", changed))


def test_who_lent_a_role_lends_no_other_before_that_was_reviewed(trio: Trio) -> None:
    def lends(name: str) -> None:
        until = trio.at + timedelta(hours=2)
        payload = e.EmergencyOpened(grant=name, member="media.analyst", role="auditor", expires_at=until)
        trio.act("media.steward", name, payload)

    refused("statement.other_subject", lambda: trio.act("media.steward", "media.analyst", lent()))
    lends("one")
    trio.later(hours=2).settle()
    lends("two")
    trio.later(days=7).settle()
    refused("policy.emergency_not_reviewed", lambda: lends("three"))
    attested = e.ReviewAttested(grant="one", keep=False)
    refused("policy.self_approval", lambda: trio.act("media.steward", "review-1", attested))
    refused("policy.self_approval", lambda: trio.act("media.analyst", "review-1", attested))
    trio.act("media.second", "review-1", attested)
    trio.later(days=7).settle()
    refused("policy.emergency_not_reviewed", lambda: lends("three"))
    trio.act("panel.auditor", "review-2", e.ReviewAttested(grant="two", keep=True))
    lends("three")


def test_a_vote_may_be_changed_until_it_is_decided(trio: Trio) -> None:
    read_terms(trio, "shop.analyst")
    trio.act("shop.analyst", "r-1", trio.request())
    trio.vote("shop.steward", "r-1", "abstain")
    trio.vote("shop.steward", "r-1", "approve")
    trio.vote("panel.steward", "r-1", "approve")
    error = refused("decision.already_concluded", lambda: trio.vote("shop.steward", "r-1", "reject"))
    assert "approved" in error.message


def test_nobody_approves_what_it_asked_for(trio: Trio) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    refused("policy.self_approval", lambda: trio.vote("shop.steward", "d-1"))


def test_a_vote_is_about_its_decision(trio: Trio) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    vote = e.VoteCast(decision="d-1", vote="approve")
    refused("statement.other_subject", lambda: trio.act("panel.steward", "d-2", vote))
    unknown = e.VoteCast(decision="d-9", vote="approve")
    with pytest.raises(Exception, match=r"policy\.unknown_subject|lifecycle\.illegal_step"):
        trio.act("panel.steward", "d-9", unknown)


def test_a_dispute_asks_for_an_agreed_remedy(trio: Trio) -> None:
    next_ = amended(trio.charter, remedies=["warn"])
    trio.propose(next_, "shop.steward")
    for steward in ("shop.steward", "panel.steward", "media.steward"):
        trio.sign_charter(steward, next_)
    dispute = e.DisputeRaised(about_kind="dataset", about="people", remedy="delete")
    error = refused("dispute.remedy_not_agreed", lambda: trio.act("media.steward", "c-1", dispute))
    assert "warn" in error.next_step


# --- data


def attested(**changes: Any) -> e.DatasetAttested:
    payload = e.DatasetAttested(
        dataset="people", evidence={"consent": EVIDENCE}, expires_at=START + timedelta(days=365)
    )
    return payload.model_copy(update=changes)


def test_a_dataset_is_attested_with_evidence_and_not_for_ever(trio: Trio) -> None:
    missing, long = attested(evidence={}), attested(expires_at=START + timedelta(days=366))
    refused("dataset.evidence_missing", lambda: trio.act("panel.steward", "people", missing))
    refused("dataset.attested_too_long", lambda: trio.act("panel.steward", "people", long))
    trio.act("panel.steward", "people", attested())


def test_terms_are_read_by_oneself_and_are_those_of_the_charter(trio: Trio) -> None:
    terms = e.TermsAcknowledged(terms=trio.charter.terms_digest or "")
    refused("policy.not_oneself", lambda: trio.act("shop.steward", "shop.analyst", terms))
    other = e.TermsAcknowledged(terms=EVIDENCE)
    refused("policy.other_terms", lambda: trio.act("shop.steward", "shop.steward", other))


def test_a_request_waits_for_whom_the_charter_says(trio: Trio) -> None:
    read_terms(trio, "shop.analyst")
    for changes in ({"approval": None}, {"approval": "rest"}):
        payload = trio.request(**changes)
        refused("request.approval_mismatch", lambda p=payload: trio.act("shop.analyst", "r-1", p))
    for changes in ({"requester": "shop.steward"}, {"participant": "panel"}):
        payload = trio.request(**changes)
        refused("statement.not_own", lambda p=payload: trio.act("shop.analyst", "r-1", p))
    trio.act("shop.analyst", "r-1", trio.request())
    with pytest.raises(AlreadyRecordedError):
        trio.act("shop.analyst", "r-1", trio.request())


def release(trio: Trio) -> None:
    shelve(trio, "x-1", '["shop","panel"]')


def test_an_opening_shows_no_more_than_agreed_and_only_to_the_signer(trio: Trio) -> None:
    release(trio)
    read_terms(trio, "panel.executive")
    read_terms(trio, "panel.steward")
    full = OutputAccessed(release="x-1", member="panel.executive", detail="full")
    summary = full.model_copy(update={"detail": "summary"})
    refused("access.more_than_agreed", lambda: trio.act("panel.executive", "x-1", full))
    refused("statement.not_own", lambda: trio.act("panel.steward", "x-1", summary))
    trio.act("panel.executive", "x-1", summary)
