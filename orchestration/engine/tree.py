"""Folders that somebody else filled, however deep: measuring, listing and removing them.

The standard library walks with recursion, so a thousand folders inside each other end it; paths longer than
the system allows end it too. Nothing here follows a link. Must not be here: why a folder is removed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG


def is_within(folder: Path, *, files: int, depth: int, size: int) -> bool:
    """Whether a folder holds at most so many entries, levels of them, and bytes."""
    for path, level in _entries(folder, depth + 1):
        status = path.lstat()
        size -= status.st_size if S_ISREG(status.st_mode) else 0
        files -= 1
        if level > depth or files < 0 or size < 0:
            return False
    return True


def regular_files(folder: Path) -> list[Path]:
    """Every regular file below the folder, sorted; for folders that `is_within` held to be small."""
    return sorted(path for path, _ in _entries(folder) if S_ISREG(path.lstat().st_mode))


def remove_tree(folder: Path) -> None:
    """Delete a folder with all that is in it.

    Folders are moved up to the top before they are opened, so no path gets longer than one name.
    """
    waiting = [folder]
    while waiting:
        top = waiting.pop()
        with os.scandir(top) as entries:
            found = list(entries)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                moved = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}")
                os.rename(entry.path, moved)
                waiting.append(moved)
            else:
                os.unlink(entry.path)
        os.rmdir(top)


def _entries(folder: Path, deepest: int | None = None) -> Iterator[tuple[Path, int]]:
    """What is below the folder, with its level; folders at the `deepest` level are not opened."""
    waiting = [(folder, 0)]
    while waiting:
        top, level = waiting.pop()
        with os.scandir(top) as entries:
            for entry in entries:
                yield Path(entry.path), level + 1
                if entry.is_dir(follow_symlinks=False) and level + 1 != deepest:
                    waiting.append((Path(entry.path), level + 1))
