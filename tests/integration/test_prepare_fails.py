"""A desk that is killed, or whose source fails halfway: no package, a reason, and nothing raw on the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from orchestration.errors import ContributionError, ServiceError
from orchestration.scope.preparation import prepared
from orchestration.settings import PROJECT_ROOT, load_settings
from orchestration.signing import SigningKey
from tests.prepared import package
from tests.s3_server import s3_server
from tests.support import TinyHouse, csv_bytes, household, make_house, people_rows

READING = "Reading the rows"
KILLED = """
import os, signal, sys
from pathlib import Path
import pyrage
from orchestration.scope import dispatch, preparation
from orchestration.settings import load_settings
from orchestration.signing import SigningKey
from tests.prepared import DECLARED
from tests.support import tiny_settings
from orchestration.charter import load_charter

home, source, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
charter = load_charter(home / "charters" / "tiny.yaml")
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if point == "sealed":
    dispatch.write_durably = die
with preparation.prepared(
    load_settings(home=home / "desk", duckdb_threads=1), charter.dataset("people"), source, b"k" * 32,
    lambda step: die() if step == point else None,
) as made:
    dispatch.dispatch(
        made, DECLARED, charter=charter, signer="panel.steward", key=SigningKey.generate(), key_id="0" * 64,
        recipient=pyrage.x25519.Identity.generate().to_public(), out=home / "out",
    )
"""


def on_disk(folder: Path) -> bytes:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "raw" / "people.csv"
    path.parent.mkdir()
    path.write_bytes(csv_bytes(people_rows()))
    return path


@pytest.mark.parametrize("point", ["Applying the techniques", "Measuring anonymity", "sealed"])
def test_a_killed_desk_leaves_nothing_raw_and_the_next_one_sweeps(
    tmp_path: Path, source: Path, point: str
) -> None:
    home = tmp_path / "home"
    house = make_house(home)
    dataset = house.dataset("people")
    house.house.log.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), str(source), point],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    left = [path for path in (home / "desk").rglob("*.duckdb*") if path.is_file()]
    assert left, "it died with its work on the disk"
    said = on_disk(home / "desk") + on_disk(home / "out")
    assert not any(household(number).encode() in said for number in range(120))
    assert list((home / "out").glob("[!.]*")) == []
    settings = load_settings(home=home / "desk", duckdb_threads=1)
    with prepared(settings, dataset, str(source), b"k" * 32) as made:
        assert made.rows == 120
    assert [path for path in (home / "desk").rglob("*") if path.is_file()] == []


def fails(house: TinyHouse, desk: Path, location: str, on_reading: object = None, **settings: object) -> None:
    """Preparing is given up with a reason that quotes nothing, and leaves nothing behind."""

    def on_step(step: str) -> None:
        if step == READING and callable(on_reading):
            on_reading()

    given = load_settings(home=desk, duckdb_threads=1, **settings)  # type: ignore[arg-type]
    with (
        pytest.raises(ServiceError) as caught,
        prepared(given, house.dataset("people"), location, b"k" * 32, on_step),
    ):
        pass
    assert caught.value.code == "prepare.unreachable"
    assert household(7) not in str(caught.value)
    assert [path for path in desk.rglob("*") if path.is_file()] == []


def test_a_bucket_that_goes_away_while_it_is_read(house: TinyHouse, tmp_path: Path, source: Path) -> None:
    down: list[bool] = []
    (tmp_path / "s3").mkdir()
    source.parent.rename(tmp_path / "s3" / "bucket")
    with s3_server(tmp_path / "s3", [], lambda: bool(down)) as url:
        given = {"s3_key_id": "us3r", "s3_key": "s3cret", "s3_endpoint": url}
        location = "s3://bucket/people.csv"
        settings = load_settings(home=tmp_path / "well", duckdb_threads=1, **given)  # type: ignore[arg-type]
        with prepared(settings, house.dataset("people"), location, b"k" * 32) as made:
            assert made.rows == 120
        fails(house, tmp_path / "desk", location, lambda: down.append(True), **given)


def test_a_server_that_fails_in_the_middle_of_its_answer(
    house: TinyHouse, tmp_path: Path, postgres_url: str
) -> None:
    columns = "'old' AS age, 'low' AS income"
    with psycopg.connect(postgres_url) as server:
        server.execute(
            f"CREATE TABLE people AS SELECT 'H' || lpad(n::text, 6, '0') AS household_id, {columns}"  # type: ignore[arg-type]
            " FROM generate_series(0, 119) AS n"
        )
    halfway = (
        "SELECT CASE WHEN right(household_id, 3)::int / (100 - right(household_id, 3)::int) > -999"
        " THEN household_id END AS household_id, age, income FROM people"
    )
    fails(house, tmp_path / "desk", f"postgres:{halfway}", source_dsn=postgres_url)

    def drop() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute("SET lock_timeout = '5s'")
            server.execute("ALTER TABLE people DROP COLUMN income")

    fails(house, tmp_path / "desk", "postgres:people", drop, source_dsn=postgres_url)


def test_a_package_that_swells_beyond_the_limit_is_refused(
    house: TinyHouse, tmp_path: Path, source: Path
) -> None:
    def swell(made: object) -> None:
        made.connection.execute("UPDATE prepared SET age = repeat('old', 100000)")  # type: ignore[attr-defined]

    key: SigningKey = house.keys["panel.steward"]
    delivery = package(house.house, "tiny", "people", source, key, tmp_path, change=swell)
    (sealed,) = delivery.glob("*.age")
    assert sealed.stat().st_size < house.dataset("people").max_bytes
    with pytest.raises(ContributionError) as caught:
        house.accept("people", delivery.name)
    assert caught.value.code == "contribution.too_much_data"
    assert house.house.settings.root.joinpath("tmp").exists()
    assert [path for path in (house.root / "tmp").rglob("*") if path.is_file()] == []


def test_a_desk_that_is_interrupted_leaves_nothing(house: TinyHouse, tmp_path: Path, source: Path) -> None:

    def fault(step: str) -> None:
        if step == READING:
            raise KeyboardInterrupt

    settings = load_settings(home=tmp_path / "desk", duckdb_threads=1)
    with (
        pytest.raises(KeyboardInterrupt),
        prepared(settings, house.dataset("people"), str(source), b"k" * 32, fault),
    ):
        pass
    assert [path for path in (tmp_path / "desk").rglob("*") if path.is_file()] == []
