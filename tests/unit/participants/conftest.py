"""The collaboration of three, founded once for each run and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.participants.founding import Trio, agreed, forming, found, guarded


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("founded")
    for name, begin in (("forming", forming), ("active", found)):
        with guarded(f"sqlite:///{folder}/{name}.db") as log:
            begin(log)
    return folder


@pytest.fixture
def young(founded: Path, tmp_path: Path) -> Iterator[Trio]:
    """Everybody has accepted and is enrolled; nobody has signed the charter."""
    yield from _copied(founded / "forming.db", tmp_path)


@pytest.fixture
def trio(founded: Path, tmp_path: Path) -> Iterator[Trio]:
    """The charter is active."""
    yield from _copied(founded / "active.db", tmp_path)


def _copied(source: Path, folder: Path) -> Iterator[Trio]:
    shutil.copy(source, folder / "control.db")
    with guarded(f"sqlite:///{folder}/control.db") as log:
        yield Trio(log, agreed())
