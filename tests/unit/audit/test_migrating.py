"""A database of an earlier revision, with events in it, says after the upgrade what they say."""

from __future__ import annotations

import json

from sqlalchemy import text

from orchestration.audit import database
from orchestration.audit import tables as t
from orchestration.audit.database import migrate, open_engine, reading, writing
from orchestration.audit.events import Event
from orchestration.audit.governance_events import DataDestroyed
from orchestration.audit.vocabulary import timestamp
from tests.postgres import both_databases
from tests.unit.audit.audit_story import accepted, refused


def event(subject: str, payload: object) -> Event:
    return Event(collaboration="grocery", subject=subject, actor="operator", payload=payload)


def test_an_event_of_before_keeps_its_bytes() -> None:
    """Fields that came later are not written while they say nothing."""
    for subject, payload in (
        ("c1", accepted("c1")),
        ("c2", refused("c2")),
        ("shop", DataDestroyed(rule="left", contributions=("c1",), key_ids=("vault/c1",))),
    ):
        before = event(subject, payload)
        told = json.loads(before.content())["payload"]
        assert not type(payload).later & told.keys()
        assert Event.from_content(before.content()) == before
    grown = event(
        "shop", DataDestroyed(rule="retention", clause="retention.releases_days", releases=("i-1",))
    )
    assert json.loads(grown.content())["payload"]["releases"] == ["i-1"]
    assert Event.from_content(grown.content()) == grown


@both_databases
def test_rows_of_before_get_what_their_events_say(control_url: str) -> None:
    engine = open_engine(control_url)
    before = refused().model_copy(update={"sealed": "refused-1"})
    events = [event("c1", accepted("c1")), event("c2", before)]

    with writing(engine) as connection:
        database._upgrade(connection, "0004")
        for seq, each in enumerate(events):
            row = {"seq": seq, "type": each.type, "collaboration": "grocery", "subject": each.subject}
            row |= {
                "time": timestamp(each.time),
                "receipt_id": f"{seq}",
                "salt": b"0",
                "content": each.content(),
            }
            connection.execute(t.events.insert(), row)
            connection.execute(
                text(
                    "INSERT INTO contributions (contribution, collaboration, participant, delivery, status,"
                    " quarantined, seq) VALUES (:name, 'grocery', 'shop', 'd', 'accepted', 0, :seq)"
                ),
                {"name": each.subject, "seq": seq},
            )
        connection.execute(
            text(
                "INSERT INTO receipts (receipt_id, collaboration, stage, subject, revoked, seq)"
                " VALUES ('0', 'grocery', 'contribution', 'c1', :no, 0)"
            ),
            {"no": False},
        )
    migrate(engine)
    with reading(engine) as connection:
        rows = connection.execute(t.contributions.select().order_by(t.contributions.c.seq)).all()
        (receipt,) = connection.execute(t.receipts.select()).all()
    assert [row.recorded_at for row in rows] == [timestamp(each.time) for each in events]
    assert [row.sealed for row in rows] == [None, "refused-1"]
    assert json.loads(receipt.outputs) == events[0].payload.receipt.outputs  # type: ignore[attr-defined]
    engine.dispose()
