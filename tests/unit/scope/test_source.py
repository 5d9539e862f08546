"""Files as senders make them: what is read, and what is refused before a row is."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration.digests import digest_bytes
from orchestration.errors import ContributionError
from orchestration.scope.manifest import Manifest
from orchestration.scope.source import check_file, open_files, open_source, require_volume
from tests.support import parquet_bytes


def rows(path: Path, format_: str = "csv") -> list[dict[str, object]]:
    """Rows by the file's own column names."""
    with duckdb.connect() as connection:
        source = open_source(connection, path, format_)
        columns = ", ".join(source.columns.values())
        found = connection.execute(f"SELECT {columns} FROM {source.relation}").fetchall()
    return [dict(zip(source.columns, row, strict=True)) for row in found]


def csv(folder: Path, data: bytes) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b"a,b\r\n1,2\r\n", [{"a": "1", "b": "2"}]),
        (b"a,b\n1,2", [{"a": "1", "b": "2"}]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b" a , b \n 1 ,2\n", [{"a": " 1 ", "b": "2"}]),
        (b'a,b\n"1,5","say ""hi"""\n', [{"a": "1,5", "b": 'say "hi"'}]),
        (b'a,b\n"1\n1",2\n', [{"a": "1\n1", "b": "2"}]),
        (b"a,b\n007,\n", [{"a": "007", "b": None}]),
        (b"a,b\n#1,=2\n", [{"a": "#1", "b": "=2"}]),
        (b'"a\nz","x"" FROM t; --"\n1,2\n', [{"a\nz": "1", 'x" FROM t; --': "2"}]),
        (b"c1,c0\n1,2\n", [{"c1": "1", "c0": "2"}]),
        ("häß,b\nü,2\n".encode(), [{"häß": "ü", "b": "2"}]),
        (b"a,b\n", []),
    ],
)
def test_csv_that_is_read(tmp_path: Path, data: bytes, expected: list[dict[str, object]]) -> None:
    assert rows(csv(tmp_path, data)) == expected


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "contribution.empty"),
        (b"\n\n", "contribution.empty"),
        (b"a,a\n1,2\n", "contribution.duplicate_columns"),
        (b"a, a\n1,2\n", "contribution.duplicate_columns"),
        (b'"a,b\n1,2\n', "contribution.malformed"),
        (b'"a"x,b\n1,2\n', "contribution.malformed"),
        (b'"' + b"a" * 300_000, "contribution.malformed"),
        (b"\xffa,b\n1,2\n", "contribution.encoding"),
        ("ä,b\n1,2\n".encode("latin-1"), "contribution.encoding"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, data: bytes, code: str) -> None:
    with duckdb.connect() as connection, pytest.raises(ContributionError) as caught:
        open_source(connection, csv(tmp_path, data), "csv")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b'a,b\n1,"2\n3,4\n',
        b'a,b\n1,"2"x\n',
        b"a,b\n1\n",
        b"a,b\n1,2,3\n",
        b"a,b\n" + b"x" * (1 << 21) + b",1\n",
    ],
)
def test_broken_rows_stop_the_reader(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(duckdb.Error):
        rows(csv(tmp_path, data))


def test_parquet_keeps_its_types_and_is_addressed_by_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(parquet_bytes("""SELECT 7 AS "a""b", '007' AS c, [1] AS d""", tmp_path))
    with duckdb.connect() as connection:
        source = open_source(connection, path, "parquet")
        assert connection.execute(f"SELECT {source.columns['c']} FROM {source.relation}").fetchall() == [
            ("007",)
        ]
    assert [source.scalar(name) for name in source.columns] == [True, True, False]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\tb\n1,5\t2\n", [{"a": "1,5", "b": "2"}]),
        (b'a\tb\n"1\t5"\t\n', [{"a": "1\t5", "b": None}]),
        (b"\xef\xbb\xbfa\tb\r\n007\t2\r\n", [{"a": "007", "b": "2"}]),
    ],
)
def test_tsv_is_csv_with_tabs(tmp_path: Path, data: bytes, expected: list[dict[str, object]]) -> None:
    assert rows(csv(tmp_path, data), "tsv") == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": "007", "b": 2}\n', [{"a": "007", "b": "2"}]),
        (b'{"a": "1", "b": null}\r\n\n{"b": true}', [{"a": "1", "b": None}, {"a": None, "b": "true"}]),
        (b'{"a": 1029.0}\n{"a": 10.50}\n{"a": "1029.0"}\n', [{"a": "1029"}, {"a": "10.5"}, {"a": "1029.0"}]),
        (b'{"x\'; DROP TABLE t; --": "1", "a/~b": 2}\n', [{"a/~b": "2", "x'; DROP TABLE t; --": "1"}]),
        ('{"ä": "ü\\n\\u00e9"}\n'.encode(), [{"ä": "ü\né"}]),
    ],
)
def test_ndjson_that_is_read(tmp_path: Path, data: bytes, expected: list[dict[str, object]]) -> None:
    assert rows(csv(tmp_path, data), "ndjson") == expected


