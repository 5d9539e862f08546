"""A request says all it reads, and what is decided about it is exactly what follows."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.audit.events import Event
from orchestration.audit.stage_events import RequestDecided
from orchestration.participants.verdict import verdicts
from tests.unit.participants.founding import EVIDENCE, Trio, read_terms, refused, refused_event


def test_the_operator_permits_no_request_that_waits_for_people(trio: Trio) -> None:
    read_terms(trio, "shop.analyst")
    trio.act("shop.analyst", "r-1", trio.request())
    permitted = RequestDecided(allowed=True, message="Yes.")
    refused("consequence.not_due", lambda: trio.operator("r-1", permitted))
    refused("lifecycle.illegal_step", lambda: trio.operator("r-2", permitted))
    trio.vote("shop.steward", "r-1")
    trio.vote("panel.steward", "r-1")
    refused("consequence.not_due", lambda: trio.operator("r-1", permitted))  # in words nobody derived
    (due,) = verdicts_of(trio)
    trio.log.append(due)


def verdicts_of(trio: Trio) -> list[Event]:
    with trio.state() as state:
        return list(verdicts(state))


def test_the_operator_denies_nothing_on_its_own(trio: Trio) -> None:
    read_terms(trio, "shop.analyst")
    trio.act("shop.analyst", "r-1", trio.request())
    denied = RequestDecided(allowed=False, code="x", message="No.")
    refused("consequence.not_due", lambda: trio.operator("r-1", denied))
    trio.vote("panel.steward", "r-1", "reject")
    refused("consequence.not_due", lambda: trio.operator("r-1", denied))
    (due,) = verdicts_of(trio)
    refused("house.speaks_for_itself", lambda: trio.log.append(due.model_copy(update={"actor": "panel"})))
    trio.log.append(due)
    with trio.state() as state:
        request = state.request("r-1")
    assert request is not None
    assert (request.status, request.code) == ("denied", "request.not_approved")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"datasets": ()}, "computation.other_datasets"),
        ({"datasets": ("sales",)}, "computation.other_datasets"),
        ({"datasets": ("sales", "people", "products")}, "computation.other_datasets"),
        ({"parameters": {"rows": "no such"}}, "request.malformed"),
        ({"parameters": {"rows": "none"}}, "computation.other_datasets"),
        ({"parameters": {"rows": 1}}, "request.malformed"),
        ({"charter": EVIDENCE}, "charter.changed_since"),
        ({"charter": None}, "charter.changed_since"),
    ],
    ids=str,
)
def test_a_request_says_all_that_it_reads_and_under_which_charter(
    trio: Trio, changes: dict[str, Any], code: str
) -> None:
    read_terms(trio, "shop.analyst")
    refused_event(trio, code, trio.signed("shop.analyst", "r-1", trio.request(**changes)))
