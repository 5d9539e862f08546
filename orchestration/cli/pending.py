"""Questions put to a decision, and who has to answer them: the facts behind `decision list` and `status`.

Belongs here: reading decisions and their electorates for people. Must not be here: who may decide, or what
votes come to (`participants/approvals`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.vocabulary import timestamp
from orchestration.cli.told import question_in_words
from orchestration.errors import CharterError
from orchestration.house import House
from orchestration.participants.approvals import electorate, tally
from orchestration.participants.state import State, moment, participant_of


@dataclass(frozen=True)
class Question:
    """One decision as people ask about it.

    `says`: what would be done; `missing`: voices not heard yet; `may`: members who can vote.
    """

    id: str
    matter: str
    about: str
    asked_by: str
    status: str
    opened_at: str
    expires_at: str | None
    content: dict[str, JsonValue]
    says: str
    rule: str
    votes: dict[str, str]
    missing: tuple[str, ...]
    may: tuple[str, ...]
    excluded: dict[str, str]

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The members who can still give a missing voice."""
        voices = set(self.missing)
        return tuple(
            m for m in self.may if (m in voices or participant_of(m) in voices) and m not in self.votes
        )

    @property
    def facts(self) -> dict[str, JsonValue]:
        own = {name: value for name, value in self.__dict__.items() if name != "id"}
        facts: dict[str, JsonValue] = json.loads(
            json.dumps({"decision": self.id, **own, "waits_for": self.waits_for})
        )
        return facts


def questions(state: State, *, only_pending: bool = False) -> list[Question]:
    """The decisions of a collaboration, oldest first."""
    rows = sorted(state.rows(g.decisions), key=lambda row: int(row.seq))
    return [question(state, row) for row in rows if not only_pending or row.status == "pending"]


def question(state: State, row: Row[Any]) -> Question:
    """One decision, with who may vote on it now. A decided one has nobody missing."""
    rule, expires = "", None
    missing: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    excluded: dict[str, str] = {}
    if row.status == "pending":
        count = tally(state, row)
        rule, missing = count.rule, count.missing
        try:
            who = electorate(state, row)
        except CharterError:
            pass  # the tally says already that there is nothing to decide
        else:
            may, excluded = who.voters, dict(who.excluded)
            expires = timestamp(moment(row.opened_at) + timedelta(hours=who.right.expires_hours))
    return Question(
        row.decision,
        row.matter,
        row.about,
        row.asked_by,
        row.status,
        row.opened_at,
        expires,
        json.loads(row.content),
        asked_in_words(row.matter, row.about, json.loads(row.content), state),
        rule,
        {vote.member: vote.vote for vote in state.votes(row.decision)},
        missing,
        may,
        excluded,
    )


def asked_in_words(matter: str, about: str, content: Mapping[str, JsonValue], state: State) -> str:
    """What would be done if it is approved."""
    match matter:
        case "request":
            row = state.request(about)
            return f"run {row.template} for {row.purpose}" if row else f"run {about}"
        case "dispute":
            raised = state.dispute(about)
            return f"{raised.remedy}: {raised.about_kind} {raised.about}" if raised else about
    return question_in_words(matter, about, content)


def who_is_missing(decision: str, house: House, collaboration: str) -> str:
    """After a vote: what the decision still waits for; nothing when it is decided."""
    with house.state(collaboration) as state:
        row = state.decision(decision)
        if row is None or row.status != "pending":
            return ""
        waiting = question(state, row).waits_for
    return f"Still pending: {', '.join(waiting)} may decide." if waiting else "Still pending."


def next_vote(decision: str) -> Callable[[House, str], str]:
    """What others do with a question that was just asked; nothing where it was decided at once."""

    def note(house: House, collaboration: str) -> str:
        with house.state(collaboration) as state:
            row = state.decision(decision)
        if row is None or row.status != "pending":
            return ""
        return f"Next, by those who decide:\n  glasshouse approve {decision} --as MEMBER --why REASON"

    return note


def new_id(kind: str) -> str:
    """A short name for something that is about to begin, such as `thaw-3f9a1c`."""
    return f"{kind}-{secrets.token_hex(3)}"
