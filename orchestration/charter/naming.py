"""Paths by name: `datasets.transactions.fields.week`, not `datasets[0].fields[5]`.

Positions move when somebody inserts a line; names stay, so mistakes, duties and enforcement all use them.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

# What names an item of a list; the first of these keys it has.
IDENTITIES = ("id", "template", "label", "name", "attribute")


def name_of(item: Any) -> tuple[str | None, str]:
    """(name, key that holds it) of one item of a list; (None, "") when it has no name."""
    if isinstance(item, dict):
        for key in IDENTITIES:
            if isinstance(item.get(key), str):
                return item[key], key
    return None, ""


def child(value: Any, step: str | int) -> Any:
    """The value one step down, or None."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def value_at(value: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path of keys and positions, or None."""
    return reduce(child, path, value)


def names_of(value: Any, path: tuple[str | int, ...]) -> tuple[str, ...]:
    """`path` (keys and positions in `value`) with each position replaced by the item's name if it has one."""
    names: list[str] = []
    for step in path:
        value = child(value, step)
        name = name_of(value)[0] if isinstance(step, int) else None
        names.append(name if name is not None else str(step))
    return tuple(names)
