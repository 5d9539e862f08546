"""The door of the portal: nothing for strangers, the own for members, everything for the auditor."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

import pytest
from markupsafe import escape
from starlette.testclient import TestClient

from orchestration.house import House
from orchestration.portal import create_app, entrance
from orchestration.portal.entrance import COOKIE
from orchestration.portal.sessions import ENTRY_VALID, IDLE, LONGEST, Sessions
from orchestration.stages import login
from orchestration.stages.login import Entered
from tests.unit.portal.portal_house import GROCERY, client_of, entered

PAGES = ["/", "/governance", "/lineage", "/log", "/log/0", "/log?type=gate.passed"]
TWINS = ["/overview.json", "/overview.csv", "/governance.json", "/lineage.json", "/log.json", "/log/0.json"]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_sign_in_page(house: House, path: str) -> None:
    answer = client_of(house, None).get(path, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert answer.content == b""


@pytest.mark.parametrize("path", TWINS)
def test_a_program_without_a_token_is_told_so(house: House, path: str) -> None:
    answer = client_of(house, None).get(path)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "portal.sign_in"


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Basic YTpi", "bearer"])
def test_an_unknown_token_opens_nothing(house: House, header: str) -> None:
    answer = client_of(house, None).get("/log.json", headers={"authorization": header})
    assert answer.status_code == 401


def test_an_invented_cookie_opens_nothing(house: House) -> None:
    client = client_of(house, None)
    client.cookies.set(COOKIE, "invented")
    assert client.get("/log", follow_redirects=False).status_code == 303


def test_somebody_whom_the_log_does_not_know_sees_nothing(house: House) -> None:
    assert client_of(house, "retailer.nobody").get("/", follow_redirects=False).status_code == 303


def test_the_sign_in_page_needs_nobody(house: House) -> None:
    answer = client_of(house, None).get("/login")
    assert answer.status_code == 200
    assert 'name="code"' in answer.text


def test_what_is_published_for_everybody_needs_nobody(house: House) -> None:
    answer = client_of(house, None).get("/log/checkpoint")
    assert answer.status_code == 200
    assert answer.text.startswith("glasshouse/")


def test_wrong_credentials_are_refused_in_words_that_tell_nothing(house: House) -> None:
    client = client_of(house, None)
    form = {"collaboration": GROCERY, "member": "retailer.steward", "password": "x" * 20, "code": "123456"}
    for sent in (form, form | {"member": "nobody.here"}, form | {"collaboration": "<b>"}, {}):
        answer = client.post("/login", data=sent)
        assert answer.status_code == 403
        assert "Name, password and code do not belong together." in answer.text
        assert "<b>" not in answer.text


@pytest.mark.parametrize(
    "asked",
    ["/log?type=gate.passed&before=9", "/lineage?level=column&insight=joint_segmentation", "/governance"],
)
def test_the_page_that_was_asked_for_is_kept_through_a_failure(house: House, asked: str) -> None:
    client = client_of(house, None)
    page = client.get(asked)
    assert page.url.path == "/login"
    assert f'name="to" value="{escape(asked)}"' in page.text
    form = {"member": "retailer.steward", "password": "x" * 20, "code": "123456", "to": asked}
    again = client.post("/login", data=form).text
    assert f'name="to" value="{escape(asked)}"' in again
    assert 'value="retailer.steward"' in again
    assert "x" * 20 not in again
    assert "123456" not in again


def test_strangers_are_told_the_name_of_no_collaboration(house: House) -> None:
    assert GROCERY not in client_of(house, None).get("/login").text


def test_a_crowd_at_the_door_is_let_in_two_by_two(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, lock, opened = 0, 0, threading.Lock(), threading.Event()

    def slow(*_: object) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        opened.wait(5)
        with lock:
            inside -= 1
        raise login.refused()

    monkeypatch.setattr(login, "enter_with_password", slow)
    monkeypatch.setattr(entrance, "_WAITING", 4)
    with client_of(house, None) as client, ThreadPoolExecutor(12) as crowd:
        sent = [crowd.submit(client.post, "/login", data={"member": "a.b"}) for _ in range(12)]
        done, _ = wait(sent, timeout=30, return_when=FIRST_COMPLETED)  # who finds the queue full
        assert done
        opened.set()
        answers = [each.result() for each in sent]
    assert most == 2
    assert {answer.status_code for answer in answers} == {403}
    assert all("Name, password and code do not belong together." in answer.text for answer in answers)


def test_a_form_sent_by_another_site_is_refused(house: House) -> None:
    answer = client_of(house, None).post("/login", data={}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_a_huge_form_is_no_form(house: House) -> None:
    answer = client_of(house, None).post("/login", data={"password": "x" * 100_000})
    assert answer.status_code == 403


def test_an_entry_lets_in_once(house: House) -> None:
    sessions = Sessions()
    client = TestClient(create_app(house, sessions), base_url="http://127.0.0.1:8321")
    entry = sessions.offer(entered(house, "data_provider.auditor"))
    answer = client.get(f"/enter/{entry}", follow_redirects=False)
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/").status_code == 200
    again = TestClient(create_app(house, sessions), base_url="http://127.0.0.1:8321")
    refused = again.get(f"/enter/{entry}")
    assert (refused.status_code, refused.url.path) == (403, "/login")  # its address is left at once
    assert "used before" in refused.text


def test_signing_out_ends_the_session(house: House) -> None:
    client = client_of(house)
    kept = client.cookies[COOKIE]
    assert client.post("/logout", follow_redirects=False).status_code == 303
    client.cookies.set(COOKIE, kept)
    assert client.get("/", follow_redirects=False).status_code == 303


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 5, 4, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def test_sessions_end_when_idle_and_at_the_latest_after_a_working_day() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    idle, busy = sessions.begin(Entered(GROCERY, "a.b")), sessions.begin(Entered(GROCERY, "a.c"))
    for _ in range(int(LONGEST / IDLE) + 1):
        clock.at += IDLE / 2
        assert sessions.find(busy)
        clock.at += IDLE / 2 - timedelta(seconds=1)
        if clock.at >= datetime(2026, 5, 4, tzinfo=UTC) + LONGEST - IDLE:
            break
        assert sessions.find(busy)
    assert sessions.find(idle) is None
    clock.at = datetime(2026, 5, 4, tzinfo=UTC) + LONGEST
    assert sessions.find(busy) is None


def test_an_entry_ends_after_two_minutes() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    entry = sessions.offer(Entered(GROCERY, "a.b"))
    clock.at += ENTRY_VALID
    assert sessions.take(entry) is None


def test_a_member_sees_its_own_events_and_of_others_the_commitment_alone(house: House) -> None:
    whole = {each["seq"]: each for each in client_of(house).get("/log.json").json()}
    own = client_of(house, "media_owner.steward").get("/log.json").json()
    assert len(own) == len(whole)
    hidden = [each for each in own if "event" not in each]
    assert hidden
    for each in hidden:
        assert set(each) == {"seq", "commitment"}
        assert whole[each["seq"]]["event"]["actor"] != "media_owner.steward"
    deliveries = [
        each["event"]["payload"]["participant"]
        for each in own
        if "event" in each and each["event"]["type"] == "contribution.accepted"
    ]
    assert set(deliveries) == {"media_owner"}


def test_a_hidden_event_is_named_by_its_commitment_and_still_proven(house: House) -> None:
    client = client_of(house, "media_owner.steward")
    seq = next(each["seq"] for each in client.get("/log.json").json() if "event" not in each)
    shown = client.get(f"/log/{seq}.json").json()
    assert "event" not in shown
    assert "salt" not in shown
    assert shown["proof"]["holds"] is True
    page = client.get(f"/log/{seq}").text
    assert "It concerns other organizations" in page
    assert "The proof holds" in page


def test_no_list_by_type_gives_a_hidden_event_away(house: House) -> None:
    client = client_of(house, "media_owner.steward")
    for path in ("/log.json?type=contribution.accepted", "/log.csv?type=contribution.accepted"):
        assert "retailer.steward" not in client.get(path).text
    listed = client.get("/log.json?type=contribution.accepted").json()
    assert all("event" in each for each in listed)


def test_figures_of_others_stay_off_the_overview(house: House) -> None:
    everything = client_of(house).get("/overview.json").json()
    own = client_of(house, "media_owner.steward").get("/overview.json").json()
    assert all(party["rows"] is not None for party in everything["parties"])
    assert [party["id"] for party in own["parties"] if party["rows"] is not None] == ["media_owner"]
    for chain in own["chains"]:
        if chain["participant"] != "media_owner":
            assert all(step["facts"] == [] and step["receipt"] is None for step in chain["steps"])


def test_the_governance_page_shows_who_takes_part_and_their_state(house: House) -> None:
    page = client_of(house, "media_owner.steward").get("/governance").text
    assert "Who takes part, and who decides" in page
    for participant in house.charter(GROCERY).participants:
        assert participant.name in page
    document = client_of(house).get("/governance.json").json()
    assert document["phase"] == "active"
    assert {party["status"] for party in document["parties"]} == {"active"}
    assert all(party["signed_by"] for party in document["parties"])
