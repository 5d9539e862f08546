"""Where a contributor's rows may lie: files and folders, S3, PostgreSQL, and what is refused of each."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from orchestration.engine.duck import confine, connect
from orchestration.errors import GlasshouseError
from orchestration.scope.origin import open_origin
from orchestration.settings import Settings, load_settings
from tests.s3_server import s3_server

ROWS = [("007", "x"), ("008", "y")]


def settings(folder: Path, **given: object) -> Settings:
    return load_settings(**{"home": folder / "home", "duckdb_threads": 1} | given)


def rows(settings: Settings, location: str) -> list[tuple[object, ...]]:
    """Columns `a` and `b`, read on a connection that reaches nothing but that origin."""
    with connect(settings) as connection:
        origin = open_origin(connection, settings, location)
        confine(connection, files=origin.files)
        columns = ", ".join(origin.source.columns[name] for name in "ab")
        return sorted(connection.execute(f"SELECT {columns} FROM {origin.source.relation}").fetchall())


def refused(settings: Settings, location: str) -> str:
    with connect(settings) as connection, pytest.raises(GlasshouseError) as caught:
        open_origin(connection, settings, location)
    assert "s3cret" not in str(caught.value)
    return caught.value.code


def test_a_file_and_a_folder_with_folders_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "may").mkdir(parents=True)
    (folder / "one.csv").write_text("a,b\n007,x\n")
    assert rows(settings(tmp_path), str(folder / "one.csv")) == ROWS[:1]
    (folder / "may" / "two.csv").write_text("b,a\ny,008\n")
    (folder / ".DS_Store").write_bytes(b"\0")
    assert rows(settings(tmp_path), str(folder)) == ROWS


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "contribution.empty"),
        ({"a.csv": b""}, "contribution.empty"),
        ({"a.csv": b"a\n1\n", "b.tsv": b"a\n1\n"}, "prepare.no_format"),
        ({"a.xlsx": b"PK"}, "prepare.no_format"),
        ({"a.csv": b"a\n1\n", "b.csv": b"a,b\n1,2\n"}, "prepare.mixed_columns"),
        ({"a.csv.gz": gzip.compress(b"a\n1\n")}, "contribution.compressed"),
        ({"a.csv": gzip.compress(b"a\n1\n")}, "contribution.compressed"),
        ({"a.parquet": b"PK\x03\x04"}, "contribution.compressed"),
        ({"a.csv": b"a\n\xff\n"}, "contribution.encoding"),
        ({"a.tsv": b"a\n\0\n"}, "contribution.nul_bytes"),
    ],
)
def test_folders_that_are_refused(tmp_path: Path, files: dict[str, bytes], code: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert refused(settings(tmp_path), str(folder)) == code


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "elsewhere.csv").write_text("a\n1\n")
    (folder / "one.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert refused(settings(tmp_path), str(folder)) == "contribution.link"
    assert refused(settings(tmp_path), str(tmp_path / "none.csv")) == "prepare.no_file"


class TestS3:
    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[tuple[Settings, Path, list[str | None]]]:
        seen: list[str | None] = []
        bucket = tmp_path / "s3" / "bucket"
        (bucket / "may").mkdir(parents=True)
        with s3_server(tmp_path / "s3", seen) as url:
            given = {"s3_key_id": "us3r", "s3_key": "s3cret", "s3_endpoint": url}
            yield settings(tmp_path, **given), bucket, seen

    def test_objects_and_folders(self, desk: tuple[Settings, Path, list[str | None]]) -> None:
        with_s3, bucket, seen = desk
        (bucket / "may" / "one.csv").write_text("\ufeffa,b\n007,x\n")
        (bucket / "may" / "two.csv").write_text("b,a\ny,008\n")
        (bucket / "rows.ndjson").write_text('{"a": "007", "b": "x"}\n{"b": "y", "a": "008"}\n')
        with duckdb.connect() as connection:
            query = "SELECT * FROM (VALUES ('007', 'x'), ('008', 'y')) AS t(a, b)"
            connection.execute(f"COPY ({query}) TO '{bucket}/rows.parquet' (FORMAT parquet)")
        for name in ("may/", "rows.ndjson", "rows.parquet"):
            assert rows(with_s3, f"s3://bucket/{name}") == ROWS
        assert all(each and "Credential=us3r/" in each and "s3cret" not in each for each in seen)

    def test_what_is_not_there(self, desk: tuple[Settings, Path, list[str | None]]) -> None:
        with_s3, _, _ = desk
        assert refused(with_s3, "s3://bucket/none.csv") == "prepare.unreachable"
        assert refused(with_s3, "s3://bucket/none.parquet") == "prepare.unreachable"
        assert refused(with_s3, "s3://bucket/none/") == "contribution.empty"
        assert refused(with_s3, "s3://bucket/rows.csv.gz") == "contribution.compressed"


class TestPostgres:
    @pytest.fixture
    def desk(self, tmp_path: Path, postgres_url: str) -> Settings:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("CREATE SCHEMA crm")
            connection.execute("CREATE TYPE letter AS ENUM ('x', 'y')")
            connection.execute('CREATE TABLE crm."Custo mers" (a text, b letter)')
            connection.execute("INSERT INTO crm.\"Custo mers\" VALUES ('007', 'x'), ('008', 'y')")
        return settings(tmp_path, source_dsn=postgres_url)

    def test_a_table_and_a_query(self, desk: Settings) -> None:
        assert rows(desk, "postgres:crm.Custo mers") == ROWS
        query = "select a, b::text as b from crm.\"Custo mers\" where a = '007'"
        assert rows(desk, f"postgres:{query}") == ROWS[:1]

    def test_what_is_not_there(self, desk: Settings, tmp_path: Path) -> None:
        assert refused(desk, "postgres:crm.nothing") == "prepare.unreachable"
        assert refused(settings(tmp_path), "postgres:crm.x") == "prepare.no_dsn"
        assert refused(settings(tmp_path, source_dsn="s3cret ="), "postgres:x") == "prepare.bad_dsn"
        nobody = "postgresql://u:s3cret@127.0.0.1:1/d"
        assert refused(settings(tmp_path, source_dsn=nobody), "postgres:x") == "prepare.unreachable"

    def test_reading_is_all_it_may(self, desk: Settings) -> None:
        with connect(desk) as connection:
            open_origin(connection, desk, "postgres:crm.Custo mers")
            with pytest.raises(duckdb.Error):
                connection.execute('DELETE FROM origin.crm."Custo mers"')
