"""Which computation uses which field, in what role: read from the templates' own SQL.

Belongs here: following columns from the cells of a template back to the entities, and the fields that no
computation of a charter needs. Must not be here: what ran (that is lineage), a judgement of a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from orchestration.audit.column_lineage import trace
from orchestration.audit.lineage_datasets import ColumnEdge
from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.model import Charter, Computation, Dataset, Field
from orchestration.computation.model_sql import compiled, models, variants
from orchestration.computation.template import Parameter, Template, load_templates

Role = Literal["privacy_unit", "join_key", "dimension", "measure", "condition"]
ROLES: tuple[Role, ...] = get_args(Role)

_ADMITTED = "admitted"


@dataclass(frozen=True, order=True)
class Use:
    """An attribute of an entity as one template uses it.

    privacy_unit: counted and protected; join_key: parties meet on it; dimension: the answer is broken down
    by it; measure: summed up; condition: decides what is counted, and is itself not shown.
    """

    template: str
    entity: str
    attribute: str
    role: Role


@dataclass(frozen=True)
class Unused:
    """Fields of a dataset that no computation agreed on reads; `whole`: none of its fields is read."""

    dataset: str
    fields: tuple[str, ...]
    whole: bool

    @property
    def path(self) -> str:
        return f"datasets.{self.dataset}" if self.whole else f"datasets.{self.dataset}.fields"

    @property
    def message(self) -> str:
        if self.whole:
            return f"Dataset {self.dataset} is used by no computation; without one it need not be given."
        plural = len(self.fields) > 1
        names = ", ".join(self.fields)
        return (
            f"{'Fields' if plural else 'Field'} {names} {'are' if plural else 'is'} used by no computation; "
            f"leave {'them' if plural else 'it'} out, or drop {'them' if plural else 'it'}."
        )


@cache
def uses() -> frozenset[Use]:
    """Every use by every template of this house.

    Raises: ConfigError (`lineage.untraceable`) for a model that cannot be read.
    """
    return frozenset(use for template in load_templates().values() for use in _uses_of(template))


def computations_of(charter: Charter, dataset: Dataset) -> tuple[Computation, ...]:
    """The computations agreed on that read the dataset's entity for a purpose it was given for."""
    reading = {use.template for use in uses() if use.entity == dataset.entity}
    return tuple(
        each
        for each in charter.computations
        if each.template in reading and set(each.purposes) & set(dataset.purposes)
    )


def roles_of(charter: Charter, dataset: Dataset, field: Field) -> dict[str, tuple[Role, ...]]:
    """Template → the roles it gives the field; empty: none uses it."""
    found: dict[str, tuple[Role, ...]] = {}
    for computation in computations_of(charter, dataset):
        roles = {
            use.role
            for use in uses()
            if (use.template, use.entity, use.attribute)
            == (computation.template, dataset.entity, field.attribute)
        }
        if roles:  # what is shown or summed up decides what is counted as well: that goes without saying
            named = roles - {"condition"} or roles
            found[computation.template] = tuple(role for role in ROLES if role in named)
    return found


def unused(charter: Charter) -> tuple[Unused, ...]:
    """What could be left out of each dataset: fields that reach the room, and no computation reads.

    A field that tells two rows apart (`unique_key`) is needed by the gate as long as another one is used.
    """
    found = []
    for dataset in charter.datasets:
        kept = [field for field in dataset.fields if field.attribute is not None]
        idle = [field for field in kept if not roles_of(charter, dataset, field)]
        whole = len(idle) == len(kept)
        names = tuple(each.name for each in idle if whole or each.attribute not in dataset.unique_key)
        if names:
            found.append(Unused(dataset.id, names, whole))
    return tuple(found)


# --- following columns


def _uses_of(template: Template) -> Iterator[Use]:
    model = models()[template.model]
    # A table between entities and cells may join more; of what is not declared no row reaches the answer.
    declared = {*template.reads, *(read for each in template.parameters for read in _reads(each))}
    shown = {each.name for each in template.dimensions}
    for choices in variants(template):
        sql = compiled(model, choices)
        edges = trace(sql, _schemas(), model=model.name)
        start: set[tuple[str, str, Role]] = set()
        for edge in edges:
            role: Role = "dimension" if edge.output in shown else "measure"
            start.add((edge.source_table, edge.source_column, role if edge.kind == "DIRECT" else _role(edge)))
        for table, column, role in _upstream(start):
            layer, _, entity = table.partition(".")
            if layer == _ADMITTED and entity in declared:
                yield Use(template.id, entity, column, "privacy_unit" if column == UNIT else role)


def _reads(parameter: Parameter) -> Iterator[str]:
    for choice in parameter.choices.values():
        yield from choice.reads


def _role(edge: ColumnEdge) -> Role:
    """The role of a column whose value does not travel."""
    return "join_key" if edge.subtype == "JOIN" else "condition"


def _upstream(start: Iterable[tuple[str, str, Role]]) -> set[tuple[str, str, Role]]:
    """Everything that `start` depends on, at any distance, with the role it plays there."""
    seen = set(start)
    waiting = list(seen)
    while waiting:
        table, column, role = waiting.pop()
        for edge in _edges().get(table, ()):
            if edge.output in (column, ""):
                direct = edge.kind == "DIRECT"
                place = (edge.source_table, edge.source_column, role if direct else _role(edge))
                if place not in seen:
                    seen.add(place)
                    waiting.append(place)
    return seen


@cache
def _edges() -> Mapping[str, tuple[ColumnEdge, ...]]:
    """The edges of every model between entities and cells, by relation: these take no parameters."""
    cells = {template.model for template in load_templates().values()}
    return {
        model.relation: trace(compiled(model, {}), _schemas(), model=name)
        for name, model in models().items()
        if name not in cells
    }


@cache
def _schemas() -> Mapping[str, Mapping[str, str]]:
    admitted = {f"{_ADMITTED}.{each.name}": dict(each.attributes) for each in ENTITIES.values()}
    return admitted | {model.relation: dict(model.columns) for model in models().values()}
