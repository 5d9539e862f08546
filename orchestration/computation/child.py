"""The process dbt runs in: `python -m orchestration.computation.child REPORT ARGUMENT…`, one per invocation.

Writes to REPORT which node ended how, as JSON. The text of dbt's and DuckDB's errors quotes values, so it
stays in this process: only the fact that the disk was full is passed on. Must not be here: which arguments
are allowed; that is `runner`, the only caller.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner

from orchestration.errors import STORAGE_FULL, public

_ROWS = "rows "  # what macros/row_counts.sql prints in front of its JSON


def main(report: Path, arguments: list[str]) -> None:
    """Run dbt and write the report, in one step, as the last thing."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    printed: list[str] = []

    def listen(event: Any) -> None:
        if event.info.name == "PrintEvent":
            printed.append(event.data.msg)

    outcome = dbtRunner(callbacks=[listen]).invoke(arguments)
    results = getattr(outcome.result, "results", ())
    counted = [json.loads(line.removeprefix(_ROWS)) for line in printed if line.startswith(_ROWS)]
    facts = {
        "success": bool(outcome.success),
        "storage_full": any(_is_storage_full(each.message) for each in results),
        "nodes": [
            {
                "name": each.node.name,
                "kind": str(each.node.resource_type),
                "status": str(each.status),
                "seconds": each.execution_time,
                "sql": getattr(each.node, "compiled_code", None),
            }
            for each in results
        ],
        "rows": counted[-1] if counted else {},
    }
    report.write_text(json.dumps(facts), encoding="utf-8")


def _is_storage_full(message: str | None) -> bool:
    return public(duckdb.IOException(message or "")).code == STORAGE_FULL.code


def _end_with_parent() -> None:
    """Standard input ends when the parent is gone, however it went: leave the room to its next writer."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
