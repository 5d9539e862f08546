"""Folders that somebody else filled: measured, listed and removed, however deep, and no link is followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestration.engine.tree import is_within, regular_files, remove_tree

DEEPER_THAN_A_PATH = 3_000  # twice the bytes that Linux allows a path


def nest(folder: Path, depth: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(os.open("end.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


@pytest.mark.parametrize("depth", [0, 1, 16, 1_200, DEEPER_THAN_A_PATH])
def test_a_folder_is_removed_however_deep(tmp_path: Path, depth: int) -> None:
    folder = tmp_path / "delivery"
    folder.mkdir()
    nest(folder, depth)
    assert is_within(folder, files=10_000, depth=16, size=0) == (depth < 16)
    remove_tree(folder)
    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "delivery"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "out").symlink_to(outside)
    (folder / "file").symlink_to(outside / "kept.txt")
    os.mkfifo(folder / "pipe")
    (folder / "below" / "own.txt").write_text("own")
    assert regular_files(folder) == [folder / "below" / "own.txt"]
    assert is_within(folder, files=5, depth=2, size=3)
    remove_tree(folder)
    assert (outside / "kept.txt").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


@pytest.mark.parametrize(("files", "depth", "size"), [(2, 2, 6), (3, 1, 6), (3, 2, 5)])
def test_each_limit_counts(tmp_path: Path, files: int, depth: int, size: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_text("123")
    (tmp_path / "2").write_text("123")
    assert is_within(tmp_path, files=3, depth=2, size=6)
    assert not is_within(tmp_path, files=files, depth=depth, size=size)


def test_a_hole_counts_with_all_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", 1 << 40)
    assert not is_within(tmp_path, files=1, depth=1, size=1 << 30)
