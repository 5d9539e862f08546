"""What became of a release after its passport was written, read from the log.

Belongs here: the events after a release that change what its receivers may make of it. Must not be here:
verifying a passport, which needs no log (`passport`), or whether it may be opened (`participants/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from orchestration.audit.governance_events import DataDestroyed, OutputRecalled
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.passport import Passport
from orchestration.audit.stage_events import OutputReleased
from orchestration.audit.withdrawal_events import OutputOutdated
from orchestration.errors import IntegrityError, Reason

OTHER_LOG = Reason(
    "passport.other_log",
    "The log at hand does not hold release {release} where its passport says.",
    "Ask the house that released it; if it is this one, treat it as tampering and tell the auditor.",
)

Standing = Literal["in_force", "expired", "stale", "recalled", "destroyed"]


@dataclass(frozen=True)
class Change:
    """One event after the release: what it made of it, and why, as the event itself says."""

    seq: int
    at: datetime
    became: Standing
    why: str
    contributions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Since:
    """`standing`: what holds now. `changes`: how it came to that, oldest first."""

    standing: Standing
    changes: tuple[Change, ...]


def what_changed(log: AuditLog, passport: Passport, at: datetime) -> Since:
    """What the log says of a verified passport's release since it was released.

    Args:
        at: the moment that `expired` is judged by.

    Raises: IntegrityError (`passport.other_log`) for the passport of another log, or of one that was cut.
    """
    if passport.log.seq >= log.size:
        raise IntegrityError(OTHER_LOG, release=passport.release)
    released = log.event(passport.log.seq)
    payload = released.event.payload
    if not isinstance(payload, OutputReleased) or payload.release != passport.release:
        raise IntegrityError(OTHER_LOG, release=passport.release)
    events = [
        *log.events(subject=passport.release, after=released.seq),
        *log.events("data.destroyed", collaboration=passport.charter.collaboration, after=released.seq),
    ]
    events.sort(key=lambda logged: logged.seq)
    changes = tuple(change for logged in events for change in _change(logged, passport.release))
    return Since(_standing(passport, changes, at), changes)


def _change(logged: LoggedEvent, release: str) -> tuple[Change, ...]:
    event = logged.event
    match event.payload:
        case OutputOutdated(release=name) as said if name == release:
            return (Change(logged.seq, event.time, said.effect, event.justification, said.contributions),)
        case OutputRecalled(release=name) if name == release:
            return (Change(logged.seq, event.time, "recalled", event.justification),)
        case DataDestroyed() as said if release in said.releases:
            return (Change(logged.seq, event.time, "destroyed", event.justification),)
    return ()


def _standing(passport: Passport, changes: tuple[Change, ...], at: datetime) -> Standing:
    became: set[Standing] = {change.became for change in changes}
    if passport.expires_at <= at:
        became.add("expired")
    gravest_first: tuple[Standing, ...] = ("recalled", "destroyed", "stale", "expired")
    return next((each for each in gravest_first if each in became), "in_force")
