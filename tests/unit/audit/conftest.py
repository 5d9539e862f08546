"""A small log with one of every kind of step in it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.audit.checkpoint import make
from orchestration.audit.log import AuditLog
from orchestration.audit.stage_events import AccessDenied, OutputAccessed, OutputReleased
from orchestration.signing import SigningKey
from tests.unit.audit.audit_story import Desk


@pytest.fixture
def desk(control_url: str, tmp_path: Path) -> Iterator[Desk]:
    with AuditLog(control_url) as log:
        yield Desk(log, SigningKey.from_seed(bytes(range(32))), tmp_path)


@pytest.fixture
def full_desk(desk: Desk) -> Desk:
    """A log in which every table of data has a row and there are two checkpoints."""
    desk.found()
    gate = desk.contribute()[-1]
    make(desk.log, desk.key, desk.checkpoints)
    release = desk.release(gate, {"table.csv": b"a,b\n"}).event.payload
    assert isinstance(release, OutputReleased)
    desk.say(
        release.release, OutputAccessed(release=release.release, member="retailer.steward", detail="full")
    )
    denied = AccessDenied(release=release.release, member="media_owner.analyst", code="access.not_a_receiver")
    desk.say(release.release, denied)
    make(desk.log, desk.key, desk.checkpoints)
    return desk


@pytest.fixture
def governed_desk(full_desk: Desk) -> Desk:
    """A log in which every projection has a row."""
    full_desk.govern()
    return full_desk
