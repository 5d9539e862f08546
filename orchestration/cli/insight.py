"""`glasshouse request` and `glasshouse open`: asking an approved question, and reading its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.insight_view import render_insight
from orchestration.cli.options import CollaborationOption, MemberOption, WhyOption, chosen_charter
from orchestration.cli.progress import steps
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages import access
from orchestration.stages import request as requests
from orchestration.stages.recorder import Caller

BAD_PARAMETER = Reason(
    "request.bad_parameter",
    "A parameter is written NAME=CHOICE.",
    "For example: -p rows=age -p columns=income",
)


def request(
    template: Annotated[str, typer.Argument(help="Template of the charter.")],
    *,
    purpose: Annotated[str, typer.Option(help="Purpose of the charter.")],
    member: MemberOption,
    why: WhyOption,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="NAME=CHOICE; repeat it.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Run it now, instead of leaving it to the daemon.")] = True,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask an approved question for a purpose. Exit code 1 when the charter says no."""
    from orchestration.defs.local import LocalRuns

    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        asked, decision = requests.submit(
            house,
            charter,
            template=template,
            parameters=_parameters(parameter or []),
            purpose=purpose,
            requester=member,
            justification=why,
        )
        decision.require()
        release = requests.release_of(house, asked.id)
        problem = ""
        if wait and release is None:
            with steps() as progress, LocalRuns(house, Caller(member, why), progress.start) as runs:
                step = runs.answer(charter, asked.template, asked.id)
                progress.end(step.succeeded)
                problem = step.problem
            release = requests.release_of(house, asked.id)
    document: JsonValue = {
        "request": asked.id,
        "decision": decision.message,
        "release": release,
        "problem": problem or None,
    }
    emit(document, lambda: _asked(asked.id, decision.message, release, problem, member), as_json=as_json)
    if problem:
        raise typer.Exit(1)


def open_release(
    release: Annotated[str, typer.Argument(help="Release, as `glasshouse status` lists it.")],
    *,
    member: MemberOption,
    why: WhyOption = "",
    save: Annotated[Path | None, typer.Option(help="Copy the files of the release into this folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Open an insight: entitlement is checked, the access is logged, passport and files are verified."""
    with House.opened(load_settings()) as house:
        opened = access.open_insight(house, release, member, why)
        unit = house.charter(opened.passport.charter.collaboration).privacy_unit
        if save is not None:
            access.copy_release(opened, save)
    document: JsonValue = {
        "release": opened.release.id,
        "detail": opened.detail,
        "finding": opened.finding.to_json(),
        "table": opened.table.to_json() if opened.table else None,
        "passport": json.loads(opened.passport.model_dump_json()),
    }
    emit(document, lambda: render_insight(opened, unit), as_json=as_json)


def _parameters(given: list[str]) -> dict[str, str]:
    parameters = {}
    for each in given:
        name, equals, choice = each.partition("=")
        if not equals or not name or not choice:
            raise ConfigError(BAD_PARAMETER)
        parameters[name.strip()] = choice.strip()
    return parameters


def _asked(request_id: str, message: str, release: str | None, problem: str, member: str) -> Text:
    lines = [f"Request {request_id}", message]
    if release:
        lines.append(f"Next: glasshouse open {release} --as {member} --why REASON")
    elif problem:
        lines.append(f"Not answered. {problem}")
    else:
        lines.append("Waiting: `glasshouse run`, or the daemon of `make dev`, answers it.")
    return Text("\n".join(lines))
