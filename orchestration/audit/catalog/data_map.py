"""Where personal data travels: party, contribution, room, computation, receivers, column by column.

Belongs here: the way the charter lays down. Must not be here: what really ran (`audit/lineage_graph`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestration.audit.catalog.usage import Role, computations_of, roles_of
from orchestration.charter.model import Charter, Dataset, Drop, Pseudonymize
from orchestration.charter.taxonomy import CLASSES

_PERSONAL = tuple(name for name in CLASSES if name != "reference")


@dataclass(frozen=True)
class Column:
    """A column on its way. `arrives` says how it reaches the room; `used`: template → roles."""

    name: str
    becomes: str | None
    class_title: str
    personal: bool
    technique: str
    arrives: str
    used: dict[str, tuple[Role, ...]]


@dataclass(frozen=True)
class Stop:
    """A computation that reads the dataset, who receives its answer, and how small a shown group may be."""

    template: str
    purposes: tuple[str, ...]
    receivers: tuple[str, ...]
    threshold: int


@dataclass(frozen=True)
class Way:
    """The way of one dataset; `personal` when it is about privacy units."""

    dataset: str
    party: str
    room_table: str
    personal: bool
    columns: tuple[Column, ...]
    stops: tuple[Stop, ...]


def data_map(charter: Charter) -> tuple[Way, ...]:
    """The way of every dataset, in the order of the charter."""
    return tuple(
        Way(
            each.id,
            each.participant,
            f"admitted.{each.entity}",
            each.classification == "personal",
            tuple(_columns(charter, each)),
            tuple(_stops(charter, each)),
        )
        for each in charter.datasets
    )


def _columns(charter: Charter, dataset: Dataset) -> Iterator[Column]:
    personal = dataset.classification == "personal"
    for field in dataset.fields:
        dropped = isinstance(field.technique, Drop)
        pseudonym = isinstance(field.technique, Pseudonymize)
        yield Column(
            name=field.name,
            becomes=None if dropped else field.attribute,
            class_title=CLASSES[field.classification].title,
            personal=personal and field.classification in _PERSONAL,
            technique=field.technique.kind,
            arrives="never" if dropped else "as a pseudonym" if pseudonym else "as its technique left it",
            used=roles_of(charter, dataset, field),
        )


def _stops(charter: Charter, dataset: Dataset) -> Iterator[Stop]:
    for computation in computations_of(charter, dataset):
        yield Stop(
            computation.template,
            tuple(each for each in computation.purposes if each in dataset.purposes),
            computation.receivers,
            charter.threshold_for(computation.template, [dataset.id]),
        )
