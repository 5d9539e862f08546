"""A hierarchy from a CSV file, as the clause a charter keeps.

The charter must be complete by itself, so the file is read once, when the charter is written.
Must not be here: rules about hierarchies (`technique_checks`).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from pydantic import ValidationError

from orchestration.charter.techniques import Rung
from orchestration.errors import CharterError, Reason

BAD_HIERARCHY = Reason(
    "charter.bad_hierarchy",
    "Line {line} of the hierarchy {file} is not a value with its coarser forms.",
    "Write one value a line, then its forms from the finest to the coarsest, in UTF-8, without a header.",
)


def read_hierarchy(path: Path, *, delimiter: str = ";") -> tuple[Rung, ...]:
    """One rung for each line `value;finest form;…;coarsest form`.

    Raises: CharterError (`charter.bad_hierarchy`) naming the line.
    """
    rungs = []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for number, cells in enumerate(csv.reader(file, delimiter=delimiter), start=1):
            try:
                rungs.append(Rung(name=cells[0].strip(), becomes=tuple(each.strip() for each in cells[1:])))
            except (IndexError, ValidationError):
                raise CharterError(BAD_HIERARCHY, line=number, file=path.name) from None
    return tuple(rungs)


def hierarchy_clause(rungs: tuple[Rung, ...], level: int) -> str:
    """The technique as a charter's YAML spells it, to be put under `technique:`."""
    lines = ["kind: generalize", f"level: {level}", "hierarchy:"]
    for rung in rungs:
        becomes = ", ".join(json.dumps(each, ensure_ascii=False) for each in rung.becomes)
        lines.append(f"  - {{name: {json.dumps(rung.name, ensure_ascii=False)}, becomes: [{becomes}]}}")
    return "\n".join(lines)
