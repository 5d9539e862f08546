"""A connection touches what its step needs and nothing else, and cannot talk itself out of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.engine.duck import confine, connect, quote_name, quote_text
from orchestration.engine.scratch import scratch
from orchestration.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", duckdb_threads=1, duckdb_memory="60MB")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('{folder}/other.csv')",
        "SELECT * FROM read_csv('{folder}/allowed.csv.bak')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{folder}/allowed/../out.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL spatial",
        "LOAD '{folder}/x.duckdb_extension'",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "RESET allowed_paths",
        "PRAGMA temp_directory='/tmp'",
        "SET temp_file_encryption = false",
        "SET memory_limit = '1TB'",
    ],
)
def test_a_confined_connection(settings: Settings, tmp_path: Path, statement: str) -> None:
    for name in ("allowed.csv", "allowed.csv.bak", "other.csv"):
        (tmp_path / name).write_text("a\n1\n")
    (tmp_path / "allowed").mkdir()
    with connect(settings) as connection:
        confine(connection, files=[tmp_path / "allowed.csv"], folders=[tmp_path / "allowed"])
        allowed = quote_text(str(tmp_path / "allowed.csv"))
        assert connection.execute(f"SELECT a FROM read_csv({allowed})").fetchall() == [(1,)]
        connection.execute(f"COPY (SELECT 1) TO {quote_text(str(tmp_path / 'allowed' / 'x.csv'))}")
        with pytest.raises(duckdb.Error):
            connection.execute(statement.format(folder=tmp_path)).fetchall()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40))
def test_quoting_survives_any_text(text: str) -> None:
    with duckdb.connect() as connection:
        result = connection.execute(f"SELECT {quote_text(text)} AS {quote_name(text)}")
        assert result.description[0][0] == text
        assert result.fetchall() == [(text,)]


_SPILL = """
import sys
from orchestration.engine.duck import connect
from orchestration.settings import load_settings
settings = load_settings(home=sys.argv[1], duckdb_memory="60MB", duckdb_threads=1)
with connect(settings) as connection:
    texts = "SELECT range AS a, repeat(md5(range::VARCHAR), 3) AS b FROM range(900000)"
    connection.execute(f"CREATE TABLE t AS {texts}")
    assert any(settings.root.glob("tmp/spill-*/*")), "the test must spill to mean anything"
    sql = "SELECT count(*) FROM t WHERE b = repeat(md5(a::VARCHAR), 3)"
    assert connection.execute(sql).fetchall() == [(900000,)]
"""


def test_two_processes_that_spill_do_not_meet(tmp_path: Path) -> None:
    """With one folder for both, each reads the other's pages or fails."""
    command = [sys.executable, "-c", _SPILL, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    assert list((tmp_path / "tmp").iterdir()) == []


def test_scratch_of_the_dead_is_cleared_and_of_the_living_kept(tmp_path: Path) -> None:
    dead = tmp_path / "spill-dead"
    dead.mkdir()
    (dead / "pages.tmp").write_bytes(b"x")
    dead.with_suffix(".lock").touch()
    with scratch(tmp_path) as first:
        assert not dead.exists()
        (first / "pages.tmp").write_bytes(b"x")
        with scratch(tmp_path) as second:
            assert first != second
            assert (first / "pages.tmp").exists()
    assert list(tmp_path.iterdir()) == []
