"""Members: a key counts because the log says so, for a member whom the charter names."""

from __future__ import annotations

import pytest

from orchestration.errors import CharterError, PolicyDeniedError
from orchestration.participants.registry import register_member, registered_member
from orchestration.signing import SigningKey
from tests.support import TinyHouse


def test_a_member_is_registered_once_and_a_new_key_replaces_the_old(house: TinyHouse) -> None:
    log, charter = house.house.log, house.charter
    first = registered_member(log, "tiny", "shop.steward")
    assert (first.participant, first.roles) == ("shop", ("steward",))
    size = log.size
    assert not register_member(log, charter, "shop.steward", first.public_key, actor="operator")
    assert log.size == size
    key = SigningKey.generate()
    assert register_member(log, charter, "shop.steward", key.public, actor="operator")
    assert registered_member(log, "tiny", "shop.steward").public_key == key.public


@pytest.mark.parametrize("member", ["shop.nobody", "shop", "", "SHOP.STEWARD", "shop.steward'--"])
def test_whom_nobody_registered_is_unknown(house: TinyHouse, member: str) -> None:
    with pytest.raises(PolicyDeniedError) as caught:
        registered_member(house.house.log, "tiny", member)
    assert caught.value.code == "member.unknown"


def test_a_member_of_another_collaboration_is_unknown_here(house: TinyHouse) -> None:
    with pytest.raises(PolicyDeniedError):
        registered_member(house.house.log, "other", "shop.steward")


def test_whom_the_charter_does_not_name_cannot_be_registered(house: TinyHouse) -> None:
    key = SigningKey.generate()
    with pytest.raises(CharterError) as caught:
        register_member(house.house.log, house.charter, "shop.nobody", key.public, actor="operator")
    assert caught.value.code == "charter.unknown_name"
