"""Values as YAML text, for tests that write charters."""

from __future__ import annotations

import json
from datetime import date


def written(value: object) -> str:
    """JSON, which YAML 1.2 contains, with bare dates (ruamel's own writer leaves `{a: : a}` unquoted)."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
