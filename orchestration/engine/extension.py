"""Loading DuckDB's httpfs, which brings the OpenSSL that encrypted files are written with.

The binary, signed by DuckDB, comes with the package `duckdb-extension-httpfs`, so nothing is downloaded.
On a platform without that wheel DuckDB's own INSTALL is the fallback, and a warning says so. Nothing here
may know about a room, a key or a setting.
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


class ExtensionDownloadWarning(UserWarning):
    """DuckDB is about to fetch an extension itself, over the network."""


def bundled_httpfs() -> Path | None:
    """The extension file that the installed wheel carries for this DuckDB version, if there is one."""
    package = find_spec("duckdb_extension_httpfs")
    for folder in (package.submodule_search_locations or ()) if package else ():
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
        if file.is_file():
            return file
    return None


def load_httpfs(connection: duckdb.DuckDBPyConnection) -> None:
    """Load httpfs into this DuckDB instance; call it before external access is switched off.

    Raises: ServiceError (`engine.no_encryption`) when it is neither bundled nor obtainable.
    """
    file = bundled_httpfs()
    try:
        if file is not None:
            path = str(file).replace("'", "''")
            connection.execute(f"LOAD '{path}'")
            return
        warnings.warn(
            "no bundled httpfs for this DuckDB on this platform: DuckDB downloads it itself, once",
            ExtensionDownloadWarning,
            stacklevel=2,
        )
        connection.execute("INSTALL httpfs")
        connection.execute("LOAD httpfs")
    except duckdb.Error as error:
        raise ServiceError(NO_ENCRYPTION) from error
