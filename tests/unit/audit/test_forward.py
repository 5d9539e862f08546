"""The outbox: in order, nothing lost, nothing doubled in the file, and never in anybody's way."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from orchestration.audit.events import Event
from orchestration.audit.forward import Forwarded, forward, lineage_file
from orchestration.audit.governance_events import CharterProposed
from orchestration.audit.log import AuditLog
from orchestration.settings import Settings
from tests.unit.audit.lineage_house import COLLABORATION, house_events

EVENTS = house_events()


class Backend(ThreadingHTTPServer):
    """A lineage backend on loopback that answers `status`, or what `statuses` holds first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.status = 201
        self.statuses: list[int] = []
        self.received: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.authorization: list[str | None] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Receiver(BaseHTTPRequestHandler):
    server: Backend

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.statuses.pop(0) if self.server.statuses else self.server.status
        self.server.paths.append(self.path)
        self.server.authorization.append(self.headers["Authorization"])
        if status < 300:
            self.server.received.append(body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as opened:
        yield opened


def store(log: AuditLog, events: list[dict[str, Any]], version: int = 1) -> None:
    payload = CharterProposed(
        digest="sha256:" + f"{version:064x}", title="Grocery", version=version, document={}
    )
    log.append(
        Event(collaboration=COLLABORATION, subject=COLLABORATION, actor="house", payload=payload),
        lineage=events,
    )


def home(tmp_path: Path, url: str | None = None) -> Settings:
    return Settings(home=tmp_path, openlineage_url=url)


def lines(settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lineage_file(settings).read_text("utf-8").splitlines()]


def test_the_file_holds_every_event_once_and_in_order(log: AuditLog, tmp_path: Path) -> None:
    settings = home(tmp_path)
    store(log, EVENTS[:4])
    assert forward(log, settings) == (Forwarded("file", sent=4),)
    store(log, EVENTS[4:], version=2)
    assert forward(log, settings) == (Forwarded("file", sent=len(EVENTS) - 4),)
    assert forward(log, settings) == (Forwarded("file"),)
    assert lines(settings) == EVENTS


def test_a_kill_between_writing_and_noting_it_doubles_nothing(log: AuditLog, tmp_path: Path) -> None:
    settings = home(tmp_path)
    cursor = tmp_path / "lineage" / "cursor.json"
    store(log, EVENTS[:2])
    forward(log, settings)
    noted = cursor.read_text()
    store(log, EVENTS[2:], version=2)
    forward(log, settings)
    cursor.write_text(noted)  # as if killed before the cursor was replaced…
    with lineage_file(settings).open("a") as file:
        file.write('{"eventType": "STA')  # …in the middle of a line
    forward(log, settings)
    assert lines(settings) == EVENTS


@pytest.mark.parametrize("damage", ["", "[]", "not json", '{"file": {"row": 3}}', '{"file": 7}'])
def test_a_damaged_cursor_starts_from_the_beginning(log: AuditLog, tmp_path: Path, damage: str) -> None:
    settings = home(tmp_path)
    store(log, EVENTS)
    forward(log, settings)
    (tmp_path / "lineage" / "cursor.json").write_text(damage)
    forward(log, settings)
    assert lines(settings) == EVENTS


def test_nothing_outside_can_silence_the_transports(
    log: AuditLog, tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    (elsewhere / "openlineage.yml").write_text("transport:\n  type: noop\n")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(elsewhere / "openlineage.yml"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "noop")
    settings = home(tmp_path, f"http://{backend.address}")
    store(log, EVENTS)
    assert [result.sent for result in forward(log, settings)] == [len(EVENTS), len(EVENTS)]
    assert lines(settings) == backend.received == EVENTS


def test_a_backend_gets_every_event_in_order(log: AuditLog, tmp_path: Path, backend: Backend) -> None:
    settings = home(tmp_path, f"http://{backend.address}/lineage")
    store(log, EVENTS)
    assert forward(log, settings)[1] == Forwarded("http", sent=len(EVENTS))
    assert backend.received == EVENTS
    assert set(backend.paths) == {"/lineage/api/v1/lineage"}
    assert forward(log, settings)[1] == Forwarded("http")


def test_what_a_failing_backend_did_not_take_waits_and_arrives_later(
    log: AuditLog, tmp_path: Path, backend: Backend
) -> None:
    settings = home(tmp_path, f"http://{backend.address}")
    store(log, EVENTS)
    backend.statuses = [201, 201, 503]
    result = forward(log, settings)[1]
    assert result == Forwarded("http", sent=2, waiting=len(EVENTS) - 2, problem="HTTP 503")
    assert len(backend.paths) == 3, "one try, no retrying"
    forward(log, settings)
    assert backend.received == EVENTS


def test_an_event_a_backend_will_never_take_does_not_hold_up_the_rest(
    log: AuditLog, tmp_path: Path, backend: Backend
) -> None:
    store(log, EVENTS)
    backend.statuses = [201, 400]
    result = forward(log, home(tmp_path, f"http://{backend.address}"))[1]
    assert result == Forwarded("http", sent=len(EVENTS) - 1, rejected=1, problem="HTTP 400")
    assert backend.received == [EVENTS[0], *EVENTS[2:]]


def test_a_dead_backend_costs_one_short_try_and_the_file_is_written(log: AuditLog, tmp_path: Path) -> None:
    with Backend() as closed:
        address = closed.address
    settings = home(tmp_path, f"http://{address}")
    store(log, EVENTS)
    began = time.monotonic()
    file, http = forward(log, settings)
    assert time.monotonic() - began < 4
    assert (file.sent, http.sent, http.waiting) == (len(EVENTS), 0, len(EVENTS))
    assert http.problem == "ConnectionError"


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "ftp://127.0.0.1", "http://[::1", "http://127.0.0.1:99999"]
)
def test_an_address_that_is_none_is_a_count_not_an_exception(log: AuditLog, tmp_path: Path, url: str) -> None:
    store(log, EVENTS)
    file, http = forward(log, home(tmp_path, url))
    assert (file.sent, http.sent, http.waiting) == (len(EVENTS), 0, len(EVENTS))
    assert http.problem