def test_only_the_wanted_keys_are_looked_for(tmp_path: Path) -> None:
    """One row with thousands of keys does not make each of a million others dear."""
    keys = ", ".join(f'"k{number}": [1]' for number in range(4_000))
    path = csv(tmp_path, f'{{"a": 7, {keys}}}\n'.encode() + b"{}\n" * 1_000_000)
    with duckdb.connect() as connection:
        source = open_source(connection, path, "ndjson", {"a", "not there"})
        asked = f"SELECT count(*), count({source.columns['a']}), count({source.columns['k5']}) FROM"
        assert connection.execute(f"{asked} {source.relation}").fetchone() == (1_000_001, 1, 0)
        nothing = open_source(connection, path, "ndjson", ())
        assert connection.execute(f"SELECT count(*) FROM {nothing.relation}").fetchone() == (1_000_001,)
    assert len(source.columns) == 4_001
    assert source.scalar("a")
    assert not source.scalar("k5")


def test_a_key_that_holds_lists_or_objects_is_nobodys_field(tmp_path: Path) -> None:
    path = csv(tmp_path, b'{"a": "[1]", "b": 1, "c": 1}\n{"a": "{", "b": [1], "c": {"d": 2}}\n')
    with duckdb.connect() as connection:
        source = open_source(connection, path, "ndjson")
    assert [source.scalar(name) for name in "abc"] == [True, False, False]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "contribution.empty"),
        (b'{"a": 1}{"a": 2}\n', "contribution.malformed"),
        (b'{"a": 1}\n[1]\n', "contribution.malformed"),
        (b'{"a": 1}\n2\n', "contribution.malformed"),
        (b'{"a": 1}\n{"a":\n', "contribution.malformed"),
        (b'[{"a": 1}]', "contribution.malformed"),
        (b'{"a": "' + b"x" * (1 << 26) + b'"}', "contribution.malformed"),
        (b'{"a": 1, "a": 2}\n', "contribution.duplicate_columns"),
        (b"".join(b'{"a%d": 1}\n' % i for i in range(5000)), "contribution.too_many_columns"),
    ],
)
def test_ndjson_that_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    with duckdb.connect() as connection, pytest.raises(ContributionError) as caught:
        open_source(connection, csv(tmp_path, data), "ndjson")
    assert caught.value.code == code


def test_a_thousand_columns_too_many(tmp_path: Path) -> None:
    path = csv(tmp_path, ",".join(f"c{i}" for i in range(5000)).encode() + b"\n")
    with duckdb.connect() as connection, pytest.raises(ContributionError) as caught:
        open_source(connection, path, "csv")
    assert caught.value.code == "contribution.too_many_columns"


@pytest.mark.parametrize("format_", ["csv", "tsv", "ndjson", "parquet"])
def test_files_of_one_schema_are_one_source_whatever_their_order(tmp_path: Path, format_: str) -> None:
    queries = ["SELECT 'x' AS a, '1' AS b", "SELECT '2' AS b, 'y' AS a", "SELECT 'z' AS a, '3' AS b"]
    kind = {"parquet": "parquet", "ndjson": "json"}.get(format_, "csv, HEADER")
    kind += ", DELIMITER '\t'" if format_ == "tsv" else ""
    with duckdb.connect() as connection:
        for number, query in enumerate(queries):
            connection.execute(f"COPY ({query}) TO '{tmp_path}/{number}[*].{format_}' (FORMAT {kind})")
        paths = [str(path) for path in tmp_path.iterdir()]
        found = []
        for order in (sorted(paths), sorted(paths, reverse=True)):
            source = open_files(connection, order, format_)
            columns = ", ".join(source.columns[name] for name in "ab")
            found.append(sorted(connection.execute(f"SELECT {columns} FROM {source.relation}").fetchall()))
    assert found == [[("x", "1"), ("y", "2"), ("z", "3")]] * 2


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_files_of_several_schemas_are_refused(tmp_path: Path, format_: str) -> None:
    kind = "parquet" if format_ == "parquet" else "csv, HEADER"
    with duckdb.connect() as connection:
        for number, query in enumerate(["SELECT '1' AS a, '2' AS b", "SELECT '1' AS a"]):
            connection.execute(f"COPY ({query}) TO '{tmp_path}/{number}.{format_}' (FORMAT {kind})")
        with pytest.raises(ContributionError) as caught:
            open_files(connection, sorted(map(str, tmp_path.iterdir())), format_)
    assert caught.value.code == "prepare.mixed_columns"


