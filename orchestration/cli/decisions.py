"""`glasshouse approve | reject | abstain`, `decision`, `freeze` and `thaw`: deciding together, and stopping.

Must not be here: who may decide what (`participants/approvals`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.decision_log import decision_record
from orchestration.audit.governance_events import (
    CollaborationFrozen,
    DecisionOpened,
    Matter,
    Verdict,
    VoteCast,
)
from orchestration.cli.console import JsonFlag, emit, harmless, table
from orchestration.cli.options import CollaborationOption, current_state, opened_house
from orchestration.cli.pending import Question, new_id, next_vote, question, questions, who_is_missing
from orchestration.cli.signing_options import Signing, signed
from orchestration.cli.told import day, minute
from orchestration.errors import ConfigError, Reason

NO_SUCH_DECISION = Reason(
    "decision.not_found",
    "There is no decision called {decision}.",
    "List them with `glasshouse decision list`.",
)
BAD_CONTENT = Reason(
    "decision.bad_content",
    "What is to be decided is written NAME=TEXT.",
    "For example: --say title='Churn analysis' --say description='Which customers leave.'",
)

DecisionArgument = Annotated[str, typer.Argument(help="Decision, as `glasshouse decision list` names it.")]

app = typer.Typer(help="Questions that members decide together.", no_args_is_help=True)


@signed()
def approve(signing: Signing, decision: DecisionArgument) -> None:
    """Vote yes. A vote can be changed until the decision is concluded."""
    _vote(signing, decision, "approve")


@signed()
def reject(signing: Signing, decision: DecisionArgument) -> None:
    """Vote no."""
    _vote(signing, decision, "reject")


@signed()
def abstain(signing: Signing, decision: DecisionArgument) -> None:
    """Take no side; an abstention never counts as agreement."""
    _vote(signing, decision, "abstain")


@signed()
def freeze(
    signing: Signing,
    name: Annotated[
        str | None, typer.Argument(metavar="[COLLABORATION]", help="What to stop; default: the only one.")
    ] = None,
) -> None:
    """Emergency stop: from now on nothing runs and nothing opens. Any steward can, alone."""
    with signing.about(name).opened() as signatory:
        note = "Next, when the reason is gone:\n  glasshouse thaw --as MEMBER --why REASON"
        signatory.records(signatory.event(CollaborationFrozen()), note=note)


@signed()
def thaw(signing: Signing) -> None:
    """Ask that a frozen collaboration goes on; those whom the charter names decide."""
    open_decision(signing, "thaw", None, {})


@app.command("open")
@signed()
def open_(
    signing: Signing,
    matter: Annotated[Matter, typer.Argument(help="Kind of question.")],
    about: Annotated[str, typer.Argument(help="Participant, purpose or exception it is about.")],
    *,
    say: Annotated[list[str] | None, typer.Option(help="NAME=TEXT of what is decided; repeat it.")] = None,
) -> None:
    """Put a question to those who hold the right to decide it."""
    content: dict[str, JsonValue] = {}
    for each in say or []:
        name, equals, text = each.partition("=")
        if not equals or not name.strip():
            raise ConfigError(BAD_CONTENT)
        content[name.strip()] = text.strip()
    open_decision(signing, matter, about, content)


@app.command("list")
def list_(
    *,
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What waits for a decision, and who may give it."""
    with current_state(collaboration) as state:
        found = questions(state, only_pending=not every)
    emit([each.facts for each in found], lambda: _listing(found), as_json=as_json)


@app.command()
def show(
    decision: DecisionArgument, *, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """One decision: what is asked, by which rule, who voted, who may not and why."""
    with opened_house(collaboration) as (house, state):
        row = state.decision(decision)
        if row is None:
            raise ConfigError(NO_SUCH_DECISION, decision=ascii(decision[:80]))
        found, record = question(state, row), decision_record(house.log, state, row)
    document: JsonValue = {**found.facts, **record}
    emit(document, lambda: _described(found, record), as_json=as_json)


def open_decision(
    signing: Signing,
    matter: Matter,
    about: str | None,
    content: dict[str, JsonValue],
    *,
    decision: str | None = None,
) -> None:
    """Sign and record a question.

    Args:
        about: None: the collaboration itself.
        decision: its id; default: a new one that begins with the matter.
    """
    decision = decision or new_id(matter)
    with signing.opened() as signatory:
        payload = DecisionOpened(matter=matter, about=about or signatory.collaboration, content=content)
        signatory.records(signatory.event(payload, decision), note=next_vote(decision))


def _vote(signing: Signing, decision: str, vote: Verdict) -> None:
    with signing.opened() as signatory:
        event = signatory.event(VoteCast(decision=decision, vote=vote), decision)
        signatory.records(
            event, note=lambda house, collaboration: who_is_missing(decision, house, collaboration)
        )


def _listing(found: list[Question]) -> RenderableType:
    if not found:
        return Text("Nothing waits for a decision.")
    rows = [
        [
            each.id,
            each.says,
            "\n".join(each.waits_for) or ("nobody" if each.status == "pending" else each.status),
        ]
        for each in found
    ]
    return table(["Decision", "Question", "Waits for"], rows)


def _described(found: Question, record: dict[str, Any]) -> RenderableType:
    concluded = record["concluded"]
    ended = f" since {minute(concluded['at'])} UTC" if concluded else ""
    lines = [
        Text(f"{found.id}: {found.says}", style="bold"),
        Text(f"Asked by {found.asked_by} on {day(found.opened_at)}. State: {found.status}{ended}."),
        Text(f"Reason: {harmless(record['reason'])}"),
    ]
    lines += [Text(f"  {name}: {harmless(str(value))}") for name, value in found.content.items()]
    lines.append(Text(f"Rule: {record['rule']}."))
    if found.expires_at:
        lines.append(Text(f"Expires {minute(found.expires_at)} UTC."))
    rows = [[each["member"], each["vote"], each["reason"]] for each in record["votes"] if each["stands"]]
    rows += [[member, "may vote", ""] for member in found.may if member not in found.votes]
    rows += [[member, "may not", why] for member, why in found.excluded.items()]
    return Group(*lines, Text(""), table(["Member", "Vote", "Reason"], rows))
