"""`python -m benchmarks`: run all benchmarks, or the named ones, and write the results."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import anonymity, deidentification, demo, gate, intake, log, policy, report, request

_PARTS = ("intake", "gate", "request", "demo", "policy", "log", "deidentification", "anonymity")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which to run, of {', '.join(_PARTS)}; default: all")
    parser.add_argument("--pairs", type=int, default=3, help="how often each side runs, in turns; default: 3")
    parser.add_argument("--large", type=int, default=10_000_000, help="rows of the synthetic copy")
    parser.add_argument("--events", type=int, default=log.LARGE, help="events of the large log")
    asked = parser.parse_args()
    parts = asked.parts or _PARTS
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    about = report.machine()
    results = report.Results()
    if "intake" in parts:
        print(f"Stages 1-3 against bare DuckDB, {asked.pairs} pairs; minutes …", flush=True)
        comparisons, results.memory = intake.compare(asked.pairs, large=asked.large)
        results.comparisons += comparisons
    if "gate" in parts:
        print(f"The gate against hand-written SQL, {asked.pairs} pairs …", flush=True)
        results.comparisons.append(gate.compare(asked.pairs, rows=asked.large))
    if "request" in parts:
        print(f"A request against a bare dbt build, {asked.pairs} pairs …", flush=True)
        results.comparisons.append(request.compare(asked.pairs))
    if "policy" in parts:
        print(f"Policy decisions at 1,000 members against bare Cedar, {asked.pairs} pairs …", flush=True)
        decisions = policy.compare(asked.pairs)
        results.comparisons.append(decisions)
        results.figures.append(policy.figure(decisions))
    if "log" in parts:
        print(
            f"The audit log against SQLite and hashing without it, {asked.pairs} pairs; minutes …", flush=True
        )
        comparisons, figures = log.compare(asked.pairs, large=asked.events)
        results.comparisons += comparisons
        results.figures += figures
    if "deidentification" in parts:
        print(f"Pseudonyms against the same in bare DuckDB, {asked.pairs} pairs; minutes …", flush=True)
        results.comparisons += deidentification.compare(asked.pairs, rows=asked.large)
    if "anonymity" in parts:
        print(f"Anonymity against GROUP BY and pycanon, {asked.pairs} pairs; minutes …", flush=True)
        comparisons, figures = anonymity.compare(asked.pairs, large=asked.large)
        results.comparisons += comparisons
        results.figures += figures
    if "demo" in parts:
        print(f"The demo, {asked.pairs} times …", flush=True)
        results.demo = demo.measure(asked.pairs)
    page = report.write(results, about)
    print(f"\n{page.read_text(encoding='utf-8')}")
    print(f"Written to {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}")


if __name__ == "__main__":
    main()
