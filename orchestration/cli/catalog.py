"""`glasshouse catalog`: what there is, whose it is, what it may be used for, and where it went.

Must not be here: what the catalog says (`orchestration/audit/catalog/`), or how it is laid out
(`catalog_view`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from pydantic import JsonValue

from orchestration.audit.catalog.entry import Catalog, document, read_catalog
from orchestration.audit.catalog.search import search as find
from orchestration.audit.catalog.timeline import timeline as life_of
from orchestration.charter.model import Charter
from orchestration.charter.taxonomy import TAXONOMY
from orchestration.cli import catalog_view as shown
from orchestration.cli.console import JsonFlag, emit
from orchestration.cli.options import NO_CHARTER, CollaborationOption, opened_house
from orchestration.errors import ConfigError
from orchestration.participants.state import State

DatasetArgument = Annotated[str, typer.Argument(help="Dataset, as the charter names it.")]

app = typer.Typer(
    help="What there is, whose it is, what it may be used for, and where it went.", no_args_is_help=True
)


@app.command("list")
def list_datasets(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every dataset: owner, classes of its fields, newest version."""
    with _opened(collaboration) as (_, catalog):
        found = catalog
    emit(_catalog_document(found), lambda: shown.listed(found), as_json=as_json)


@app.command()
def show(
    dataset: DatasetArgument, *, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """One dataset: terms, fields with class and technique, versions with their gates, what was made of it."""
    with _opened(collaboration) as (state, catalog):
        charter_of(state).dataset(dataset)
        entry = catalog.find(dataset)
    assert entry is not None  # noqa: S101 - the charter names it
    emit(document(entry), lambda: shown.entry(entry), as_json=as_json)


@app.command()
def search(
    words: Annotated[
        list[str],
        typer.Argument(help="Words, or tags: class:sensitive, entity:, party:, purpose:, field:."),
    ],
    *,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find datasets by word, tag or field, best first; no value of any data is searched."""
    with _opened(collaboration) as (_, catalog):
        hits = find(catalog, " ".join(words))
    found: list[JsonValue] = [asdict(hit) for hit in hits]
    emit(found, lambda: shown.hits(hits), as_json=as_json)
    if not hits:
        raise typer.Exit(1)


@app.command()
def timeline(
    dataset: DatasetArgument, *, collaboration: CollaborationOption = None, as_json: JsonFlag = False
) -> None:
    """The life of a dataset in order: consent, purpose, retention, and every event about it."""
    with _opened(collaboration) as (state, catalog):
        charter = charter_of(state)
        declared, entry = charter.dataset(dataset), catalog.find(dataset)
        versions = entry.versions if entry is not None else ()
        moments = life_of(state.connection, charter, declared, versions, state.at)
    found: list[JsonValue] = [asdict(each) for each in moments]
    emit(found, lambda: shown.timeline(declared.title, moments), as_json=as_json)


@app.command()
def taxonomy(*, as_json: JsonFlag = False) -> None:
    """What a field can be: each class, what it means, what it allows and what it forces."""
    emit(
        {"taxonomy": TAXONOMY.document, "digest": TAXONOMY.digest},
        lambda: shown.taxonomy(TAXONOMY),
        as_json=as_json,
    )


def charter_of(state: State) -> Charter:
    """The charter whose rules apply. Raises: ConfigError (`charter.none_proposed`)."""
    if state.agreement is None:
        raise ConfigError(NO_CHARTER, collaboration=state.collaboration)
    return state.agreement


@contextmanager
def _opened(collaboration: str | None) -> Iterator[tuple[State, Catalog]]:
    with opened_house(collaboration) as (house, state):
        yield state, read_catalog(state.connection, charter_of(state), house.log.lineage())


def _catalog_document(catalog: Catalog) -> JsonValue:
    return {
        "collaboration": catalog.collaboration,
        "version": catalog.version,
        "charter": catalog.charter_digest,
        "taxonomy": catalog.taxonomy,
        "datasets": [document(each) for each in catalog.datasets],
        "artefacts": [asdict(each) for each in catalog.artefacts],
    }
