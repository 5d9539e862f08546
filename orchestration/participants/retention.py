"""What the charter's days have made due: found from the log's own times, so that replaying it agrees.

Belongs here: periods, holds, and what is over them. Must not be here: destroying (`stages/destruction`), or
what people decide (`destruction`).

Whose days count: those of the charter in force, and those of the charter a thing was given under where they
are fewer. So nobody's data is kept longer than agreed when it was given. Deleting goes on while a
collaboration is frozen, and after it was closed. Only a dispute that waits for its decision holds what it is
about: evidence does not vanish by the clock. What people decide (leaving, removal, a remedy, closing) is not
held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import DataDestroyed
from orchestration.charter.model import Charter
from orchestration.participants.state import State, moment

CONTRIBUTIONS = "retention.contributions_days"
SUPERSEDED = "retention.superseded_days"
QUARANTINE = "retention.quarantine_days"
RELEASES = "retention.releases_days"


@dataclass(frozen=True)
class Expired:
    """Things of one subject that one clause, or a correction, wants gone now."""

    subject: str
    rule: Literal["retention", "repaired"]
    clause: str | None
    contributions: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        if self.clause is None:
            return "A corrected delivery was accepted."
        return f"The days of {self.clause} are over."


def expired(state: State) -> list[Expired]:
    """Everything that time or a correction has made due, and no open dispute holds; each thing once."""
    found: dict[tuple[str, str | None], dict[str, list[str]]] = {}
    seen: set[tuple[str, str]] = set()
    for subject, clause, kind, name in _things(state):
        if (kind, name) not in seen:
            seen.add((kind, name))
            found.setdefault((subject, clause), {}).setdefault(kind, []).append(name)
    return [
        Expired(
            subject,
            "repaired" if clause is None else "retention",
            clause,
            **{kind: tuple(sorted(names)) for kind, names in things.items()},
        )
        for (subject, clause), things in found.items()
    ]


def is_due(state: State, event: Event, payload: DataDestroyed) -> bool:
    """Whether each of these things is due by this very clause now."""
    here = (event.subject, payload.clause if payload.rule == "retention" else None)
    if payload.rule == "retention" and payload.clause is None:
        return False
    if payload.rule == "repaired" and payload.clause is not None:
        return False
    due = {(kind, name) for subject, clause, kind, name in _things(state) if (subject, clause) == here}
    named = {
        *(("contributions", each) for each in payload.contributions),
        *(("quarantined", each) for each in payload.quarantined),
        *(("releases", each) for each in payload.releases),
    }
    return bool(named) and named <= due and payload.dispute is None


def is_held(state: State, row: Row[Any]) -> bool:
    """Whether an open dispute is about this contribution's dataset or participant."""
    return bool(
        state.open_disputes("participant", row.participant)
        or (row.dataset is not None and state.open_disputes("dataset", row.dataset))
    )


_Thing = tuple[str, str | None, str, str]
"""Subject, clause (None: corrected), kind of thing as `DataDestroyed` names it, and its name."""


def _things(state: State) -> Iterator[_Thing]:
    """Whatever is due; a thing comes once for each clause that wants it gone."""
    periods = _Periods(state)
    for row in state.rows(t.contributions):
        due = list(_of_contribution(periods, row))
        if due and not is_held(state, row):
            yield from ((row.participant, clause, kind, row.contribution) for clause, kind in due)
    for row in state.rows(t.releases):
        if row.destroyed_at is None and _is_release_over(state, periods, row):
            yield state.collaboration, RELEASES, "releases", row.release


def _of_contribution(periods: _Periods, row: Row[Any]) -> Iterator[tuple[str | None, str]]:
    """Clauses that want it, or what lies sealed of it, gone. What is sealed goes with the contribution."""
    if row.status == "accepted":
        replaced = row.superseded_at if row.superseded_by is not None else None
        for clause, since in ((CONTRIBUTIONS, row.recorded_at), (SUPERSEDED, replaced)):
            if periods.is_over(clause, since, row.charter_digest):
                yield clause, "contributions"
                if row.sealed is not None:
                    yield clause, "quarantined"
    if row.sealed is None:
        return
    if row.status == "repaired":
        yield None, "quarantined"
    elif periods.is_over(QUARANTINE, row.recorded_at, row.charter_digest):
        yield QUARANTINE, "quarantined"


def _is_release_over(state: State, periods: _Periods, row: Row[Any]) -> bool:
    request = state.request(row.request)
    if not periods.is_over(RELEASES, row.recorded_at, request.charter_digest if request else None):
        return False
    return not (state.open_disputes("release", row.release) or state.open_disputes("request", row.request))


class _Periods:
    """How long things are kept, each charter read once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._charters: dict[str | None, Charter | None] = {None: state.charter}

    def is_over(self, clause: str, since: str | None, given_under: str | None) -> bool:
        """Whether the days of a clause, counted from `since`, have gone by."""
        if since is None:
            return False
        name = clause.removeprefix("retention.")
        said = [
            getattr(each.retention, name)
            for each in (self._charters[None], self._charter(given_under))
            if each is not None
        ]
        fewest = min((days for days in said if days is not None), default=None)
        return fewest is not None and moment(since) + timedelta(days=fewest) <= self._state.at

    def _charter(self, digest: str | None) -> Charter | None:
        if digest not in self._charters:
            self._charters[digest] = self._state.charter_version(str(digest))
        return self._charters[digest]
