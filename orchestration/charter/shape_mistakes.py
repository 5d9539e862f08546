"""Pydantic's complaints about shape, said in the words of the charter, with what is allowed instead.

Must not be here: lines and names (`loader`), rules between clauses (`checks`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestration.charter.fields import Clause, TechniqueKind
from orchestration.charter.mistakes import did_you_mean, quoted
from orchestration.charter.model import Charter
from orchestration.charter.naming import child, value_at
from orchestration.charter.yaml_reader import Path, Value

_SLUG = "lower-case letters, digits and _, beginning with a letter, at most 48"
_PATTERNS = {
    r"^[a-z][a-z0-9_]{0,47}$": _SLUG,
    r"^[a-z][a-z0-9_]{0,47}\.[a-z][a-z0-9_]{0,47}$": "<participant>.<name>",
    r"^[A-Za-z_][A-Za-z0-9_ -]{0,62}$": "letters, digits, _, - and blanks, at most 63",
    r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$": "an SPDX identifier such as CC0-1.0, or LicenseRef-<name>",
    r"^[a-z][a-z0-9_]*(\.([A-Za-z0-9_]+|\*)){0,7}$": "a path such as retention.releases_days, * for any name",
}
# Message and allowed values for each of pydantic's error types; `{}` is filled from the error's context.
_WORDING: dict[str, tuple[str, tuple[str, ...]]] = {
    "string_type": ("must be text", ('text; a number or date goes in "quotes"',)),
    "string_too_short": ("must not be empty", ("text of at least {min_length} character",)),
    "string_too_long": ("is too long", ("at most {max_length} characters",)),
    "int_type": ("must be a whole number", ("a whole number without quotes",)),
    "bool_type": ("must be true or false", ("true", "false")),
    "date_type": ("must be a date", ("a date such as 2026-01-31, without quotes",)),
    "decimal_type": ("must be a number", ("a number without quotes",)),
    "decimal_parsing": ("must be a number", ("a number without quotes",)),
    "bound_type": ("must be a number or a date", ("a number", "a date such as 2026-01-31; without quotes")),
    "bound_size": ("has too many digits", ("at most 18 digits and 6 decimals",)),
    "control_characters": ("holds control characters", ("printable text",)),
    "tuple_type": ("must be a list", ("[one, two]",)),
    "too_short": ("has too few items", ("at least {min_length}",)),
    "too_long": ("has too many items", ("at most {max_length}",)),
    "model_type": ("must be a mapping", ("{{key: value}}",)),
    "model_attributes_type": ("must be a mapping", ("{{key: value}}",)),
    "greater_than_equal": ("is too small", ("{ge} or more",)),
    "less_than_equal": ("is too large", ("{le} or less",)),
}


@dataclass(frozen=True)
class ShapeMistake:
    """A mistake at `path` (keys and positions in the document); `unknown_key`: only the key is wrong."""

    path: Path
    message: str
    allowed: tuple[str, ...]
    unknown_key: bool = False


def shape_mistakes(error: ValidationError, value: Value) -> tuple[ShapeMistake, ...]:
    """One mistake per path; a union's complaints about one value become one."""
    found: dict[Path, ShapeMistake] = {}
    for details in error.errors(include_url=False):
        path = _path(details, value)
        if details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
            continue  # long enough, but pydantic does not count items that have mistakes of their own
        mistake = _mistake(details, path, value)
        known = found.setdefault(path, mistake)
        if mistake.allowed != known.allowed:
            allowed = tuple(dict.fromkeys((*known.allowed, *mistake.allowed)))
            found[path] = ShapeMistake(path, known.message, allowed, known.unknown_key)
    return tuple(found.values())


def _path(details: ErrorDetails, value: Any) -> Path:
    """The error's location without the tags that pydantic adds for unions."""
    path: list[str | int] = []
    for position, step in enumerate(details["loc"]):
        if isinstance(value, dict) and step in value:
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
        elif position + 1 < len(details["loc"]) or details["type"] != "missing":
            continue
        path.append(step)
    return tuple(path)


