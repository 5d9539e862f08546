"""Nobody can do what the rules do not allow, and everybody can do what they do: a house against a reference.

Random members of a collaboration do random things, honestly or not; the real log with guard and consequences,
on SQLite and PostgreSQL, and a reference in plain sets must agree on every single act, on everything that
follows, and at the end on the replay of the whole log.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Connection

from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.replay import replay
from orchestration.audit.vocabulary import Handover
from orchestration.participants import guard
from tests.postgres import control_url, postgres_server, postgres_url
from tests.promises.governance_life import Clock
from tests.promises.governance_order import Order

__all__ = ["control_url", "postgres_server", "postgres_url"]

VERBS = {
    *("propose", "sign", "withdraw", "accept", "leave", "enroll", "retire", "rotate", "revoke_key", "login"),
    *("give", "renew", "revoke", "lend", "attest", "ask", "vote", "freeze", "dispute", "acknowledge"),
    *("vouch", "contribute", "request", "decide", "answer", "open"),
}


def admit(connection: Connection, event: Event) -> None:
    """The guard, but for data on its way: receipts and what they rest on are another promise's business."""
    if not isinstance(event.payload, Handover):
        guard.admit(connection, event)


def run(url: str, examples: int, steps: int) -> Counter[str]:
    """Random lives of so many collaborations in one log, then the replay of all of it."""
    clock = Clock()
    with AuditLog(url, admit=admit, clock=clock) as log:
        lived: Counter[str] = Counter()
        held = {"log": log, "clock": clock, "names": itertools.count(1), "tally": lived}
        chosen = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(type("Lives", (Order,), held), settings=chosen)
        replayed = replay(log)
        assert replayed.ok, replayed.first
    return lived


def seen(lived: Counter[str], how: str) -> set[str]:
    return {verb.removesuffix(f" {how}") for verb in lived if verb.endswith(f" {how}")}


@pytest.mark.parametrize(
    ("control_url", "examples"),
    [("sqlite", 6), ("postgresql", 2)],
    indirect=["control_url"],
    ids=["sqlite", "postgresql"],
)
def test_the_house_allows_what_the_reference_allows(control_url: str, examples: int) -> None:
    lived = run(control_url, examples, 30)
    assert lived["steps"] >= examples * 20  # some lives end before their last step


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("control_url", ["sqlite", "postgresql"], indirect=True)
def test_they_agree_for_ten_thousand_steps(control_url: str) -> None:
    lived = run(control_url, 220, 60)
    assert lived["steps"] >= 10_000
    assert seen(lived, "allowed") == VERBS, "acts that were never allowed prove little"
    assert seen(lived, "refused") >= VERBS, "acts that were never refused prove little"
    assert lived["lent role used"]
