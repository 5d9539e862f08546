"""Writing files so that a kill at any moment leaves the old file or the new one, never a torn one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; on success the file is synced and takes its final name.

    On any error the temporary file is removed, so a full disk gets its space back.
    """
    temporary = partial(path)
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def partial(path: Path) -> Path:
    """Where `replacing` keeps the unfinished file; a killed process leaves it there."""
    return path.with_name(f".{path.name}.partial")


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a small file in one durable step with the given permissions."""
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
