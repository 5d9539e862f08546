"""The four levels: where a charter stands, and what the next one lacks."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestration.charter import Charter
from orchestration.charter.governance import Maturity
from orchestration.charter.maturity import LEVELS, gaps, level, next_level, reached
from tests.unit.charter.charter_text import GROCERY, STARTED

_UNREASONED = STARTED.model_copy(
    update={"audit": STARTED.audit.model_copy(update={"justification_required": False})}
)


@pytest.mark.parametrize(
    ("charter", "following", "lacking"),
    [
        (STARTED, "formal_audit", ["audit.witnesses"]),
        (_UNREASONED, "formal_audit", ["audit.witnesses", "audit.justification_required"]),
        (GROCERY, "private_computation", ["computations"]),
        (GROCERY.model_copy(update={"maturity": "manual_approvals"}), "automatic_checks", []),
        (GROCERY.model_copy(update={"maturity": "private_computation"}), None, []),
    ],
)
def test_what_the_next_level_lacks(charter: Charter, following: Maturity | None, lacking: list[str]) -> None:
    assert next_level(charter) == following
    assert [gap.clause for gap in gaps(charter)] == lacking


def test_a_charter_states_only_what_it_reaches() -> None:
    assert reached(GROCERY) == ("manual_approvals", "automatic_checks", "formal_audit")
    assert reached(STARTED) == ("automatic_checks",)


def test_each_level_but_the_first_contains_the_one_below() -> None:
    for below, above in pairwise(LEVELS[1:]):
        assert set(level(below).requirements) < set(level(above).requirements)
