"""Passwords, codes and the lockout, as rules over values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import PolicyDeniedError
from orchestration.participants import credentials
from orchestration.participants.credentials import ATTEMPTS, REST, Login, counted, entered, new_login

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PASSWORD = "four unrelated plain words"


def code_at(login: Login, at: datetime) -> str:
    """The code an authenticator shows at this moment."""
    return credentials._totp(login).generate(int(at.timestamp())).decode()


@pytest.fixture(scope="module")
def login() -> Login:
    return new_login("shop.steward", PASSWORD)


def test_the_right_password_and_code_enter_and_clear_the_failures(login: Login) -> None:
    kept = entered(replace(login, failures=3), PASSWORD, code_at(login, AT), AT)
    assert kept is not None
    assert (kept.failures, kept.locked_until) == (0, None)


@pytest.mark.parametrize(
    ("password", "code"),
    [("another long password", None), (PASSWORD, "000000"), (PASSWORD, ""), (PASSWORD, "éééééé"), ("", None)],
)
def test_anything_else_does_not(login: Login, password: str, code: str | None) -> None:
    assert entered(login, password, code_at(login, AT) if code is None else code, AT) is None


def test_a_member_without_a_login_is_refused_like_a_wrong_password() -> None:
    assert entered(None, PASSWORD, "123456", AT) is None


def test_a_code_counts_once(login: Login) -> None:
    code = code_at(login, AT)
    kept = entered(login, PASSWORD, code, AT)
    assert kept is not None
    assert entered(kept, PASSWORD, code, AT) is None


@pytest.mark.parametrize(
    ("seconds", "right"), [(-30, True), (0, True), (30, True), (90, False), (-90, False)]
)
def test_clocks_may_differ_by_one_step(login: Login, seconds: int, right: bool) -> None:
    code = code_at(login, AT + timedelta(seconds=seconds))
    assert (entered(login, PASSWORD, code, AT) is not None) is right


def test_the_login_rests_after_too_many_attempts_even_for_the_right_password(login: Login) -> None:
    for _ in range(ATTEMPTS):
        login = counted(login, AT)
    with pytest.raises(PolicyDeniedError) as refusal:
        counted(login, AT + REST - timedelta(seconds=1))
    assert refusal.value.code == "login.locked"
    assert "1 minutes" in refusal.value.next_step
    assert counted(login, AT + REST).failures == 1


@pytest.mark.parametrize("password", ["short", "x" * 11, "my name is steward and more"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(PolicyDeniedError) as refusal:
        new_login("shop.steward", password)
    assert refusal.value.code == "login.weak_password"


def test_the_password_is_kept_as_an_argon2id_hash(login: Login) -> None:
    assert login.password.startswith("$argon2id$")
    assert PASSWORD not in login.password


def test_the_address_for_the_authenticator_names_member_and_collaboration(login: Login) -> None:
    address = credentials.totp_address(login, "shop.steward", "tiny")
    assert address.startswith("otpauth://totp/")
    assert "shop.steward" in address
    assert "tiny" in address


@given(st.integers(0, 30))
def test_never_more_attempts_than_allowed_between_two_rests(attempts: int) -> None:
    kept, looked_at = Login("", b"0" * 20), 0
    for _ in range(attempts):
        try:
            kept = counted(kept, AT)
        except PolicyDeniedError:
            break
        looked_at += 1
    assert looked_at <= ATTEMPTS


def test_tokens_are_long_different_and_kept_as_hashes() -> None:
    one, other = credentials.new_token(), credentials.new_token()
    assert one != other
    assert len(one) > 40
    assert one not in credentials.token_hash(one)
