"""Writing what was measured: `results/latest.json` for programs, `results/latest.md` for people.

No path and no host name is written; the machine is described by what makes numbers comparable.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.demo import TARGET_SECONDS
from benchmarks.measure import Comparison, Figure, Sample

_FOLDER = Path(__file__).resolve().parent / "results"
_PACKAGES = ("duckdb", "dbt-core", "dbt-duckdb", "dagster", "great-expectations")
_GIB = 1 << 30


@dataclass
class Results:
    """What one run of the benchmarks measured; a part that was not run is empty."""

    comparisons: list[Comparison] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    memory: Mapping[int, Sample] = field(default_factory=dict)
    demo: Sequence[Sample] = ()


def machine() -> dict[str, Any]:
    """Cores, memory, versions, and how busy the machine is now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory / _GIB, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "load_before": round(os.getloadavg()[0], 2),
    }


def write(results: Results, about: Mapping[str, Any]) -> Path:
    """Write both files; returns the readable one."""
    _FOLDER.mkdir(exist_ok=True)
    made = datetime.now(UTC).replace(microsecond=0).isoformat()
    document = {
        "made": made,
        "machine": dict(about),
        "comparisons": [
            {
                "name": each.name,
                "target": each.target,
                "ratio": round(each.ratio, 3),
                "ratios": [round(ratio, 3) for ratio in each.ratios],
                "cpu_ratio": round(each.cpu_ratio, 3),
                "ours": [_rounded(sample) for sample in each.ours],
                "theirs": [_rounded(sample) for sample in each.theirs],
            }
            for each in results.comparisons
        ],
        "figures": [_rounded(each) for each in results.figures],
        "memory": {str(rows): _rounded(sample) for rows, sample in results.memory.items()},
        "demo": [_rounded(sample) for sample in results.demo],
    }
    (_FOLDER / "latest.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    page = _FOLDER / "latest.md"
    page.write_text("\n".join(_page(results, about, made)) + "\n", encoding="utf-8")
    return page


def _page(results: Results, about: Mapping[str, Any], made: str) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    lines = [
        "# Speed",
        "",
        f"Measured {made[:10]} by `make bench` on {about['cores']} cores and {about['memory_gib']} GiB,"
        f" {about['system']}, Python {about['python']}; {versions}."
        f" Load before the run: {about['load_before']}.",
        "",
    ]
    if results.comparisons:
        lines += [
            "Ratios compare the two sides of one run, in turns; each is the median over the pairs. What each"
            " side does, and what is left out of the time, is written at the top of `benchmarks/intake.py`,"
            " `benchmarks/request.py`, `benchmarks/policy.py` and `benchmarks/log.py`. CPU is user and system"
            " time of the whole process tree; peak is its resident memory, imports included. Before: what our"
            " side's imports and preparation took, which"
            " is not in the ratio.",
            "",
            "| Comparison | ours | theirs | ratio | pairs | CPU | target | peak, ours / theirs | before |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(_row(each) for each in results.comparisons),
            "",
        ]
    if results.figures:
        lines += ["| Figure | median | target |", "|---|--:|--:|"]
        lines += [
            f"| {each.name} | {each.value:.3f} {each.unit} | below {each.target:g} {each.unit} |"
            for each in results.figures
        ]
        lines += [""]
    if results.memory:
        lines += ["| Rows through stages 1-3 | seconds | peak (target: below 2 GiB) |"]
        lines += ["|--:|--:|--:|"]
        lines += [
            f"| {rows:,} | {sample.seconds:.1f} | {_gib(sample)} |"
            for rows, sample in sorted(results.memory.items())
        ]
        lines += [""]
    if results.demo:
        seconds = [sample.seconds for sample in results.demo]
        cpu = median(sample.cpu_seconds for sample in results.demo)
        lines += [
            f"`glasshouse demo` into a fresh home, imports included: **{median(seconds):.1f} s**"
            f" (of {len(seconds)}: {', '.join(f'{each:.1f}' for each in sorted(seconds))}; CPU {cpu:.1f} s;"
            f" peak {_gib(max(results.demo, key=lambda sample: sample.peak_bytes))}); target: below"
            f" {TARGET_SECONDS:.0f} s.",
            "",
        ]
    return lines


def _row(each: Comparison) -> str:
    target = f"<= {each.target:.3g}" if each.target else "-"
    spread = f"{min(each.ratios):.2f}-{max(each.ratios):.2f}"
    ours, theirs = (median(sample.seconds for sample in side) for side in (each.ours, each.theirs))
    largest = [max(side, key=lambda sample: sample.peak_bytes) for side in (each.ours, each.theirs)]
    peaks = " / ".join(_gib(sample) if sample.peak_bytes else "-" for sample in largest)
    before = median(sample.details["before_seconds"] for sample in each.ours)
    return (
        f"| {each.name} | {_time(ours)} | {_time(theirs)} | **{each.ratio:.2f}** | {spread}"
        f" | {each.cpu_ratio:.2f} | {target} | {peaks} | {before:.1f} s |"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


def _gib(sample: Sample) -> str:
    return f"{sample.peak_bytes / _GIB:.2f} GiB"


def _rounded(measured: Sample | Figure) -> dict[str, Any]:
    def short(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, 6) if value < 0.1 else round(value, 3)
        return {name: short(each) for name, each in value.items()} if isinstance(value, Mapping) else value

    rounded: dict[str, Any] = short(asdict(measured))
    return rounded
