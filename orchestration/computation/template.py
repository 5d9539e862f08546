"""Templates: the approved computations, each a specification beside its dbt model.

Belongs here: what a template asks, reads, takes and returns, and its digest. Must not be here: who may use
it (the charter says so, `request` decides), SQL, or what may be shown of its answer.

Parameters are closed choices, so no free text of a request ever reaches SQL; the macros of the dbt project
check the same choices again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from ruamel.yaml import YAML

from orchestration.charter.entities import EntityName
from orchestration.digests import digest_file, digest_json
from orchestration.settings import PROJECT_ROOT

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
SPECIFICATIONS = Path(__file__).with_name("templates")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Parameters = Mapping[str, str]

_REFERENCE = re.compile(r"ref\('(\w+)'\)")


class _Specification(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(_Specification):
    """One value of a parameter; `reads` are the entities needed only when it is chosen."""

    title: str
    reads: tuple[EntityName, ...] = ()


class Parameter(_Specification):
    """One thing a request chooses, out of a closed set."""

    name: Name
    title: str
    default: Name
    choices: dict[Name, Choice] = Field(min_length=1)


class Unless(_Specification):
    """The choice with which a dimension disappears."""

    parameter: Name
    choice: Name


class TemplateDimension(_Specification):
    """One column the answer is broken down by; `{parameter}` in its title stands for the chosen title."""

    name: Name
    title: str
    unless: Unless | None = None


class TemplateMeasure(_Specification):
    """One figure of a cell; `contributors` is the column with the distinct privacy units behind it."""

    name: Name
    title: str
    type: Literal["count", "money"]
    contributors: Name
    additive: bool


class Template(_Specification):
    """An approved computation.

    The relation its dbt model builds has, in this order: one VARCHAR per dimension; one BOOLEAN
    `<dimension>_is_total` per dimension; the measures and contributor counts (`count`: BIGINT, `money`:
    DECIMAL(18,2)). In a total the dimension is NULL and its flag true; totals are exact, because distinct
    units do not add up. A dimension that was not asked for is a total in every row.
    """

    id: Name
    version: Annotated[int, Field(ge=1)]
    title: str
    question: str
    description: str
    model: Name
    reads: tuple[EntityName, ...]
    parameters: tuple[Parameter, ...]
    distinct: tuple[Name, ...] = Field(description="Parameters that must differ from each other.")
    dimensions: tuple[TemplateDimension, ...] = Field(min_length=1)
    measures: tuple[TemplateMeasure, ...] = Field(min_length=1)
    sources: dict[str, str] = Field(description="Digest of each SQL file the answer comes from.")

    @property
    def digest(self) -> str:
        """`sha256:…` over the specification and all SQL between the admitted entities and the cells."""
        return digest_json(self.model_dump(mode="json"))

    @property
    def figures(self) -> tuple[str, ...]:
        """Measure and contributor columns, each once."""
        return tuple(dict.fromkeys(name for each in self.measures for name in (each.name, each.contributors)))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the cells relation, in order."""
        names = tuple(each.name for each in self.dimensions)
        return (*names, *(f"{name}_is_total" for name in names), *self.figures)

    def parameter(self, name: str) -> Parameter | None:
        return next((each for each in self.parameters if each.name == name), None)

    def resolve(self, given: Parameters) -> dict[str, str]:
        """Every parameter with its value: as given, else its default. Not a check; see `request`."""
        return {each.name: given.get(each.name, each.default) for each in self.parameters}

    def entities(self, given: Parameters) -> tuple[EntityName, ...]:
        """The entities that the answer to these (valid) parameters reads, sorted."""
        chosen = (self._choice(name, value) for name, value in self.resolve(given).items())
        return tuple(sorted({*self.reads, *(entity for choice in chosen for entity in choice.reads)}))

    def dimensions_for(self, given: Parameters) -> tuple[TemplateDimension, ...]:
        """The dimensions of the answer to these (valid) parameters, with their titles filled in."""
        values = self.resolve(given)
        titles = {name: self._choice(name, value).title for name, value in values.items()}
        return tuple(
            TemplateDimension(name=each.name, title=each.title.format(**titles))
            for each in self.dimensions
            if each.unless is None or values[each.unless.parameter] != each.unless.choice
        )

    def _choice(self, name: str, value: str) -> Choice:
        return next(each.choices[value] for each in self.parameters if each.name == name)


@cache
def load_templates() -> Mapping[str, Template]:
    """All templates by id, read once.

    Raises: pydantic.ValidationError when a specification of this package is malformed.
    """
    reader = YAML(typ="safe", pure=True)
    templates = []
    for path in sorted(SPECIFICATIONS.glob("*.yaml")):
        document = reader.load(path)
        templates.append(Template.model_validate({**document, "sources": _sources(document["model"])}))
    return {each.id: each for each in templates}


def _sources(model: str) -> dict[str, str]:
    """Digests of the model, of every model it refers to in turn, and of the macros."""
    models = {path.stem: path for path in DBT_PROJECT.glob("models/**/*.sql")}
    files, waiting = set(DBT_PROJECT.glob("macros/*.sql")), [model]
    while waiting:
        path = models[waiting.pop()]
        if path not in files:
            files.add(path)
            waiting += _REFERENCE.findall(path.read_text(encoding="utf-8"))
    return {path.relative_to(DBT_PROJECT).as_posix(): digest_file(path) for path in sorted(files)}
