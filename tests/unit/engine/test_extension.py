"""httpfs comes from the installed wheel; when it does not, somebody is told."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import duckdb
import pytest

from orchestration.engine import extension
from orchestration.errors import ServiceError


class Recorder:
    """Stands for a connection on a platform without the wheel."""

    def __init__(self, *, reachable: bool) -> None:
        self.statements: list[str] = []
        self._reachable = reachable

    def execute(self, sql: str) -> None:
        self.statements.append(sql)
        if not self._reachable:
            raise duckdb.IOException("Failed to download from http://10.0.0.7/secret")


def test_the_bundled_extension_loads_and_writes_encrypted_files(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        extension.load_httpfs(connection)
        connection.execute(f"ATTACH '{tmp_path / 'a.duckdb'}' AS a (ENCRYPTION_KEY ?)", ["k" * 32])
        connection.execute("CREATE TABLE a.t AS SELECT 'plainly readable' AS x; CHECKPOINT a")
    assert b"plainly readable" not in (tmp_path / "a.duckdb").read_bytes()


def test_a_download_is_said_out_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "bundled_httpfs", lambda: None)
    recorder = Recorder(reachable=True)
    with pytest.warns(extension.ExtensionDownloadWarning):
        extension.load_httpfs(cast("duckdb.DuckDBPyConnection", recorder))
    assert recorder.statements == ["INSTALL httpfs", "LOAD httpfs"]


def test_without_the_extension_nothing_goes_on_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "bundled_httpfs", lambda: Path("/nowhere/httpfs.duckdb_extension"))
    with pytest.raises(ServiceError) as caught:
        extension.load_httpfs(cast("duckdb.DuckDBPyConnection", Recorder(reachable=False)))
    assert caught.value.code == "engine.no_encryption"
    assert "10.0.0.7" not in str(caught.value)
