from __future__ import annotations

import pytest

from orchestration.audit import tables as t
from orchestration.audit.events import commitment
from orchestration.audit.merkle import leaf_hash
from orchestration.audit.receipts import load, require
from orchestration.digests import digest_bytes
from orchestration.errors import IntegrityError, ReceiptError
from tests.postgres import both_databases
from tests.unit.audit.audit_story import CHARTER, Desk, gate_failed

pytestmark = both_databases


def test_the_newest_receipt_of_a_stage_is_found(desk: Desk) -> None:
    first, second, gate = desk.contribute("c1")
    found = require(desk.log, "gate", "c1", charter_digest=CHARTER)
    assert (found.id, found.seq, found.inputs) == (gate.receipt_id, gate.seq, (second.receipt_id,))
    assert found.outputs == {"table": digest_bytes(b"c1")}
    assert require(desk.log, "contribution", "c1").id == first.receipt_id
    again = desk.say("c1", gate.event.payload)
    assert require(desk.log, "gate", "c1").seq == again.seq
    assert load(desk.log, gate.receipt_id).seq == gate.seq


@pytest.mark.parametrize(("stage", "subject"), [("gate", "c2"), ("room", "c1")])
def test_a_receipt_nobody_gave_is_missing(desk: Desk, stage: str, subject: str) -> None:
    desk.contribute("c1")
    with pytest.raises(ReceiptError) as caught:
        require(desk.log, stage, subject)  # type: ignore[arg-type]
    assert caught.value.code == "receipt.missing"


def test_a_failed_gate_leaves_no_receipt(desk: Desk) -> None:
    desk.contribute("c1")
    desk.say("c1", gate_failed("c1"))
    with pytest.raises(ReceiptError, match=r"receipt\.missing"):
        require(desk.log, "gate", "c1")


def test_a_receipt_of_another_charter_does_not_count(desk: Desk) -> None:
    desk.contribute("c1")
    with pytest.raises(ReceiptError) as caught:
        require(desk.log, "gate", "c1", charter_digest=digest_bytes(b"the next version"))
    assert caught.value.code == "receipt.other_charter"


def test_a_receipt_that_only_the_table_knows_is_broken(desk: Desk) -> None:
    desk.contribute("c1")
    with desk.log.write() as connection:
        connection.execute(t.receipts.update().where(t.receipts.c.stage == "gate").values(subject="c2"))
    with pytest.raises(IntegrityError):
        require(desk.log, "gate", "c2")


def test_a_receipt_for_an_event_outside_the_tree_is_broken(desk: Desk) -> None:
    """A whole forged event, hashed correctly and listed as a receipt, still is no leaf of the tree."""
    gate = desk.contribute("c1")[-1]
    changed = {"justification": "forged"}
    forged = gate.event.model_copy(update=changed).content()
    receipt_id = leaf_hash(commitment(forged, gate.salt)).hex()
    with desk.log.write() as connection:
        at = t.events.c.seq == gate.seq
        connection.execute(t.events.update().where(at).values(content=forged, receipt_id=receipt_id))
        connection.execute(
            t.receipts.update().where(t.receipts.c.seq == gate.seq).values(receipt_id=receipt_id)
        )
    with pytest.raises(IntegrityError) as caught:
        require(desk.log, "gate", "c1")
    assert caught.value.code == "log.broken_tree"
