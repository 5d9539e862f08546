"""Finding datasets by word, tag or field: over what the charter says of them, never over what is in them.

Belongs here: reading what was typed, matching and ranking. Must not be here: closed sets, bounds or anything
else that could be a value of data; so looking for one finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestration.audit.catalog.entry import Catalog, DatasetEntry

_WORD = re.compile(r"[a-z0-9]+")
# How much a word counts, by where it stands.
_NAME, _TAG, _FIELD, _TEXT = 8, 5, 4, 2


@dataclass(frozen=True)
class Hit:
    """A dataset that matches every word; `places` say where: `title`, `field income`, `class:sensitive`."""

    dataset: str
    title: str
    owner: str
    score: int
    places: tuple[str, ...]


def search(catalog: Catalog, text: str) -> tuple[Hit, ...]:
    """Datasets that match every word of `text`, best first.

    A word `class:quasi_identifier`, `entity:`, `party:`, `purpose:`, `licence:`, `kind:` or `field:` has to
    match that; any other word matches beginnings of words everywhere.
    """
    wanted = text.lower().split()
    hits = []
    for entry in catalog.datasets:
        found = [_best(entry, each) for each in wanted]
        if wanted and all(found):
            score = sum(max(weight for _, weight in places) for places in found)
            named = dict.fromkeys(place for places in found for place, _ in places)
            hits.append(Hit(entry.id, entry.title, entry.owner, score, tuple(named)))
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.dataset)))


def _best(entry: DatasetEntry, wanted: str) -> list[tuple[str, int]]:
    """Everywhere the word stands, with its weight."""
    key, colon, value = wanted.partition(":")
    if colon and key != "field":
        return [(tag, _TAG) for tag in entry.tags if tag.lower() == f"{key}:{value}"]
    places = _fields(entry) if colon else _places(entry)
    return [(place, weight) for place, text, weight in places if _matches(text, value if colon else wanted)]


def _matches(text: str, wanted: str) -> bool:
    """Every part of what is wanted begins a word of the text."""
    words = _WORD.findall(text.lower())
    parts = _WORD.findall(wanted)
    return bool(parts) and all(any(word.startswith(part) for word in words) for part in parts)


def _places(entry: DatasetEntry) -> Iterator[tuple[str, str, int]]:
    """(what the place is called, its text, its weight)"""
    yield "name", entry.id, _NAME
    yield "title", entry.title, _NAME
    yield "owner", f"{entry.owner} {entry.owner_name}", _TAG
    for tag in entry.tags:
        yield tag, tag.partition(":")[2], _TAG
    yield from _fields(entry)
    yield "description", entry.description, _TEXT
    yield "computations", " ".join(entry.computations), _TEXT


def _fields(entry: DatasetEntry) -> Iterator[tuple[str, str, int]]:
    for field in entry.fields:
        yield f"field {field.name}", f"{field.name} {field.becomes or ''} {field.class_title}", _FIELD
