"""The order of time in the log: no event is older than the one before it, and none is from the future.

Belongs here: that rule, for appending (`in_order`) and for checking what stands there (`require_order`).
Must not be here: asking a clock (`AuditLog.clock`), or what a time means for an event (`participants`).

The house dates events, nobody signs that date. Could it be chosen freely, an expired approval would count
by being recorded as of yesterday. Processes and machines whose clocks differ a little still append at once:
what is slightly behind is recorded as of the newest event.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestration.audit.events import Event
from orchestration.audit.vocabulary import timestamp
from orchestration.errors import Reason, ServiceError

DRIFT = timedelta(minutes=5)

BACKWARDS = Reason(
    "log.time_backwards",
    "An event of {time} cannot follow the newest one, which is of {newest}.",
    "Set the clock that is wrong, of this machine or of the one that recorded the newest event, and repeat"
    " the step; nothing was added.",
)
AHEAD = Reason(
    "log.time_ahead",
    "An event of {time} cannot be recorded yet: the clock says {clock}.",
    "Set the clock of the machine that records this, then repeat the step; nothing was added.",
)


def in_order(event: Event, newest: datetime | None, clock: datetime) -> Event:
    """The event as it may follow the newest one: re-timed to it where it is behind by no more than the drift.

    Raises: like `require_order`.
    """
    if newest is not None and newest - DRIFT <= event.time < newest:
        event = event.model_copy(update={"time": newest})
    require_order(event.time, newest, clock)
    return event


def require_order(time: datetime, newest: datetime | None, clock: datetime) -> None:
    """Raises: ServiceError `log.time_backwards`, `log.time_ahead`."""
    if newest is not None and time < newest:
        raise ServiceError(BACKWARDS, time=timestamp(time), newest=timestamp(newest))
    if time > clock + DRIFT:
        raise ServiceError(AHEAD, time=timestamp(time), clock=timestamp(clock))
