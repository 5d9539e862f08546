"""Only this machine's names, only reading, strict headers on every answer."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from orchestration.house import House
from orchestration.portal import create_app
from orchestration.portal.guard import SECURITY_HEADERS, host_name
from orchestration.portal.sessions import Sessions
from orchestration.settings import load_settings
from tests.unit.portal.portal_house import entered

ADDRESS = "https://room.example"


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost:80", "localhost", "LOCALHOST:1", "[::1]:8321"])
def test_this_machines_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/log", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost:evil",
        "127.0.0.1:8321@evil.example",
        "10.0.0.7",
        "",
    ],
)
def test_any_other_name_is_refused_because_of_dns_rebinding(client: TestClient, host: str) -> None:
    answer = client.get("/log", headers={"host": host})
    assert answer.status_code == 421
    assert "event" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/log", "/log/0.json", "/nowhere"])
def test_nothing_but_reading_is_possible(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/", "/lineage", "/log.csv", "/log/0.json", "/static/glasshouse.css", "/nowhere", "/log/99999"]
)
def test_every_answer_carries_the_strict_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert headers["cache-control"] == "no-store"


def test_refusals_carry_the_strict_headers_too(client: TestClient) -> None:
    for answer in (client.post("/"), client.get("/", headers={"host": "evil.example"})):
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_head_says_what_get_says_without_the_body(client: TestClient) -> None:
    head = client.head("/log")
    assert head.status_code == 200
    assert head.content == b""


def test_a_host_with_something_else_behind_the_colon_stays_whole() -> None:
    assert host_name("localhost:8321x") == "localhost:8321x"
    assert host_name("localhost:") == "localhost:"


def behind_a_proxy(house: House, sessions: Sessions) -> TestClient:
    return TestClient(create_app(house, sessions, ADDRESS), base_url=ADDRESS, follow_redirects=False)


@pytest.mark.parametrize("host", ["room.example", "ROOM.example:443", "127.0.0.1:8321"])
def test_the_address_in_the_settings_is_answered_too(house: House, host: str) -> None:
    assert behind_a_proxy(house, Sessions()).get("/login", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["room.example:80", "room.example.evil", "evil.room.example", "other.example"]
)
def test_no_other_name_is_answered_behind_a_proxy(house: House, host: str) -> None:
    assert behind_a_proxy(house, Sessions()).get("/login", headers={"host": host}).status_code == 421


def test_behind_a_proxy_the_cookie_travels_over_tls_alone(house: House) -> None:
    sessions = Sessions()
    entry = sessions.offer(entered(house, "retailer.steward"))
    client = behind_a_proxy(house, sessions)
    assert "; secure" in client.get(f"/enter/{entry}").headers["set-cookie"].lower()
    assert client.get("/").status_code == 200
    left = client.post("/logout", headers={"origin": ADDRESS, "sec-fetch-site": "same-origin"})
    assert "; secure" in left.headers["set-cookie"].lower()
    assert client.get("/").status_code == 303


OWN = {"origin": "http://127.0.0.1:8321"}


@pytest.mark.parametrize(
    "sent", [{}, OWN, OWN | {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
def test_a_form_of_the_portal_itself_is_taken(client: TestClient, sent: dict[str, str]) -> None:
    assert client.post("/logout", headers=sent, follow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8321"},
        OWN | {"sec-fetch-site": "same-site"},
        OWN | {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_form_of_any_other_page_is_refused(client: TestClient, sent: dict[str, str]) -> None:
    answer = client.post("/logout", headers=sent, follow_redirects=False)
    assert answer.status_code == 403
    assert "another site" in answer.text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Room.example/", "https://room.example"),
        ("https://room.example:443", "https://room.example"),
        ("https://room.example:8443", "https://room.example:8443"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_an_address_is_spelled_one_way(given: str, kept: str) -> None:
    assert load_settings(portal_url=given).portal_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "room.example",
        "http://room.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "https://",
        "https://user:word@room.example",
        "https://room.example/portal",
        "https://room.example?x",
        "https://room.example:0x",
        "ftp://room.example",
    ],
)
def test_no_address_without_tls_or_with_more_than_a_host(given: str) -> None:
    with pytest.raises(ValidationError):
        load_settings(portal_url=given)
