"""Only this machine's names, only reading, strict headers on every answer."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from orchestration.portal.guard import SECURITY_HEADERS, host_name


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
