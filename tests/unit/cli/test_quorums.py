"""A quorum that nobody can meet any more is told, with the clause and whose leaving made it so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.charter.loader import load_charter
from orchestration.cli.quorums import unmet, witnesses_left
from orchestration.settings import PROJECT_ROOT

GROCERY = load_charter(PROJECT_ROOT / "charters" / "grocery.yaml")


def state(phase: str = "active", **status: str) -> Any:
    return SimpleNamespace(
        charter=GROCERY, phase=phase, participant_status=lambda name: status.get(name, "active")
    )


def test_while_all_are_there_every_quorum_can_be_met() -> None:
    assert unmet(state()) == []
    assert unmet(state(data_provider="suspended")) == []


@pytest.mark.parametrize("gone", ["left", "removed"])
def test_a_witness_that_is_gone_is_missed(gone: str) -> None:
    assert witnesses_left(state(data_provider=gone), GROCERY) == ("media_owner",)
    says = [each.says for each in unmet(state(data_provider=gone))]
    assert (
        "propose a version of the charter without data_provider: `witnesses` needs 2,"
        " and only media_owner is left" in says
    )


def test_after_the_end_nothing_is_missed() -> None:
    assert unmet(state("closed", data_provider="left", media_owner="left")) == []
