"""A populated house, once for the folder: its pages are only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from orchestration.house import House
from tests.unit.portal.portal_house import client_of, empty_house, populated_house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = populated_house(tmp_path_factory.mktemp("home"))
    yield house
    house.log.close()


@pytest.fixture
def client(house: House) -> TestClient:
    return client_of(house)


@pytest.fixture
def new_house(tmp_path: Path) -> Iterator[House]:
    """A house in which nothing has happened yet, for tests that write."""
    house = empty_house(tmp_path)
    yield house
    house.log.close()
