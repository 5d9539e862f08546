"""Generalization hierarchies: what each value of an attribute becomes, level by level.

Belongs here: reading and making them. Level 0 is the value itself; the last level is often `*`. A hierarchy
is nested: values that are one at a level stay one above it, so coarser settings only ever merge classes.
No value (NULL) stays a value of its own until a level has a single group. Must not be here: choosing levels
(`lattice`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestration.errors import ConfigError, Reason

UNREADABLE = Reason(
    "hierarchy.unreadable",
    "The hierarchy of {attribute} cannot be used: {problem}.",
    "One line per value, UTF-8, separated by semicolons or commas: value;level 1;level 2;…;*",
)
NOT_NESTED = Reason(
    "hierarchy.not_nested",
    "The hierarchy of {attribute} is not nested: level {level} tells apart what the level below made one.",
    "Give all values of one group the same group above it.",
)
UNKNOWN_KIND = Reason(
    "hierarchy.unknown_kind",
    "No hierarchy of {attribute} can be made like this: {problem}.",
    "Use bands:5,10,20 (numbers, each width a multiple of the last), prefix (texts), date, or a file.",
)

EVERYTHING = "*"


@dataclass(frozen=True)
class Hierarchy:
    """One attribute's levels.

    `leaves` maps each value, and NULL as the last, to its code. `groups[level][code]` is
    the group the value belongs to, `labels[level][group]` its name (None: no value), `losses[level][code]`
    how much of the value is lost: (values in its group - 1) / (values - 1), from 0 to 1.
    """

    attribute: str
    leaves: dict[str | None, int]
    groups: tuple[NDArray[np.int64], ...]
    labels: tuple[tuple[str | None, ...], ...]
    losses: tuple[NDArray[np.float64], ...]

    @property
    def height(self) -> int:
        """The highest level."""
        return len(self.groups) - 1


def read_hierarchy(attribute: str, path: Path) -> Hierarchy:
    """A hierarchy file as ARX writes it.

    Raises: ConfigError (`hierarchy.unreadable`, `hierarchy.not_nested`); messages hold no value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = [row for row in csv.reader(file, delimiter=";" if ";" in first else ",") if row]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise ConfigError(UNREADABLE, attribute=attribute, problem="it is no readable text") from None
    if not rows:
        raise ConfigError(UNREADABLE, attribute=attribute, problem="it is empty")
    if len({len(row) for row in rows}) != 1:
        raise ConfigError(UNREADABLE, attribute=attribute, problem="its lines differ in length")
    return _hierarchy(attribute, [[cell.strip() for cell in row] for row in rows])


def keep(attribute: str, values: Iterable[str]) -> Hierarchy:
    """No generalization at all: the attribute stays as it is."""
    return _hierarchy(attribute, [[value] for value in values])


def make_hierarchy(attribute: str, kind: str, values: Sequence[str]) -> Hierarchy:
    """A hierarchy over the values that occur: `bands:<widths>`, `prefix`, or `date`.

    Loss is counted over the values that occur, because no file says which others there are.

    Raises: ConfigError (`hierarchy.unknown_kind`).
    """
    name, _, parameters = kind.partition(":")
    try:
        steps = {"bands": _bands, "prefix": _prefixes, "date": _dates}[name](values, parameters)
        rows = [[value, *(step(value) for step in steps), EVERYTHING] for value in values]
    except (KeyError, ValueError, InvalidOperation):
        problem = "its values or its parameters do not fit" if name in KINDS else "there is no such kind"
        raise ConfigError(UNKNOWN_KIND, attribute=attribute, problem=problem) from None
    return _hierarchy(attribute, rows)


KINDS = ("bands", "prefix", "date")
_Step = Callable[[str], str]


def _bands(_values: Sequence[str], parameters: str) -> list[_Step]:
    widths = [Decimal(width) for width in parameters.split(",")]
    if any(width <= 0 for width in widths):
        raise ValueError("a band has a width")

    def band(width: Decimal) -> _Step:
        def step(value: str) -> str:
            low = (Decimal(value) / width).to_integral_value(ROUND_FLOOR) * width
            return f"[{low}, {low + width}["

        return step

    if any(wide % narrow for narrow, wide in pairwise(widths)):
        raise ValueError("a wider band holds whole narrower ones")
    return [band(width) for width in widths]


def _prefixes(values: Sequence[str], _parameters: str) -> list[_Step]:
    longest = max((len(value) for value in values), default=0)

    def prefix(length: int) -> _Step:
        return lambda value: value[:length] + EVERYTHING * max(0, len(value) - length)

    return [prefix(length) for length in range(longest - 1, 0, -1)]


def _dates(_values: Sequence[str], _parameters: str) -> list[_Step]:
    def day(value: str) -> date:
        return date.fromisoformat(value[:10])

    return [
        lambda value: f"{day(value):%Y-%m}",
        lambda value: f"{day(value).year}-Q{(day(value).month + 2) // 3}",
        lambda value: str(day(value).year),
    ]


def _hierarchy(attribute: str, rows: Sequence[Sequence[str]]) -> Hierarchy:
    """Codes and losses of the levels, which stand in the columns of `rows`."""
    leaves: dict[str | None, int] = {row[0]: code for code, row in enumerate(rows)}
    leaves[None] = len(rows)
    if len(leaves) != len(rows) + 1:
        raise ConfigError(UNREADABLE, attribute=attribute, problem="a value has two lines")
    groups, labels, losses = [], [], []
    for level in range(len(rows[0]) if rows else 1):
        names: dict[str | None, int] = {}
        codes = [names.setdefault(row[level], len(names)) for row in rows]
        nothing = 0 if len(names) == 1 and level else names.setdefault(None, len(names))
        groups.append(np.array([*codes, nothing], dtype=np.int64))
        labels.append(tuple(names))
        sizes = np.bincount(groups[-1][:-1], minlength=len(names))
        lost = np.maximum(sizes[groups[-1]] - 1, 0) / max(len(rows) - 1, 1)
        losses.append(lost.astype(np.float64))
        if level and len({(below, here) for below, here in zip(groups[-2], groups[-1], strict=True)}) != len(
            set(groups[-2].tolist())
        ):
            raise ConfigError(NOT_NESTED, attribute=attribute, level=level)
    return Hierarchy(attribute, leaves, tuple(groups), tuple(labels), tuple(losses))
