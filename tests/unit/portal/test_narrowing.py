"""No page, JSON or CSV says anything about an event that the log itself withholds from the viewer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    DecisionConcluded,
    DecisionOpened,
    DisputeDocumented,
    DisputeRaised,
    VoteCast,
)
from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import StageFailed
from orchestration.digests import digest_bytes
from orchestration.house import House
from orchestration.portal.sight import Sight
from orchestration.stages import login
from tests.unit.portal.portal_house import GROCERY, Story, client_of, empty_house

PAGES = (
    "/",
    "/overview.json",
    "/overview.csv",
    "/governance",
    "/governance.json",
    "/lineage",
    "/lineage?level=column",
    "/lineage?edges=values",
    "/lineage.json",
    "/lineage.csv",
    "/catalog",
    "/catalog.json",
    "/catalog.csv",
    "/catalog/demographics",
    "/catalog/demographics.json",
    "/catalog/transactions",
    "/catalog/transactions.json",
    "/catalog/coupons.json",
)
LOG_PAGES = ("/log", "/log?before=50", "/log.json", "/log.csv")
SHORTEST = 8  # shorter ones are words that occur anywhere
VIEWERS = (
    "retailer.steward",
    "brand_agency.analyst",
    "media_owner.reviewer",
    "data_provider.steward",
    "data_provider.auditor",
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The populated house, with questions and disputes that concern some organizations and not others."""
    house = empty_house(tmp_path_factory.mktemp("busy"))
    story = Story(house)
    story.tell()
    govern(story)
    elsewhere(story)
    yield house
    house.log.close()


def govern(story: Story) -> None:
    """A decision and a dispute that the retailer has no part in."""
    asked = DecisionOpened(matter="exception", about="week-for-agency", content={"what": "A week longer."})
    story.say("d-exception-agency", "brand_agency.steward", asked, "The agency is late.")
    voted = VoteCast(decision="d-exception-agency", vote="reject")
    story.say("d-exception-agency", "media_owner.reviewer", voted, "A week is far too long.")
    concluded = DecisionConcluded(
        decision="d-exception-agency",
        outcome="rejected",
        rejections=("media_owner.reviewer",),
        rule="two of the three counsels",
    )
    story.say("d-exception-agency", "operator", concluded)
    raised = DisputeRaised(about_kind="dataset", about="demographics", remedy="recall")
    story.say("x-demographics-consent", "media_owner.reviewer", raised, "Households complained to us.")
    pack = DisputeDocumented(digest=digest_bytes(b"evidence pack"))
    story.say("x-demographics-consent", "operator", pack)


def elsewhere(story: Story) -> None:
    """Something in another collaboration of the same house."""
    payload = StageFailed(
        stage="room",
        subject="merger-of-two-banks",
        code="storage.full_elsewhere",
        message="Another collaboration ran out of space.",
        next_step="Its own members look after that.",
    )
    newest = story.house.log.events(newest_first=True, limit=1)[0].event
    event = Event(
        collaboration="merger",
        subject="merger-of-two-banks",
        actor="operator",
        time=newest.time,
        payload=payload,
    )
    story.house.log.append(event)


def strings(document: Any) -> Iterator[str]:
    """Every text in a JSON document, and every key that is no plain name of a field."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from strings(value)
            if not key.isidentifier():
                yield key
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)
    elif isinstance(document, str):
        yield document


def said(logged: LoggedEvent) -> set[str]:
    return set(strings(logged.event.model_dump(mode="json")))


def seen_by(house: House, member: str) -> set[int]:
    return Sight(house.log).of(login.require_viewer(house, GROCERY, member)).numbers


def known_words(house: House, seen: set[int]) -> str:
    """Everything the viewer may know: the charter, the events within sight, and what their runs told."""
    with house.log.read() as connection:
        rows = connection.execute(text("SELECT seq, event FROM lineage")).all()
    words = [json.dumps(house.charter(GROCERY).document), *(row.event for row in rows if row.seq in seen)]
    for logged in house.log.events():
        if logged.seq in seen:
            words += [logged.receipt_id, *said(logged)]
    return "\n".join(words)


def withheld(house: House, member: str) -> tuple[set[str], set[str]]:
    """Words and receipts of events outside the viewer's sight that stand nowhere within it."""
    seen = seen_by(house, member)
    known = known_words(house, seen)
    hidden = [logged for logged in house.log.events() if logged.seq not in seen]
    words = {word for logged in hidden for word in said(logged) if len(word) >= SHORTEST}
    receipts = {logged.receipt_id for logged in hidden}
    words -= receipts
    return {each for each in words if each not in known}, {each for each in receipts if each not in known}


