"""The catalog itself: one entry for each dataset of the charter, with what the log says of it.

Belongs here: putting entries together. Must not be here: how each part is read (`versions`, `usage`,
`ownership`), searching, how it looks. An entry names fields, limits and counts of rules; never a value.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, select

from orchestration.audit import governance_tables as g
from orchestration.audit.catalog.ownership import Artefact, artefacts, made_of
from orchestration.audit.catalog.usage import Unused, computations_of, roles_of, unused
from orchestration.audit.catalog.versions import Version, read_versions
from orchestration.audit.lineage_graph import build_graph
from orchestration.charter.enforcement_wording import field as in_words
from orchestration.charter.model import Charter, Dataset, Drop
from orchestration.charter.model import Field as CharterField
from orchestration.charter.taxonomy import CLASS_NAMES, CLASSES, TAXONOMY


@dataclass(frozen=True)
class FieldEntry:
    """`roles`: template → what it does with the field; `says`: type, limits and technique in words."""

    name: str
    becomes: str | None
    type: str
    required: bool
    classification: str
    class_title: str
    technique: str
    says: str
    roles: Mapping[str, tuple[str, ...]]

    @property
    def reaches_the_room(self) -> bool:
        return self.becomes is not None


@dataclass(frozen=True)
class ChecklistEntry:
    """One item of the onboarding checklist, and whether evidence for it is on record."""

    id: str
    text: str
    required: bool
    shown: bool


@dataclass(frozen=True)
class DatasetEntry:
    """Everything about one dataset. `threshold`: fewest units of a cell that rests on it.

    `versions` are those the reader sees, oldest first; `made` is what was made of them.
    """

    id: str
    title: str
    description: str
    owner: str
    owner_name: str
    stewards: tuple[str, ...]
    entity: str
    classification: str
    lawful_basis: str
    purposes: tuple[str, ...]
    computations: tuple[str, ...]
    licence: str
    licence_terms: str
    redistribution: bool
    period: tuple[str, str] | None
    residency: tuple[str, ...] | None
    threshold: int
    kept_days: int
    unique_key: tuple[str, ...]
    fields: tuple[FieldEntry, ...]
    warning: str | None
    onboarding: tuple[ChecklistEntry, ...]
    attested_until: str | None
    versions: tuple[Version, ...]
    made: tuple[Artefact, ...]

    @property
    def current(self) -> Version | None:
        """The version in the room."""
        return next((each for each in self.versions if each.status == "in the room"), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its fields, each once, most protected first."""
        found = {each.classification for each in self.fields}
        return tuple(name for name in reversed(CLASS_NAMES) if name in found)

    @property
    def tags(self) -> tuple[str, ...]:
        """What it can be found by besides words."""
        return (
            f"party:{self.owner}",
            f"entity:{self.entity}",
            f"kind:{self.classification}",
            *(f"class:{each}" for each in self.classes),
            *(f"purpose:{each}" for each in self.purposes),
            f"licence:{self.licence}",
        )


@dataclass(frozen=True)
class Catalog:
    """All datasets of one charter, and every artefact of the lineage with its owners."""

    collaboration: str
    title: str
    version: int
    charter_digest: str
    taxonomy: int
    datasets: tuple[DatasetEntry, ...]
    artefacts: tuple[Artefact, ...]

    def find(self, dataset: str) -> DatasetEntry | None:
        return next((each for each in self.datasets if each.id == dataset), None)


def read_catalog(
    connection: Connection,
    charter: Charter,
    lineage: Iterable[Mapping[str, Any]],
    seen: Collection[int] | None = None,
) -> Catalog:
    """The catalog as one reader sees it.

    Args:
        lineage: OpenLineage events the reader sees, oldest first.
        seen: numbers of the events the reader sees; None: all of them.

    Raises: IntegrityError where an event is not what was written; ConfigError (`lineage.untraceable`).
    """
    every = artefacts(build_graph(lineage, charter.collaboration), charter)
    idle = {each.dataset: each for each in unused(charter)}
    table = g.attested_datasets
    attested = {
        row.dataset: row
        for row in connection.execute(select(table).where(table.c.collaboration == charter.collaboration))
        if seen is None or row.seq in seen
    }
    datasets = tuple(
        _entry(
            charter,
            each,
            idle.get(each.id),
            attested.get(each.id),
            read_versions(connection, charter, each, seen),
            made_of(every, each.id),
        )
        for each in charter.datasets
    )
    return Catalog(
        charter.collaboration,
        charter.title,
        charter.version,
        charter.digest,
        TAXONOMY.version,
        datasets,
        every,
    )


def document(entry: DatasetEntry) -> dict[str, JsonValue]:
    """An entry as one JSON object."""
    found: dict[str, JsonValue] = asdict(entry)
    return {**found, "tags": list(entry.tags)}


def _entry(
    charter: Charter,
    dataset: Dataset,
    idle: Unused | None,
    attested: Any,
    versions: tuple[Version, ...],
    made: tuple[Artefact, ...],
) -> DatasetEntry:
    owner = charter.participant(dataset.participant)
    evidence = json.loads(attested.evidence) if attested is not None else {}
    return DatasetEntry(
        id=dataset.id,
        title=dataset.title,
        description=dataset.description,
        owner=owner.id,
        owner_name=owner.name,
        stewards=tuple(each.id for each in owner.members if "steward" in each.roles),
        entity=dataset.entity,
        classification=dataset.classification,
        lawful_basis=dataset.lawful_basis,
        purposes=dataset.purposes,
        computations=tuple(each.template for each in computations_of(charter, dataset)),
        licence=dataset.license.id,
        licence_terms=dataset.license.terms,
        redistribution=dataset.license.redistribution,
        period=(str(dataset.period.start), str(dataset.period.end)) if dataset.period else None,
        residency=dataset.residency,
        threshold=max(charter.output.aggregation_threshold, dataset.threshold or 0),
        kept_days=charter.retention.contributions_days,
        unique_key=dataset.unique_key,
        fields=tuple(_field(charter, dataset, each) for each in dataset.fields),
        warning=idle.message if idle else None,
        onboarding=tuple(
            ChecklistEntry(each.id, each.text, each.required, each.id in evidence)
            for each in dataset.onboarding
        ),
        attested_until=attested.expires_at if attested is not None else None,
        versions=versions,
        made=made,
    )


def _field(charter: Charter, dataset: Dataset, field: CharterField) -> FieldEntry:
    said = field.model_dump(mode="json", by_alias=True, exclude_none=True)
    return FieldEntry(
        name=field.name,
        becomes=None if isinstance(field.technique, Drop) else field.attribute,
        type=field.type,
        required=field.required,
        classification=field.classification,
        class_title=CLASSES[field.classification].title,
        technique=field.technique.kind,
        says=in_words(said),
        roles=roles_of(charter, dataset, field),
    )
