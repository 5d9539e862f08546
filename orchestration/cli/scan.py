"""`glasshouse scan`: does a file that is about to be shared hold somebody's identifier?

Must not be here: recognizing anything (`scope/leaks`), or the value that was found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit, err, harmless, table
from orchestration.errors import ConfigError, Reason
from orchestration.scope.leaks import Scan
from orchestration.scope.leaks import scan as look

NO_SUCH_PLACE = Reason(
    "scan.no_such_place",
    "There is no file or folder {path}.",
    "Name what is about to be shared: files, or folders with everything in them.",
)
_SHOWN = 100


def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders with everything in them.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Look for identifiers in code, notebooks and exports: places and counts, never the value.

    Ends with 1 when something was found.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(NO_SUCH_PLACE, path=ascii(str(path)[:200]))
    with err.status("Looking through files"):
        found = look(paths)
    emit(asdict(found), lambda: _shown(found), as_json=as_json)
    if found.leaks:
        raise typer.Exit(1)


def _shown(found: Scan) -> RenderableType:
    parts: list[RenderableType] = []
    if found.leaks:
        rows = [[f"{each.path}:{each.line}", each.kind, str(each.count)] for each in found.leaks[:_SHOWN]]
        parts.append(table(["Place", "Looks like", ("How many", "right")], rows))
        if len(found.leaks) > _SHOWN:
            parts.append(Text(f"and {len(found.leaks) - _SHOWN:,} more places; --json lists all"))
        kinds = Counter[str]()
        for each in found.leaks:
            kinds[each.kind] += each.count
        counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        parts.append(Text(f"\nFound in {found.files:,} files: {counted}.", style="bold red"))
    else:
        parts.append(Text(f"Nothing that looks like an identifier in {found.files:,} files."))
    if found.skipped:
        names = ", ".join(harmless(each) for each in found.skipped[:5])
        more = f" and {len(found.skipped) - 5:,} more" if len(found.skipped) > 5 else ""
        parts.append(Text(f"Not looked into (no text, or too large): {names}{more}.", style="yellow"))
    return Group(*parts)
