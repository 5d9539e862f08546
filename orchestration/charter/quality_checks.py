"""Rules about the `quality` clause: it names what is there, and what it asks can be measured.

Must not be here: the shape of the clause (`quality`), other rules inside a dataset (`field_checks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.fields import Drop, Pseudonymize
from orchestration.charter.findings import Finding, Names, unknown_names
from orchestration.charter.model import Charter, Dataset


def check_quality(charter: Charter) -> Iterator[Finding]:
    """Everything wrong with the quality clauses and deprecated fields of all datasets."""
    for dataset in charter.datasets:
        at: Names = ("datasets", dataset.id)
        yield from _deprecated(dataset, (*at, "fields"))
        if dataset.quality is not None:
            yield from _names(charter, dataset, (*at, "quality"))
            yield from _sense(dataset, (*at, "quality"))


def _deprecated(dataset: Dataset, at: Names) -> Iterator[Finding]:
    for field in dataset.fields:
        if field.deprecated is None:
            continue
        here = (*at, field.name, "deprecated")
        if field.required:
            yield Finding(here, "A required field cannot be deprecated: after that day nothing would pass.")
        if isinstance(field.technique, Drop):
            yield Finding(here, "A dropped field never reaches the room; take it out of the charter instead.")


def _names(charter: Charter, dataset: Dataset, at: Names) -> Iterator[Finding]:
    quality = dataset.quality
    if quality is None:
        return
    own = _attributes(dataset)
    needs: Names = ("datasets",)
    if quality.drift is not None:
        here = (*at, "drift", "attributes")
        yield from unknown_names(here, "attribute", quality.drift.attributes, own, needs)
        hidden = [name for name in quality.drift.attributes if name in _pseudonyms(dataset)]
        if hidden:
            message = f"'{hidden[0]}' is a pseudonym: it has no distribution to compare."
            yield Finding(here, message)
    for bias in quality.bias:
        where = (*at, "bias", bias.id, "attribute")
        yield from unknown_names(where, "attribute", [bias.attribute], own, needs)
    others = {each.id: each for each in charter.datasets if each.id != dataset.id}
    for reference in quality.references:
        here = (*at, "references", reference.id)
        yield from unknown_names((*here, "attribute"), "attribute", [reference.attribute], own, needs)
        yield from unknown_names((*here, "dataset"), "other dataset", [reference.dataset], others, needs)
        other = others.get(reference.dataset)
        if other is not None and reference.attribute in own and reference.attribute not in _attributes(other):
            message = f"'{other.id}' has no attribute '{reference.attribute}' to refer to."
            yield Finding((*here, "attribute"), message, needs=needs)
    personal = [each.id for each in others.values() if ENTITIES[each.entity].privacy_unit]
    for overlap in quality.overlap:
        here = (*at, "overlap", overlap.id, "dataset")
        yield from unknown_names(here, "other personal dataset", [overlap.dataset], personal, needs)


def _sense(dataset: Dataset, at: Names) -> Iterator[Finding]:
    quality = dataset.quality
    if quality is None:
        return
    types = ENTITIES[dataset.entity].attributes
    has_date = any(types.get(name) in ("DATE", "TIMESTAMP") for name in _attributes(dataset))
    if quality.freshness is not None and not has_date:
        yield Finding((*at, "freshness"), f"'{dataset.id}' has no date to tell its age by.")
    if UNIT not in types:
        for key in ("overlap", "keyspace", "identifiers"):
            if getattr(quality, key):
                yield Finding(
                    (*at, key), f"A {dataset.entity} is about nobody, so it has no units to look at."
                )
    for overlap in quality.overlap:
        here = (*at, "overlap", overlap.id)
        if overlap.at_least > overlap.at_most:
            yield Finding((*here, "at_most"), "'at_least' is above 'at_most'.")
        elif overlap.at_least == 0 and overlap.at_most == 1:
            yield Finding(here, "Any overlap is allowed: state 'at_least' or 'at_most'.")
    for bias in quality.bias:
        total = sum(each.share for each in bias.segments)
        if bias.segments and not 0.999 <= total <= 1.001:
            message = f"The shares of all segments come to {total}."
            yield Finding((*at, "bias", bias.id, "segments"), message, ("shares that come to 1",))
    yield from _doubles(quality_names(dataset), at)


def quality_names(dataset: Dataset) -> list[str]:
    """The names that the clause gives to rules."""
    quality = dataset.quality
    if quality is None:
        return []
    return [
        *(each.id for each in quality.references),
        *(each.id for each in quality.bias),
        *(each.id for each in quality.overlap),
    ]


def _doubles(names: Iterable[str], at: Names) -> Iterator[Finding]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield Finding(at, f"Two parts are called '{name}'.")
        seen.add(name)


def _attributes(dataset: Dataset) -> tuple[str, ...]:
    return tuple(f.attribute for f in dataset.fields if f.attribute and not isinstance(f.technique, Drop))


def _pseudonyms(dataset: Dataset) -> set[str]:
    return {f.attribute for f in dataset.fields if f.attribute and isinstance(f.technique, Pseudonymize)}
