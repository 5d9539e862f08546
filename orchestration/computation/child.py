"""The process dbt runs in, one per invocation: `python -m orchestration.computation.child REPORT PARSED …`.

Writes to REPORT which node ended how, as JSON. PARSED is the stored parse of the project, or `-` to parse it
now; with it dbt starts in half the time. The text of dbt's and DuckDB's errors quotes values, so it
stays in this process: only the fact that the disk was full is passed on. Must not be here: which arguments
are allowed; that is `runner`, the only caller.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from orchestration.errors import STORAGE_FULL, public

_ROWS = "rows "  # what macros/row_counts.sql prints in front of its JSON
_REQUEST_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # as in macros/request.sql


def main(report: Path, parsed: str, arguments: list[str]) -> None:
    """Run dbt and write the report, in one step, as the last thing."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # DuckDB looks for pandas when a value is bound; its import takes longer than a model. None needs it.
    sys.modules["pandas"] = None  # type: ignore[assignment]  # Python's own way to say: not importable
    printed: list[str] = []

    def listen(event: Any) -> None:
        if event.info.name == "PrintEvent":
            printed.append(event.data.msg)

    manifest = None if parsed == "-" else _stored_parse(Path(parsed), arguments)
    outcome = dbtRunner(manifest=manifest, callbacks=[listen]).invoke(arguments)
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


def _stored_parse(path: Path, arguments: list[str]) -> Any:
    """The parsed project for this request; None when parsing must decide.

    All that parsing takes from the variables is what a request's cells are called (macros/names.sql), so that
    is set here; parameters are read when a model is compiled.
    """
    request = json.loads(arguments[arguments.index("--vars") + 1]).get("request_id")
    if request is not None and not (isinstance(request, str) and _REQUEST_ID.fullmatch(request)):
        return None
    manifest = Manifest.from_msgpack(path.read_bytes())
    for node in manifest.nodes.values():
        if request is not None and str(node.resource_type) == "model" and node.name.startswith("cells_"):
            alias = f"{node.name.removeprefix('cells_')}__{request.replace('-', '_')}"
            node.relation_name = node.relation_name.replace(f'"{node.alias}"', f'"{alias}"')
            node.alias = alias
    return manifest


def _is_storage_full(message: str | None) -> bool:
    return public(duckdb.IOException(message or "")).code == STORAGE_FULL.code


def _end_with_parent() -> None:
    """Standard input ends when the parent is gone, however it went: leave the room to its next writer."""
    while os.read(0, 1):  # not sys.stdin: its lock, held while waiting, aborts an orderly end
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
