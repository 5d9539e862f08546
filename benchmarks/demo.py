"""`glasshouse demo` into a fresh home: four organizations, all 22.6 M rows, three insights, the verified log.

Everything counts, from the start of the process to its end, imports and the making of the house included.
What `make demo` adds before it, fetching uv and installing the packages, does not: the promise is about the
time after installation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Sample, run_command, scratch

TARGET_SECONDS = 90.0


def measure(times: int) -> list[Sample]:
    """The demo, each time in a new house."""
    samples = []
    for _ in range(times):
        with scratch() as home:
            samples.append(_demo(home))
    return samples


@contextmanager
def refreshed_house() -> Iterator[Path]:
    """The home of a house in which the demo ran."""
    with scratch() as home:
        _demo(home)
        yield home


def _demo(home: Path) -> Sample:
    return run_command([str(Path(sys.executable).parent / "glasshouse"), "demo"], home)
