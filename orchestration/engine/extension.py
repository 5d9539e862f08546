"""Loading DuckDB's extensions: httpfs, with the OpenSSL that files are encrypted with, and PostgreSQL's.

The binaries, signed by DuckDB, come with the packages `duckdb-extension-…`, so nothing is downloaded. On a
platform without such a wheel DuckDB's own INSTALL is the fallback, and a warning says so. Nothing here may
know about a room, a key or a setting.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import duckdb

from orchestration.errors import Reason, ServiceError

NO_ENCRYPTION = Reason(
    "engine.no_encryption",
    "DuckDB's extension httpfs, without which it writes no encrypted file, could not be loaded.",
    "Install the package duckdb-extension-httpfs of the same version as duckdb.",
)
NO_POSTGRES = Reason(
    "engine.no_postgres",
    "DuckDB's extension postgres_scanner, which reads PostgreSQL, could not be loaded.",
    "Install the package duckdb-extension-postgres-scanner of the same version as duckdb.",
)


class ExtensionDownloadWarning(UserWarning):
    """DuckDB is about to fetch an extension itself, over the network."""


def bundled_httpfs() -> Path | None:
    """The file of httpfs that the installed wheel carries for this DuckDB version, if there is one."""
    return _bundled("httpfs")


def load_httpfs(connection: duckdb.DuckDBPyConnection) -> None:
    """Load httpfs into this DuckDB instance; call it before external access is switched off.

    Raises: ServiceError (`engine.no_encryption`) when it is neither bundled nor obtainable.
    """
    _load(connection, "httpfs", bundled_httpfs(), NO_ENCRYPTION)


def load_postgres(connection: duckdb.DuckDBPyConnection) -> None:
    """Load postgres_scanner likewise.

    Raises: ServiceError (`engine.no_postgres`) when it is neither bundled nor obtainable.
    """
    _load(connection, "postgres_scanner", _bundled("postgres_scanner"), NO_POSTGRES)


def _bundled(name: str) -> Path | None:
    package = find_spec(f"duckdb_extension_{name}")
    for folder in (package.submodule_search_locations or ()) if package else ():
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.is_file():
            return file
    return None


def _load(connection: duckdb.DuckDBPyConnection, name: str, file: Path | None, missing: Reason) -> None:
    try:
        if file is not None:
            path = str(file).replace("'", "''")
            connection.execute(f"LOAD '{path}'")
            return
        warnings.warn(
            f"no bundled {name} for this DuckDB on this platform: DuckDB downloads it itself, once",
            ExtensionDownloadWarning,
            stacklevel=3,
        )
        connection.execute(f"INSTALL {name}")
        connection.execute(f"LOAD {name}")
    except duckdb.Error as error:
        raise ServiceError(missing) from error
