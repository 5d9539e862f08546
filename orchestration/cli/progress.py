"""Progress on stderr: a bar for bytes, a line per step. Without a terminal only the lines are printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from orchestration.cli.console import err

_DOING = {
    "intake": "Taking in {subject}",
    "refresh": "Refreshing the room",
    "request": "Answering {subject}",
}


@contextmanager
def bytes_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar over `total` bytes; yields what to call with each number of bytes done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def share_bar(title: str) -> Iterator[Callable[[float], None]]:
    """A bar from 0 to 1; yields what to call with the share that is done."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda share: progress.update(task, completed=share)


class StepLines:
    """One line per step: what is being done, then how it ended and how long it took."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Starting", total=None)
        self._text = ""
        self._since = time.monotonic()

    def start(self, kind: str, subject: str) -> None:
        self._text = _DOING[kind].format(subject=subject)
        self._since = time.monotonic()
        self._progress.update(self._task, description=self._text)

    def end(self, succeeded: bool) -> None:
        mark = "[green]✓[/]" if succeeded else "[red]✗[/]"
        self._progress.console.print(f" {mark} {self._text} [dim]{time.monotonic() - self._since:.1f} s[/]")


@contextmanager
def steps() -> Iterator[StepLines]:
    """Lines for a sequence of steps, with a spinner on the one that runs."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        yield StepLines(progress)
