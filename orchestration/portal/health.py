"""How the log is doing: its size and head for every footer, and a full verification for the overview.

A verification reads every event, so its outcome is kept for some seconds and says when it was made; the head
in the footer is always the present one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from orchestration.audit import merkle
from orchestration.audit.log import current_size, reader
from orchestration.audit.verify import Verification, verify_log
from orchestration.audit.vocabulary import now
from orchestration.house import House

_KEEP_SECONDS = 20.0


@dataclass(frozen=True)
class Head:
    """`size` events under the tree head `root` (hex)."""

    size: int
    root: str


def head(house: House) -> Head:
    """The present head, read in one consistent view."""
    with house.log.read() as connection:
        size = current_size(connection)
        return Head(size, merkle.root(size, reader(connection)).hex())


@dataclass(frozen=True)
class Outcome:
    at: datetime
    verification: Verification


@dataclass
class Verifier:
    """Verifies at most every 20 seconds, one at a time."""

    house: House
    _lock: Lock = field(default_factory=Lock)
    _last: tuple[float, Outcome] | None = None

    def outcome(self) -> Outcome:
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > _KEEP_SECONDS:
                house = self.house
                found = verify_log(house.log, house.checkpoints, house.operator.public)
                self._last = (time.monotonic(), Outcome(now(), found))
            return self._last[1]