def _mistake(details: ErrorDetails, path: Path, value: Any) -> ShapeMistake:
    kind, context = details["type"], details.get("ctx", {})
    given = details["input"]
    if kind == "extra_forbidden":
        keys = _keys(_models_at(path[:-1], value))
        message = f"{quoted(path[-1])} is no key here.{did_you_mean(str(path[-1]), keys)}"
        return ShapeMistake(path, message, keys, unknown_key=True)
    if kind == "missing":
        return ShapeMistake(path, f"{quoted(path[-1])} is missing.", tuple(_choices(path, value)))
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(context.get("expected", context.get("expected_tags", "")))
        allowed = tuple(re.findall(r"'([^']*)'", expected)) or (expected.lower(),)
        tag = context.get("tag", given)
        message = f"{quoted(_spelled(tag))} is not allowed.{did_you_mean(str(tag), allowed)}"
        return ShapeMistake(path, message, allowed)
    if kind == "union_tag_not_found":
        return ShapeMistake((*path, "kind"), "'kind' is missing.", get_args(TechniqueKind))
    if kind == "string_pattern_mismatch":
        allowed = (_PATTERNS.get(str(context["pattern"]), "one line of text"),)
        return ShapeMistake(path, f"{quoted(given)} is not written as it must be.", allowed)
    wording, allowed = _WORDING.get(kind, (quoted(details["msg"], marks=False), ()))
    shown = (
        f"{quoted(_spelled(given))} " if isinstance(given, (str, int, float)) or given is None else "This "
    )
    return ShapeMistake(path, f"{shown}{wording}.", tuple(each.format(**context) for each in allowed))


def _spelled(value: object) -> str:
    """As YAML spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else str(value)


def _clauses(annotation: Any) -> Iterator[type[Clause]]:
    """The document classes inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Clause):
        yield annotation
    for argument in get_args(annotation):
        yield from _clauses(argument)


def _annotation_at(path: Path, value: Any) -> Any:
    """The annotation of the field at `path`; of a union of techniques, the one that the document names."""
    annotation: Any = Charter
    for step in path:
        if isinstance(step, str):
            models = _named_kind(tuple(_clauses(annotation)), value)
            fields = [
                (field.alias or name, field) for model in models for name, field in model.model_fields.items()
            ]
            annotation = next((field.annotation for key, field in fields if key == step), None)
        value = child(value, step)
    return annotation


def _models_at(path: Path, value: Any) -> tuple[type[Clause], ...]:
    models = tuple(_clauses(_annotation_at(path, value)))
    return _named_kind(models, value_at(value, path))


def _named_kind(models: tuple[type[Clause], ...], value: Any) -> tuple[type[Clause], ...]:
    kind = value.get("kind") if isinstance(value, dict) else value
    named = tuple(
        model
        for model in models
        if "kind" in model.model_fields and model.model_fields["kind"].default == kind
    )
    return named or models


def _keys(models: tuple[type[Clause], ...]) -> tuple[str, ...]:
    keys = (field.alias or name for model in models for name, field in model.model_fields.items())
    return tuple(dict.fromkeys(keys))


def _choices(path: Path, value: Any) -> Iterator[str]:
    """The closed set of a missing key, when it has one, else a word on what goes there."""
    annotation = _annotation_at(path, value)
    keys = _keys(tuple(_clauses(annotation)))
    if keys:
        yield f"{{{', '.join(keys)}}}"
        return
    yield from _literals(annotation)


def _literals(annotation: Any) -> Iterator[str]:
    arguments = get_args(annotation)
    if arguments and all(isinstance(argument, (str, bool)) for argument in arguments):
        yield from (_spelled(argument) for argument in arguments)
        return
    for argument in arguments:
        yield from _literals(argument)


KEYS = _keys((Charter,))
