"""The portal as people meet it: `glasshouse serve` in its own process, opened by a real browser.

Every page is drawn at two widths; the browser's own record of the network says that nothing was asked of any
other host, and its console that no rule of the content security policy was broken.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest
import uvicorn

from orchestration.house import House
from orchestration.portal import create_app
from orchestration.portal.sessions import Sessions
from orchestration.settings import PROJECT_ROOT, child_environment, load_settings
from tests.unit.portal.portal_house import GROCERY, populated_house

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)
PAGES = {
    "overview": ("/", "From contribution to room"),
    "lineage": ("/lineage", "The same facts in words"),
    "columns": ("/lineage?level=column&insight=joint_segmentation", "household_id"),
    "path": ("/lineage?column=insight.joint_segmentation.amount", "Path of"),
    "log": ("/log", "output.released"),
    "event": ("/log/20", "The proof holds"),
    "governance": ("/governance", "Participants and their members"),
    "error": ("/nowhere", "portal.no_such_page"),
}
SERVE = (sys.executable, "-c", "from orchestration.cli import main; main()", "serve")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    populated_house(home).log.close()
    return home


@dataclass(frozen=True)
class Portal:
    """A running portal whose visitors are an auditor."""

    address: str
    sessions: Sessions

    def entry(self, path: str) -> str:
        """An address that signs in, once, and leads to the page."""
        to = urlencode({"to": path})
        return f"{self.address}/enter/{self.sessions.offer(GROCERY, 'data_provider.auditor')}?{to}"


@pytest.fixture(scope="module")
def portal(home: Path) -> Iterator[Portal]:
    settings = load_settings(home=home, charters=PROJECT_ROOT / "charters")
    with House.opened(settings) as house, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        sessions = Sessions()
        server = uvicorn.Server(
            uvicorn.Config(create_app(house, sessions), log_level="warning", lifespan="off")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Portal(f"http://127.0.0.1:{listener.getsockname()[1]}", sessions)
        server.should_exit = True
        thread.join()


def test_it_is_served_until_it_is_interrupted(home: Path) -> None:
    with subprocess.Popen(
        [*SERVE, "--port", "0"], env=environment(home), stderr=subprocess.PIPE, text=True, cwd=home
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, said
        with urlopen(found[0], timeout=20) as answer:
            assert b"Sign in" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr.read().strip() == "read-only; stop with Ctrl-C"


def environment(home: Path) -> dict[str, str]:
    return child_environment(
        GLASSHOUSE_HOME=str(home), GLASSHOUSE_CHARTERS=str(PROJECT_ROOT / "charters"), COLUMNS="120"
    )


def browse(url: str, folder: Path, *options: str, names: str = "") -> subprocess.CompletedProcess[str]:
    """Open one page in a fresh browser; fails when the console complains or another host is asked."""
    record = folder / "network.json"
    command = [
        str(CHROMIUM),
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={record}",
        f"--host-resolver-rules={names}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    done = subprocess.run([*command, *options, url], capture_output=True, text=True, timeout=90, check=True)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "404" not in line]
    assert complaints == []
    assert hosts_asked(record) == {urlsplit(url).hostname}
    return done


def hosts_asked(record: Path) -> set[str | None]:
    """Hosts that the page and what it loads asked, from Chromium's record; the browser's own calls aside."""
    events = json.loads(record.read_text())["events"]
    asked = [event["params"] for event in events if "request_type" in event.get("params", {})]
    of_page = [
        each for each in asked if each["request_type"] == "main frame" or each["initiator"].startswith("http")
    ]
    return {urlsplit(each["url"]).hostname for each in of_page}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_in_a_browser(portal: Portal, tmp_path: Path, name: str) -> None:
    path, expected = PAGES[name]
    assert expected in browse(portal.entry(path), tmp_path, "--dump-dom").stdout


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_drawn(portal: Portal, tmp_path: Path, name: str, width: int) -> None:
    shot = tmp_path / "shot.png"
    browse(portal.entry(PAGES[name][0]), tmp_path, f"--screenshot={shot}", f"--window-size={width},1000")
    picture = shot.read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") == width
    assert len(picture) > 15_000  # an empty or unstyled page compresses to less


def test_the_browser_is_refused_under_another_name(portal: Portal, tmp_path: Path) -> None:
    """DNS rebinding: a foreign name that leads to this machine."""
    url = portal.address.replace("127.0.0.1", "rebound.example")
    shown = browse(url, tmp_path, "--dump-dom", names="MAP rebound.example 127.0.0.1, ").stdout
    assert "answers only to" in shown
    assert "Receipts" not in shown


def test_a_port_in_use_is_a_coded_refusal(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*SERVE, "--port", port],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert "serve.port_in_use" in done.stderr


def test_there_is_nothing_to_serve_without_a_house(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SERVE, "--port", "0"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "house.not_initialized" in done.stderr
