"""The charter's JSON Schema, for editors: completion, hover texts and red underlines while writing.

It knows the shape of a charter; the rules between clauses are `glasshouse charter check`'s.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from orchestration.charter.model import Charter

SCHEMA_NAME = "charter.schema.json"
"""Charters refer to it by this name, so it lies beside them."""


def charter_schema() -> dict[str, JsonValue]:
    """JSON Schema, draft 2020-12."""
    schema: dict[str, JsonValue] = Charter.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The file as it is committed: indented, one spelling."""
    return json.dumps(charter_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(folder: Path) -> Path:
    """Write the schema beside the charters of `folder`. Raises: OSError."""
    path = folder / SCHEMA_NAME
    path.write_text(schema_text(), encoding="utf-8")
    return path
