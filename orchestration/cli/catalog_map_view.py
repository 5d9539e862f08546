"""How the data map looks on a terminal of 80 columns. Must not be here: what it says."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.catalog.data_map import Column, Way
from orchestration.charter.model import Charter
from orchestration.cli.console import table
from orchestration.cli.report_view import heading


def ways(charter: Charter, found: Iterable[Way]) -> RenderableType:
    parts: list[RenderableType] = [
        heading(f"{charter.title}: where personal data travels"),
        Text("● personal, as a pseudonym   ◐ personal   · about nobody   ✕ never in the room", style="dim"),
    ]
    for each in found:
        head = Text.assemble(("\n" + each.party, "bold"), "  →  ", (each.dataset, "bold"))
        parts += [head.append(f"  →  {each.room_table}"), _columns(each.columns)]
        parts += [
            Text(
                f"   → {stop.template} ({', '.join(stop.purposes)})\n"
                f"     → cells of {stop.threshold} or more → {', '.join(stop.receivers)}",
                style="cyan",
            )
            for stop in each.stops
        ] or [Text("   → no computation", style="yellow")]
    return Group(*parts)


def _columns(found: Iterable[Column]) -> RenderableType:
    rows = [
        [
            f"   {_mark(each)}",
            each.name,
            each.class_title.lower(),
            each.technique,
            ", ".join(dict.fromkeys(role.replace("_", " ") for roles in each.used.values() for role in roles))
            or "–",
        ]
        for each in found
    ]
    return table(["", "Column", "Class", "Technique", "Used as"], rows)


def _mark(column: Column) -> str:
    if column.becomes is None:
        return "✕"
    if not column.personal:
        return "·"
    return "●" if column.technique == "pseudonymize" else "◐"
