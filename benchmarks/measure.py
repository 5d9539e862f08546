"""Running one side of a comparison in a process of its own, and comparing sides.

A side is `python -m benchmarks.<module> ARGUMENT…`. It does its imports, then its work, and prints one line
of JSON: the `seconds` and `cpu_seconds` (with children) of the work, the seconds that went by before it
(imports and preparation), and whatever else is worth telling. Memory is seen from outside: the largest sum of
resident memory over the side's process tree, imports included. Sides run in turns (A B A B), because a
machine has moods.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
_STARTED = time.perf_counter()  # in a side's process: before all imports that take long
_SAMPLE_SECONDS = 0.05
_PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Sample:
    """One run of one side."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Ours against theirs, run by run; the ratio is the median over the pairs."""

    name: str
    ours: Sequence[Sample]
    theirs: Sequence[Sample]
    target: float | None = None

    @property
    def ratios(self) -> list[float]:
        return [a.seconds / b.seconds for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def cpu_ratio(self) -> float:
        pairs = zip(self.ours, self.theirs, strict=True)
        return median(a.cpu_seconds / b.cpu_seconds for a, b in pairs)


@dataclass(frozen=True)
class Figure:
    """One number with a target: below it is good."""

    name: str
    value: float
    unit: str
    target: float


def in_turns(pairs: int, *sides: Callable[[int], Sample]) -> list[list[Sample]]:
    """Run every side once per pair, in turns; returns the samples of each side.

    Args:
        sides: called with the number of the pair.
    """
    samples: list[list[Sample]] = [[] for _ in sides]
    for pair in range(pairs):
        for number, side in enumerate(sides):
            samples[number].append(side(pair))
    return samples


def run_side(module: str, *arguments: str, home: Path) -> Sample:
    """Run `python -m benchmarks.<module>` with `home` as its house, and take the measurements it prints."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    output, _, peak = _run(command, home, capture=True)
    facts = json.loads(output.strip().splitlines()[-1])
    return Sample(facts.pop("seconds"), facts.pop("cpu_seconds"), peak, facts)


def run_command(command: Sequence[str], home: Path) -> Sample:
    """Run a command as users do: everything counts, from start to end."""
    before = os.times()
    _, seconds, peak = _run(command, home, capture=False)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Sample(seconds, cpu, peak)


def report_side(work: Callable[[], object], *, details: Callable[[], Mapping[str, Any]] = dict) -> None:
    """In a side's process, after its imports: run the work and print what it took.

    Args:
        details: asked after the clock has stopped, for whatever else is worth telling.
    """
    begun, before = time.perf_counter(), sum(os.times()[:4])
    work()
    seconds, cpu = time.perf_counter() - begun, sum(os.times()[:4]) - before
    facts = {"seconds": seconds, "cpu_seconds": cpu, "before_seconds": begun - _STARTED}
    print(json.dumps(facts | dict(details())))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for everything a benchmark leaves; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        yield Path(folder)


def _run(command: Sequence[str], home: Path, *, capture: bool) -> tuple[str, float, int]:
    """Output, wall seconds and peak bytes of a command that must succeed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GLASSHOUSE_")}
    environment = inherited | {"GLASSHOUSE_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    begun = time.perf_counter()
    with subprocess.Popen(
        list(command),
        cwd=PROJECT,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        watch = _Watch(process.pid)
        watch.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - begun
        watch.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return output or "", seconds, watch.peak


class _Watch(threading.Thread):
    """Samples the resident memory of a process tree (Linux; elsewhere it sees 0)."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._root = root
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(_resident(pid) for pid in _tree(self._root)))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(root: int) -> Iterator[int]:
    yield root
    try:
        threads = list(Path(f"/proc/{root}/task").iterdir())
        children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield from _tree(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0
