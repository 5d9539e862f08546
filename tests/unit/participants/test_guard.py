"""Nobody gets past the door of the log: forged, stale or foreign statements, and consequences not due."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.projections import ALL_TABLES, AlreadyRecordedError
from orchestration.audit.statement import from_envelope, sign, to_envelope
from orchestration.audit.vocabulary import Payload
from orchestration.errors import GlasshouseError
from orchestration.participants import enrollment
from orchestration.signing import SigningKey
from tests.unit.participants.founding import (
    EVIDENCE,
    START,
    STEWARDS,
    TINY,
    Trio,
    agreed,
    amended,
    forming,
    guarded,
    read_terms,
    refused,
    refused_event,
)

FREEZE = e.CollaborationFrozen()


# --- signatures


def test_an_act_that_nobody_signed_is_refused(trio: Trio) -> None:
    refused_event(trio, "statement.unsigned", trio.event("shop.steward", TINY, FREEZE))


@pytest.mark.parametrize("holder", ["operator", "panel.steward", "shop.analyst"])
def test_a_key_of_somebody_else_is_refused(trio: Trio, holder: str) -> None:
    event = trio.signed("shop.steward", TINY, FREEZE, trio.key(holder))
    refused_event(trio, "statement.wrong_key", event)


def test_who_is_not_enrolled_is_unknown(trio: Trio) -> None:
    refused_event(trio, "member.unknown", trio.signed("shop.nobody", TINY, FREEZE))


def test_a_statement_that_was_changed_is_refused(trio: Trio) -> None:
    event = trio.signed("shop.steward", TINY, FREEZE)
    for change in (
        {"justification": "other"},
        {"subject": "other"},
        {"payload": LoginChanged(change="enabled")},
    ):
        other = event.model_copy(update=change | ({"type": "login.changed"} if "payload" in change else {}))
        refused_event(trio, "signature.invalid", other)
    assert event.signature is not None
    later = event.signature.model_copy(update={"expires": event.signature.expires + timedelta(days=9)})
    refused_event(trio, "signature.invalid", event.model_copy(update={"signature": later}))


def test_a_revoked_key_is_refused(trio: Trio) -> None:
    key = trio.key("media.second")
    revoked = e.KeyRevoked(member="media.second", key_id=key.key_id, reason="lost")
    trio.act("media.steward", "media.second", revoked)
    refused_event(trio, "statement.revoked_key", trio.signed("media.second", TINY, FREEZE))


def test_the_key_of_a_retired_member_is_refused(trio: Trio) -> None:
    trio.act("media.steward", "media.second", e.MemberRetired(member="media.second"))
    refused_event(trio, "statement.revoked_key", trio.signed("media.second", TINY, FREEZE))


def rotate(trio: Trio, member: str) -> SigningKey:
    new = SigningKey.from_seed(b"another".ljust(32, b"."))
    event = enrollment.rotate_key(TINY, member, new, "New machine.").model_copy(update={"time": trio.at})
    trio.log.append(sign(event, trio.key(member), issued=trio.at))
    return new


def test_a_rotated_key_counts_no_longer_and_the_new_one_does(trio: Trio) -> None:
    kept = trio.signed("shop.steward", TINY, FREEZE)
    new = rotate(trio, "shop.steward")
    refused_event(trio, "statement.revoked_key", kept)
    trio.act("shop.steward", TINY, FREEZE, new)


def test_what_an_old_key_signed_before_stays_valid_when_the_log_is_replayed(
    trio: Trio, tmp_path: Path
) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    new = rotate(trio, "shop.steward")
    trio.act("shop.steward", TINY, FREEZE, new)
    assert_replays(trio, tmp_path)


def assert_replays(trio: Trio, tmp_path: Path) -> None:
    """The guard makes the same decisions again, and they lead to the same tables."""
    with guarded(f"sqlite:///{tmp_path}/again.db") as again:
        for logged in trio.log.events():
            again.append(logged.event)
        for table in ALL_TABLES:
            ordered = select(table).order_by(*table.primary_key.columns)
            with trio.log.read() as first, again.read() as second:
                left = [row._asdict() for row in first.execute(ordered)]
                right = [row._asdict() for row in second.execute(ordered)]
            for row in (*left, *right):
                row.pop("receipt_id", None)  # salted anew
            assert left == right, table.name


def test_a_doctored_log_is_refused_where_it_was_doctored(trio: Trio, tmp_path: Path) -> None:
    """An approval that was put into the log without its guard does not survive a replay."""
    trio.ask("shop.steward", "d-1", "closing", TINY)
    forged = trio.event("panel.steward", "d-1", e.VoteCast(decision="d-1", vote="approve"))
    events = [*(logged.event for logged in trio.log.events()), forged]
    with guarded(f"sqlite:///{tmp_path}/again.db") as again:
        for event in events[:-1]:
            again.append(event)
        refused("statement.unsigned", lambda: again.append(events[-1]))


def test_a_statement_counts_once(trio: Trio) -> None:
    event = trio.signed("shop.steward", "shop.steward", LoginChanged(change="enabled"))
    trio.log.append(event)
    refused_event(trio, "statement.replayed", event)
    refused_event(
        trio, "statement.replayed", event.model_copy(update={"time": trio.at + timedelta(minutes=1)})
    )


@pytest.mark.parametrize("same_keys", [True, False])
def test_a_statement_for_another_collaboration_is_refused(trio: Trio, *, same_keys: bool) -> None:
    """The same members work together in a second collaboration of this log."""
    keys = {} if same_keys else {"shop.steward": SigningKey.generate()}
    other = forming(trio.log, agreed(collaboration="other"), keys)
    event = trio.signed("shop.steward", "shop.steward", LoginChanged(change="enabled"))
    refused_event(other, "statement.other_collaboration", event.model_copy(update={"collaboration": "other"}))
    trio.log.append(event)


def test_a_statement_for_a_collaboration_that_does_not_know_the_member_is_refused(trio: Trio) -> None:
    other = Trio(trio.log, agreed(collaboration="other"))
    other.propose()
    event = trio.signed("shop.steward", "shop.steward", LoginChanged(change="enabled"))
    refused_event(other, "statement.other_collaboration", event.model_copy(update={"collaboration": "other"}))


@pytest.mark.parametrize(
    ("moved", "code"),
    [
        (timedelta(hours=1), "statement.expired"),
        (timedelta(days=400), "statement.expired"),
        (-timedelta(minutes=6), "statement.not_yet"),
    ],
)
def test_a_statement_counts_only_in_its_time(trio: Trio, moved: timedelta, code: str) -> None:
    event = trio.later(hours=1).signed("shop.steward", TINY, FREEZE)
    trio.at += moved
    refused_event(trio, code, event.model_copy(update={"time": trio.at}))


@pytest.mark.parametrize("moved", [timedelta(minutes=59), -timedelta(minutes=5)])
def test_clocks_may_differ_a_little(trio: Trio, moved: timedelta) -> None:
    event = trio.later(hours=1).signed("shop.steward", TINY, FREEZE)
    trio.at += moved
    trio.log.append(event.model_copy(update={"time": trio.at}))


def test_a_statement_travels_in_an_envelope(trio: Trio) -> None:
    envelope = json.loads(json.dumps(to_envelope(trio.signed("shop.steward", TINY, FREEZE))))
    trio.log.append(from_envelope(envelope).model_copy(update={"time": trio.at}))
    with trio.state() as state:
        assert state.phase == "frozen"


# --- what the operator cannot do


@pytest.mark.parametrize(
    "payload",
    [
        e.CharterActivated(digest=agreed().digest),
        e.CharterClosed(digest=agreed().digest, decision="d-1"),
        e.DecisionConcluded(decision="d-1", outcome="approved", rule="mine"),
        e.ParticipantRemoved(participant="panel", decision="d-1"),
        e.ReviewClosed(lapsed=()),
        e.ExceptionGranted(what="x", owner="x", residual_risk="x", expires_at=START, decision="d-1"),
    ],
    ids=lambda payload: payload.type,
)
def test_the_operator_records_no_consequence_that_is_not_due(young: Trio, payload: Payload) -> None:
    before = young.log.size
    with pytest.raises(GlasshouseError) as caught:
        young.operator(TINY, payload)
    assert caught.value.code in ("consequence.not_due", "lifecycle.illegal_step")
    assert young.log.size == before


def test_the_operator_concludes_no_decision_that_is_pending(trio: Trio) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    for outcome in ("approved", "rejected", "expired"):
        payload = e.DecisionConcluded(decision="d-1", outcome=outcome, approvals=("panel",), rule="mine")  # type: ignore[arg-type]
        refused("consequence.not_due", lambda p=payload: trio.operator("d-1", p))


def test_a_conclusion_must_be_the_one_that_the_votes_give(trio: Trio) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    vote = e.VoteCast(decision="d-1", vote="approve")
    trio.log.append(trio.signed("panel.steward", "d-1", vote))
    rejected = e.DecisionConcluded(decision="d-1", outcome="rejected", rejections=("panel",), rule="mine")
    refused("consequence.not_due", lambda: trio.operator("d-1", rejected))
    trio.settle()
    with trio.state() as state:
        decision = state.decision("d-1")
    assert decision is not None
    assert decision.status == "approved"


def test_a_consequence_that_is_recorded_already_is_a_repetition(trio: Trio) -> None:
    activated = trio.log.events("charter.activated")[0].event
    with pytest.raises(AlreadyRecordedError):
        trio.log.append(activated)


def test_an_organization_that_the_operator_joined_for_is_found_when_others_sign(tmp_path: Path) -> None:
    """The operator accepts with a key of its own; nobody who compared keys signs for that."""
    with guarded(f"sqlite:///{tmp_path}/control.db") as log:
        trio = Trio(log)
        trio.propose()
        forged = SigningKey.generate()
        trio.accept("panel.steward", forged)
        trio.accept("shop.steward")
        trio.accept("media.steward")
        compared = {each: trio.key(each).key_id for each in STEWARDS}
        payload = e.CharterSigned(digest=trio.charter.digest, participant="shop", stewards=compared)
        error = refused("charter.other_roster", lambda: trio.act("shop.steward", TINY, payload))
        assert "panel.steward" in error.message
        assert "shop.steward" not in error.message


def test_a_key_put_into_the_tables_does_not_survive_a_replay(trio: Trio, tmp_path: Path) -> None:
    forged = SigningKey.generate()
    mine = (g.keys.c.member == "panel.steward") & (g.keys.c.status == "active")
    values = {"key_id": forged.key_id, "public_key": json.dumps(forged.public)}
    with trio.log.write() as connection:
        connection.execute(update(g.keys).where(mine).values(**values))
    trio.act("panel.steward", TINY, FREEZE, forged)
    with guarded(f"sqlite:///{tmp_path}/again.db") as again:
        events = [logged.event for logged in trio.log.events()]
        for event in events[:-1]:
            again.append(event)
        refused("statement.wrong_key", lambda: again.append(events[-1]))


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (e.DataDestroyed(rule="left"), "destruction.not_due"),
        (e.DataDestroyed(rule="removed"), "destruction.not_due"),
        (e.DataDestroyed(rule="remedy"), "destruction.not_due"),
        (e.DataDestroyed(rule="closed"), "destruction.not_due"),
    ],
    ids=lambda each: getattr(each, "rule", ""),
)
def test_nothing_is_destroyed_without_a_reason(trio: Trio, payload: Payload, code: str) -> None:
    refused(code, lambda: trio.operator("shop", payload))


def test_data_goes_with_its_owner(trio: Trio) -> None:
    trio.act("panel.steward", "panel", e.ParticipantLeft(participant="panel"))
    refused("destruction.not_due", lambda: trio.operator("shop", e.DataDestroyed(rule="left")))
    refused("destruction.not_due", lambda: trio.operator("panel", e.DataDestroyed(rule="removed")))
    trio.operator("panel", e.DataDestroyed(rule="left"))


# --- members of organizations that the charter in force does not name


def newcomer(trio: Trio) -> None:
    trio.propose(amended(trio.charter, newcomer=True), "shop.steward")
    trio.accept("bank.steward")


def test_a_newcomer_joins_but_decides_nothing_before_all_have_signed(trio: Trio) -> None:
    newcomer(trio)
    refused("participant.not_a_party", lambda: trio.act("bank.steward", TINY, FREEZE))
    next_ = amended(trio.charter, newcomer=True)
    for steward in (*STEWARDS, "bank.steward"):
        trio.sign_charter(steward, next_)
    trio.act("bank.steward", TINY, FREEZE)


def test_nobody_gets_a_role_by_proposing_a_charter_that_gives_it(trio: Trio) -> None:
    document: Any = json.loads(json.dumps(trio.charter.document))
    for participant in document["participants"]:
        for member in participant["members"]:
            if member["id"] == "shop.analyst":
                member["roles"] = ["analyst", "steward"]
    trio.propose(amended(trio.charter, participants=document["participants"]), "shop.steward")
    given = trio.enrolled("shop.steward", "shop.analyst", "analyst", "steward")
    refused_event(trio, "policy.role_not_in_charter", given)
    with trio.state() as state:
        assert state.roles("shop.analyst") == {"analyst"}


# --- everything a whole life leads to can be replayed


def test_a_whole_life_replays(trio: Trio, tmp_path: Path) -> None:
    for member in trio.charter.members:
        read_terms(trio, member.id)
    attested = e.DatasetAttested(
        dataset="people", evidence={"consent": EVIDENCE}, expires_at=trio.at + timedelta(days=30)
    )
    trio.act("panel.steward", "people", attested)
    trio.act("shop.analyst", "r-1", trio.request())
    trio.vote("shop.steward", "r-1", "reject")
    trio.later(minutes=1).act("panel.steward", TINY, FREEZE)
    trio.ask("panel.steward", "d-thaw", "thaw", TINY)
    trio.vote("shop.steward", "d-thaw")
    dispute = e.DisputeRaised(about_kind="dataset", about="people", remedy="suspend")
    trio.act("media.steward", "c-1", dispute)
    trio.vote("shop.reviewer", "c-1")
    trio.vote("panel.reviewer", "c-1")
    trio.ask("shop.steward", "d-out", "membership", "media", step="suspend")
    trio.vote("panel.steward", "d-out")
    trio.ask("shop.steward", "d-in", "membership", "media", step="reinstate")
    trio.vote("panel.steward", "d-in")
    trio.accept("media.steward")
    trio.later(days=100).settle()
    trio.ask("shop.steward", "d-end", "closing", TINY)
    trio.vote("panel.steward", "d-end")
    trio.close()
    with trio.state() as state:
        assert state.phase == "closed"
        assert state.rows(g.reviews)
    assert_replays(trio, tmp_path)


def test_a_login_is_arranged_by_oneself(trio: Trio) -> None:
    changed = LoginChanged(change="enabled")
    refused("statement.not_own", lambda: trio.act("shop.steward", "shop.analyst", changed))
