"""The portal as people meet it: `glasshouse serve` in its own process, opened by a real browser.

Every page is drawn at two widths; the browser's own record of the network says that nothing was asked of any
other host, and its console that no rule of the content security policy was broken.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import pytest
import uvicorn
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from orchestration.house import House
from orchestration.portal import create_app
from orchestration.portal.sessions import Sessions
from orchestration.settings import PROJECT_ROOT, child_environment, load_settings
from orchestration.stages import login
from tests.support import COLLABORATION, TinyHouse
from tests.unit.portal.portal_house import entered, populated_house

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
    "catalog": ("/catalog", "Find a dataset"),
    "dataset": ("/catalog/demographics", "Onboarding checklist"),
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

    house: House
    address: str
    sessions: Sessions

    def entry(self, path: str) -> str:
        """An address that signs in, once, and leads to the page."""
        to = urlencode({"to": path})
        auditor = entered(self.house, "data_provider.auditor")
        return f"{self.address}/enter/{self.sessions.offer(auditor)}?{to}"


@contextmanager
def serving(house: House) -> Iterator[Portal]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        sessions = Sessions()
        config = uvicorn.Config(
            create_app(house, sessions), log_level="warning", lifespan="off", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Portal(house, f"http://127.0.0.1:{listener.getsockname()[1]}", sessions)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def portal(home: Path) -> Iterator[Portal]:
    settings = load_settings(home=home, charters=PROJECT_ROOT / "charters")
    with House.opened(settings) as house, serving(house) as portal:
        yield portal


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
        assert process.stderr.read().splitlines() == [
            "nobody has a login yet; enter with a key: glasshouse serve --as MEMBER",
            "read-only; stop with Ctrl-C",
        ]


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


# --- forms, sent by the browser itself


class Browser:
    """A browser that is told what to do over DevTools, through two pipes and no other door."""

    def __init__(self, folder: Path) -> None:
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        flags = (*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank")
        actions = [(os.POSIX_SPAWN_DUP2, read_there, 3), (os.POSIX_SPAWN_DUP2, write_there, 4)]
        quiet = os.open(os.devnull, os.O_WRONLY)
        actions += [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
        self._process = os.posix_spawn(
            str(CHROMIUM), [str(CHROMIUM), *flags], os.environ, file_actions=actions
        )
        for end in (read_there, write_there, quiet):
            os.close(end)
        self._said, self._tell = os.fdopen(read_here, "rb", 0), os.fdopen(write_here, "wb", 0)
        self._numbers, self._rest, self._session = count(1), b"", ""
        page = next(each for each in self("Target.getTargets")["targetInfos"] if each["type"] == "page")
        attached = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]

    def __call__(self, method: str, **parameters: Any) -> Any:
        """Tell it one thing, and wait for its answer."""
        asked: dict[str, Any] = {"id": next(self._numbers), "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        self._tell.write(json.dumps(asked).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                self._rest += self._said.read(65_536) or pytest.fail("the browser is gone")
            said, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(said)
            if answer.get("id") == asked["id"]:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, script: str) -> Any:
        return self("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def open(self, url: str, expected: str) -> None:
        self("Page.navigate", url=url)
        self.wait_for(expected)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in str(self.value("document.readyState === 'complete' && document.body.innerText")):
            assert time.monotonic() < deadline, self.value("document.body.innerText")
            time.sleep(0.05)

    def history(self) -> list[str]:
        return [each["url"] for each in self("Page.getNavigationHistory")["entries"]]

    def close(self) -> None:
        self._session = ""
        self("Browser.close")
        os.waitpid(self._process, 0)
        self._said.close()
        self._tell.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path)
    yield browser
    browser.close()


def test_a_member_signs_in_and_out_in_a_browser(house: TinyHouse, browser: Browser) -> None:
    member, password = "shop.analyst", "four unrelated plain words"
    address = login.enable(house.house, COLLABORATION, member, password, house.key(member), "A login.")
    with serving(house.house) as portal:
        browser.open(f"{portal.address}/log?type=portal.entered", "Sign in")
        fill = "document.querySelector('[name={}]').value = {}"
        for name, value in (("member", member), ("password", password), ("code", code_of(address))):
            browser.value(fill.format(name, json.dumps(value)))
        browser.value("document.querySelector('main form button').click()")
        browser.wait_for("Entered the portal.")
        assert browser.value("location.pathname + location.search") == "/log?type=portal.entered"
        assert browser.value("document.cookie") == ""  # out of reach of any script
        browser.value("document.querySelector('form[action=\"/logout\"] button').click()")
        browser.wait_for("No login yet?")
        browser.open(f"{portal.address}/governance", "No login yet?")


def test_a_wrong_password_says_so_and_keeps_what_was_typed(house: TinyHouse, browser: Browser) -> None:
    with serving(house.house) as portal:
        browser.open(f"{portal.address}/governance", "Sign in")
        for name, value in (("member", "shop.analyst"), ("password", "not the one"), ("code", "000000")):
            browser.value(f"document.querySelector('[name={name}]').value = {json.dumps(value)}")
        browser.value("document.querySelector('main form button').click()")
        browser.wait_for("do not belong together")
        assert browser.value("document.querySelector('[name=member]').value") == "shop.analyst"
        assert browser.value("document.querySelector('[name=to]').value") == "/governance"
        assert browser.value("document.querySelector('[name=password]').value") == ""


def test_a_one_time_entry_stays_in_no_history_and_no_referer(portal: Portal, browser: Browser) -> None:
    browser.open(portal.entry("/governance"), "Participants and their members")
    used = portal.entry("/")
    browser.open(used, "Health of the log")
    browser.open(used, "was used before")
    assert not [address for address in browser.history() if "/enter/" in address]
    assert "/enter/" not in browser.value("document.referrer + location.href")
    assert "/enter/" not in browser.value("performance.getEntries().map(each => each.name).join(' ')")


def test_a_page_of_another_site_cannot_send_the_forms(portal: Portal, browser: Browser) -> None:
    for path in ("/login", "/logout"):
        form = f"<form method=post action={portal.address}{path}><button>Send</button></form>"
        browser.open(f"data:text/html,{form}", "Send")
        browser.value("document.querySelector('button').click()")
        browser.wait_for("sent by a page of another site")


def code_of(address: str) -> str:
    """What an authenticator app shows now for the address it was given."""
    secret = parse_qs(urlsplit(address).query)["secret"][0]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return TOTP(key, 6, SHA1(), 30).generate(int(time.time())).decode()


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
