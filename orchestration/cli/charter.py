"""`glasshouse charter`: check an agreement, compare versions, begin a new one, and help editors write it.

Must not be here: any rule of a charter (`orchestration/charter/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestration.audit.catalog.usage import unused
from orchestration.charter import Charter, CharterMistakesError, Enforcement, enforcement, load_charter
from orchestration.charter.diff import diff as compare
from orchestration.charter.hierarchies import hierarchy_clause, read_hierarchy
from orchestration.charter.loader import STARTER
from orchestration.charter.mistakes import Mistake
from orchestration.charter.schema import SCHEMA_NAME, charter_schema, schema_text, write_schema
from orchestration.charter.segregation import conflicts
from orchestration.cli.charter_view import changes_document, changes_view, maturity_document, maturity_view
from orchestration.cli.console import JsonFlag, emit
from orchestration.digests import canonical_json
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.settings import load_settings

EXISTS = Reason(
    "charter.exists",
    "There is already a file {file}; a charter is never overwritten.",
    "Choose another name: `glasshouse charter new NAME.yaml`.",
)
NOT_WRITTEN = Reason(
    "charter.not_written",
    "The file {file} cannot be written there.",
    "Check that the folder exists and may be written to.",
)

NONE_IN_FORCE = Reason(
    "charter.none_in_force",
    "No charter of {collaboration} is in force in this house.",
    "Compare two files: `glasshouse charter diff OLD NEW`.",
)

_PATH_WIDTH = 29

app = typer.Typer(help="Check the agreement between the participants, or begin one.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A charter, such as charters/grocery.yaml.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Print what each clause enforces, or every mistake at once (exit code 2)."""
    from orchestration.computation.template import load_templates

    try:
        charter = load_charter(file, templates=load_templates())
    except CharterMistakesError as error:
        found = error
        emit(_mistakes_document(found), lambda: _mistakes(file, found), as_json=as_json)
        raise typer.Exit(error.exit_code) from error
    kept = enforcement(charter)
    emit(_charter_document(charter, kept), lambda: _clauses(charter, kept), as_json=as_json)


