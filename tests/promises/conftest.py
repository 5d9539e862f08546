"""One finished house for all promises: built once, searched whole, copied by whoever wants to change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises.canary_run import Run, prepare, run_everything
from tests.support import TinyHouse, copy_home, make_house, open_house


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="Write committed snapshots anew.")


@pytest.fixture(scope="session")
def initialized_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed tiny house after `init`, nothing delivered: copy it, never open it."""
    home = tmp_path_factory.mktemp("initialized")
    tiny = make_house(home)
    prepare(tiny)
    tiny.house.log.close()
    return home


@pytest.fixture(scope="session")
def canary_run(tmp_path_factory: pytest.TempPathFactory, initialized_home: Path) -> Run:
    """The house whose every raw value is a canary. Read it; change only copies."""
    place = tmp_path_factory.mktemp("canary")
    return run_everything(place / "home", place / "around", initialized_home / "house" / "dbt")


def _enter(home: Path, monkeypatch: pytest.MonkeyPatch) -> TinyHouse:
    monkeypatch.setenv("GLASSHOUSE_HOME", str(home / "house"))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(home / "charters"))
    monkeypatch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
    return open_house(home)


@pytest.fixture
def finished(canary_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHouse]:
    """A copy of the finished house, open, and the house of the environment."""
    tiny = _enter(copy_home(canary_run.home, tmp_path / "copy"), monkeypatch)
    yield tiny
    tiny.house.log.close()


@pytest.fixture
def fresh(initialized_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHouse]:
    """A copy of the initialized house, open, and the house of the environment."""
    tiny = _enter(copy_home(initialized_home, tmp_path / "copy"), monkeypatch)
    yield tiny
    tiny.house.log.close()
