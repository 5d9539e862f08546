"""Charts: one Vega-Lite specification per release, for pages and notebooks, and the same as PNG.

Belongs here: drawing what a protected table and its finding already say. Must not be here: arithmetic that
makes new figures (`findings`). A hidden value is a hatched grey field with the word "hidden", never a bar of
length zero. Altair and the offline renderer are imported when the first chart is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import JsonValue

from orchestration.errors import DisclosureError
from orchestration.output.cells import Number
from orchestration.output.findings import UNKNOWN_TEMPLATE, Finding, per_unit, percent
from orchestration.output.protect import ProtectedTable

# Okabe-Ito blue and a single-hue scale: both readable with any colour vision, and in grey.
_BLUE, _SKY, _SCALE = "#0072B2", "#8cc0e0", ["#e3eef7", "#084a7a"]
_INK, _QUIET, _GRID, _VEIL, _HATCH = "#1f2933", "#5f6b7a", "#e4e7eb", "#f1f2f4", "#b8bfc8"
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_BAR_WIDTH, _BAR_STEP = 520, 42
_CELL_WIDTH, _CELL_STEP = 78, 36
_LETTERS_PER_PIXEL = 0.14  # of the bold title font


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification with its data inside, and the picture of it."""

    spec: dict[str, JsonValue]
    png: bytes


class _Drawing(NamedTuple):
    chart: Any  # an Altair chart; Altair's own types are not used
    subtitle: str
    width: int
    hidden: bool


class _Bar(NamedTuple):
    """One bar; `value` is None when hidden; `ends` is the interval around it, if there is one."""

    label: str
    value: Number | None
    text: str
    ends: tuple[Number, Number] | None = None


def draw(template: str, table: ProtectedTable, finding: Finding, unit: str = "privacy unit") -> Chart:
    """The chart of a template, from its protected table and finding alone.

    Raises:
        DisclosureError: `output.unknown_template`.
    """
    painter = _PAINTERS.get(template)
    if painter is None:
        raise DisclosureError(UNKNOWN_TEMPLATE, template=template, known=", ".join(_PAINTERS))
    import vl_convert

    drawing = painter(table, finding, unit)
    subtitle = [drawing.subtitle]
    if drawing.hidden:
        subtitle.append(
            f"Hatched: hidden, so that nothing shown describes fewer than {table.threshold} {unit}s."
        )
    letters = int(max(drawing.width, 460) * _LETTERS_PER_PIXEL)
    title = textwrap.wrap(finding.headline, letters, break_on_hyphens=False)
    spec: dict[str, JsonValue] = _styled(drawing.chart, title, subtitle)
    return Chart(spec, vl_convert.vegalite_to_png(spec, scale=2))


def _audience_overlap(_table: ProtectedTable, finding: Finding, unit: str) -> _Drawing:
    figures = [finding.figure(name) for name in ("left", "right", "overlap")]
    bars = [_Bar(f.title, f.value, "" if f.value is None else f"{f.value:,}") for f in figures]
    return _bars(bars, f"{unit}s".capitalize(), ",d", "Size of each audience and of their overlap.")


def _campaign_response(table: ProtectedTable, finding: Finding, unit: str) -> _Drawing:
    bars = []
    for label in table.labels(0):
        rate, low, high = (finding.figure(f"{name}:{label}").value for name in ("rate", "low", "high"))
        ends = None if low is None or high is None else (low, high)
        bars.append(_Bar(label, rate, percent(Decimal(rate)) if rate is not None else "", ends))
    subtitle = f"Redeeming share of mailed {unit}-campaigns, 95 % intervals. Targeted, not randomised."
    return _bars(bars, "Redemption rate", ".0%", subtitle)


def _joint_segmentation(table: ProtectedTable, finding: Finding, unit: str) -> _Drawing:
    subtitle = f"Spend per {unit}, by {table.dimensions[0].title.lower()}"
    if len(table.dimensions) == 2 and len(table.labels(1)) > 1:
        return _heatmap(table, f"{subtitle} and {table.dimensions[1].title.lower()}.", f"Spend per {unit}")
    figures = [(label, finding.figure(f"per_{unit}:{label}").value) for label in table.labels(0)]
    bars = [_Bar(label, value, "" if value is None else f"{value:,.2f}") for label, value in figures]
    return _bars(bars, f"Spend per {unit}", ",.0f", f"{subtitle}.")


_PAINTERS: dict[str, Callable[[ProtectedTable, Finding, str], _Drawing]] = {
    "audience_overlap": _audience_overlap,
    "joint_segmentation": _joint_segmentation,
    "campaign_response": _campaign_response,
}


