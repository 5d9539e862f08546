from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.audit.events import Event
from orchestration.audit.stage_events import GatePassed, RequestSubmitted
from orchestration.audit.vocabulary import Payload, StageReceipt, now
from tests.unit.audit.audit_story import accepted, gate_passed, receipt, submitted

MOMENT = datetime(2026, 1, 31, 10, 30, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))


def event(payload: Payload, **fields: Any) -> Event:
    return Event(**({"collaboration": "grocery", "subject": "s", "actor": "a", "payload": payload} | fields))


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(event(accepted()).content())
    return loaded


def test_the_type_follows_from_the_payload() -> None:
    assert event(submitted()).type == "request.submitted"


def test_times_are_utc_in_whole_milliseconds() -> None:
    told = event(submitted(), time=MOMENT)
    assert told.time == datetime(2026, 1, 31, 9, 30, 0, 123_000, tzinfo=UTC)
    assert b'"time":"2026-01-31T09:30:00.123Z"' in told.content()


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        event(submitted(), time=datetime(2026, 1, 31))  # noqa: DTZ001 - the point


def test_an_event_is_timed_when_nobody_says_when() -> None:
    before = now()
    assert before <= event(submitted()).time <= now()


@pytest.mark.parametrize("type_", ["", "made.up", None], ids=str)
def test_an_unknown_type_is_refused(type_: str | None) -> None:
    with pytest.raises(ValidationError, match="unknown event type"):
        Event.model_validate(document() | {"type": type_})


def test_a_payload_of_another_type_is_refused() -> None:
    with pytest.raises(ValidationError):
        Event.model_validate(document() | {"type": "gate.passed"})
    with pytest.raises(ValidationError, match="not of the event's type"):
        event(submitted(), type="gate.passed")


def test_a_payload_nobody_registered_is_refused() -> None:
    class Homemade(Payload):
        type = "made.up"

    for payload in (Homemade(), Payload()):
        with pytest.raises(ValidationError, match="not of the event's type"):
            event(payload)


@pytest.mark.parametrize("where", ["event", "payload", "receipt"])
def test_an_extra_field_is_refused(where: str) -> None:
    loaded = document()
    target = {"event": loaded, "payload": loaded["payload"], "receipt": loaded["payload"]["receipt"]}[where]
    target["note"] = "extra"
    with pytest.raises(ValidationError, match="Extra inputs"):
        Event.model_validate(loaded)


def test_content_in_another_spelling_is_refused() -> None:
    leaf = event(accepted()).content()
    assert Event.from_content(leaf).content() == leaf
    with pytest.raises(ValueError, match="canonical"):
        Event.from_content(json.dumps(json.loads(leaf), indent=1).encode())


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ValidationError):
        event(submitted(), justification="\ud800")


def test_a_count_is_a_number_that_json_can_hold() -> None:
    for bad in (-1, 2**53, 1.0, True, "1"):
        with pytest.raises(ValidationError):
            accepted().__class__.model_validate(accepted().model_dump() | {"rows": bad})


FAILED = {"rule": "r2", "expectation": "unique", "passed": False}
WARNING = FAILED | {"severity": "warning"}


@pytest.mark.parametrize(
    "checks",
    [[], [WARNING | {"passed": True}], [FAILED]],
    ids=["none", "none that is critical", "one failed"],
)
def test_a_gate_passes_by_critical_checks_only(checks: list[dict[str, Any]]) -> None:
    good = gate_passed("c1", "transactions").model_dump()
    with pytest.raises(ValidationError, match="has not passed"):
        GatePassed.model_validate(good | {"checks": checks})


def test_a_gate_may_pass_with_a_warning() -> None:
    good = gate_passed("c1", "transactions").model_dump()
    GatePassed.model_validate(good | {"checks": [*good["checks"], WARNING]})


@pytest.mark.parametrize("other", [receipt("room", "c1"), receipt("gate", "c2")], ids=["stage", "subject"])
def test_a_receipt_about_something_else_is_refused(other: StageReceipt) -> None:
    good = gate_passed("c1", "transactions").model_dump()
    with pytest.raises(ValidationError, match=r"receipt"):
        GatePassed.model_validate(good | {"receipt": other.model_dump()})


def test_events_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        event(submitted()).actor = "somebody else"  # type: ignore[misc]


parameters = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
)


@given(parameters, st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_event_survives_its_content(chosen: dict[str, Any], time: datetime) -> None:
    payload = RequestSubmitted.model_validate(submitted().model_dump() | {"parameters": chosen})
    told = event(payload, time=time)
    again = Event.from_content(told.content())
    assert again == told
    assert again.payload.model_dump() == {**submitted().model_dump(), "parameters": chosen}
