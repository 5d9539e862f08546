"""The log in pages: nothing twice, nothing missing, and each event with a proof that others can check."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from orchestration.audit import checkpoint, merkle
from orchestration.errors import IntegrityError
from orchestration.house import House
from orchestration.portal import journal
from orchestration.portal.journal import Filter, read_page
from orchestration.portal.sight import Seen, Sight
from orchestration.signing import SigningKey
from orchestration.stages.login import Viewer
from tests.unit.portal.portal_house import GROCERY, Story, client_of


def everything(house: House) -> Seen:
    """What the auditor sees."""
    return Sight(house.log).of(
        Viewer(GROCERY, "data_provider.auditor", "data_provider", frozenset({"auditor"}))
    )


def test_the_pages_show_every_event_once_newest_first(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE", 7)
    seen: list[int] = []
    before: int | None = None
    while True:
        page = read_page(house.log, Filter(), everything(house), before)
        seen += [logged.seq for logged in page.entries]
        if page.older is None:
            break
        before = page.older
    assert seen == list(reversed(range(house.log.size)))


def test_a_full_last_page_has_nothing_older(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PAGE", house.log.size)
    assert read_page(house.log, Filter(), everything(house)).older is None


def test_a_filter_keeps_only_its_type_and_counts_all_of_them(house: House) -> None:
    page = read_page(house.log, Filter(type="gate.passed"), everything(house))
    assert {logged.event.type for logged in page.entries} == {"gate.passed"}
    assert page.total == len(page.entries) == page.types["gate.passed"] == 8
    assert sum(page.types.values()) == house.log.size


def test_a_subject_filter_keeps_only_its_subject(house: House) -> None:
    page = read_page(house.log, Filter(subject=GROCERY), everything(house))
    assert page.entries[0].event.type == "room.refreshed"  # type: ignore[union-attr]
    assert page.entries[-1].event.type == "charter.proposed"  # type: ignore[union-attr]


def test_the_export_has_every_event_whatever_the_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_BATCH", 5)
    found = [logged.seq for logged in journal.all_events(house.log, Filter(), everything(house))]
    assert found == list(reversed(range(house.log.size)))


def test_every_proof_leads_to_a_signed_head_or_to_the_present_one(house: House) -> None:
    signed = 0
    for logged in house.log.events():
        proof = journal.prove(house, logged)
        assert proof.holds
        path = [bytes.fromhex(each) for each in proof.path]
        leaf = merkle.leaf_hash(logged.commitment)
        assert merkle.verify_inclusion(leaf, logged.seq, proof.size, path, bytes.fromhex(proof.root))
        if proof.note is not None:
            signed += 1
            head = checkpoint.verify(proof.note, house.operator.public)
            assert (head.size, head.root.hex()) == (proof.size, proof.root)
        else:
            assert proof.root == house.log.root().hex()
    assert signed == house.log.size - 2  # the newest two came after the last checkpoint


def test_proving_writes_nothing(house: House) -> None:
    before = sorted(path.name for path in house.checkpoints.iterdir())
    journal.prove(house, house.log.event(house.log.size - 1))
    assert sorted(path.name for path in house.checkpoints.iterdir()) == before


def test_a_checkpoint_signed_by_somebody_else_is_no_signed_head(new_house: House) -> None:
    Story(new_house).found()
    stranger = SigningKey.generate()
    checkpoint.make(new_house.log, stranger, new_house.checkpoints)
    proof = journal.prove(new_house, new_house.log.event(0))
    assert (proof.note, proof.holds) == (None, True)
    page = client_of(new_house).get("/log/0").text
    assert "no valid signed checkpoint" in page
    overview = client_of(new_house).get("/").text
    assert "Valid signed checkpoints cover <strong>0</strong> of " in overview


def test_a_changed_event_is_not_shown(new_house: House) -> None:
    Story(new_house).found()
    engine = create_engine(new_house.settings.control_url)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE events SET content = CAST(replace(content, 'part', 'heart') AS BLOB) WHERE seq = 3")
        )
    engine.dispose()
    with pytest.raises(IntegrityError) as caught:
        read_page(new_house.log, Filter(), everything(new_house))
    assert caught.value.code == "log.broken_event"
