"""The `quality` clause and deprecated fields of a charter as rules of the gate.

Belongs here: which expectation with which arguments each part becomes. Must not be here: how it is measured
(`measures`).

What is said between two datasets (references, overlap) is asked of whichever of them comes later: the other's
clause becomes a rule here too, named after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from orchestration.charter.entities import ENTITIES
from orchestration.charter.fields import Drop, Field, Pseudonymize
from orchestration.charter.model import Charter, Dataset

if TYPE_CHECKING:
    from orchestration.charter.quality import Overlap, Quality, Reference, Severity


class QualityRule(NamedTuple):
    """One rule before it has its form in a suite."""

    rule: str
    expectation: str
    arguments: dict[str, JsonValue]
    severity: Severity
    because: str


def quality_rules(dataset: Dataset, charter: Charter | None = None) -> Iterator[QualityRule]:
    """What the clauses of `dataset` ask, and what other datasets of `charter` ask of it."""
    present = {f.attribute: f for f in dataset.fields if f.attribute and not isinstance(f.technique, Drop)}
    for name, field in present.items():
        yield from _deprecation(name, field)
    if dataset.quality is not None:
        yield from _own(dataset, dataset.quality, present)
    for other in charter.datasets if charter is not None else ():
        if other.quality is not None and other.id != dataset.id:
            for reference in other.quality.references:
                if reference.dataset == dataset.id:
                    yield _reference(reference, other.id)
            for overlap in other.quality.overlap:
                if overlap.dataset == dataset.id:
                    yield _overlap(overlap, other.id)


def pseudonyms(dataset: Dataset) -> frozenset[str]:
    """Attributes that hold pseudonyms."""
    return frozenset(
        field.attribute
        for field in dataset.fields
        if field.attribute is not None and isinstance(field.technique, Pseudonymize)
    )


def _deprecation(name: str, field: Field) -> Iterator[QualityRule]:
    if field.deprecated is not None:
        day = field.deprecated.isoformat()
        expectation = "expect_column_not_to_be_given"
        because = f"the field is deprecated and goes after {day}"
        yield QualityRule(f"{name}_deprecated", expectation, {"column": name}, "warning", because)
        because = f"the field was to be given until {day}"
        yield QualityRule(f"{name}_retired", expectation, {"column": name, "after": day}, "critical", because)


def _own(dataset: Dataset, quality: Quality, present: dict[str, Field]) -> Iterator[QualityRule]:
    types = ENTITIES[dataset.entity].attributes
    if quality.freshness is not None:
        days: JsonValue = [name for name in present if types[name] in ("DATE", "TIMESTAMP")]
        yield QualityRule(
            "fresh",
            "expect_rows_to_be_fresh",
            {"column_list": days, "max_value": quality.freshness.days},
            quality.freshness.severity,
            "old rows answer old questions",
        )
    if quality.volume is not None:
        yield QualityRule(
            "volume_steady",
            "expect_row_count_to_change_by_at_most",
            {"change": float(quality.volume.change)},
            quality.volume.severity,
            "far more or fewer rows than last time are a broken export",
        )
    if quality.drift is not None:
        hidden = pseudonyms(dataset)
        for name in quality.drift.attributes or [each for each in present if each not in hidden]:
            yield QualityRule(
                f"{name}_stable",
                "expect_distribution_to_be_stable",
                {"column": name, "limit": float(quality.drift.limit)},
                quality.drift.severity,
                "its distribution is another than last time",
            )
    for reference in quality.references:
        yield _reference(reference, None)
    for bias in quality.bias:
        arguments: dict[str, JsonValue] = {"column": bias.attribute, "tolerance": float(bias.tolerance)}
        if bias.segments:
            arguments["shares"] = {each.label: float(each.share) for each in bias.segments}
        because = "a segment has too large or too small a part of the rows"
        yield QualityRule(bias.id, "expect_segments_to_keep_their_shares", arguments, bias.severity, because)
    for overlap in quality.overlap:
        yield _overlap(overlap, None)
    if quality.keyspace is not None:
        yield QualityRule(
            "keyspace_not_exhausted",
            "expect_keyspace_not_to_be_exhausted",
            {"population": quality.keyspace.population, "reach": float(quality.keyspace.reach)},
            quality.keyspace.severity,
            "who delivers every possible identifier learns whom the others know",
        )
    if quality.identifiers is not None:
        yield QualityRule(
            "units_natural",
            "expect_units_to_look_natural",
            {
                "largest_share": float(quality.identifiers.largest_share),
                "dispersion": float(quality.identifiers.dispersion),
            },
            quality.identifiers.severity,
            "made-up units repeat themselves",
        )


def _reference(reference: Reference, asked_by: str | None) -> QualityRule:
    arguments: dict[str, JsonValue] = {
        "column": reference.attribute,
        "dataset": asked_by or reference.dataset,
        "missing": float(reference.missing),
        "mirrored": asked_by is not None,
    }
    name = reference.id if asked_by is None else f"{reference.id}_of_{asked_by}"
    because = f"{reference.attribute} of {asked_by or 'this dataset'} refers to {reference.dataset}"
    return QualityRule(name, "expect_values_to_exist_in_dataset", arguments, reference.severity, because)


def _overlap(overlap: Overlap, asked_by: str | None) -> QualityRule:
    arguments: dict[str, JsonValue] = {
        "dataset": asked_by or overlap.dataset,
        "min_value": float(overlap.at_least),
        "max_value": float(overlap.at_most),
        "mirrored": asked_by is not None,
    }
    name = overlap.id if asked_by is None else f"{overlap.id}_of_{asked_by}"
    because = f"units that {overlap.dataset} knows too; far off, they may be made up"
    return QualityRule(name, "expect_unit_overlap_to_be_between", arguments, overlap.severity, because)
