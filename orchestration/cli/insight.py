"""`glasshouse request` and `glasshouse open`: asking an approved question, and reading its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.text import Text
from sqlalchemy import select

from orchestration.audit import statement, tables
from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.options import CollaborationOption, MemberOption, WhyOption, chosen_charter
from orchestration.cli.pending import next_vote, who_is_missing
from orchestration.cli.progress import steps
from orchestration.cli.signing_options import (
    SIGNED_ELSEWHERE,
    KeyOption,
    PassphraseOption,
    SignToOption,
    private_key,
    write_statement,
)
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.settings import load_settings

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
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    sign_to: SignToOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Sign an approved question for a purpose. Exit code 1 when the charter says no."""
    from orchestration.defs.local import LocalRuns
    from orchestration.stages import request as requests
    from orchestration.stages.recorder import Caller

    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        own = private_key(house, charter.collaboration, member, key, passphrase_file)
        question: Any = {
            "template": template,
            "parameters": _parameters(parameter or []),
            "purpose": purpose,
            "requester": member,
            "justification": why,
        }
        if sign_to is not None:
            drafted = requests.draft(house, charter, **question)
            drafted.decision.require()
            signed = statement.sign(drafted.event, own, valid_for=SIGNED_ELSEWHERE)
            write_statement(sign_to, signed, as_json=as_json)
            return
        asked = requests.submit(house, charter, key=own, **question)
        asked.decision.require()
        name = asked.request.id
        release = requests.release_of(house, name)
        problem = ""
        missing = ""
        if asked.pending:
            waits = who_is_missing(name, house, charter.collaboration)
            missing = f"{waits}\n{next_vote(name)(house, charter.collaboration)}"
        if wait and release is None and not asked.pending:
            with steps() as progress, LocalRuns(house, Caller(member, why), progress.start) as runs:
                step = runs.answer(charter, asked.request.template, name)
                progress.end(step.succeeded)
                problem = step.problem
            release = requests.release_of(house, name)
    document: JsonValue = {
        "request": name,
        "decision": asked.decision.message,
        "pending": asked.pending,
        "release": release,
        "problem": problem or None,
    }
    if asked.pending:
        next_step = missing
    elif release:
        next_step = f"Next: glasshouse open {release} --as {member} --why REASON"
    elif problem:
        next_step = f"Not answered. {problem}"
    else:
        next_step = "Waiting: `glasshouse run`, or the daemon of `make dev`, answers it."
    said = "\n".join((f"Request {name}", asked.decision.message, next_step))
    emit(document, lambda: Text(said), as_json=as_json)
    if problem:
        raise typer.Exit(1)


def open_release(
    release: Annotated[str, typer.Argument(help="Release, as `glasshouse status` lists it.")],
    *,
    member: MemberOption,
    why: WhyOption = "",
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    save: Annotated[Path | None, typer.Option(help="Copy the files of the release into this folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Open an insight: entitlement is checked, the access is logged, passport and files are verified."""
    from orchestration.cli.insight_view import render_insight
    from orchestration.stages import access

    with House.opened(load_settings()) as house:
        collaboration = _collaboration_of(house, release)
        own = private_key(house, collaboration, member, key, passphrase_file)
        opened = access.open_insight(house, release, member, why, own)
        unit = house.charter(opened.passport.charter.collaboration).privacy_unit
        if save is not None:
            access.copy_release(opened, save)
    document: JsonValue = {
        "release": opened.release.id,
        "detail": opened.detail,
        "outdated": opened.release.outdated,
        "finding": opened.finding.to_json(),
        "table": opened.table.to_json() if opened.table else None,
        "passport": json.loads(opened.passport.model_dump_json()),
    }
    emit(document, lambda: render_insight(opened, unit), as_json=as_json)


def _collaboration_of(house: House, release: str) -> str:
    """Raises: ConfigError (`access.no_such_release`)."""
    from orchestration.stages.access import NO_SUCH_RELEASE

    query = select(tables.releases.c.collaboration).where(tables.releases.c.release == release)
    with house.log.read() as connection:
        found: str | None = connection.execute(query).scalar()
    if found is None:
        raise ConfigError(NO_SUCH_RELEASE, release=ascii(release[:80]))
    return found


def _parameters(given: list[str]) -> dict[str, str]:
    parameters = {}
    for each in given:
        name, equals, choice = each.partition("=")
        if not equals or not name or not choice:
            raise ConfigError(BAD_PARAMETER)
        parameters[name.strip()] = choice.strip()
    return parameters
