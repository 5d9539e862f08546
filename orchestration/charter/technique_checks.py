"""Rules inside one technique: its parameters against each other, its field's type and its field's limits.

Must not be here: rules between fields (`field_checks`) or between datasets (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise

from orchestration.charter.fields import Field
from orchestration.charter.findings import Finding, Names
from orchestration.charter.taxonomy import CLASSES
from orchestration.charter.techniques import (
    TECHNIQUES,
    BottomCode,
    Bucket,
    Clamp,
    Generalize,
    Mask,
    Pseudonymize,
    Round,
    Rung,
    TopCode,
)

NUMBERS = ("integer", "decimal")
DATES = ("date", "timestamp")


def check_technique(field: Field, at: Names) -> Iterator[Finding]:
    """Everything wrong with the technique of `field`, whose own path is `at`."""
    here, technique = (*at, "technique"), field.technique
    found = CLASSES[field.classification]
    if found.techniques and technique.kind not in found.techniques:
        message = f"A {found.title.lower()} would survive with technique '{technique.kind}'."
        yield Finding(here, message, found.techniques)
        return
    if technique.kind not in TECHNIQUES[field.type]:
        message = f"'{technique.kind}' cannot be applied to {field.type}."
        yield Finding(here, message, TECHNIQUES[field.type])
        return
    match technique:
        case Clamp():
            yield from order((*here, "low"), technique.low, technique.high, "low", "high")
            yield from exact(field, (*here, "low"), technique.low)
            yield from exact(field, (*here, "high"), technique.high)
        case TopCode() | BottomCode():
            yield from exact(field, (*here, "at"), technique.at)
        case Round():
            yield from exact(field, (*here, "multiple"), technique.multiple)
        case Bucket():
            yield from _bucket(field, technique, (*here, "boundaries"))
        case Mask():
            yield from _mask(field, technique, here)
        case Pseudonymize():
            if technique.region is not None and technique.normalize != "phone":
                message = "'region' is of telephone numbers: leave it out, or normalize as phone."
                yield Finding((*here, "region"), message, ("normalize: phone",))
        case Generalize():
            yield from _generalize(field, technique, here)


def _generalize(field: Field, technique: Generalize, here: Names) -> Iterator[Finding]:
    stated = {
        "to": technique.to is not None,
        "bands": bool(technique.bands),
        "prefix": technique.prefix is not None,
        "hierarchy": technique.hierarchy is not None,
    }
    used = {key for key, given in stated.items() if given}
    if field.type in DATES and used != {"to"}:
        yield Finding(here, f"A {field.type} is generalized with 'to'.", ("day", "week", "month", "year"))
    elif field.type in NUMBERS and used != {"bands"}:
        yield Finding(
            here, "A number is generalized with 'bands'.", ("{label: text, from: low, until: high}",)
        )
    elif field.type == "string" and used not in ({"prefix"}, {"hierarchy"}):
        message = "A text is generalized with either 'prefix' or 'hierarchy'."
        yield Finding(
            here, message, ("prefix: 3", "hierarchy: [{name: value, becomes: [coarser, coarsest]}]")
        )
    if (technique.level is None) == (technique.hierarchy is not None):
        yield Finding((*here, "level"), "A hierarchy has a 'level', and nothing else has.", ("1",))
    if technique.hierarchy is not None:
        yield from _hierarchy(field, technique, (*here, "hierarchy"))
    yield from _bands(technique, here)


def _bands(technique: Generalize, here: Names) -> Iterator[Finding]:
    seen: Decimal | None = None
    for position, band in enumerate(technique.bands):
        at = (*here, "bands", band.label)
        if position and (band.low is None or seen is None or band.low < seen):
            message = "Bands must rise without overlap; only the first may lack 'from', the last 'until'."
            yield Finding(at, message)
        if band.low is not None and band.high is not None and band.low >= band.high:
            yield Finding(at, "'from' must be below 'until'.")
        seen = band.high


def _hierarchy(field: Field, technique: Generalize, here: Names) -> Iterator[Finding]:
    """Every level is coarser than the one before: values that have met never part again."""
    rungs = technique.hierarchy or ()
    height = len(rungs[0].becomes)
    if technique.level is not None and technique.level > height:
        levels = f"{height} level{'s' if height > 1 else ''}"
        yield Finding((*here[:-1], "level"), f"The hierarchy has {levels}.", (str(height),))
    seen: dict[str, Rung] = {}
    parents: dict[tuple[int, str], str] = {}
    for rung in rungs:
        at = (*here, rung.name)
        if rung.name in seen:
            yield Finding(at, f"'{rung.name}' is in the hierarchy twice.")
        seen[rung.name] = rung
        if len(rung.becomes) != height:
            yield Finding((*at, "becomes"), f"Every value needs {height} coarser forms, as the first has.")
            continue
        for depth, (finer, coarser) in enumerate(pairwise(rung.becomes)):
            parent = parents.setdefault((depth, finer), coarser)
            if parent != coarser:
                message = f"'{finer}' has become '{parent}' already; it cannot become '{coarser}' too."
                yield Finding((*at, "becomes"), message, (parent,))
    for value in field.values:
        if value not in seen:
            message = f"'{value}' is allowed, but the hierarchy does not know it."
            yield Finding((*here[:-2], "values"), message, tuple(seen)[:20])


def _bucket(field: Field, technique: Bucket, at: Names) -> Iterator[Finding]:
    if any(low >= high for low, high in pairwise(technique.boundaries)):
        yield Finding(at, "Boundaries must rise.")
    for boundary in technique.boundaries:
        yield from exact(field, at, boundary)


def _mask(field: Field, technique: Mask, here: Names) -> Iterator[Finding]:
    kept = technique.keep_first + technique.keep_last
    longest = max((len(value) for value in field.values), default=field.max_length)
    if longest is not None and 0 < longest <= kept:
        message = f"Values have at most {longest} characters, so masking would leave nothing but stars."
        yield Finding(here, message, ("drop",))


def order(at: Names, low: Decimal | date, high: Decimal | date, *keys: str) -> Iterator[Finding]:
    """A finding when `low` is above `high`; `keys` name them."""
    if low > high:  # type: ignore[operator]  # callers pass two of one kind
        yield Finding(at, f"'{keys[0]}' is above '{keys[1]}'.")


def exact(field: Field, at: Names, bound: Decimal | date) -> Iterator[Finding]:
    """A bound that the type cannot hold would be rounded in silence."""
    places = {"integer": 0, "decimal": 2}.get(field.type)
    if isinstance(bound, Decimal) and places is not None and round(bound, places) != bound:
        wanted = "a whole number" if places == 0 else "a number with at most two decimals"
        yield Finding(at, f"The bound of {field.type} must be {wanted}.")
