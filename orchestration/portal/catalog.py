"""The catalog as one viewer sees it: an entry for each dataset, and the life of one.

Belongs here: narrowing what is read to what the viewer sees, and flat rows for the twins. Must not be here:
what the catalog says (`audit/catalog`), HTML. The charter is for all its members; versions are for those
whose data it is, and for auditors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestration.audit.catalog.entry import Catalog, DatasetEntry, read_catalog
from orchestration.audit.catalog.search import search
from orchestration.audit.catalog.timeline import Moment, timeline
from orchestration.charter.model import Charter
from orchestration.house import House
from orchestration.portal.records import read_lineage
from orchestration.portal.sight import Seen
from orchestration.stages.login import Viewer

CSV_COLUMNS = (
    *("dataset", "owner", "entity", "kind", "field", "becomes", "type", "required", "class", "technique"),
    "used_by",
)
_MOMENTS = 120


@dataclass(frozen=True)
class Page:
    """The datasets that were searched for, or all; `own`: those whose versions the viewer may see."""

    catalog: Catalog
    asked: str
    entries: tuple[DatasetEntry, ...]
    places: dict[str, tuple[str, ...]]
    own: frozenset[str]


@dataclass(frozen=True)
class DatasetPage:
    """One dataset; `moments` newest first, `hidden` how many older ones are left out; `coming` in order."""

    entry: DatasetEntry
    own: bool
    moments: tuple[Moment, ...]
    coming: tuple[Moment, ...]
    hidden: int


def read_page(house: House, charter: Charter, viewer: Viewer, seen: Seen, asked: str) -> Page:
    """Raises: IntegrityError when an event is not what was written."""
    catalog = _read(house, charter, seen)
    own = frozenset(each.id for each in catalog.datasets if sees_versions(viewer, each))
    if not asked.strip():
        return Page(catalog, "", catalog.datasets, {}, own)
    hits = search(catalog, asked)
    by_id = {each.id: each for each in catalog.datasets}
    places = {hit.dataset: hit.places for hit in hits}
    return Page(catalog, asked, tuple(by_id[hit.dataset] for hit in hits), places, own)


def read_dataset(house: House, charter: Charter, viewer: Viewer, seen: Seen, dataset: str) -> DatasetPage:
    """Raises: CharterError (`charter.unknown_name`); IntegrityError when an event is not what was written."""
    declared = charter.dataset(dataset)
    entry = next(each for each in _read(house, charter, seen).datasets if each.id == dataset)
    with house.state(charter.collaboration) as state:
        found = timeline(state.connection, charter, declared, entry.versions, state.at, seen.numbers)
    past = [each for each in found if each.event is not None]
    coming = tuple(each for each in found if each.event is None)
    shown = tuple(reversed(past[-_MOMENTS:]))
    return DatasetPage(entry, sees_versions(viewer, entry), shown, coming, len(past) - len(shown))


def sees_versions(viewer: Viewer, entry: DatasetEntry) -> bool:
    return viewer.sees_everything or entry.owner == viewer.participant


def rows(entries: Iterable[DatasetEntry]) -> Iterable[dict[str, Any]]:
    """Every field of every dataset as one flat row."""
    for entry in entries:
        for field in entry.fields:
            yield {
                "dataset": entry.id,
                "owner": entry.owner,
                "entity": entry.entity,
                "kind": entry.classification,
                "field": field.name,
                "becomes": field.becomes,
                "type": field.type,
                "required": field.required,
                "class": field.classification,
                "technique": field.technique,
                "used_by": "; ".join(f"{name}: {', '.join(roles)}" for name, roles in field.roles.items()),
            }


def _read(house: House, charter: Charter, seen: Seen) -> Catalog:
    with house.log.read() as connection:
        return read_catalog(connection, charter, read_lineage(connection, seen.numbers), seen.numbers)
