"""Who a member is, as the log knows it now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.audit import governance_events as e
from orchestration.participants import registry
from orchestration.participants.registry import registered_member
from orchestration.signing import SigningKey
from tests.unit.participants.founding import TINY, Trio, refused


@pytest.fixture(autouse=True)
def _clock(trio: Trio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "now", lambda: trio.at)


def test_a_member_has_the_roles_and_the_key_in_force(trio: Trio) -> None:
    member = registered_member(trio.log, TINY, "media.second")
    assert (member.id, member.participant) == ("media.second", "media")
    assert member.roles == ("auditor", "steward")
    assert member.public_key == trio.key("media.second").public


def test_a_new_key_takes_the_place_of_the_old_one(trio: Trio) -> None:
    new = SigningKey.generate()
    trio.enroll("media.steward", "media.second", "auditor", key=new)
    member = registered_member(trio.log, TINY, "media.second")
    assert member.public_key == new.public
    assert member.roles == ("auditor",)


def test_roles_end_with_their_time(trio: Trio) -> None:
    trio.later(days=299)
    assert registered_member(trio.log, TINY, "shop.analyst").roles == ("analyst",)
    trio.at += timedelta(days=1)
    assert registered_member(trio.log, TINY, "shop.analyst").roles == ()


@pytest.mark.parametrize("member", ["nobody", "shop.nobody", ""])
def test_an_unknown_member_is_refused(trio: Trio, member: str) -> None:
    refused("member.unknown", lambda: registered_member(trio.log, TINY, member))


def test_a_member_of_one_collaboration_is_unknown_in_another(trio: Trio) -> None:
    refused("member.unknown", lambda: registered_member(trio.log, "other", "shop.steward"))


def test_who_is_retired_or_has_no_key_is_not_active(trio: Trio) -> None:
    key = trio.key("media.second").key_id
    trio.act("media.steward", "media.second", e.KeyRevoked(member="media.second", key_id=key, reason="lost"))
    refused("member.not_active", lambda: registered_member(trio.log, TINY, "media.second"))
    trio.act("shop.steward", "shop.analyst", e.MemberRetired(member="shop.analyst"))
    refused("member.not_active", lambda: registered_member(trio.log, TINY, "shop.analyst"))
