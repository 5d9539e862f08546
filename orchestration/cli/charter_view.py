"""What `glasshouse charter diff` and `charter maturity` show, for people and for programs.

Must not be here: comparing charters or judging their maturity (`orchestration/charter/`).
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestration.charter import Charter
from orchestration.charter.diff import Change, signers
from orchestration.charter.maturity import LEVELS, gaps, level, next_level

_COLORS = {"looser": "yellow", "stricter": "green", "neutral": "dim"}


def changes_view(old: Charter, new: Charter, changes: tuple[Change, ...]) -> RenderableType:
    """Sections in the order of the document; on the left which way each change goes."""
    parts: list[RenderableType] = [
        Text(new.title, style="bold"),
        Text(f"{old.collaboration} version {old.version}, {old.digest}", style="dim"),
        Text(f"{new.collaboration} version {new.version}, {new.digest}", style="dim"),
    ]
    if old.digest == new.digest:
        return Group(*parts, Text("\nThe same charter: nothing to sign."))
    if not changes:
        parts.append(Text("\nNo clause changes; only the order of some lists does."))
    for section, group in groupby(changes, key=lambda change: change.section):
        parts.append(Text(f"\n{section}", style="bold cyan"))
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=10)
        grid.add_column(overflow="fold")
        for change in group:
            way = Text(f"  {change.direction}", style=_COLORS[change.direction])
            grid.add_row(way, _change(change))
        parts.append(grid)
    parts.append(Text(f"\n{_count(changes)}"))
    parts.append(Text(f"Signatures needed, one steward each: {', '.join(signers(old, new))}."))
    return Group(*parts)


def _change(change: Change) -> Text:
    text = Text(change.path, style="bold").append(f"\n{change.words}", style="not bold")
    if change.assumed:
        text.append(" Treated as looser: no rule can tell.", style="not bold yellow")
    if change.affects:
        text.append(f" Concerns {', '.join(change.affects)}.", style="not bold dim")
    return text


def _count(changes: tuple[Change, ...]) -> str:
    ways = Counter(change.direction for change in changes)
    assumed = sum(change.assumed for change in changes)
    treated = f" ({assumed} of them treated as looser)" if assumed else ""
    total = "1 change" if len(changes) == 1 else f"{len(changes)} changes"
    return (
        f"{total}: {ways['looser']} looser{treated}, {ways['stricter']} stricter, {ways['neutral']} neutral."
    )


def changes_document(old: Charter, new: Charter, changes: tuple[Change, ...]) -> JsonValue:
    rows: list[JsonValue] = [
        {
            "section": each.section,
            "path": each.path,
            "words": each.words,
            "direction": each.direction,
            "assumed": each.assumed,
            "affects": list(each.affects),
        }
        for each in changes
    ]
    return {
        "old": {"version": old.version, "digest": old.digest},
        "new": {"version": new.version, "digest": new.digest},
        "changes": rows,
        "signatures": [] if old.digest == new.digest else list(signers(old, new)),
    }


def maturity_view(charter: Charter) -> RenderableType:
    """The four levels, where this charter stands, and clause by clause what the next one lacks."""
    parts: list[RenderableType] = [Text(charter.title, style="bold"), Text("")]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=22)
    grid.add_column(overflow="fold")
    for number, name in enumerate(LEVELS, start=1):
        here = name == charter.maturity
        says = Text(level(name).says).append("  <- stated by this charter" if here else "", style="green")
        grid.add_row(Text(f"{number} {name}", style="bold" if here else ""), says)
    parts.append(grid)
    following = next_level(charter)
    if following is None:
        parts.append(Text("\nThere is no higher level."))
        return Group(*parts)
    parts.append(Text(f"\nWhat {following} asks for", style="bold cyan"))
    missing = gaps(charter)
    clauses = Table.grid(padding=(0, 1, 0, 0))
    clauses.add_column(width=7)
    clauses.add_column(width=29, overflow="fold")
    clauses.add_column(overflow="fold")
    for each in level(following).requirements:
        lacks = each in missing
        state = Text("  lacks" if lacks else "  has", style="yellow" if lacks else "green")
        clauses.add_row(state, Text(each.clause), Text(each.asks))
    parts.append(clauses)
    if not missing:
        parts.append(Text(f"\nNothing is lacking: state `maturity: {following}`."))
    return Group(*parts)


def maturity_document(charter: Charter) -> JsonValue:
    following = next_level(charter)
    missing = gaps(charter)
    asks: list[JsonValue] = [
        {"clause": each.clause, "asks": each.asks, "met": each not in missing}
        for each in (level(following).requirements if following else ())
    ]
    levels: list[JsonValue] = [{"name": name, "says": level(name).says} for name in LEVELS]
    return {"stated": charter.maturity, "next": following, "levels": levels, "next_asks": asks}
