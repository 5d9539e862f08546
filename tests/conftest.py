"""Fixtures shared by all tests; what they are made of is in `support.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.stages import refresh
from tests.postgres import control_url, postgres_server, postgres_url
from tests.softhsm import new_token, softhsm
from tests.support import CALLER, TinyHouse, copy_home, make_house, open_house

__all__ = ["control_url", "new_token", "postgres_server", "postgres_url", "softhsm"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[TinyHouse]:
    """An empty tiny house of its own, members registered."""
    tiny = make_house(tmp_path)
    yield tiny
    tiny.house.log.close()


@pytest.fixture(scope="session")
def refreshed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed tiny house whose room was refreshed with good rows of all datasets: copy it, never open it."""
    home = tmp_path_factory.mktemp("refreshed")
    tiny = make_house(home)
    for dataset in ("sales", "products", "people"):
        tiny.contribute(dataset)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    tiny.house.log.close()
    return home


@pytest.fixture
def refreshed_house(refreshed_home: Path, tmp_path: Path) -> Iterator[TinyHouse]:
    """A copy of `refreshed_home`, open."""
    tiny = open_house(copy_home(refreshed_home, tmp_path / "copy"))
    yield tiny
    tiny.house.log.close()