@pytest.mark.parametrize("member", VIEWERS)
def test_nothing_outside_the_viewers_sight_is_on_any_page(busy: House, member: str) -> None:
    words, receipts = withheld(busy, member)
    assert "merger-of-two-banks" in words
    client = client_of(busy, member)
    events = [f"/log/{seq}{twin}" for seq in range(busy.log.size) for twin in ("", ".json")]
    for address in (*PAGES, *LOG_PAGES, *events):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert [word for word in words if word in answer.text] == [], address
        if address in PAGES:  # the log shows the leaf of every event, and nothing else of it
            shown = [each for each in receipts if each in answer.text or f">{each[:7]}<" in answer.text]
            assert shown == [], address


def test_the_test_above_has_something_to_find(busy: House) -> None:
    wanted = {"d-exception-agency", "x-demographics-consent", "coupons-second-try", "A week is far too long."}
    words, receipts = withheld(busy, "retailer.steward")
    assert wanted <= words
    assert len(receipts) > 20
    assert not wanted & withheld(busy, "data_provider.auditor")[0]


def test_those_concerned_see_the_question_and_every_vote(busy: House) -> None:
    for member in ("brand_agency.analyst", "media_owner.reviewer", "data_provider.auditor"):
        view = client_of(busy, member).get("/governance.json").json()
        voices = {each["id"]: [voice["member"] for voice in each["voices"]] for each in view["decisions"]}
        assert voices == {"d-exception-agency": ["media_owner.reviewer"], "x-demographics-consent": []}
        assert [each["id"] for each in view["disputes"]] == ["x-demographics-consent"]
    retailer = client_of(busy, "retailer.steward").get("/governance.json").json()
    assert (retailer["decisions"], retailer["disputes"]) == ([], [])


def test_how_far_others_have_come_is_theirs_to_tell(busy: House) -> None:
    client = client_of(busy, "media_owner.steward")
    view = client.get("/overview.json").json()
    for chain in view["chains"]:
        own = chain["participant"] == "media_owner"
        assert (len(chain["steps"]), chain["contribution"] is not None) == ((4, True) if own else (0, False))
    for party in view["parties"]:
        assert (party["rows"] is None) == (party["delivered"] is None) == (party["id"] != "media_owner")
    assert client.get("/").text.count("Shown to its owner alone") == 7


def test_what_a_verification_found_is_named_only_to_whoever_sees_the_whole_log(new_house: House) -> None:
    story = Story(new_house)
    story.found()
    story.contribute("demographics")
    engine = create_engine(new_house.settings.control_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE members SET participant = 'x' WHERE member = 'media_owner.analyst'"))
    engine.dispose()
    for member, named in (("data_provider.auditor", True), ("retailer.steward", False)):
        client = client_of(new_house, member)
        page, document = client.get("/").text, client.get("/overview.json").json()["log"]
        assert "1 problem found" in page
        assert document["problems"] == 1
        assert ("table members" in page) == named == bool(document["found"])


@pytest.mark.parametrize("page", ["/", "/governance", "/lineage", "/log"])
def test_no_link_of_a_narrowed_page_leads_nowhere(busy: House, page: str) -> None:
    client = client_of(busy, "media_owner.analyst")
    links = {link for link in re.findall(r'href="(/[^"]*)"', client.get(page).text) if "column=" not in link}
    assert len(links) > 8
    for link in links:
        assert client.get(unescape(link)).status_code == 200, link
