"""Who governs the collaboration: decision rights, panels, checklists, responsibilities, terms, witnesses.

Belongs here: the shape of these clauses, and the words they share with the log's governance events. Must not
be here: rules between clauses (`governance_checks`), counting votes (`participants/`), the events themselves.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Spec

from orchestration.charter.fields import Clause, Day, FieldClassification, Flag, MemberId, Slug, Text, Whole

# The same words as in `audit/governance_events.py`, which a charter may not import; a test compares them.
Matter = Literal["request", "membership", "exception", "dispute", "thaw", "closing", "purpose"]
Remedy = Literal["warn", "notify", "recall", "revoke", "suspend", "delete"]

Maturity = Literal["manual_approvals", "automatic_checks", "formal_audit", "private_computation"]
"""How much of the agreement machines keep; in rising order."""

Quorum = Annotated[Whole, Spec(ge=1, le=1_000)]
Hours = Annotated[Whole, Spec(ge=1, le=8_784)]


class ChecklistItem(Clause):
    """One thing to show before joining or delivering; its evidence is recorded by digest."""

    id: Slug
    text: Text
    required: Flag = True


class Panel(Clause):
    """Named members who decide together: `quorum` of them must agree."""

    members: tuple[MemberId, ...] = Spec(min_length=1, max_length=100)
    quorum: Quorum
    term_until: Day | None = Spec(None, description="After this day the panel decides nothing.")


class Responsibility(Clause):
    """One row of the responsibility matrix, by participant: one answers for it, others do it."""

    id: Slug = Spec(description="Such as contribution, quality, operation, approvals, audit, deletion.")
    duty: Text
    accountable: Slug = Spec(description="The one participant that answers for it.")
    responsible: tuple[Slug, ...] = Spec(min_length=1, description="Participants that do it.")
    consulted: tuple[Slug, ...] = ()
    informed: tuple[Slug, ...] = ()


class Term(Clause):
    """A contract clause that every member acknowledges before it asks for or opens anything."""

    id: Slug
    title: Text
    text: Text


class Witnesses(Clause):
    """Participants that watch the log; a checkpoint counts when `quorum` of them signed it too."""

    participants: tuple[Slug, ...] = Spec(min_length=1, max_length=100)
    quorum: Quorum


class DecisionRight(Clause):
    """Who decides what, by which rule, and what happens when nobody does."""

    id: Slug
    decision: Text
    matters: tuple[Matter, ...] = Spec((), description="What the house asks under this right; none: people.")
    deciders: tuple[Slug, ...] = Spec((), description="Participants; none named: every participant.")
    quorum: Quorum = 1
    rule: Literal["quorum", "unanimity", "affected"] = Spec(
        "quorum", description="affected: everyone whose data a request reads, and at least the quorum."
    )
    body: Literal["participants", "review_body"] = "participants"
    beneficiaries_abstain: Flag = Spec(
        False, description="The asker's organization does not decide when it alone receives the result."
    )
    ethics_for: tuple[FieldClassification, ...] = Spec(
        (), description="Data with a field of these classes needs the ethics panel too."
    )
    expires_hours: Hours = Spec(336, description="Undecided after this long, it has expired.")
    escalate_hours: Hours | None = Spec(None, description="Undecided after this long, it is escalated.")
    escalate_to: MemberId | None = None


DEFAULT_RIGHT = DecisionRight(
    id="all_participants",
    decision="What the charter gives to nobody else: every participant must agree.",
    rule="unanimity",
)
"""Decides a matter for which the charter names no right."""