@app.command()
def diff(
    file: Annotated[Path, typer.Argument(help="The new version; or an old one, when NEW is given too.")],
    new: Annotated[Path | None, typer.Argument(help="The new version, to compare two files.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Say in words what a new version makes looser or stricter than the charter in force, and who signs."""
    if new is None:
        after = load_charter(file)
        before = _in_force(after.collaboration)
    else:
        before, after = load_charter(file), load_charter(new)
    changes = compare(before, after)
    emit(
        changes_document(before, after, changes),
        lambda: changes_view(before, after, changes),
        as_json=as_json,
    )


@app.command()
def maturity(
    file: Annotated[Path, typer.Argument(help="A charter, such as charters/grocery.yaml.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """List the four levels of maturity, where this charter stands, and what the next one lacks."""
    charter = load_charter(file)
    emit(maturity_document(charter), lambda: maturity_view(charter), as_json=as_json)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("charter.yaml"),
    *,
    as_json: JsonFlag = False,
) -> None:
    """Write a commented starter that passes `check`, and the schema for editors beside it."""
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(STARTER.read_text(encoding="utf-8"))
        schema = write_schema(file.parent)
    except FileExistsError as error:
        raise ConfigError(EXISTS, file=file.name) from error
    except OSError as error:
        raise ConfigError(NOT_WRITTEN, file=file.name) from error
    written: JsonValue = {"charter": str(file), "schema": str(schema)}
    lines = (
        f"Wrote {file} and, for editors, {schema}.",
        f"Next: change it, then `glasshouse charter check {file}`.",
    )
    emit(written, lambda: Text("\n".join(lines)), as_json=as_json)


@app.command()
def schema(
    *,
    write: Annotated[
        Path | None, typer.Option(help=f"Write {SCHEMA_NAME} into this folder instead.", file_okay=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the JSON Schema that editors use to help you write a charter."""
    if write is None:
        # Not through rich: the schema goes into files, so no line of it may be wrapped.
        typer.echo(canonical_json(charter_schema()) if as_json else schema_text(), nl=as_json)
        return
    try:
        path = write_schema(write)
    except OSError as error:
        raise ConfigError(NOT_WRITTEN, file=SCHEMA_NAME) from error
    emit({"schema": str(path)}, lambda: Text(f"Wrote {path}."), as_json=as_json)


@app.command()
def hierarchy(
    file: Annotated[
        Path, typer.Argument(help="CSV: a value and its coarser forms a line.", exists=True, dir_okay=False)
    ],
    *,
    level: Annotated[int, typer.Option(min=1, max=20, help="Which form to use; 1 is the finest.")] = 1,
    delimiter: Annotated[str, typer.Option(help="What stands between two forms.")] = ";",
    as_json: JsonFlag = False,
) -> None:
    """Print a hierarchy from a file as the technique that a charter keeps."""
    rungs = read_hierarchy(file, delimiter=delimiter[:1] or ";")
    if as_json:
        listed: list[JsonValue] = [rung.model_dump(mode="json") for rung in rungs]
        typer.echo(canonical_json({"kind": "generalize", "level": level, "hierarchy": listed}))
    else:  # not through rich: it goes into a charter, so no line may be wrapped
        typer.echo(hierarchy_clause(rungs, level))


def _in_force(collaboration: str) -> Charter:
    """Raises: ConfigError (`charter.none_in_force`)."""
    with House.opened(load_settings()) as house, house.state(collaboration) as state:
        if state.charter is None:
            raise ConfigError(NONE_IN_FORCE, collaboration=collaboration)
        return state.charter


def _clauses(charter: Charter, kept: tuple[Enforcement, ...]) -> RenderableType:
    """Sections in the order of the document; on the right who keeps each clause."""
    parts: list[RenderableType] = [
        Text(charter.title, style="bold"),
        Text(f"{charter.collaboration}, version {charter.version}"),
        Text(charter.digest, style="dim"),
    ]
    for section, clauses in groupby(kept, key=lambda each: each.section):
        parts.append(Text(f"\n{section}", style="bold cyan"))
        for holder, group in groupby(_in_file_order(charter, clauses), key=_holder):
            if holder:
                parts.append(Text(holder, style="bold"))
            clauses_here = list(group)
            parts.append(
                _grid([(_short(each), _statement(each)) for each in clauses_here if not _is_field(each)])
            )
            fields = [(f"  {_short(each)}", Text(each.states)) for each in clauses_here if _is_field(each)]
            if fields:
                note = Text("types and limits [contribution], techniques [deidentified]", style="dim")
                parts.append(_grid([("fields", note), *fields]))
    parts.append(Text("\nHuman duties", style="bold cyan"))
    parts.append(_grid([(duty.owner, Text(duty.duty)) for duty in charter.human_duties]))
    notes = conflicts(charter)
    if notes:
        parts.append(Text("\nNotes on segregation of duties", style="bold cyan"))
        parts.append(_grid([(note.path, Text(note.message)) for note in notes]))
    idle = unused(charter)
    if idle:
        parts.append(Text("\nWarnings: contributed, and used by no computation", style="bold cyan"))
        parts.append(_grid([(each.dataset, Text(each.message)) for each in idle]))
    people = sum(1 for each in kept if each.owner)
    parts.append(Text(f"\n{len(kept)} clauses: {len(kept) - people} kept by code, {people} by people."))
    return Group(*parts)


def _in_file_order(charter: Charter, clauses: Iterable[Enforcement]) -> list[Enforcement]:
    """Clauses of one dataset or participant together, as they stand in the file."""
    order = [each.id for each in charter.participants] + [each.id for each in charter.datasets]
    return sorted(clauses, key=lambda each: order.index(_holder(each)) if _holder(each) in order else -1)


def _holder(clause: Enforcement) -> str:
    """The dataset or participant whose clause it is."""
    first, _, rest = clause.path.partition(".")
    return rest.partition(".")[0] if first in ("datasets", "participants") else ""


def _short(clause: Enforcement) -> str:
    """The path without what the headings say already."""
    holder = _holder(clause)
    rest = clause.path.partition(".")[2] or clause.path
    if not holder:
        return rest
    rest = rest.removeprefix(holder).removeprefix(".")
    return rest.removeprefix("members.").removeprefix("fields.") or "delivery"


def _is_field(clause: Enforcement) -> bool:
    return clause.path.startswith("datasets.") and ".fields." in clause.path


def _statement(clause: Enforcement) -> Text:
    text = Text(clause.states)
    if clause.owner:
        return text.append(f" Duty of {clause.owner}.", style="yellow")
    return text.append(f" [{', '.join(stage for stage, _ in clause.stages)}]", style="dim")


def _grid(rows: list[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_PATH_WIDTH, overflow="fold")
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(Text(f"  {name}"), text)
    return grid


def _mistakes(file: Path, error: CharterMistakesError) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{file.name}: {error.facts['count']}", style="bold red")]
    for mistake in error.mistakes:
        parts.append(Text(f"\nline {mistake.line}  {mistake.path}", style="bold"))
        parts.append(Text(f"  {mistake.message}"))
        if mistake.allowed:
            parts.append(_allowed(mistake))
    return Group(*parts)


def _allowed(mistake: Mistake) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text("  Allowed:", style="dim"), Text(", ".join(mistake.allowed), overflow="fold"))
    return grid


def _mistakes_document(error: CharterMistakesError) -> JsonValue:
    mistakes: list[JsonValue] = [
        {"line": each.line, "path": each.path, "message": each.message, "allowed": list(each.allowed)}
        for each in error.mistakes
    ]
    return {"error": {"code": error.code, "next_step": error.next_step, "mistakes": mistakes}}


def _charter_document(charter: Charter, kept: tuple[Enforcement, ...]) -> JsonValue:
    clauses: list[JsonValue] = [
        {
            "section": each.section,
            "path": each.path,
            "states": each.states,
            "stages": [stage for stage, _ in each.stages],
            "owner": each.owner or None,
            "duty": each.duty or None,
        }
        for each in kept
    ]
    return {
        "collaboration": charter.collaboration,
        "version": charter.version,
        "digest": charter.digest,
        "clauses": clauses,
        "notes": [{"path": note.path, "message": note.message} for note in conflicts(charter)],
        "warnings": [{"path": each.path, "message": each.message} for each in unused(charter)],
    }
