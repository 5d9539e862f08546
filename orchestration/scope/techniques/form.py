"""A technique's form in SQL, found by the engine's name.

An engine is one module that maps every technique of the charter to a form, so that another engine comes as
another module and no charter changes. Must not be here: SQL of any engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from orchestration.charter.fields import Field
from orchestration.scope.pseudonymization import Layer, Lookup

Engine = Literal["duckdb"]
_MODULES: dict[Engine, str] = {"duckdb": "orchestration.scope.techniques.duck"}


@dataclass(frozen=True)
class Form:
    """An expression over a row of `source`; `table` and `join` bring in what it looks values up in."""

    expression: str
    table: str = ""
    join: str = ""


@dataclass(frozen=True)
class Place:
    """Where a technique is applied.

    `layers`: the keys that make pseudonyms here. `unit`: the lookup of the row's privacy unit, if it has one.
    """

    layers: tuple[Layer, ...]
    unit: Lookup | None = None


Forms = dict[type[Any], Callable[[Field, Place], Form]]


def form(field: Field, place: Place, *, engine: Engine = "duckdb") -> Form:
    """What the field's technique is in the SQL of `engine`; the field must reach the room.

    Raises: KeyError for a technique that the engine has no form of.
    """
    forms: Forms = import_module(_MODULES[engine]).FORMS
    return forms[type(field.technique)](field, place)
