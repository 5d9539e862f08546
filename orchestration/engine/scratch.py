"""A folder of its own for each connection's spill files, gone afterwards even when the process was killed.

DuckDB numbers its temporary files from zero, so two processes that share a folder read each other's. A
folder belongs to a living process as long as the lock file beside it is locked.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A new folder under `parent`; what killed processes left there is removed first."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(parent)
    folder = parent / f"spill-{secrets.token_hex(8)}"
    lock = FileLock(folder.with_suffix(".lock"))
    with lock:
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)


def _sweep(parent: Path) -> None:
    for mark in parent.glob("spill-*.lock"):
        try:
            with FileLock(mark, timeout=0):
                shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
                mark.unlink(missing_ok=True)
        except Timeout:  # its owner lives
            continue
