"""What can be put to a decision: what each question has to say, and when there is nothing left to decide.

Belongs here: reading a decision's content by its matter. Must not be here: who decides (`approvals`), and
what follows from it (`effects`).
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import ValidationError, model_validator
from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.vocabulary import Document, Name, Time
from orchestration.participants.state import State

Step = Literal["suspend", "reinstate", "remove"]

# Step → the states of a participant in which it can still be taken; `is_open_to` adds one.
STEPS: dict[str, tuple[str, ...]] = {
    "suspend": ("active",),
    "reinstate": ("suspended",),
    "remove": ("invited", "active", "suspended"),
}


class Membership(Document):
    """`about` is the participant.

    `key_id`: who is reinstated comes back with this key, which the voters compared with its holder. Without
    one it comes back with the key it had. Where that key, or the agreed one, is lost, the same is asked again
    with another, while the participant is suspended or has not come back yet.
    """

    step: Step
    key_id: Name | None = None

    @model_validator(mode="after")
    def _only_who_comes_back_brings_a_key(self) -> Membership:
        if self.key_id is not None and self.step != "reinstate":
            raise ValueError("only who is reinstated comes back with a key")
        return self


class Deviation(Document):
    """`about` is the id the exception gets."""

    what: Name
    owner: Name
    residual_risk: Name
    expires_at: Time


class Purpose(Document):
    """`about` is the purpose's id."""

    title: Name
    description: Name


class Nothing(Document):
    """The question says everything by what it is about."""


CONTENTS: dict[str, type[Document]] = {
    "membership": Membership,
    "exception": Deviation,
    "purpose": Purpose,
    "thaw": Nothing,
    "closing": Nothing,
}


def content_of(matter: str, content: dict[str, Any]) -> Document | None:
    """What is asked, as a document; None when the content does not say what the matter needs."""
    try:
        return CONTENTS.get(matter, Nothing).model_validate_json(json.dumps(content))
    except ValidationError:
        return None


def read_content(decision: Row[Any]) -> Document | None:
    """The content of a decision in the log."""
    return content_of(decision.matter, json.loads(decision.content))


def reinstating_key(state: State, participant: str) -> str | None:
    """The key with which a participant is to come back, if the decision that reinstated it names one."""
    invited = next(iter(state.rows(g.participants, participant=participant)), None)
    found: tuple[int, str | None] = (0, None)
    for row in state.rows(g.decisions, matter="membership", about=participant, status="approved"):
        content = read_content(row)
        if isinstance(content, Membership) and content.step == "reinstate" and invited is not None:
            found = max(found, (row.seq, content.key_id)) if row.seq < invited.seq else found
    return found[1]


def is_open_to(state: State, participant: str, step: Step) -> bool:
    """Whether the participant is in a state the step starts from.

    Who was to come back, and lost the key it was to come with, is reinstated again with a newer one. Who is
    invited for the first time is named by no charter in force, and cannot be.
    """
    status = state.participant_status(participant)
    if step == "reinstate" and status == "invited":
        charter = state.charter
        return charter is not None and participant in {each.id for each in charter.participants}
    return status in STEPS[step]


def counted_from(state: State, decision: Row[Any]) -> int:
    """The event that a vote must follow to count; -1: any.

    A freeze is ended, and a participant's standing changed, only by votes cast after it: those of one freeze
    do not end the next.
    """
    match decision.matter:
        case "thaw":
            rows = state.rows(g.collaborations)
        case "membership":
            rows = state.rows(g.participants, participant=decision.about)
        case _:
            rows = []
    return max((row.seq for row in rows), default=-1)


def moot(state: State, decision: Row[Any]) -> str | None:
    """Why there is nothing to decide, in words; None while the question stands.

    Such a question is rejected at once: an approval kept in store could otherwise be used much later, for
    example to undo a freeze that came after it.
    """
    content = None if decision.matter in ("request", "dispute") else read_content(decision)
    match decision.matter:
        case "request":
            request = state.request(decision.about)
            return (
                "the charter's rules refused the request" if request and request.status == "denied" else None
            )
        case "dispute":
            return None
        case "thaw":
            return None if state.phase == "frozen" else "the collaboration is not frozen"
        case _ if content is None:
            return "the question does not say what is to be decided"
    if isinstance(content, Membership):
        if is_open_to(state, decision.about, content.step):
            return None
        return f"the participant is {state.participant_status(decision.about) or 'unknown'}"
    if isinstance(content, Deviation) and state.rows(g.exceptions, exception=decision.about):
        return "an exception of this name was granted before"
    return None
