"""What the catalog hands to others: the record of processing, the data map, contracts and terms of use.

Must not be here: what they say (`orchestration/audit/catalog/`). They follow from a charter alone, so each
command takes a file, or the charter of the house.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.text import Text

from orchestration.audit.catalog import odcs, odcs_import, odrl
from orchestration.audit.catalog.data_map import data_map
from orchestration.audit.catalog.processing import record_of_processing
from orchestration.audit.catalog.processing_text import as_markdown
from orchestration.charter import load_charter
from orchestration.charter.model import Charter
from orchestration.cli import catalog_map_view
from orchestration.cli.catalog import DatasetArgument, charter_of
from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.options import CollaborationOption, opened_house
from orchestration.digests import canonical_json
from orchestration.engine.files import write_durably
from orchestration.errors import ConfigError, Reason

WHICH_FORM = Reason(
    "catalog.which_form",
    "A dataset is exported as a data contract or as terms of use, and it was not said which.",
    "Add --odcs or --odrl.",
)
NOT_READ = Reason(
    "catalog.not_read",
    "The file {file} cannot be read.",
    "Check its name and that it is smaller than a megabyte.",
)
_LARGEST = 1_000_000

CharterOption = Annotated[
    Path | None, typer.Option("--charter", help="This file instead of the charter of the house.")
]
OutOption = Annotated[Path | None, typer.Option(help="Write it to this file instead.")]


def record(
    *,
    charter: CharterOption = None,
    out: OutOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The record of processing (GDPR article 30), by purpose; with --out as Markdown."""
    found = record_of_processing(_charter(charter, collaboration))
    document: JsonValue = asdict(found)
    text = as_markdown(found)
    if out is not None:
        _hand_out(document, text, out, as_json=as_json)
    else:
        emit(document, lambda: Markdown(text), as_json=as_json)


def draw(
    *, charter: CharterOption = None, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """Where personal data travels: party, contribution, room, computation, receivers."""
    chosen = _charter(charter, collaboration)
    ways = data_map(chosen)
    document: list[JsonValue] = [asdict(each) for each in ways]
    emit(document, lambda: catalog_map_view.ways(chosen, ways), as_json=as_json)


def export(
    dataset: DatasetArgument,
    *,
    as_odcs: Annotated[bool, typer.Option("--odcs", help="As a data contract, ODCS 3.1, in YAML.")] = False,
    as_odrl: Annotated[bool, typer.Option("--odrl", help="Its terms of use, ODRL 2.2, in JSON-LD.")] = False,
    charter: CharterOption = None,
    out: OutOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """A dataset in a form that other catalogs read."""
    if as_odcs == as_odrl:
        raise ConfigError(WHICH_FORM)
    chosen = _charter(charter, collaboration)
    declared = chosen.dataset(dataset)
    if as_odcs:
        contract = odcs.contract(chosen, declared)
        _hand_out(odcs.as_document(contract), odcs.as_yaml(contract), out, as_json=as_json)
    else:
        terms = odrl.agreement(chosen, declared)
        _hand_out(terms, json.dumps(terms, indent=2, ensure_ascii=False) + "\n", out, as_json=as_json)


def import_odcs(
    file: Annotated[Path, typer.Argument(help="A data contract, ODCS version 3.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Turn a data contract into dataset clauses to paste into a charter; say what has no counterpart."""
    try:
        with file.open("rb") as source:
            data = source.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(NOT_READ, file=ascii(file.name)) from error
    if len(data) > _LARGEST:
        raise ConfigError(NOT_READ, file=ascii(file.name))
    found = odcs_import.import_contract(data)
    document: list[JsonValue] = [
        {
            "clause": each.clause,
            "missing": list(each.missing),
            "unclassified": list(each.unclassified),
            "lost": list(each.lost),
        }
        for each in found
    ]
    if as_json:
        emit(document, Text, as_json=True)
        return
    # Not through rich: the clauses go into files, so no line of them may be wrapped.
    typer.echo("\n".join(odcs_import.as_yaml(each) for each in found), nl=False)


def _charter(file: Path | None, collaboration: str | None) -> Charter:
    if file is not None:
        return load_charter(file)
    with opened_house(collaboration) as (_, state):
        return charter_of(state)


def _hand_out(document: JsonValue, text: str, out: Path | None, *, as_json: bool) -> None:
    if out is not None:
        write_durably(out, canonical_json(document) if as_json else text.encode(), mode=0o644)
        written: JsonValue = {"written": str(out)}
        emit(written, lambda: _told(out), as_json=as_json)
    elif as_json:
        emit(document, Text, as_json=True)
    else:
        typer.echo(text, nl=False)  # a document of its own: no line of it may be wrapped


def _told(out: Path) -> RenderableType:
    return Text(f"Written to {out}.")
