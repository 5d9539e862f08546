"""Every page opens, says the same in JSON and CSV, loads nothing from elsewhere, escapes what it shows."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from orchestration.house import House
from orchestration.portal.texts import amount, day, pretty_json, query
from tests.unit.portal.portal_house import HOSTILE, Story, client_of

PAGES = (
    "/",
    "/lineage",
    "/lineage?level=column&insight=joint_segmentation",
    "/lineage?column=insight.joint_segmentation.amount",
    "/lineage?table=staging.stg_profile&edges=values",
    "/catalog",
    "/catalog?q=class:sensitive+income",
    "/catalog?q=nothing-has-this-name",
    "/catalog/demographics",
    "/catalog/promotions",
    "/log",
    "/log?type=gate.passed",
    "/log/0",
)
TWINS = (
    "/overview.json",
    "/lineage.json",
    "/catalog.json",
    "/catalog/coupons.json",
    "/log.json",
    "/log/7.json",
    "/overview.csv",
    "/lineage.csv",
    "/catalog.csv",
    "/log.csv",
)


class Reader(HTMLParser):
    """What a page links to, loads, and whether anything in it is inline."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self._script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("link", "script", "img", "iframe", "use", "object"):
            self.loads.append(str(given.get("src") or given.get("href")))
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []
        self.ids += [str(given["id"])] if "id" in given else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_only_from_its_own_house_and_nothing_inline(client: TestClient, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200, answer.text
    read = Reader(answer.text)
    assert all(address.startswith("/static/") for address in read.loads)
    assert read.inline == []
    assert all(address.startswith(("/", "#")) for address in read.links)
    assert "http://" not in answer.text
    assert "https://" not in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_first_heading_unique_ids_and_a_language(client: TestClient, page: str) -> None:
    body = client.get(page).text
    read = Reader(body)
    assert read.headings.count("h1") == 1
    assert len(read.ids) == len(set(read.ids))
    assert '<html lang="en">' in body


@pytest.mark.parametrize("page", PAGES)
def test_the_foot_says_where_the_log_stands_and_how_to_check(
    client: TestClient, house: House, page: str
) -> None:
    body = client.get(page).text
    assert f"{house.log.size} events" in body
    assert house.log.root().hex() in body
    assert "glasshouse audit verify" in body


def test_no_link_leads_nowhere(client: TestClient) -> None:
    waiting, seen = ["/"], {"/"}
    opened = 0
    while waiting and opened < 150:
        address = waiting.pop(0)
        answer = client.get(address)
        opened += 1
        assert answer.status_code == 200, address
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for link in Reader(answer.text).links:
            if not link.startswith("#") and link not in seen:
                seen.add(link)
                waiting.append(link)
    assert opened == 150


@pytest.mark.parametrize("address", TWINS)
def test_every_page_has_its_twins_for_programs(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    if address.endswith(".json"):
        assert answer.json()
    else:
        assert len(list(csv.reader(io.StringIO(answer.text)))) > 10


def test_the_lineage_twin_has_the_facts_of_its_page(client: TestClient) -> None:
    view = "?column=insight.joint_segmentation.amount"
    page = client.get(f"/lineage{view}").text
    edges = client.get(f"/lineage.json{view}").json()["edges"]
    assert f"{len(edges)} column edges" in page
    assert page.count('<span class="how ') == len(edges)
    rows = list(csv.DictReader(io.StringIO(client.get(f"/lineage.csv{view}").text)))
    assert [row["from_column"] for row in rows] == [edge["from_column"] for edge in edges]


def test_solid_for_values_and_dashed_for_influence(client: TestClient) -> None:
    page = client.get("/lineage").text
    assert '<path class="edge direct" d="M' in page
    assert '<path class="edge indirect" d="M' in page
    values = client.get("/lineage?edges=values").text
    assert 'class="edge indirect" d="M' not in values.split('<svg class="lineage"')[1]


def test_what_parties_write_is_shown_and_never_run(client: TestClient) -> None:
    for page in ("/", "/log", "/log/53"):
        assert HOSTILE not in client.get(page).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in client.get("/").text
    assert "'=HYPERLINK(0)" in client.get("/log.csv").text


def test_an_event_page_shows_its_leaf_and_its_proof(client: TestClient, house: House) -> None:
    logged = house.log.event(20)
    page = client.get("/log/20").text
    assert logged.receipt_id in page
    assert "The proof holds" in page
    assert "glasshouse audit proof 20 --json" in page
    document = client.get("/log/20.json").json()
    assert document["event"] == logged.event.model_dump(mode="json")
    assert document["proof"]["holds"] is True


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/nowhere", "portal.no_such_page"),
        ("/log/999999", "log.no_such_event"),
        ("/log?before=x", "portal.bad_number"),
        ("/log?before=99999999999999999999", "portal.bad_number"),
        ("/lineage?table=<b>", "portal.no_such_lineage"),
        ("/lineage?level=<b>", "portal.unknown_choice"),
        ("/static/../app.py", "portal.no_such_page"),
        ("/static/%2e%2e/app.py", "portal.no_such_page"),
    ],
)
def test_a_wrong_address_is_a_coded_404(client: TestClient, address: str, code: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert code in answer.text
    assert "<b>" not in answer.text


def test_a_wrong_address_of_a_twin_answers_in_json(client: TestClient) -> None:
    answer = client.get("/log/999999.json")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "log.no_such_event"


@pytest.mark.parametrize("page", ["/", "/lineage", "/log", "/log/0"])
def test_a_new_house_has_its_pages_too(new_house: House, page: str) -> None:
    assert client_of(new_house).get(page).status_code == 200


def test_a_tampered_log_is_said_on_the_page(new_house: House) -> None:
    Story(new_house).found()
    engine = create_engine(new_house.settings.control_url)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE members SET participant = 'nobody' WHERE member = 'retailer.analyst'")
        )
    page = client_of(new_house).get("/").text
    assert "1 problem found" in page
    assert "table members, row grocery, retailer.analyst" in page
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE events SET content = CAST(replace(content, 'part', 'heart') AS BLOB)")
        )
    engine.dispose()
    answer = client_of(new_house).get("/log")
    assert answer.status_code == 500
    assert "log.broken_event" in answer.text
    assert "does not verify" in answer.text


def test_an_unexpected_error_shows_only_its_public_form(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("jane@example.com")

    monkeypatch.setattr("orchestration.portal.pages.head", fail)
    answer = client_of(house).get("/log")
    assert answer.status_code == 500
    assert "internal.unexpected" in answer.text
    assert "jane" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_coloured_json_escapes_everything() -> None:
    shown = pretty_json({"<b>": ["</span>", -1.5, None, 'say "hi"']})
    assert "<b>" not in shown
    assert "&lt;/span&gt;" in shown
    plain = re.sub(r"</?span[^>]*>", "", str(shown))
    assert "&#34;&lt;b&gt;&#34;: [" in plain
    assert plain.count("\n") == 7


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10 k"),
        (124_926, "124.9 k"),
        (1_561_638, "1.6 M"),
        (2 * 10**9, "2 G"),
    ],
)
def test_large_counts_are_short(value: int, shown: str) -> None:
    assert amount(value) == shown


def test_days_and_queries_read_well() -> None:
    assert day("2026-01-02") == "2 January 2026"
    assert day("2026-12-31T23:00:00.000Z") == "31 December 2026"
    assert query(type="a&b", subject=None) == "?type=a%26b"