def test_a_new_backend_is_given_everything(log: AuditLog, tmp_path: Path, backend: Backend) -> None:
    store(log, EVENTS)
    forward(log, home(tmp_path, f"http://{backend.address}/first"))
    forward(log, home(tmp_path, f"http://{backend.address}/second"))
    forward(log, home(tmp_path, f"http://{backend.address}/first"))
    assert backend.received == EVENTS * 2


def test_credentials_reach_the_backend_and_nothing_else(
    log: AuditLog, tmp_path: Path, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    settings = home(tmp_path, f"http://scribe:canary%2Fpw@{backend.address}")
    store(log, EVENTS[:1])
    with caplog.at_level(logging.DEBUG):
        backend.statuses = [201]
        results = forward(log, settings)
        store(log, EVENTS[1:], version=2)
        backend.status = 503
        results += forward(log, settings)
    assert backend.authorization[0] == "Basic c2NyaWJlOmNhbmFyeS9wdw=="
    assert caplog.records
    written = caplog.text + repr(results) + "".join(p.read_text() for p in (tmp_path / "lineage").glob("*.*"))
    for secret in ("canary", "scribe", "c2NyaWJl"):
        assert secret not in written


def test_only_one_process_forwards_at_a_time(log: AuditLog, tmp_path: Path) -> None:
    settings = home(tmp_path)
    store(log, EVENTS)
    (tmp_path / "lineage").mkdir()
    with FileLock(tmp_path / "lineage" / "forward.lock"):
        assert forward(log, settings) == ()
    assert forward(log, settings)[0].sent == len(EVENTS)


def test_a_file_that_cannot_be_written_is_a_count_not_an_exception(log: AuditLog, tmp_path: Path) -> None:
    settings = home(tmp_path)
    store(log, EVENTS)
    lineage_file(settings).mkdir(parents=True)
    assert forward(log, settings) == (Forwarded("file", waiting=len(EVENTS), problem="not writable"),)


def test_when_time_is_up_the_rest_waits(log: AuditLog, tmp_path: Path, backend: Backend) -> None:
    settings = home(tmp_path, f"http://{backend.address}")
    store(log, EVENTS)
    http = forward(log, settings, seconds=0)[1]
    assert http == Forwarded("http", sent=1, waiting=len(EVENTS) - 1, problem="out of time")
    forward(log, settings)
    assert backend.received == EVENTS
