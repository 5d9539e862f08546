"""From a member's key to the portal: password and code, tokens, and what ends them."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import parse_qs, urlparse

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from starlette.testclient import TestClient

from orchestration.audit.governance_events import MemberRetired
from orchestration.audit.vocabulary import now
from orchestration.errors import GlasshouseError, PolicyDeniedError
from orchestration.participants.credentials import ATTEMPTS
from orchestration.portal import create_app
from orchestration.signing import SigningKey
from orchestration.stages import login
from tests.support import COLLABORATION, TinyHouse

MEMBER = "shop.analyst"
PASSWORD = "four unrelated plain words"


def authenticator(address: str) -> TOTP:
    """What an authenticator app makes of the address it is given."""
    secret = parse_qs(urlparse(address).query)["secret"][0]
    return TOTP(base64.b32decode(secret + "=" * (-len(secret) % 8)), 6, SHA1(), 30)


def enabled(house: TinyHouse) -> TOTP:
    return authenticator(
        login.enable(house.house, COLLABORATION, MEMBER, PASSWORD, house.key(MEMBER), "A login.")
    )


def code(app: TOTP, later: int = 0) -> str:
    return app.generate(int(now().timestamp()) + later).decode()


def enter(house: TinyHouse, password: str, given: str) -> login.Viewer:
    return login.enter_with_password(house.house, COLLABORATION, MEMBER, password, given)


def test_a_member_enters_with_password_and_code_and_it_is_on_record(house: TinyHouse) -> None:
    app = enabled(house)
    viewer = enter(house, PASSWORD, code(app))
    assert (viewer.member, viewer.participant) == (MEMBER, "shop")
    assert [logged.event.actor for logged in house.house.log.events(type="portal.entered")] == [MEMBER]


def test_a_code_enters_once(house: TinyHouse) -> None:
    app = enabled(house)
    used = code(app)
    enter(house, PASSWORD, used)
    with pytest.raises(PolicyDeniedError) as refusal:
        enter(house, PASSWORD, used)
    assert refusal.value.code == "login.refused"


def test_after_too_many_failures_the_login_rests_and_the_log_says_so(house: TinyHouse) -> None:
    app = enabled(house)
    for _ in range(ATTEMPTS):
        with pytest.raises(PolicyDeniedError) as refusal:
            enter(house, "not the password", "000000")
        assert refusal.value.code == "login.refused"
    with pytest.raises(PolicyDeniedError) as refusal:
        enter(house, PASSWORD, code(app))
    assert refusal.value.code == "login.locked"
    assert len(house.house.log.events(type="login.locked")) == 1


def test_nobody_arranges_a_login_for_somebody_else(house: TinyHouse) -> None:
    for key in (house.key("shop.steward"), house.key("panel.steward"), SigningKey.generate()):
        with pytest.raises(GlasshouseError) as refusal:
            login.enable(house.house, COLLABORATION, MEMBER, PASSWORD, key, "Not mine.")
        assert refusal.value.code == "statement.wrong_key"


def test_secrets_are_nowhere_on_disk(house: TinyHouse) -> None:
    address = login.enable(house.house, COLLABORATION, MEMBER, PASSWORD, house.key(MEMBER), "A login.")
    token = login.give_token(
        house.house, COLLABORATION, MEMBER, "reports", now() + timedelta(days=1), house.key(MEMBER), "Token."
    )
    house.house.log.close()
    secret = parse_qs(urlparse(address).query)["secret"][0]
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    found = house.everything_on_disk()
    for each in (PASSWORD.encode(), secret.encode(), raw, token.encode()):
        assert each not in found


def test_a_retired_member_is_out_at_once(house: TinyHouse) -> None:
    app = enabled(house)
    token = login.give_token(
        house.house, COLLABORATION, MEMBER, "reports", now() + timedelta(days=1), house.key(MEMBER), "Token."
    )
    assert login.viewer_of_token(house.house, token) is not None
    house.act("shop.steward", MEMBER, MemberRetired(member=MEMBER))
    assert login.viewer_of_token(house.house, token) is None
    with pytest.raises(PolicyDeniedError) as refusal:
        enter(house, PASSWORD, code(app))
    assert refusal.value.code == "login.not_active"


def test_a_token_reads_the_twins_until_it_is_revoked(house: TinyHouse) -> None:
    key = house.key(MEMBER)
    token = login.give_token(
        house.house, COLLABORATION, MEMBER, "reports", now() + timedelta(days=1), key, "Token."
    )
    client = TestClient(create_app(house.house), base_url="http://127.0.0.1:8321")
    headers = {"authorization": f"Bearer {token}"}
    assert client.get("/governance.json", headers=headers).json()["phase"] == "active"
    login.revoke_token(house.house, COLLABORATION, MEMBER, "reports", key, "Done.")
    assert client.get("/governance.json", headers=headers).status_code == 401


def test_an_expired_token_opens_nothing(house: TinyHouse) -> None:
    token = login.give_token(
        house.house, COLLABORATION, MEMBER, "old", now() - timedelta(seconds=1), house.key(MEMBER), "Token."
    )
    assert login.viewer_of_token(house.house, token) is None


def test_the_key_itself_enters_but_no_other(house: TinyHouse) -> None:
    assert login.enter_with_key(house.house, COLLABORATION, MEMBER, house.key(MEMBER)).member == MEMBER
    with pytest.raises(PolicyDeniedError) as refusal:
        login.enter_with_key(house.house, COLLABORATION, MEMBER, SigningKey.generate())
    assert refusal.value.code == "login.other_key"


def test_disabling_takes_login_and_tokens_away(house: TinyHouse) -> None:
    app = enabled(house)
    key = house.key(MEMBER)
    token = login.give_token(
        house.house, COLLABORATION, MEMBER, "reports", now() + timedelta(days=1), key, "Token."
    )
    login.disable(house.house, COLLABORATION, MEMBER, key, "Gone.")
    assert login.viewer_of_token(house.house, token) is None
    with pytest.raises(PolicyDeniedError):
        enter(house, PASSWORD, code(app))
