"""Which events of the log a viewer sees in full; of all others it sees the commitment alone.

Belongs here: remembering the answer for each organization, so that a page does not read the whole log. Must
not be here: what concerns whom (`audit/concerns`). An auditor sees every event of the collaboration.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from orchestration.audit.concerns import Concerns
from orchestration.audit.log import AuditLog, stored_events
from orchestration.stages.login import Viewer


@dataclass
class Seen:
    """`numbers` of the events that are shown, and how many there are of each type."""

    numbers: set[int] = field(default_factory=set)
    types: Counter[str] = field(default_factory=Counter)
    read: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing in the log is withheld."""
        return len(self.numbers) == self.read


class Sight:
    """What each organization sees of one log; grows with the log. Safe to use from several threads."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[Concerns, Seen]] = {}

    def of(self, viewer: Viewer) -> Seen:
        """Everything this viewer sees, up to the log's newest event."""
        whose = "" if viewer.sees_everything else viewer.participant
        with self._lock:
            concerns, seen = self._known.setdefault(
                (viewer.collaboration, whose), (Concerns(viewer.collaboration, whose), Seen())
            )
            with self._log.read() as connection:
                for logged in stored_events(connection, first=seen.read):
                    if not whose:
                        shown = logged.event.collaboration == viewer.collaboration
                    else:
                        shown = concerns.is_shown(logged.event)
                    if shown:
                        seen.numbers.add(logged.seq)
                        seen.types[logged.event.type] += 1
                    seen.read = logged.seq + 1
            return Seen(set(seen.numbers), Counter(seen.types), seen.read)
