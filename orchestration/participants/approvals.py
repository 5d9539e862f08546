"""What the votes on a question come to.

Belongs here: tallies, as pure functions of the state. Must not be here: who may decide (`electorates`), what
follows from a decision (`consequences`).

A participant speaks with one voice, that of its stewards, owners and reviewers: yes when one of them approves
and none rejects. An abstention never counts as agreement. A vote counts only while its member may decide, and
only if it was cast after what it is to end (`matters.counted_from`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

from sqlalchemy import Row

from orchestration.audit.governance_events import Outcome
from orchestration.charter.model import DecisionRight
from orchestration.errors import CharterError
from orchestration.participants.electorates import Electorate as Electorate  # asked for together with tallies
from orchestration.participants.electorates import electorate as electorate
from orchestration.participants.electorates import right_of as right_of
from orchestration.participants.matters import counted_from, moot
from orchestration.participants.state import State, moment, participant_of

Voice = Literal["approve", "reject", "abstain"]


@dataclass(frozen=True)
class Tally:
    """What the votes come to. `outcome` None: pending. Names are participants, or members of panels."""

    outcome: Outcome | None
    approvals: tuple[str, ...]
    rejections: tuple[str, ...]
    missing: tuple[str, ...]
    rule: str


@dataclass(frozen=True)
class _Count:
    """Voices of one group that has to agree: `needed` of `names`."""

    needed: int
    names: tuple[str, ...]
    voices: Mapping[str, Voice]

    def of(self, voice: Voice) -> tuple[str, ...]:
        return tuple(name for name in self.names if self.voices.get(name) == voice)

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.voices)

    @property
    def is_within_reach(self) -> bool:
        """Whether so many are there at all, however they vote."""
        return self.needed <= len(self.names)

    @property
    def agreed(self) -> bool:
        return len(self.of("approve")) >= self.needed

    @property
    def lost(self) -> bool:
        """Not even if everybody still silent agreed."""
        return len(self.of("approve")) + len(self.silent) < self.needed


def tally(state: State, decision: Row[Any]) -> Tally:
    """What the votes cast so far come to, at `state.at`."""
    if decision.status != "pending":
        return Tally(cast("Outcome", decision.status), (), (), (), "decided before")
    nothing = moot(state, decision)
    if nothing is not None:
        return Tally("rejected", (), (), (), f"nothing to decide: {nothing}")
    try:
        who = electorate(state, decision)
    except CharterError:
        return Tally("rejected", (), (), (), "nothing to decide: no charter names what it is about")
    since = counted_from(state, decision)
    votes = {row.member: row.vote for row in state.votes(decision.decision) if row.seq > since}
    counts = _counts(who, votes)
    result, rule = _outcome(counts), rule_of(who)
    if decision.matter == "dispute" and not all(count.is_within_reach for count in counts):
        # Who is accused, or asked, must not win because too few are left to say otherwise; nor by waiting.
        result, rule = None, f"{rule}; it waits, because too few are left to decide"
    elif is_expired(state, decision, who.right):
        result, rule = "expired", f"{rule}; undecided after {who.right.expires_hours} hours"
    elif not who.voters:
        result, rule = "rejected", f"{rule}; nobody may decide"
    return Tally(
        result,
        _names(count.of("approve") for count in counts),
        _names(count.of("reject") for count in counts),
        _names(count.silent for count in counts),
        rule,
    )


def is_expired(state: State, decision: Row[Any], right: DecisionRight) -> bool:
    return moment(decision.opened_at) + timedelta(hours=right.expires_hours) <= state.at


def rule_of(who: Electorate) -> str:
    """The rule in words, with the names that count today."""
    if who.right.body == "review_body":
        text = f"{_needed_of_body(who)} of the review body ({_list(who.body)})"
    elif who.right.rule == "unanimity":
        text = f"all of {_list(who.parties)}"
    else:
        text = f"{who.right.quorum} of {_list(who.parties)}"
        if who.right.rule == "affected":
            text = f"all whose data is read ({_list(who.affected)}), and {text}"
    if who.ethics_quorum:
        text += f"; {who.ethics_quorum} of the ethics panel ({_list(who.ethics)})"
    return text


def _counts(who: Electorate, votes: Mapping[str, str]) -> list[_Count]:
    """The groups that all have to agree. Nobody at all is never everybody."""
    ethics = _Count(who.ethics_quorum, who.ethics, _own_voices(who.ethics, votes))
    if who.right.body == "review_body":
        return [_Count(_needed_of_body(who), who.body, _own_voices(who.body, votes)), ethics]
    voices = _party_voices(who, votes)
    if who.right.rule == "unanimity":
        return [_Count(max(1, len(who.parties)), who.parties, voices), ethics]
    counts = [_Count(who.right.quorum, who.parties, voices), ethics]
    if who.right.rule == "affected":
        counts.append(_Count(len(who.affected), who.affected, voices))
    return counts


def _needed_of_body(who: Electorate) -> int:
    return max(1, len(who.body)) if who.right.rule == "unanimity" else who.body_quorum


def _own_voices(members: Iterable[str], votes: Mapping[str, str]) -> dict[str, Voice]:
    return {member: cast("Voice", votes[member]) for member in members if member in votes}


def _party_voices(who: Electorate, votes: Mapping[str, str]) -> dict[str, Voice]:
    """Participant → its voice. One whose speakers abstained only in part is still silent."""
    voices: dict[str, Voice] = {}
    for party in who.parties:
        speakers = [each for each in who.speakers if participant_of(each) == party]
        spoken = [votes[each] for each in speakers if each in votes]
        if "reject" in spoken:
            voices[party] = "reject"
        elif "approve" in spoken:
            voices[party] = "approve"
        elif spoken and len(spoken) == len(speakers):
            voices[party] = "abstain"
    return voices


def _outcome(counts: list[_Count]) -> Outcome | None:
    if any(count.lost for count in counts):
        return "rejected"
    return "approved" if all(count.agreed for count in counts) else None


def _names(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for group in groups for name in group}))


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "nobody"
