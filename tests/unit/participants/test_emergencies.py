"""What only a lent role allows, or shows, is logged twice: the trace and the act, or neither."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.audit import governance_events as e
from orchestration.audit.events import Event
from orchestration.audit.log import require_act
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.replay import replay
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.statement import statement_id
from orchestration.audit.vocabulary import Detail
from orchestration.errors import GlasshouseError
from orchestration.participants import emergencies, guard
from tests.unit.participants.founding import EVIDENCE, TINY, Trio, read_terms, refused, refused_event, shelve

EXECUTIVE = "panel.executive"
FREEZE = e.CollaborationFrozen()


def lend_and_release(trio: Trio) -> None:
    """An executive, who sees summaries, was lent the role of an analyst; a release waits in the tables."""
    shelve(trio, "i-1", '["panel"]')
    until = trio.at + timedelta(hours=1)
    lent = e.EmergencyOpened(grant="fire", member=EXECUTIVE, role="analyst", expires_at=until)
    trio.act("panel.steward", "fire", lent)
    read_terms(trio, EXECUTIVE)


def test_seeing_the_table_by_a_lent_role_is_logged_twice_and_the_summary_is_not(trio: Trio) -> None:
    lend_and_release(trio)

    def opening(detail: Detail) -> OutputAccessed:
        return OutputAccessed(release="i-1", member=EXECUTIVE, detail=detail)

    trio.act(EXECUTIVE, "i-1", opening("summary"))
    full = trio.signed(EXECUTIVE, "i-1", opening("full"))
    refused("emergency.not_told", lambda: trio.log.append(full))
    with trio.state() as state:
        grant = emergencies.grant_used(state, full)
    assert grant is not None
    trace = emergencies.trace(full, grant, "operator", member=EXECUTIVE, act=statement_id(full))
    trio.log.append_many([trace, full])


@pytest.fixture
def burning(trio: Trio) -> Trio:
    """An analyst who was lent the role of a steward."""
    until = trio.at + timedelta(hours=2)
    lent = e.EmergencyOpened(grant="fire", member="media.analyst", role="steward", expires_at=until)
    trio.act("media.steward", "fire", lent)
    return trio


def second_trace(trio: Trio, act: Event) -> Event:
    with trio.state() as state:
        grant = emergencies.grant_used(state, act)
    assert grant is not None
    return emergencies.trace(act, grant, "operator", member=act.actor, act=statement_id(act))


def test_what_only_a_lent_role_allows_is_logged_twice_or_not_at_all(burning: Trio) -> None:
    act = burning.signed("media.analyst", TINY, FREEZE)
    trace = second_trace(burning, act)
    refused_event(burning, "emergency.not_told", act)
    other = trace.payload.model_copy(update={"act": EVIDENCE})
    size = burning.log.size
    with pytest.raises(GlasshouseError, match=r"emergency\.act_missing"):
        burning.log.append_many([trace.model_copy(update={"payload": other}), act])
    assert burning.log.size == size
    burning.log.append_many([trace, act])
    assert replay(burning.log).ok


def test_what_needs_no_lent_role_leaves_one_trace(burning: Trio) -> None:
    own = burning.signed("media.steward", TINY, FREEZE)
    login = burning.signed("media.analyst", "media.analyst", LoginChanged(change="enabled"))
    with burning.state() as state:
        assert emergencies.grant_used(state, own) is None
        assert emergencies.grant_used(state, login) is None
    burning.log.append_many([own, login])


@pytest.mark.parametrize("changes", [{"grant": "water"}, {"member": "shop.analyst"}], ids=str)
def test_nobody_is_said_to_have_used_a_grant_that_is_not_his(burning: Trio, changes: dict[str, str]) -> None:
    trace = second_trace(burning, burning.signed("media.analyst", TINY, FREEZE))
    forged = trace.model_copy(update={"payload": trace.payload.model_copy(update=changes)})
    refused_event(burning, "emergency.unfounded", forged)


def test_a_trace_of_what_nobody_did_is_refused_and_stops_nobody(burning: Trio) -> None:
    trace = second_trace(burning, burning.signed("media.analyst", TINY, FREEZE))
    refused_event(burning, "emergency.act_missing", trace)
    burning.log.admit = None
    burning.log.append(trace)
    burning.log.admit = guard.admit
    refusal = replay(burning.log).refused
    assert refusal is not None
    assert refusal.code == "emergency.act_missing"
    read_terms(burning, "shop.analyst")
    own = burning.signed("media.analyst", TINY, FREEZE)
    burning.log.append_many([second_trace(burning, own), own])


CHANGED = [{"act": EVIDENCE}, {"action": "output.accessed"}, {"member": "media.steward"}]


@pytest.mark.parametrize("changes", CHANGED, ids=str)
def test_a_trace_is_of_the_very_act_that_follows_it(burning: Trio, changes: dict[str, str]) -> None:
    act = burning.signed("media.analyst", TINY, FREEZE)
    trace = second_trace(burning, act)
    payload = trace.payload.model_copy(update=changes)
    with pytest.raises(GlasshouseError, match=r"emergency\.act_missing"):
        require_act(trace.model_copy(update={"payload": payload}), act)
    size = burning.log.size
    with pytest.raises(GlasshouseError, match=r"emergency\.(act_missing|unfounded)"):
        burning.log.append_many([trace.model_copy(update={"payload": payload}), act])
    assert burning.log.size == size


def test_a_trace_is_not_of_what_was_done_before_or_needed_no_grant(burning: Trio) -> None:
    act = burning.signed("media.analyst", TINY, FREEZE)
    trace = second_trace(burning, act)
    burning.log.append_many([trace, act])
    with pytest.raises(GlasshouseError):
        burning.log.append_many([trace, act])
    login = burning.signed("media.analyst", "media.analyst", LoginChanged(change="enabled"))
    with burning.state() as state:
        grant = state.grant("fire")
    assert grant is not None
    idle = emergencies.trace(login, grant, "operator", member=login.actor, act=statement_id(login))
    with pytest.raises(GlasshouseError, match=r"emergency\.unfounded"):
        burning.log.append_many([idle, login])
    assert replay(burning.log).ok


def test_seeing_the_table_is_told_under_the_grant_that_shows_it(trio: Trio) -> None:
    """An auditor, who opens nothing, was lent two roles: both let it open, and one shows the table."""
    lend_and_release(trio)
    auditor, until = "panel.auditor", trio.at + timedelta(hours=1)
    for name, role in (("air", "executive"), ("earth", "analyst")):
        lent = e.EmergencyOpened(grant=name, member=auditor, role=role, expires_at=until)
        trio.act("panel.steward", name, lent)
    read_terms(trio, auditor)
    for detail, grant in (("full", "earth"), ("summary", "air")):
        opening = OutputAccessed(release="i-1", member=auditor, detail=detail)
        trace = second_trace(trio, trio.signed(auditor, "i-1", opening)).payload
        assert isinstance(trace, e.EmergencyUsed)
        assert trace.grant == grant
