"""A small log with one of every kind of step in it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.audit import events as e
from orchestration.audit.checkpoint import make
from orchestration.audit.log import AuditLog
from orchestration.signing import SigningKey
from tests.unit.audit.audit_story import CHARTER, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as log:
        yield Desk(log, SigningKey.from_seed(bytes(range(32))), tmp_path)


@pytest.fixture
def full_desk(desk: Desk) -> Desk:
    """A log in which every table has a row and there are two checkpoints."""
    key = {"keyid": "k", "keytype": "ed25519"}
    desk.say("grocery", e.CharterRegistered(digest=CHARTER, title="Grocery", version=1))
    member = e.MemberRegistered(
        member="retailer.steward", participant="retailer", roles=("steward",), public_key=key
    )
    desk.say("retailer.steward", member)
    gate = desk.contribute()[-1]
    make(desk.log, desk.key, desk.checkpoints)
    release = desk.release(gate, {"table.csv": b"a,b\n"}).event.payload
    assert isinstance(release, e.OutputReleased)
    desk.say(
        release.release, e.OutputAccessed(release=release.release, member="retailer.steward", detail="full")
    )
    denied = e.AccessDenied(
        release=release.release, member="media_owner.analyst", code="access.not_a_receiver"
    )
    desk.say(release.release, denied)
    make(desk.log, desk.key, desk.checkpoints)
    return desk
