from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit import governance_events as g
from orchestration.audit import stage_events as s
from orchestration.audit import view
from orchestration.audit.concerns import FOR_EVERYBODY, RULES
from orchestration.audit.events import PAYLOADS, Event
from orchestration.audit.log import AuditLog
from orchestration.audit.portal_events import LoginLocked
from orchestration.audit.view import participant_view, read_view, verify_view, write_view
from orchestration.digests import canonical_json, digest_bytes
from orchestration.errors import IntegrityError
from orchestration.signing import SigningKey
from tests.unit.audit.audit_story import accepted, deidentified, gate_passed, refused, released, submitted
from tests.unit.audit.witness_story import Room

RELEASE = "r1-release"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """The retailer gives data, the agency asks and receives, the media owner has nothing to do with it."""
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as log:
        room = Room(tmp_path, log)
        room.found()
        first = room.say("c1", accepted())
        second = room.say("c1", deidentified("c1", "transactions", first.receipt_id))
        gate = room.say("c1", gate_passed("c1", "transactions", second.receipt_id))
        asked = submitted().model_copy(update={"datasets": ("transactions", "campaigns")})
        room.say("r1", asked, "brand_agency.analyst")
        room.say("r1", s.RequestDecided(allowed=True, message="Permitted."))
        for payload in steps(gate.receipt_id):
            room.say("r1", payload)
        opened = s.OutputAccessed(release=RELEASE, member="brand_agency.analyst", detail="full")
        room.say(RELEASE, opened, "brand_agency.analyst")
        other = Event(collaboration="another", subject="c9", actor="retailer.steward", payload=refused())
        room.log.append(other)
        yield room


def steps(gate: str) -> list[Any]:
    from tests.unit.audit.audit_story import receipt

    cells = s.ComputationRun(
        receipt=receipt("cells", "r1", gate),
        request="r1",
        template="audience_overlap",
        template_digest=digest_bytes(b"template"),
    )
    shown = s.OutputGenerated(
        receipt=receipt("protected", "r1", gate),
        request="r1",
        template="audience_overlap",
        threshold=10,
        cells_shown=2,
        cells_primary=1,
        cells_complementary=0,
    )
    out = released("r1", gate, {"table.csv": b"a,b\n"}).model_copy(update={"receivers": ("brand_agency",)})
    return [cells, shown, out]


def made(room: Room, participant: str) -> dict[str, Any]:
    document = write_view(participant_view(room.log, room.seal(), "grocery", participant))
    return json.loads(canonical_json(document))


def shown(room: Room, participant: str) -> set[str]:
    """Types beyond those that everybody sees."""
    document = made(room, participant)
    everybody = {payload.type for payload in FOR_EVERYBODY}
    return {entry["event"]["type"] for entry in document["entries"] if "event" in entry} - everybody


def check(room: Room, document: dict[str, Any]) -> view.CheckedView:
    return verify_view(read_view(json.dumps(document)), room.operator.public)


def code_of(room: Room, document: dict[str, Any]) -> str:
    with pytest.raises(IntegrityError) as caught:
        check(room, document)
    return caught.value.code


# --- who sees what


def test_every_type_of_event_has_a_rule() -> None:
    assert set(PAYLOADS.values()) == {*FOR_EVERYBODY, *RULES}
    assert not set(FOR_EVERYBODY) & set(RULES)


def test_everybody_sees_the_agreement_and_who_takes_part(room: Room) -> None:
    for participant in ("retailer", "brand_agency", "media_owner", "data_provider"):
        types = [entry.get("event", {}).get("type") for entry in made(room, participant)["entries"]]
        assert types.count("charter.proposed") == 1
        assert types.count("participant.accepted") == 4
        assert types.count("member.enrolled") == len(room.charter.members) - 4


def test_a_contributor_sees_its_data_and_what_was_made_of_it(room: Room) -> None:
    assert shown(room, "retailer") == {
        "contribution.accepted",
        "dataset.deidentified",
        "gate.passed",
        "request.submitted",
        "request.decided",
        "computation.run",
        "output.generated",
        "output.released",
        "output.accessed",
    }


def test_a_receiver_sees_its_request_and_not_the_others_contribution(room: Room) -> None:
    assert shown(room, "brand_agency") == {
        "request.submitted",
        "request.decided",
        "computation.run",
        "output.generated",
        "output.released",
        "output.accessed",
    }


def test_who_has_nothing_to_do_with_it_sees_only_commitments(room: Room) -> None:
    assert shown(room, "media_owner") == set()


def test_of_others_events_nothing_is_told_but_the_commitment(room: Room) -> None:
    document = made(room, "media_owner")
    hidden = [entry for entry in document["entries"] if "event" not in entry]
    assert len(hidden) >= 8
    assert all(set(entry) == {"seq", "commitment"} for entry in hidden)
    text = json.dumps(document)
    for word in ("contribution.accepted", "request.submitted", "transactions_c1", "cells_shown", RELEASE):
        assert word not in text


def test_another_collaboration_in_the_same_log_is_not_shown(room: Room) -> None:
    document = made(room, "retailer")
    assert "event" not in document["entries"][-1]


