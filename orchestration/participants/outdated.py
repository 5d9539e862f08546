"""Which releases rest on data that was taken back or replaced since, and what the charter says of them.

Belongs here: deriving `output.outdated` from the state, and who has to hear of it. Must not be here: taking
anything back (`withdrawals`), or telling the receivers (`audit/agenda`). A release goes stale once, by the
first cause that comes; it can still be recalled afterwards, by a withdrawal under a charter that recalls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.vocabulary import timestamp
from orchestration.audit.withdrawal_events import OutdatedBy, OutputOutdated
from orchestration.participants.effects import Effect
from orchestration.participants.provenance import contributions_behind
from orchestration.participants.state import State
from orchestration.participants.withdrawals import terms_of

_BY_DISPUTE = "A dispute about it was upheld."
WHY: dict[OutdatedBy, str] = {
    "contribution_withdrawn": "A contribution it rests on was taken back.",
    "people_withdrawn": "People were taken out of a contribution it rests on.",
    "superseded": "A contribution it rests on was replaced by a newer one.",
}


class Warned(NamedTuple):
    """A release whose receivers have to know that they can rely on it no more, and why."""

    release: str
    receivers: tuple[str, ...]
    recalled: bool
    why: str


def warned(state: State) -> list[Warned]:
    """Stale and recalled releases, oldest first, until they expire or their question is answered anew."""
    now = timestamp(state.at)
    rows = sorted(state.rows(t.releases), key=lambda row: int(row.seq))
    good = {_question(state, row): int(row.seq) for row in rows if row.outdated is None and not row.recalled}
    return [
        Warned(
            row.release,
            tuple(json.loads(row.receivers)),
            row.recalled,
            _BY_DISPUTE if row.outdated is None else WHY[row.outdated],
        )
        for row in rows
        if (row.recalled or row.outdated is not None)
        and row.expires_at > now
        and row.destroyed_at is None
        and good.get(_question(state, row), -1) < row.seq
    ]


def _question(state: State, release: Row[Any]) -> tuple[str, str, str]:
    """What was asked, apart from when and by whom."""
    request = state.request(release.request)
    return release.template, release.purpose, request.parameters if request is not None else ""


class _Change(NamedTuple):
    """What happened to a contribution, and when."""

    by: OutdatedBy
    seq: int


def outdated(state: State) -> Iterator[Effect]:
    """Releases that go stale, or are recalled, now."""
    if state.charter is None:
        return
    changes = _Changes(state)
    recalls = terms_of(state.charter).releases == "recall"
    for release in state.rows(t.releases, recalled=False):
        if release.seq >= changes.newest or (release.outdated is not None and not recalls):
            continue
        found = _found(state, changes, release)
        if found is None:
            continue
        by, contributions = found
        recalled = recalls and by != "superseded"
        if release.outdated is None or recalled:
            payload = OutputOutdated(
                release=release.release,
                by=by,
                contributions=contributions,
                effect="recalled" if recalled else "stale",
            )
            yield release.release, payload, WHY[by]


def _found(state: State, changes: _Changes, release: Row[Any]) -> tuple[OutdatedBy, tuple[str, ...]] | None:
    """The gravest cause, with the contributions it is about."""
    behind = contributions_behind(state, release)
    of: dict[OutdatedBy, list[str]] = {}
    for row in behind:
        change = changes.of(row)
        if change is not None and change.seq > release.seq:
            of.setdefault(change.by, []).append(row.contribution)
    by = next((each for each in WHY if each in of), None)
    return None if by is None else (by, tuple(sorted(of[by])))


class _Changes:
    """What happened to contributions, read once for all releases."""

    def __init__(self, state: State) -> None:
        self._taken_back = {
            row.contribution: int(row.seq) for row in state.rows(t.withdrawals) if row.contribution
        }
        standing = state.rows(t.receipts, stage="contribution", revoked=False)
        accepted = {row.contribution: int(row.seq) for row in state.rows(t.contributions)}
        # A contribution's standing receipt is newer than its acceptance only when it was trimmed.
        self._trimmed = {
            row.subject: int(row.seq) for row in standing if row.seq > accepted.get(row.subject, row.seq)
        }
        self._used = {row.dataset: row for row in state.rows(t.datasets)}
        moments = [*self._taken_back.values(), *self._trimmed.values()]
        self.newest = max([*moments, *(int(row.seq) for row in self._used.values())], default=-1)

    def of(self, contribution: Row[Any]) -> _Change | None:
        name = contribution.contribution
        if name in self._taken_back:
            return _Change("contribution_withdrawn", self._taken_back[name])
        if name in self._trimmed:
            return _Change("people_withdrawn", self._trimmed[name])
        used = self._used.get(contribution.dataset)
        if used is not None and used.contribution != name:
            return _Change("superseded", int(used.seq))
        return None
