"""Findings: the sentence and the figures a reader came for, one function per template.

Belongs here: arithmetic on a protected table, and on nothing else; so a finding reveals no more than its
table. Must not be here: cells, SQL, drawing. A figure that needs a hidden value is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from orchestration.errors import DisclosureError, Reason
from orchestration.output.cells import TOTAL, Number
from orchestration.output.document import ReleasedDocument
from orchestration.output.protect import ProtectedTable, Value

UNKNOWN_TEMPLATE = Reason(
    "output.unknown_template",
    "No finding is defined for the template {template!r}.",
    "Use one of: {known}; or add a finding for the new template.",
)
FINDING_MISMATCH = Reason(
    "output.finding_mismatch",
    "The table does not have what the finding of {template!r} reads: {needed}.",
    "Correct the template's specification; nothing was released.",
)

_Z95 = 1.959963984540054


class Figure(ReleasedDocument):
    """One number of a finding; None when it depends on a hidden value. Shares are fractions of 1."""

    name: str
    title: str
    value: Value | None
    unit: str


class Finding(ReleasedDocument):
    """What a release says in words and numbers."""

    headline: str
    figures: tuple[Figure, ...]
    caveats: tuple[str, ...]
    method: str

    def figure(self, name: str) -> Figure:
        """The figure of this name; KeyError when there is none."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)


class Interval(NamedTuple):
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """The 95 % Wilson score interval of a share; `trials` must be positive."""
    share, square = successes / trials, _Z95**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = _Z95 / (1 + square) * math.sqrt(share * (1 - share) / trials + square / trials / 4)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def share(part: Number | None, whole: Number | None) -> Decimal | None:
    """part / whole to six places; None if either is hidden or the whole is zero."""
    if part is None or not whole:
        return None
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"))


def per_unit(amount: Number | None, units: Number | None) -> Decimal | None:
    """amount / units to cents; None if either is hidden or there are no units."""
    if amount is None or not units:
        return None
    return (Decimal(amount) / Decimal(units)).quantize(Decimal("0.01"))


def percent(value: float | Decimal | None) -> str:
    return "hidden" if value is None else f"{100 * value:.1f} %"


def find(
    template: str,
    table: ProtectedTable,
    parameters: Mapping[str, object] | None = None,
    unit: str = "privacy unit",
) -> Finding:
    """The finding of a template, from its protected table alone.

    Args:
        parameters: of the request, for wording only.
        unit: what the charter calls its privacy unit ("household").

    Raises:
        DisclosureError: `output.unknown_template`, `output.finding_mismatch`.
    """
    rule = _FINDINGS.get(template)
    if rule is None:
        raise DisclosureError(UNKNOWN_TEMPLATE, template=template, known=", ".join(_FINDINGS))
    dimensions, measures, compute = rule
    if not {m.name for m in table.measures} >= set(measures) or len(table.dimensions) not in dimensions:
        raise DisclosureError(FINDING_MISMATCH, template=template, needed=", ".join(measures))
    finding = compute(table, parameters or {}, unit)
    hidden = len(table.cells) - table.summary.cells_shown
    if hidden:
        caveats = (f"{hidden} of {len(table.cells)} cells are hidden; they count in totals that are shown.",)
        finding = finding.model_copy(update={"caveats": finding.caveats + caveats})
    return finding


def audience_names(parameters: Mapping[str, object]) -> tuple[str, str]:
    return str(parameters.get("left", "left audience")), str(parameters.get("right", "right audience"))


def _audience_overlap(table: ProtectedTable, parameters: Mapping[str, object], unit: str) -> Finding:
    left_name, right_name = audience_names(parameters)
    both = table.value("units", "yes", "yes")
    left, right = table.value("units", "yes", TOTAL), table.value("units", TOTAL, "yes")
    union = table.value("units", TOTAL, TOTAL)
    of_left, of_right, jaccard = share(both, left), share(both, right), share(both, union)
    if both is None:
        headline = f"The overlap of the {left_name} and the {right_name} is hidden to protect small groups."
    else:
        headline = (
            f"{both:,} {unit}s are in both audiences: {percent(of_left)} of the {left_name}, "
            f"{percent(of_right)} of the {right_name}."
        )
    return Finding(
        headline=headline,
        figures=(
            Figure(name="overlap", title="In both", value=both, unit=f"{unit}s"),
            Figure(name="left", title=left_name.capitalize(), value=left, unit=f"{unit}s"),
            Figure(name="right", title=right_name.capitalize(), value=right, unit=f"{unit}s"),
            Figure(name="share_of_left", title=f"Share of the {left_name}", value=of_left, unit="share"),
            Figure(name="share_of_right", title=f"Share of the {right_name}", value=of_right, unit="share"),
            Figure(name="jaccard", title="Share of both together", value=jaccard, unit="share"),
        ),
        caveats=("Matched on exact pseudonyms: a person known under two identifiers counts as two.",),
        method="Count of distinct pseudonyms in both audiences; Jaccard index = in both / in at least one.",
    )


