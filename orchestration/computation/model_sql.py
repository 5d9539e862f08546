"""The SQL of the dbt models as a request would compile it, without dbt: for reading, never for running.

Belongs here: finding the models, and filling in names and choices. Must not be here: what the SQL means
(`audit/column_lineage`), running it (`runner`), where dbt does the same with its own macros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, StrictUndefined
from ruamel.yaml import YAML

from orchestration.computation.template import DBT_PROJECT, Template

_MODELS = DBT_PROJECT / "models"


@dataclass(frozen=True)
class Model:
    """One dbt model: `relation` is schema.table, `columns` are those its contract enforces, with types."""

    name: str
    relation: str
    columns: Mapping[str, str]
    text: str


@cache
def models() -> Mapping[str, Model]:
    """Every model of the dbt project by name, read once."""
    reader = YAML(typ="safe", pure=True)
    found = {}
    for path in sorted(_MODELS.glob("*/*.yml")):
        for described in reader.load(path).get("models", ()):
            name, layer = described["name"], path.parent.name
            columns = {each["name"]: each["data_type"] for each in described["columns"]}
            text = (path.parent / f"{name}.sql").read_text(encoding="utf-8")
            found[name] = Model(name, f"{layer}.{name}", columns, text)
    return found


def compiled(model: Model, choices: Mapping[str, str]) -> str:
    """Its SQL for these (valid) parameters; one that is not given takes its first choice, as in dbt."""
    return (
        _environment()
        .from_string(model.text)
        .render(
            source=lambda schema, table: f"{schema}.{table}",
            ref=lambda name: models()[name].relation,
            parameter=lambda name, known: choices.get(name, known[0]),
        )
    )


def variants(template: Template) -> Iterator[dict[str, str]]:
    """Parameters that between them take every choice once: each varies alone, the others stay as they are."""
    standard = template.resolve({})
    yield standard
    for parameter in template.parameters:
        for choice in parameter.choices:
            if choice != parameter.default:
                yield {**standard, parameter.name: choice}


@cache
def _environment() -> Environment:
    return Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL of our own, no HTML