def _bars(bars: Sequence[_Bar], title: str, number_format: str, subtitle: str) -> _Drawing:
    """Horizontal bars from zero, in the order given, each with its figure at the end."""
    import altair as alt

    y = alt.Y("label:N", sort=[bar.label for bar in bars], title=None)
    shown: list[dict[str, Any]] = [
        {"label": bar.label, "value": float(bar.value), "text": bar.text}
        | ({"low": float(bar.ends[0]), "high": float(bar.ends[1])} if bar.ends else {})
        for bar in bars
        if bar.value is not None
    ]
    hidden = [{"label": bar.label, "text": "hidden"} for bar in bars if bar.value is None]
    layers = []
    if hidden:
        layers += _veil(alt, hidden, y, (_BAR_WIDTH, int(_BAR_STEP * 0.6)), alt.value(_BAR_WIDTH / 2))
    if shown:
        axis = alt.Axis(format=number_format, tickCount=5)
        top = max(bar.get("high", bar["value"]) for bar in shown)
        scale = alt.Scale(domain=[0, top * 1.15 or 1], nice=False)
        base = alt.Chart(alt.Data(values=shown)).encode(y=y)
        ends = "high" if any("high" in bar for bar in shown) else "value"
        bar_mark = base.mark_bar(color=_SKY if ends == "high" else _BLUE, height={"band": 0.6})
        layers.append(bar_mark.encode(alt.X("value:Q", title=title, axis=axis, scale=scale)))
        if ends == "high":
            layers.append(base.mark_rule(color=_INK, strokeWidth=2).encode(alt.X("low:Q"), alt.X2("high:Q")))
        label = base.mark_text(align="left", dx=8, color=_INK, fontSize=13)
        layers.append(label.encode(alt.X(f"{ends}:Q"), alt.Text("text:N")))
    chart = alt.layer(*layers).properties(width=_BAR_WIDTH, height=alt.Step(_BAR_STEP))
    return _Drawing(chart, subtitle, _BAR_WIDTH, bool(hidden))


def _heatmap(table: ProtectedTable, subtitle: str, title: str) -> _Drawing:
    """Two dimensions as a grid of fields; a group that does not occur stays white."""
    import altair as alt

    shown: list[dict[str, Any]] = []
    hidden: list[dict[str, str]] = []
    for cell in table.cells:
        at = {"row": cell.coordinates[0], "column": cell.coordinates[1]}
        value = None if cell.values is None else per_unit(cell.values["amount"], cell.values["units"])
        if cell.values is None:
            hidden.append(at | {"text": "hidden"})
        elif value is not None:
            shown.append(at | {"value": float(value), "text": f"{value:,.0f}"})
    labels, columns = table.labels(0), table.labels(1)
    x = alt.X("column:N", sort=list(columns), title=table.dimensions[1].title, axis=alt.Axis(labelAngle=0))
    y = alt.Y("row:N", sort=list(labels), title=table.dimensions[0].title)
    layers = []
    if hidden:
        layers += _veil(alt, hidden, y, (_CELL_WIDTH - 2, _CELL_STEP - 2), x)
    if shown:
        low, high = min(c["value"] for c in shown), max(c["value"] for c in shown)
        for field in shown:
            field["ink"] = "#ffffff" if field["value"] > (low + high) / 2 else _INK
        base = alt.Chart(alt.Data(values=shown)).encode(x=x, y=y)
        legend = alt.Legend(title=title, format=",.0f")
        color = alt.Color("value:Q", scale=alt.Scale(range=_SCALE, domain=[low, high]), legend=legend)
        layers.append(base.mark_rect(stroke="#ffffff", strokeWidth=2).encode(color))
        layers.append(
            base.mark_text(fontSize=12).encode(alt.Text("text:N"), color=alt.Color("ink:N", scale=None))
        )
    size = {"width": alt.Step(_CELL_WIDTH), "height": alt.Step(_CELL_STEP)}
    chart = alt.layer(*layers).resolve_scale(color="independent").properties(**size)
    return _Drawing(chart, subtitle, len(columns) * _CELL_WIDTH, bool(hidden))


def _veil(alt: Any, rows: list[dict[str, str]], y: Any, size: tuple[int, int], x: Any) -> list[Any]:
    """Grey hatched fields of `size` pixels with the word "hidden" in them."""
    width, height = size
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    box = f"M{-width / 2:g},{-height / 2:g}h{width}v{height}h{-width}Z"
    # A point of size 4 draws its path in pixels.
    return [
        base.mark_point(shape=box, size=4, filled=True, color=_VEIL, opacity=1),
        base.mark_point(shape=_hatching(width, height), size=4, stroke=_HATCH, strokeWidth=1, opacity=1),
        base.mark_text(fontSize=12, fontStyle="italic", stroke=_VEIL, strokeWidth=5).encode(
            alt.Text("text:N")
        ),
        base.mark_text(fontSize=12, fontStyle="italic", color=_QUIET).encode(alt.Text("text:N")),
    ]


def _hatching(width: int, height: int, step: int = 9) -> str:
    """An SVG path of diagonal lines that fill a box around the origin, clipped to it."""
    lines = []
    for start in range(step - height, width, step):
        first, last = max(0, -start), min(height, width - start)
        x, y = start - width / 2, height / 2
        lines.append(f"M{x + first:g},{y - first:g}L{x + last:g},{y - last:g}")
    return "".join(lines)


def _styled(chart: Any, title: list[str], subtitle: list[str]) -> Any:
    """The whole specification: heading, fonts and quiet axes."""
    heading = {"text": title, "subtitle": subtitle, "anchor": "start", "offset": 16, "frame": "group"}
    axis = {"labelColor": _INK, "titleColor": _QUIET, "gridColor": _GRID, "labelFontSize": 12}
    quiet = {
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return (
        chart.properties(title=heading, background="#ffffff", padding=20)
        .configure(font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(**axis, **quiet, titlePadding=12, labelLimit=220)
        .configure_axisY(grid=False)
        .configure_legend(labelColor=_INK, titleColor=_QUIET, titleFontWeight="normal", gradientLength=140)
        .configure_title(
            fontSize=17, color=_INK, subtitleFontSize=12, subtitleColor=_QUIET, subtitlePadding=8
        )
        .to_dict()
    )