def _joint_segmentation(table: ProtectedTable, _parameters: Mapping[str, object], unit: str) -> Finding:
    row_title = table.dimensions[0].title
    rest = (TOTAL,) * (len(table.dimensions) - 1)
    figures = [
        Figure(
            name=f"per_{unit}:{label}",
            title=f"{row_title}: {label}",
            value=per_unit(table.value("amount", label, *rest), table.value("units", label, *rest)),
            unit=f"per {unit}",
        )
        for label in table.labels(0)
    ]
    segments = {
        segment_name(table, row.coordinates): per_unit(row.values["amount"], row.values["units"])
        for row in table.cells
        if row.values is not None
    }
    ranked = sorted(((value, name) for name, value in segments.items() if value is not None))
    headline = "No segment has anybody in it."
    if ranked:
        (low, weakest), (high, strongest) = ranked[0], ranked[-1]
        among = " of the shown" if table.summary.cells_shown < len(table.cells) else ""
        headline = f"{strongest} spends most{among}, {high:,} per {unit}; {weakest} least, {low:,}."
        figures += [
            Figure(name="strongest", title=f"Strongest shown: {strongest}", value=high, unit=f"per {unit}"),
            Figure(name="weakest", title=f"Weakest shown: {weakest}", value=low, unit=f"per {unit}"),
        ]
    return Finding(
        headline=headline,
        figures=tuple(figures),
        caveats=(
            f"Only {unit}s known to both parties are counted; they need not be like the others.",
            "Averages describe these groups; they do not say that the attributes cause the spending.",
        ),
        method=f"Sum of amounts / number of distinct {unit}s, per group, over the shown cells.",
    )


def segment_name(table: ProtectedTable, coordinates: tuple[str, ...]) -> str:
    """The name of a base cell; a dimension with a single label ("none" was asked for) is left out."""
    told = [label for at, label in enumerate(coordinates) if len(table.labels(at)) > 1]
    return " / ".join(told or coordinates)


def _campaign_response(table: ProtectedTable, _parameters: Mapping[str, object], unit: str) -> Finding:
    figures: list[Figure] = []
    rates: list[tuple[Decimal, str, int, Interval]] = []
    for label in (*table.labels(0), TOTAL):
        title = "All" if label == TOTAL else label
        mailed, redeemed = table.value("mailed", label), table.value("redeemed", label)
        rate = share(redeemed, mailed)
        interval = None
        if rate is not None and redeemed is not None and mailed:
            interval = wilson(int(redeemed), int(mailed))
            if label != TOTAL:
                rates.append((rate, label, int(mailed), interval))
        ends = (None, None) if interval is None else tuple(Decimal(f"{end:.6f}") for end in interval)
        figures += [
            Figure(name=f"rate:{label}", title=f"{title}: redemption rate", value=rate, unit="share"),
            Figure(name=f"low:{label}", title=f"{title}: lower end", value=ends[0], unit="share"),
            Figure(name=f"high:{label}", title=f"{title}: upper end", value=ends[1], unit="share"),
        ]
    headline = "No redemption rate can be shown."
    if rates:
        rate, label, mailed, (low, high) = max(rates)
        name = label if label[:1].isalpha() else f"{table.dimensions[0].title.lower()} {label}"
        among = " among the shown" if table.summary.cells_shown < len(table.cells) else ""
        headline = (
            f"Redemption was highest{among} in {name}: {percent(rate)} of {mailed:,} mailed {unit}-campaigns "
            f"(95 % interval {percent(low)} to {percent(high)})."
        )
    return Finding(
        headline=headline,
        figures=tuple(figures),
        caveats=(
            "Campaigns were targeted, not randomised: these differences are not effects of the campaigns.",
            f"A {unit} may appear in several campaigns; the intervals treat {unit}-campaigns as independent.",
        ),
        method=f"Redeeming / mailed {unit}-campaigns, with 95 % Wilson score intervals.",
    )


class _Rule(NamedTuple):
    dimensions: tuple[int, ...]
    measures: tuple[str, ...]
    compute: Callable[[ProtectedTable, Mapping[str, object], str], Finding]


_FINDINGS: dict[str, _Rule] = {
    "audience_overlap": _Rule((2,), ("units",), _audience_overlap),
    "joint_segmentation": _Rule((1, 2), ("units", "amount"), _joint_segmentation),
    "campaign_response": _Rule((1,), ("mailed", "redeemed"), _campaign_response),
}
