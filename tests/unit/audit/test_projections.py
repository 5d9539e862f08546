from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table, select

from orchestration.audit import tables as t
from orchestration.audit.projections import AlreadyRecordedError, OutOfOrderError
from orchestration.audit.stage_events import ComputationRun, RequestDecided
from orchestration.audit.vocabulary import Payload
from orchestration.digests import digest_bytes
from tests.postgres import both_databases
from tests.unit.audit.audit_story import (
    Desk,
    accepted,
    deidentified,
    gate_failed,
    gate_passed,
    receipt,
    refused,
    submitted,
)

pytestmark = both_databases


def rows(desk: Desk, table: Table) -> list[dict[str, Any]]:
    with desk.log.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def only(desk: Desk, table: Table) -> dict[str, Any]:
    (row,) = rows(desk, table)
    return row


def test_a_contribution_can_be_followed_to_its_gate(desk: Desk) -> None:
    desk.contribute("c1")
    row = only(desk, t.contributions)
    assert (row["status"], row["rows"], row["quarantined"]) == ("accepted", 10, 2)
    assert (row["table_name"], row["gate"]) == ("transactions_c1", "passed")
    assert only(desk, t.datasets)["contribution"] == "c1"


def test_the_last_contribution_that_passed_is_current(desk: Desk) -> None:
    desk.contribute("c1")
    desk.contribute("c2")
    assert only(desk, t.datasets)["contribution"] == "c2"


def test_a_failed_gate_takes_back_what_an_earlier_pass_gave(desk: Desk) -> None:
    desk.contribute("c1")
    desk.say("c1", gate_failed("c1"))
    assert only(desk, t.contributions)["gate"] == "failed"
    assert rows(desk, t.datasets) == []
    gates = [row for row in rows(desk, t.receipts) if row["stage"] == "gate"]
    # Taken back, not erased: an insight made while it stood still rests on it.
    assert [row["revoked"] for row in gates] == [True]


def test_a_table_made_anew_has_to_pass_the_gate_anew(desk: Desk) -> None:
    desk.contribute("c1")
    desk.say("c1", deidentified("c1", "transactions"))
    assert only(desk, t.contributions)["gate"] is None
    assert rows(desk, t.datasets) == []
    standing = {row["stage"] for row in rows(desk, t.receipts) if not row["revoked"]}
    assert standing == {"contribution", "deidentified"}


def test_a_gate_passed_again_brings_no_older_contribution_back(desk: Desk) -> None:
    desk.contribute("c1")
    desk.contribute("c2")
    desk.say("c1", deidentified("c1", "transactions"))
    desk.say("c1", gate_passed("c1", "transactions"))
    assert only(desk, t.datasets)["contribution"] == "c2"


def test_a_refused_contribution_may_be_accepted_later(desk: Desk) -> None:
    desk.say("c1", refused())
    assert only(desk, t.contributions)["code"] == "contribution.unsigned"
    desk.say("c1", refused("contribution.digest"))
    assert only(desk, t.contributions)["code"] == "contribution.digest"
    desk.say("c1", accepted("c1"))
    assert only(desk, t.contributions)["status"] == "accepted"


def test_a_request_moves_through_its_states(full_desk: Desk) -> None:
    row = only(full_desk, t.requests)
    assert (row["status"], row["code"]) == ("released", None)
    assert (row["datasets"], row["approval"]) == ('["transactions"]', None)
    assert row["parameters"] == '{"left":"shoppers","right":"mailed"}'
    release = only(full_desk, t.releases)
    assert (release["receivers"], release["recalled"]) == ('["brand_agency","retailer"]', False)
    assert [(row["granted"], row["code"]) for row in rows(full_desk, t.accesses)] == [
        (True, None),
        (False, "access.not_a_receiver"),
    ]


def test_a_denied_request_keeps_its_reason(desk: Desk) -> None:
    desk.say("r1", submitted())
    desk.say("r1", RequestDecided(allowed=False, code="request.purpose", message="No."))
    row = only(desk, t.requests)
    assert (row["status"], row["code"]) == ("denied", "request.purpose")


REPEATED: dict[str, Callable[[Desk], object]] = {
    "accepted": lambda desk: desk.say("c1", accepted("c1")),
    "refused": lambda desk: desk.say("c9", refused()),
    "submitted": lambda desk: desk.say("r1", submitted()),
}


@pytest.mark.parametrize("step", REPEATED.values(), ids=REPEATED)
def test_a_step_that_is_run_twice_counts_once(desk: Desk, step: Callable[[Desk], object]) -> None:
    step(desk)
    with pytest.raises(AlreadyRecordedError):
        step(desk)
    assert desk.log.size == 1


def test_the_same_delivery_under_another_name_counts_once(desk: Desk) -> None:
    desk.say("c1", accepted("c1", source=b"same"))
    with pytest.raises(AlreadyRecordedError):
        desk.say("c2", accepted("c2", source=b"same"))
    desk.say("c3", accepted("c3", "products", source=b"same"))


def test_a_decision_and_a_release_are_made_once(full_desk: Desk) -> None:
    size = full_desk.log.size
    release = next(logged for logged in full_desk.log.events("output.released")).event.payload
    for again in (RequestDecided(allowed=True, message="Permitted."), release):
        with pytest.raises((AlreadyRecordedError, OutOfOrderError)):
            full_desk.say("r1", again)
    assert full_desk.log.size == size


def computed(request: str) -> ComputationRun:
    return ComputationRun(
        receipt=receipt("cells", request),
        request=request,
        template="audience_overlap",
        template_digest=digest_bytes(b"template"),
    )


OUT_OF_ORDER: dict[str, tuple[str, Payload]] = {
    "de-identified before it was accepted": ("c1", deidentified("c1", "transactions")),
    "gate before de-identification": ("c1", gate_passed("c1", "transactions")),
    "decision on nothing": ("r1", RequestDecided(allowed=True, message="")),
    "computed before it was permitted": ("r1", computed("r1")),
}


@pytest.mark.parametrize(("subject", "payload"), OUT_OF_ORDER.values(), ids=OUT_OF_ORDER)
def test_a_step_out_of_order_is_refused(desk: Desk, subject: str, payload: Payload) -> None:
    with pytest.raises(OutOfOrderError) as caught:
        desk.say(subject, payload)
    assert caught.value.code == "log.out_of_order"
    assert desk.log.size == 0


def test_a_denied_request_is_not_computed(desk: Desk) -> None:
    desk.say("r1", submitted())
    desk.say("r1", RequestDecided(allowed=False, code="request.purpose", message="No."))
    with pytest.raises(OutOfOrderError, match="is denied"):
        desk.say("r1", computed("r1"))


def test_a_gate_judges_only_the_table_that_was_made(desk: Desk) -> None:
    desk.say("c1", accepted("c1"))
    desk.say("c1", deidentified("c1", "transactions"))
    other = gate_passed("c1", "transactions").model_copy(update={"table": "transactions_other"})
    with pytest.raises(OutOfOrderError):
        desk.say("c1", other)