def test_a_request_that_waits_for_a_vote_is_seen_by_those_who_vote(room: Room) -> None:
    right = room.charter.right_for("request")
    asked = submitted().model_copy(update={"approval": right.id, "datasets": ()})
    room.say("r2", asked, "brand_agency.analyst")
    room.say("r2", g.VoteCast(decision="r2", vote="approve"), "media_owner.steward")
    for participant in right.deciders:
        assert {"request.submitted", "vote.cast"} <= shown(room, participant)


def test_a_decision_is_seen_by_those_it_is_about(room: Room) -> None:
    opened = g.DecisionOpened(matter="membership", about="media_owner", content={"step": "suspend"})
    room.say("d1", opened, "retailer.steward")
    concluded = g.DecisionConcluded(decision="d1", outcome="rejected", rule="Nobody agreed.")
    room.say("d1", concluded)
    assert {"decision.opened", "decision.concluded"} <= shown(room, "media_owner")


def test_a_dispute_is_seen_by_those_whose_things_it_is_about(room: Room) -> None:
    raised = g.DisputeRaised(about_kind="release", about=RELEASE, remedy="recall")
    room.say("x1", raised, "data_provider.auditor")
    room.say("x1", g.DisputeDocumented(digest=digest_bytes(b"pack")))
    assert {"dispute.raised", "dispute.documented"} <= shown(room, "retailer")
    assert {"dispute.raised", "dispute.documented"} <= shown(room, "data_provider")


def test_what_a_member_does_for_itself_is_seen_by_its_organization_only(room: Room) -> None:
    room.say("media_owner.analyst", g.TermsAcknowledged(terms=digest_bytes(b"terms")), "media_owner.analyst")
    room.say("media_owner.analyst", LoginLocked(failures=5))
    assert shown(room, "media_owner") == {"terms.acknowledged", "login.locked"}
    assert not shown(room, "data_provider") & {"terms.acknowledged", "login.locked"}


def test_a_participant_called_like_the_house_sees_nothing_of_the_houses(room: Room) -> None:
    """The house acts as `operator`, without a dot: no member of anybody."""
    document = made(room, "operator")
    types = {entry["event"]["type"] for entry in document["entries"] if "event" in entry}
    assert types <= {payload.type for payload in FOR_EVERYBODY}


# --- checking one


def test_a_view_is_checked_with_the_operators_key_alone(room: Room) -> None:
    found = check(room, made(room, "retailer"))
    assert found.head.size == room.log.size
    for seq, event in found.own.items():
        assert event == room.log.event(seq).event


def test_a_view_under_an_older_checkpoint_ends_there(room: Room) -> None:
    head = room.seal()
    room.grow(3)
    room.seal()
    document = json.loads(canonical_json(write_view(participant_view(room.log, head, "grocery", "retailer"))))
    assert len(document["entries"]) == head.size
    check(room, document)


def test_somebody_elses_checkpoint_does_not_count(room: Room) -> None:
    with pytest.raises(IntegrityError) as caught:
        verify_view(read_view(json.dumps(made(room, "retailer"))), SigningKey.generate().public)
    assert caught.value.code == "checkpoint.signature"


def test_an_entry_left_out_put_in_or_exchanged_is_found(room: Room) -> None:
    entries = made(room, "retailer")["entries"]
    for changed in (
        entries[:-1],
        entries[1:],
        [*entries, entries[-1] | {"seq": len(entries)}],
        [entries[1] | {"seq": 0}, entries[0] | {"seq": 1}, *entries[2:]],
        [entries[1], entries[0], *entries[2:]],
        [],
    ):
        assert code_of(room, made(room, "retailer") | {"entries": changed}) == "view.not_the_log"


def test_an_event_that_was_changed_is_found_and_named(room: Room) -> None:
    document = made(room, "retailer")
    for entry in document["entries"]:
        if "event" in entry:
            kept = entry["event"]["justification"]
            entry["event"]["justification"] = "another"
            assert code_of(room, document) == "view.not_the_event"
            entry["event"]["justification"] = kept
            salt = entry["salt"]
            entry["salt"] = "00" * 32
            assert code_of(room, document) == "view.not_the_event"
            entry["salt"] = salt
    check(room, document)


def test_an_event_without_its_salt_proves_nothing(room: Room) -> None:
    document = made(room, "retailer")
    del next(entry for entry in document["entries"] if "event" in entry)["salt"]
    assert code_of(room, document) == "view.not_the_event"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "glasshouse-view/2"}', "[" * 3000])
def test_what_is_no_view_is_said_to_be_unreadable(text: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        read_view(text)
    assert caught.value.code == "view.unreadable"


def test_a_view_of_a_broken_log_is_not_handed_out(room: Room) -> None:
    head = room.seal()
    with room.log.write() as connection:
        connection.exec_driver_sql("UPDATE events SET salt = zeroblob(32) WHERE seq = 3")
    with pytest.raises(IntegrityError):
        participant_view(room.log, head, "grocery", "retailer")
