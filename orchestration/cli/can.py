"""`glasshouse can`: may this member do this? Asked, explained, and nothing done.

Must not be here: any rule. The answer is that of the policies, with the same words as a refusal of the act.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit, harmless
from orchestration.cli.options import CollaborationOption, current_state
from orchestration.errors import ConfigError
from orchestration.participants.decision import Decision
from orchestration.participants.denials import UNKNOWN_ACTION
from orchestration.participants.permissions import ACTIONS, TABLE
from orchestration.participants.policy import decide
from orchestration.participants.question import Question
from orchestration.participants.state import State

# Command → the verb it asks for; `record` asks for whatever the statement says.
COMMANDS = {row.name: row.verbs[0] for row in TABLE if row.door == "command" and len(row.verbs) == 1}
_MATTERS = {
    "thaw": "thaw",
    "charter close": "closing",
    "exception ask": "exception",
    "participant suspend": "membership",
    "participant reinstate": "membership",
    "participant remove": "membership",
}
_ASKS_ROLES = ("enroll_member", "give_grant", "open_emergency")


def can(
    member: Annotated[str, typer.Argument(help="Member: <participant>.<name>.")],
    action: Annotated[
        str, typer.Argument(help=f"A command such as approve or 'charter sign', or: {', '.join(ACTIONS)}.")
    ],
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
    action, matter = verb_of(action)
    with current_state(collaboration) as state:
        facts: dict[str, object] = {"justification": "asked beforehand", "datasets": tuple(dataset or ())}
        if purpose:
            facts["purpose"] = purpose
        if action in _ASKS_ROLES:
            facts["roles"] = tuple(role or _roles_of(state, subject))
        decision = decide(state, Question(member, action, matter or subject, facts))
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


def verb_of(action: str) -> tuple[str, str | None]:
    """The verb meant by a verb or a command, and the matter where the command alone says it.

    Raises: ConfigError (`policy.unknown_action`), with what comes nearest.
    """
    plain = " ".join(action.lower().replace("-", " ").replace("_", " ").split())
    verb = plain.replace(" ", "_")
    if verb in ACTIONS:
        return verb, None
    if plain in COMMANDS:
        return COMMANDS[plain], _MATTERS.get(plain)
    near = get_close_matches(verb, ACTIONS, n=3) + get_close_matches(plain, COMMANDS, n=3)
    known = ", ".join(dict.fromkeys(near)) or ", ".join(ACTIONS)
    raise ConfigError(UNKNOWN_ACTION, action=ascii(action[:40]), known=known)


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
