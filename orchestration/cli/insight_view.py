"""An insight on a terminal: its finding, its table, a plot, and what was hidden, in 80 columns."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestration.cli.console import harmless
from orchestration.cli.console import table as plain_table
from orchestration.cli.told import OUTDATED
from orchestration.output.cells import TOTAL, Measure
from orchestration.output.protect import ProtectedRow, ProtectedTable
from orchestration.stages.access import OpenedInsight

_HIDDEN = "▒▒▒"
_BAR_WIDTH = 34
_WIDEST_GRID = 8  # columns that still fit 80 characters


def render_insight(opened: OpenedInsight, unit: str) -> RenderableType:
    """Everything a receiver may see, most important first."""
    parts: list[RenderableType] = [Text(harmless(opened.finding.headline), style="bold"), Text("")]
    if opened.release.outdated is not None:
        parts += [Text(f"Stale: {OUTDATED[opened.release.outdated]}", style="bold yellow"), Text("")]
    if opened.table is not None:
        parts += [_figures(opened.table), Text(""), *_plot(opened.table)]
        parts += [Text(f"· {sentence}", style="dim") for sentence in opened.table.why(unit)]
    else:
        rows = [[f.title, "hidden" if f.value is None else str(f.value)] for f in opened.finding.figures[:20]]
        parts += [plain_table(["Figure", ("Value", "right")], rows), Text("")]
    parts += [Text(f"· {caveat}", style="dim") for caveat in opened.finding.caveats]
    passport = opened.passport
    parts += [
        Text(""),
        Text(
            f"Passport verified: {len(passport.receipts)} receipts, log entry {passport.log.seq}"
            f" of {passport.log.size}, {len(passport.contributions)} contributions.",
            style="green",
        ),
    ]
    if opened.folder is not None:
        parts.append(Text(f"Files and charts (PNG, Vega-Lite): shelf/{opened.release.id}/"))
    return Padding(Group(*parts), (0, 0, 0, 2))


def _figures(table: ProtectedTable) -> RenderableType:
    """A list, or for two dimensions a grid per measure with the longer one down the side."""
    if len(table.dimensions) != 2 or min(len(table.labels(0)), len(table.labels(1))) + 1 > _WIDEST_GRID:
        return _list(table)
    if max(len(table.labels(0)), len(table.labels(1))) <= 3:
        return _list(table)
    return Group(*(item for measure in table.measures for item in (_grid(table, measure), Text(""))))


def _list(table: ProtectedTable) -> Table:
    columns: list[str | tuple[str, str]] = [dimension.title for dimension in table.dimensions]
    columns += [(measure.title, "right") for measure in table.measures]
    rows = [
        [
            *("all" if label == TOTAL else label for label in row.coordinates),
            *(_value(row, m) for m in table.measures),
        ]
        for row in table.rows
    ]
    return plain_table(columns, rows)


def _grid(table: ProtectedTable, measure: Measure) -> Table:
    across = 0 if len(table.labels(0)) < len(table.labels(1)) else 1
    down = 1 - across
    heads = [*table.labels(across), TOTAL]
    rows = []
    for side in (*table.labels(down), TOTAL):
        cells = []
        for head in heads:
            coordinates = (head, side) if across == 0 else (side, head)
            row = table.row(*coordinates)
            cells.append("·" if row is None else _value(row, measure))
        rows.append(["all" if side == TOTAL else side, *cells])
    title = f"{measure.title}: {table.dimensions[down].title} by {table.dimensions[across].title}"
    columns: list[str | tuple[str, str]] = [table.dimensions[down].title]
    columns += [("all" if head == TOTAL else head, "right") for head in heads]
    grid = plain_table(columns, rows, title=title)
    grid.padding = (0, 1, 0, 0)
    return grid


def _value(row: ProtectedRow, measure: Measure) -> str:
    if row.values is None:
        return _HIDDEN
    value = row.values[measure.name]
    return f"{value:,.0f}" if isinstance(value, Decimal) else f"{value:,}"


def _plot(table: ProtectedTable) -> list[RenderableType]:
    """Bars of the first dimension's totals (or of the cells, if there is one dimension)."""
    measure = table.measures[-1]
    bars: list[tuple[str, ProtectedRow | None]]
    if len(table.dimensions) == 1:
        bars = [(label, table.row(label)) for label in table.labels(0)]
    elif max(len(table.labels(0)), len(table.labels(1))) <= 3:
        titles = [dimension.title for dimension in table.dimensions]
        bars = [
            (
                ", ".join(f"{title}: {label}" for title, label in zip(titles, row.coordinates, strict=True)),
                row,
            )
            for row in table.cells
        ]
    else:
        bars = [(label, table.row(label, TOTAL)) for label in table.labels(0)]
    known = [row.values[measure.name] for _, row in bars if row is not None and row.values is not None]
    largest = max((float(value) for value in known), default=0.0)
    if not largest:
        return []
    lines: list[RenderableType] = [Text(f"{measure.title}", style="dim")]
    width = max(len(label) for label, _ in bars)
    for label, row in bars:
        if row is None or row.values is None:
            lines.append(Text(harmless(f"{label:<{width}}  {_HIDDEN} hidden"), style="dim"))
            continue
        length = round(float(row.values[measure.name]) / largest * _BAR_WIDTH)
        line = Text(harmless(f"{label:<{width}}  "))
        line.append("█" * max(length, 1), style="cyan")
        line.append(f" {_value(row, measure)}")
        lines.append(line)
    return [*lines, Text("")]
