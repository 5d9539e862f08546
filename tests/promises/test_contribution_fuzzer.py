"""A thousand deliveries that went wrong: each is accepted rightly, refused, or waits; none is lost.

Runs in processes of their own, each with a house, so that what hangs or takes a process down is found, ended
and told with the recipe to make it again. The oracle is `fuzz_oracle`; the mutations are `fuzz_*`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.promises import fuzz_bytes, fuzz_folder, fuzz_manifest, fuzz_rows
from tests.promises.contribution_fuzzer import MUTATIONS, PHASES, STEM, recipe
from tests.promises.fuzz_oracle import broken_rules
from tests.support import TinyHouse

SEED = int(os.environ.get("GLASSHOUSE_FUZZ_SEED", "4"))
LIMIT_SECONDS = 20
START_SECONDS = 180  # the first line of a process comes after its imports and its house
REGISTERS = (fuzz_rows, fuzz_bytes, fuzz_manifest, fuzz_folder)


def watched(home: Path, seed: int, first: int, last: int) -> list[dict[str, Any]]:
    """Run cases `first` to `last`; a process that hangs is ended, and the next one goes on after its case."""
    done: list[dict[str, Any]] = []
    for attempt in range(10):
        report, said = home.with_suffix(f".{attempt}.report"), home.with_suffix(f".{attempt}.said")
        report.touch()
        command = [sys.executable, "-m", "tests.promises.fuzz_driver", home, seed, first, last, report]
        with said.open("wb") as output:
            process = subprocess.Popen([*map(str, command)], stdout=output, stderr=output)
            is_slow = _wait(process, report)
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        done += [line for line in lines if "end" in line or "examined" in line]
        if STEM.encode() in said.read_bytes():
            done.append({"examined": ["a canary was printed"]})
        if lines and "examined" in lines[-1]:
            return done
        if not lines or "end" in lines[-1]:
            return [*done, {"examined": [f"the driver failed: {said.read_text()[-3_000:]}"]}]
        how = (
            f"no end within {LIMIT_SECONDS} s"
            if is_slow
            else f"the process ended: {said.read_text()[-3_000:]}"
        )
        done.append({**lines[-1], "end": "none", "names": [], "seconds": LIMIT_SECONDS, "problems": [how]})
        first = int(lines[-1]["case"]) + 1
    return [*done, {"examined": ["ten processes hung or fell: the rest was not run"]}]


def _wait(process: subprocess.Popen[bytes], report: Path) -> bool:
    """Wait for the end, or for a case that takes too long; whether it was that."""
    size, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        if (now := report.stat().st_size) != size:
            size, since = now, time.monotonic()
        is_case = size and '"end"' not in report.read_text().splitlines()[-1]
        if time.monotonic() - since > (LIMIT_SECONDS if is_case else START_SECONDS):
            process.kill()
            process.wait()
            return True
    return False


def run(place: Path, first: int, last: int) -> list[dict[str, Any]]:
    """Two houses side by side; an assertion says every problem with its recipe."""
    middle = (first + last) // 2
    with ThreadPoolExecutor(2) as pool:
        halves = [
            pool.submit(watched, place / "one", SEED, first, middle),
            pool.submit(watched, place / "two", SEED, middle, last),
        ]
        lines = [line for half in halves for line in half.result()]
    problems = [
        f"{line['recipe']}\n    {line['end']}: {problem}"
        for line in lines if "end" in line for problem in line["problems"]
    ]  # fmt: skip
    problems += [problem for line in lines for problem in line.get("examined", [])]
    assert not problems, "\n".join(problems)
    cases = [line for line in lines if "end" in line]
    assert [line["case"] for line in cases] == list(range(first, last))
    return cases


def table(cases: list[dict[str, Any]]) -> str:
    """How often each end was met, and how long the slowest case took."""
    ends = Counter(str(line["end"]) for line in cases)
    rows = [f"{count:5}  {end}" for end, count in ends.most_common()]
    return "\n".join([*rows, f"slowest: {max(line['seconds'] for line in cases)} s"])


@pytest.mark.timeout(900)
def test_fuzzed_deliveries_end_as_they_must(tmp_path: Path) -> None:
    """One case for each mutation at least, and as many more as a minute allows."""
    cases = run(tmp_path, 0, len(MUTATIONS) + 80)
    ends = {line["end"] for line in cases}
    assert {"accepted", "waits"} < ends
    assert len(ends) > 20, table(cases)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_fuzzed_deliveries_end_as_they_must(tmp_path: Path) -> None:
    cases = run(tmp_path, 0, 1_000)
    sys.stdout.write(f"{table(cases)}\n")


def test_every_mutation_leads_a_case_before_any_leads_a_second() -> None:
    count = len(MUTATIONS)
    assert count > 100
    drawn = [recipe(SEED, number) for number in range(count)]
    assert {name for each in drawn for name in each.names} == set(MUTATIONS)
    assert drawn == [recipe(SEED, number) for number in range(count)], "a recipe is its seed and number"
    assert {each.format for each in drawn} == {"csv", "tsv", "ndjson", "parquet", "package"}
    assert all(
        list(each.names) == sorted(each.names, key=lambda n: PHASES.index(MUTATIONS[n].phase))
        for each in drawn
    )


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"household_id": "H1", "age": "old", "income": None}, []),
        ({"household_id": " ", "age": "old", "income": "low"}, ["household_id is required"]),
        ({"household_id": "H" * 41, "age": "old", "income": "low"}, ["household_id is too long"]),
        ({"household_id": 7, "age": "old", "income": "low"}, ["household_id is a int"]),
        ({"household_id": "H1", "age": "ancient", "income": "low"}, ["age has a value that is not allowed"]),
        ({"household_id": "H1", "mail": "x"}, ["columns that the charter does not name"]),
        ({"unit": "a" * 64, "age": "old", "income": "low"}, []),
        ({"unit": "H1", "age": "old", "income": "low"}, ["unit is no pseudonym"]),
    ],
)
def test_the_oracle_sees_rows_that_break_the_charter(
    house: TinyHouse, row: dict[str, Any], found: list[str]
) -> None:
    assert list(broken_rules(house.dataset("people"), row)) == found
