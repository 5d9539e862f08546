"""`glasshouse can`: may this member do this? Asked, explained, and nothing done.

Must not be here: any rule. The answer is that of the policies, with the same words as a refusal of the act.
"""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit, harmless
from orchestration.cli.options import CollaborationOption, current_state
from orchestration.participants.decision import Decision
from orchestration.participants.permissions import ACTIONS
from orchestration.participants.policy import decide
from orchestration.participants.question import Question
from orchestration.participants.state import State

_ASKS_ROLES = ("enroll_member", "give_grant", "open_emergency")


def can(
    member: Annotated[str, typer.Argument(help="Member: <participant>.<name>.")],
    action: Annotated[str, typer.Argument(help=f"One of: {', '.join(ACTIONS)}.")],
    subject: Annotated[
        str, typer.Argument(help="What it is about: dataset, computation, release, decision, member …")
    ],
    *,
    purpose: Annotated[str | None, typer.Option(help="Purpose of the charter.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to be given; repeat it.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset the answer reads; repeat it.")] = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say whether a member may do something, and why, without doing it. Exit code 1: it may not.

    That a reason will be given (--why of the real command) is taken for granted.
    """
    with current_state(collaboration) as state:
        facts: dict[str, object] = {"justification": "asked beforehand", "datasets": tuple(dataset or ())}
        if purpose:
            facts["purpose"] = purpose
        if action in _ASKS_ROLES:
            facts["roles"] = tuple(role or _roles_of(state, subject))
        decision = decide(state, Question(member, action, subject, facts))
    document: JsonValue = {
        "allowed": decision.allowed,
        "code": decision.code,
        "message": decision.message,
        "policies": list(decision.policies),
        "next_step": decision.next_step or None,
    }
    emit(document, lambda: _render(decision), as_json=as_json)
    if not decision.allowed:
        raise typer.Exit(1)


def _roles_of(state: State, member: str) -> list[str]:
    """Without --role: all that the charter gives."""
    return sorted(state.given(member))


def _render(decision: Decision) -> Text:
    text = Text()
    text.append(
        "Yes. " if decision.allowed else "No. ", style="bold green" if decision.allowed else "bold red"
    )
    text.append(harmless(decision.message))
    if decision.code:
        text.append(f"\n  Code: {decision.code}", style="dim")
    for rule in decision.policies:
        text.append(f"\n  Rule: {rule}")
    if decision.next_step:
        text.append(f"\n  Next: {harmless(decision.next_step)}")
    return text