def test_packing_does_not_make_data_smaller(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    path.write_bytes(parquet_bytes("SELECT repeat('x', 10000) AS a, 1 AS b FROM range(100000)", tmp_path))
    assert path.stat().st_size < 1_000_000
    with duckdb.connect() as connection:
        source = open_source(connection, path, "parquet")
        require_volume(connection, source, ["b"], limit=800_000, dataset="people")
        with pytest.raises(ContributionError) as caught:
            require_volume(connection, source, ["a", "b"], limit=1_000_000, dataset="people")
    assert (caught.value.code, caught.value.facts["size"]) == ("contribution.too_much_data", 1_000_800_000)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"a,b\n1,2\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_parquet_that_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(data)
    with duckdb.connect() as connection, pytest.raises(ContributionError) as caught:
        open_source(connection, path, "parquet")
    assert caught.value.code == "contribution.malformed"


class TestCheckFile:
    def manifest(self, data: bytes, **changes: object) -> Manifest:
        claims: dict[str, object] = {
            "collaboration": "c", "dataset": "d", "participant": "p", "signer": "p.s", "purposes": ["x"],
            "provenance": "t", "period": {"first": "2024-01-01", "last": "2024-01-02"}, "file": "rows.csv",
            "format": "csv", "rows": 1, "sha256": digest_bytes(data), "created": "2024-01-01T00:00:00Z",
        }  # fmt: skip
        return Manifest.model_validate(claims | changes)

    def code(self, folder: Path, manifest: Manifest, limit: int = 1000) -> str:
        with pytest.raises(ContributionError) as caught:
            check_file(folder, manifest, limit=limit)
        return caught.value.code.removeprefix("contribution.")

    def test_a_good_file(self, tmp_path: Path) -> None:
        path = csv(tmp_path, b"a\n1\n")
        assert check_file(tmp_path, self.manifest(b"a\n1\n"), limit=4) == path

    def test_refusals_in_order(self, tmp_path: Path) -> None:
        assert self.code(tmp_path, self.manifest(b"x")) == "no_file"
        csv(tmp_path, b"a\n1\n")
        assert self.code(tmp_path, self.manifest(b"a\n1\n"), limit=3) == "too_large"
        assert self.code(tmp_path, self.manifest(b"a\n2\n")) == "wrong_digest"
        csv(tmp_path, b"")
        assert self.code(tmp_path, self.manifest(b"")) == "empty"
        for data, code in (
            ("a\n1\n".encode("utf-16"), "encoding"),
            ("a\n1\n".encode("utf-16-le"), "nul_bytes"),
            (b"a\n1\0\n", "nul_bytes"),
            (b"a\n\xff\n", "encoding"),
            (b"a\n1\n\xc3", "encoding"),
        ):
            csv(tmp_path, data)
            for format_ in ("csv", "tsv", "ndjson"):
                assert self.code(tmp_path, self.manifest(data, format=format_)) == code

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_packed_files_are_not_unpacked(self, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
        data = pack(b"a\n1\n")
        csv(tmp_path, data)
        assert self.code(tmp_path, self.manifest(data)) == "compressed"

    def test_only_regular_files_of_the_delivery(self, tmp_path: Path) -> None:
        elsewhere = csv(tmp_path, b"a\n1\n")
        delivery = tmp_path / "delivery"
        delivery.mkdir()
        (delivery / "rows.csv").symlink_to(elsewhere)
        assert self.code(delivery, self.manifest(b"a\n1\n")) == "link"
        (delivery / "rows.csv").unlink()
        os.mkfifo(delivery / "rows.csv")
        assert self.code(delivery, self.manifest(b"a\n1\n")) == "no_file"

    @pytest.mark.parametrize(
        "name", ["../rows.csv", "/etc/passwd", "", ".hidden", "a/b", "a\0b", "a*.csv", "a\n"]
    )
    def test_a_manifest_names_a_plain_file(self, name: str) -> None:
        with pytest.raises(ValueError, match="file"):
            self.manifest(b"", file=name)
