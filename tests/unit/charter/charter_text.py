"""Values as YAML text, for tests that write charters; and charters made from others by small changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import date
from typing import Any

from orchestration.charter import Charter, load_charter, parse_charter
from orchestration.charter.loader import STARTER
from orchestration.charter.yaml_reader import read_yaml
from orchestration.settings import PROJECT_ROOT

GROCERY_FILE = PROJECT_ROOT / "charters" / "grocery.yaml"
GROCERY = load_charter(GROCERY_FILE)
STARTED = load_charter(STARTER)
_GROCERY: Any = read_yaml(GROCERY_FILE.read_bytes()).value


def written(value: object) -> str:
    """JSON, which YAML 1.2 contains, with bare dates (ruamel's own writer leaves `{a: : a}` unquoted)."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The item of a list with that id, template or name."""
    return next(item for item in items if name in (item.get("id"), item.get("template"), item.get("name")))


def grocery_with(change: Callable[[Any], object]) -> bytes:
    """The text of the grocery charter after `change` was at its values."""
    value = copy.deepcopy(_GROCERY)
    change(value)
    return written(value).encode()


def changed_grocery(change: Callable[[Any], object]) -> Charter:
    """The same, as a charter that passed every check."""
    return parse_charter(grocery_with(change))
