"""Who gave what, and what part of the results is owed to whom: the contribution ledger and its fair shares.

Belongs here: counting, as a pure function of the state. Must not be here: money, or how a report looks.

The worth of a release is 1 while it is not recalled. It needed the data of certain parties, all of them: any
group of parties without one of those could not have made it. In the words of game theory that is a unanimity
game, and the Shapley value, the one division that is efficient, symmetric, additive and gives nothing to who
adds nothing, has a closed form for it: each of the k parties gets 1/k, everybody else nothing. Values of
several releases add up. (Shapley 1953: every game is a sum of such games.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.participants.state import State


@dataclass(frozen=True)
class Share:
    """One participant's line. `releases` are those its data was needed for."""

    participant: str
    contributions: int
    rows: int
    releases: tuple[str, ...]
    value: Fraction

    def part_of(self, total: Fraction) -> Fraction:
        return self.value / total if total else Fraction(0)


@dataclass(frozen=True)
class Ledger:
    """All lines, and the releases that count for nobody: no known data is behind them."""

    shares: tuple[Share, ...]
    unassigned: tuple[str, ...]

    @property
    def total(self) -> Fraction:
        """What there is to divide: one for each release that counts."""
        return sum((share.value for share in self.shares), Fraction(0))


def unanimity_shares(needed: Iterable[str]) -> dict[str, Fraction]:
    """Shapley value of the game in which exactly the groups that hold all of `needed` are worth 1."""
    parties = sorted(set(needed))
    return {party: Fraction(1, len(parties)) for party in parties}


def ledger(state: State) -> Ledger:
    """What every participant gave so far, and its share in what came of it."""
    owners = _owners(state)
    needed: dict[str, set[str]] = {}
    for release in state.rows(t.releases, recalled=False):
        request = state.request(release.request)
        datasets: list[str] = json.loads(request.datasets) if request is not None else []
        needed[release.release] = {owners[each] for each in datasets if each in owners}
    value: dict[str, Fraction] = {}
    for parties in needed.values():
        for party, part in unanimity_shares(parties).items():
            value[party] = value.get(party, Fraction(0)) + part
    accepted = _accepted(state)
    names = sorted({*owners.values(), *(row.participant for row in accepted), *_participants(state)})
    shares = tuple(
        Share(
            name,
            sum(row.participant == name for row in accepted),
            sum(row.rows or 0 for row in accepted if row.participant == name),
            tuple(release for release, parties in needed.items() if name in parties),
            value.get(name, Fraction(0)),
        )
        for name in names
    )
    return Ledger(shares, tuple(release for release, parties in needed.items() if not parties))


def _owners(state: State) -> dict[str, str]:
    """Dataset → participant, by the charter, and for datasets of earlier charters by who delivered them."""
    delivered = {row.dataset: row.participant for row in _accepted(state)}
    agreed = {each.id: each.participant for each in state.agreement.datasets} if state.agreement else {}
    return delivered | agreed


def _accepted(state: State) -> list[Row[Any]]:
    """What was destroyed later was given all the same."""
    return [row for row in state.rows(t.contributions) if row.status in ("accepted", "destroyed")]


def _participants(state: State) -> list[str]:
    return [each.id for each in state.agreement.participants] if state.agreement else []
