"""The twins of the pages for programs: JSON and CSV of the same facts.

Must not be here: which facts. Cells of a CSV never start a formula when a spreadsheet opens them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def json_response(document: Any, status_code: int = 200) -> Response:
    """Pretty JSON: people read it in the browser too."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return Response(f"{text}\n", status_code, media_type="application/json")


def csv_response(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], filename: str) -> Response:
    """A CSV download with a header line; a column that a row lacks is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([formula_safe(row.get(column)) for column in columns] for row in rows)
    disposition = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(text.getvalue(), headers=disposition, media_type="text/csv; charset=utf-8")


def formula_safe(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
