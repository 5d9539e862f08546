"""From a member's key to the portal: password and code, tokens, and what ends them."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from starlette.testclient import TestClient

from orchestration.audit.governance_events import (
    DecisionOpened,
    EmergencyOpened,
    KeyRevoked,
    KeyRotated,
    MemberEnrolled,
    MemberRetired,
    ParticipantAccepted,
)
from orchestration.audit.vocabulary import now
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json
from orchestration.errors import GlasshouseError, PolicyDeniedError
from orchestration.participants import credentials
from orchestration.participants.credentials import ATTEMPTS
from orchestration.participants.enrollment import prove
from orchestration.portal import create_app
from orchestration.signing import SigningKey
from orchestration.stages import governance, login
from tests.governed_charter import governed
from tests.support import COLLABORATION, TinyHouse, make_house

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


def enter(house: TinyHouse, password: str, given: str) -> login.Entered:
    return login.enter_with_password(house.house, COLLABORATION, MEMBER, password, given)


def test_a_member_enters_with_password_and_code_and_it_is_on_record(house: TinyHouse) -> None:
    app = enabled(house)
    viewer = login.viewer_of(house.house, enter(house, PASSWORD, code(app)))
    assert viewer is not None
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


def given_token(house: TinyHouse, name: str = "reports") -> str:
    until = now() + timedelta(days=1)
    return login.give_token(house.house, COLLABORATION, MEMBER, name, until, house.key(MEMBER), "Token.")


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(GlasshouseError) as refusal:
        act()
    assert refusal.value.code == code


# --- what ends a session


def test_a_new_password_ends_every_session_that_the_old_one_began(house: TinyHouse) -> None:
    entered = enter(house, PASSWORD, code(enabled(house)))
    assert login.viewer_of(house.house, entered) is not None
    app = enabled(house)
    assert login.viewer_of(house.house, entered) is None
    again = enter(house, PASSWORD, code(app))
    given_token(house)  # says nothing about passwords
    assert login.viewer_of(house.house, again) is not None
    login.disable(house.house, COLLABORATION, MEMBER, house.key(MEMBER), "Gone.")
    assert login.viewer_of(house.house, again) is None


def renewed(house: TinyHouse, how: str) -> None:
    """The member gets another key: by its own hand, or by its steward, as somebody else would."""
    new = SigningKey.generate()
    proof = prove(new, COLLABORATION, MEMBER)
    if how == "rotated":
        house.act(MEMBER, MEMBER, KeyRotated(member=MEMBER, public_key=new.public, proof=proof))
        return
    steward = "shop.steward"
    if how == "revoked":
        key_id = house.key(MEMBER).key_id
        house.act(steward, MEMBER, KeyRevoked(member=MEMBER, key_id=key_id, reason="compromised"))
    else:
        house.act(steward, MEMBER, MemberRetired(member=MEMBER))
    until = now() + timedelta(days=10)
    enrolled = MemberEnrolled(
        member=MEMBER, roles=("analyst",), public_key=new.public, proof=proof, expires_at=until
    )
    house.act(steward, MEMBER, enrolled)


@pytest.mark.parametrize(("how", "counts"), [("rotated", True), ("revoked", False), ("succeeded", False)])
def test_ways_in_end_with_the_key_that_made_them_unless_the_member_replaced_it(
    house: TinyHouse, how: str, *, counts: bool
) -> None:
    app, token = enabled(house), given_token(house)
    entered = enter(house, PASSWORD, code(app))
    renewed(house, how)
    assert (login.viewer_of_token(house.house, token) is not None) is counts
    assert (login.viewer_of(house.house, entered) is not None) is counts
    if not counts:
        refused("login.refused", lambda: enter(house, PASSWORD, code(app, 30)))


def test_a_name_is_of_one_token(house: TinyHouse) -> None:
    first, second = given_token(house), given_token(house)
    assert login.viewer_of_token(house.house, first) is None
    assert login.viewer_of_token(house.house, second) is not None


def test_a_session_that_a_key_began_ends_with_the_key(house: TinyHouse) -> None:
    old, new = house.key(MEMBER), SigningKey.generate()
    entered = login.enter_with_key(house.house, COLLABORATION, MEMBER, old)
    assert login.viewer_of(house.house, entered) is not None
    proof = prove(new, COLLABORATION, MEMBER)
    house.act(MEMBER, MEMBER, KeyRotated(member=MEMBER, public_key=new.public, proof=proof))
    assert login.viewer_of(house.house, entered) is None
    again = login.enter_with_key(house.house, COLLABORATION, MEMBER, new)
    assert login.viewer_of(house.house, again) is not None


def test_a_password_that_was_replaced_while_it_was_checked_opens_nothing(
    house: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = enabled(house)
    right = credentials.entered

    def slowly(*given: Any) -> Any:
        found = right(*given)
        enabled(house)
        return found

    monkeypatch.setattr(credentials, "entered", slowly)
    refused("login.refused", lambda: enter(house, PASSWORD, code(app)))
    monkeypatch.undo()
    refused("login.refused", lambda: enter(house, PASSWORD, code(app, later=30)))


# --- who is no viewer


def test_an_auditor_whom_only_a_proposal_names_sees_nothing(house: TinyHouse) -> None:
    document: Any = copy.deepcopy(house.charter.document)
    members = [
        {"id": "evil.steward", "name": "Steward", "roles": ["steward"]},
        {"id": "evil.auditor", "name": "Auditor", "roles": ["auditor"]},
    ]
    evil = {"id": "evil", "name": "Evil", "description": "Reads.", "responsibilities": ["Nothing."]}
    document["participants"].append(evil | {"members": members})
    document["version"] = 2
    text = Charter.model_validate_json(canonical_json(document))
    governance.propose(house.house, text, "shop.steward", "A friend.", house.key("shop.steward"))
    house.keys |= {each: SigningKey.generate() for each in ("evil.steward", "evil.auditor")}
    steward, auditor = house.key("evil.steward"), house.key("evil.auditor")
    joined = ParticipantAccepted(participant="evil", steward="evil.steward", public_key=steward.public)
    house.act("evil.steward", "evil", joined)
    enrolled = MemberEnrolled(
        member="evil.auditor",
        roles=("auditor",),
        public_key=auditor.public,
        proof=prove(auditor, COLLABORATION, "evil.auditor"),
        expires_at=now() + timedelta(days=5),
    )
    house.act("evil.steward", "evil.auditor", enrolled)
    for member, key in (("evil.steward", steward), ("evil.auditor", auditor)):
        assert login.viewer(house.house, COLLABORATION, member) is None
        refused("login.not_active", partial(login.enter_with_key, house.house, COLLABORATION, member, key))


def test_a_role_that_was_lent_opens_no_page(house: TinyHouse) -> None:
    hour = now() + timedelta(hours=1)
    lent = EmergencyOpened(grant="e-1", member=MEMBER, role="auditor", expires_at=hour)
    house.act("shop.steward", lent.grant, lent)
    viewer = login.viewer(house.house, COLLABORATION, MEMBER)
    assert viewer is not None
    assert not viewer.sees_everything


# --- steps that are cut short


class KilledError(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("recorded", [False, True])
def test_what_was_taken_away_stays_away_when_the_step_is_cut_short(
    house: TinyHouse, monkeypatch: pytest.MonkeyPatch, *, recorded: bool
) -> None:
    token, app, act = given_token(house), enabled(house), governance.act

    def killed(*given: Any) -> None:
        if recorded:
            act(*given)
        raise KilledError

    monkeypatch.setattr(governance, "act", killed)
    with pytest.raises(KilledError):
        login.revoke_token(house.house, COLLABORATION, MEMBER, "reports", house.key(MEMBER), "Stolen.")
    assert login.viewer_of_token(house.house, token) is None
    with pytest.raises(KilledError):
        enabled(house)
    refused("login.refused", lambda: enter(house, PASSWORD, code(app)))


def test_nobody_takes_away_what_is_somebody_elses(house: TinyHouse) -> None:
    token, app = given_token(house), enabled(house)
    other = house.key("shop.steward")
    for act in (
        partial(login.disable, house.house, COLLABORATION, MEMBER, other, "Not mine."),
        partial(login.revoke_token, house.house, COLLABORATION, MEMBER, "reports", other, "Not mine."),
        partial(login.enable, house.house, COLLABORATION, MEMBER, PASSWORD, other, "Not mine."),
    ):
        refused("statement.wrong_key", act)
    assert login.viewer_of_token(house.house, token) is not None
    enter(house, PASSWORD, code(app))


# --- a closed collaboration


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[TinyHouse]:
    """A collaboration that was closed while one member had a login and a token."""
    house = make_house(tmp_path, charter=governed())
    yield house
    house.house.log.close()


def close(house: TinyHouse) -> None:
    house.act("shop.steward", "d-end", DecisionOpened(matter="closing", about=COLLABORATION))
    house.vote("d-end", "panel.steward")
    with house.house.state(COLLABORATION) as state:
        assert state.phase == "closed"


def test_members_of_a_closed_collaboration_read_its_past(closed: TinyHouse) -> None:
    token, app = given_token(closed), enabled(closed)
    close(closed)
    house = closed.house
    by_key = login.enter_with_key(house, COLLABORATION, "panel.auditor", closed.key("panel.auditor"))
    for entered in (enter(closed, PASSWORD, code(app)), by_key):
        assert login.viewer_of(house, entered) is not None
    client = TestClient(create_app(house), base_url="http://127.0.0.1:8321")
    for page in ("/", "/governance", "/lineage", "/log"):
        answer = client.get(page, headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.url.path) == (200, page)


def test_in_a_closed_collaboration_ways_in_are_only_taken_away_and_the_record_stays(
    closed: TinyHouse,
) -> None:
    token, app = given_token(closed), enabled(closed)
    close(closed)
    size, key = closed.house.log.size, closed.key(MEMBER)
    refused("login.closed", lambda: enabled(closed))
    refused("login.closed", lambda: given_token(closed, "another"))
    login.revoke_token(closed.house, COLLABORATION, MEMBER, "reports", key, "Lost.")
    assert login.viewer_of_token(closed.house, token) is None
    login.disable(closed.house, COLLABORATION, MEMBER, key, "Done.")
    refused("login.refused", lambda: enter(closed, PASSWORD, code(app)))
    assert closed.house.log.size == size
