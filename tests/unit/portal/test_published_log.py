"""The log under `/log`, as a witness somewhere else meets it: over HTTP, without a login."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from orchestration.audit import checkpoint, merkle, tile_reader, tiles, witness, witnessed
from orchestration.audit.log import AuditLog
from orchestration.audit.tile_reader import Website
from orchestration.audit.vocabulary import now
from orchestration.errors import ServiceError
from orchestration.portal.app import create_app
from tests.unit.audit.witness_story import Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as log:
        room = Room(tmp_path, log)
        room.found()
        room.grow(280)
        room.seal()
        yield room


@pytest.fixture
def app(room: Room) -> Any:
    house = SimpleNamespace(
        log=room.log, operator=room.operator, checkpoints=room.checkpoints, charters={"grocery": room.charter}
    )
    return create_app(house)  # type: ignore[arg-type]


@pytest.fixture
def client(app: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def site(app: Any) -> Iterator[Website]:
    """The portal behind a real socket."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Website(f"http://127.0.0.1:{port}/log")
    server.should_exit = True
    thread.join()


def test_what_is_served_is_what_would_be_written(room: Room, client: TestClient) -> None:
    room.publish()
    found = [path for path in room.published.rglob("*") if path.is_file()]
    assert len(found) == 7
    for path in found:
        name = path.relative_to(room.published).as_posix()
        served = client.get(f"/log/{name}")
        assert served.status_code == 200
        if name != tiles.OPERATOR:
            assert served.content == path.read_bytes(), name
    assert client.get(f"/log/{tiles.OPERATOR}").json() == room.operator.public
    assert client.get("/log/checkpoint").headers["content-type"] == "text/plain; charset=utf-8"
    assert "immutable" in client.get("/log/tile/0/000").headers["cache-control"]
    assert client.get("/log/checkpoint").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["tile/0/002", "tile/0/001.p/200", "tile/0/0", "tile/x", "tile/2/000"])
def test_there_are_no_other_tiles(client: TestClient, path: str) -> None:
    assert client.get(f"/log/{path}").status_code == 404


def test_nothing_beyond_the_signed_checkpoint_is_served(room: Room, client: TestClient) -> None:
    width = room.log.size % 256
    assert client.get(f"/log/tile/0/001.p/{width}").status_code == 200
    room.grow()
    assert client.get(f"/log/tile/0/001.p/{width + 1}").status_code == 404
    room.seal()
    assert client.get(f"/log/tile/0/001.p/{width + 1}").status_code == 200


def test_a_witness_looks_and_hands_in_over_http(room: Room, site: Website) -> None:
    seen = witness.observe(
        site,
        room.state,
        collaboration="grocery",
        participant="data_provider",
        key=room.keys["data_provider.auditor"],
        at=now(),
    )
    assert seen.head.size == room.log.size
    site.post("cosignature", seen.note)
    assert witnessed.witnessed(room.log, room.charter, room.log.size).participants == ("data_provider",)
    served = checkpoint.parse(tile_reader.fetch_text(site, tiles.CHECKPOINT))
    assert served.lines[1:] == (seen.cosignature.line,)
    read = tile_reader.reader(site, served.size)
    assert merkle.consistency_proof(3, served.size, read) == room.log.consistency_proof(3)


def test_a_cosignature_that_does_not_hold_is_refused_with_its_code(room: Room, site: Website) -> None:
    with pytest.raises(ServiceError) as caught:
        site.post("cosignature", "nothing")
    assert caught.value.code == "tiles.not_taken"
    assert "cosignature.unreadable" in caught.value.message
    with pytest.raises(ServiceError) as caught:
        site.post("cosignature", "x" * 100_000)
    assert "portal.too_long" in caught.value.message


def test_cosignatures_are_only_sent(client: TestClient) -> None:
    assert client.get("/log/cosignature").status_code in (404, 405)
    assert client.post("/log/checkpoint").status_code == 405
