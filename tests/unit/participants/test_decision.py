"""A decision carries its reason, its rules and its next step; at the edge it becomes an error."""

from __future__ import annotations

import pytest

from orchestration.errors import PolicyDeniedError, Reason, public
from orchestration.participants.decision import Decision

CLOSED_DOOR = Reason("test.closed_door", "{who} may not enter.", "Knock.")


def test_a_permission_raises_nothing() -> None:
    decision = Decision.permit("Come in.", policies=("Everybody may.",))
    decision.require()
    assert decision.allowed
    assert decision.policies == ("Everybody may.",)
    assert (decision.code, decision.next_step, decision.error) == (None, "", None)


def test_a_denial_tells_the_reasons_own_next_step_or_the_one_that_was_found() -> None:
    plain = Decision.deny(CLOSED_DOOR, who="shop.analyst")
    assert (plain.message, plain.next_step) == ("shop.analyst may not enter.", "Knock.")
    found = Decision.deny(CLOSED_DOOR, explained="Ask shop.steward.", policies=("Nobody may.",), who="x")
    assert found.next_step == "Ask shop.steward."
    assert found.policies == ("Nobody may.",)
    with pytest.raises(PolicyDeniedError) as denial:
        found.require()
    shown = public(denial.value)
    assert (shown.code, shown.message, shown.next_step) == (found.code, found.message, found.next_step)
