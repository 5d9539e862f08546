"""The vault: raw contributions as Parquet, each encrypted under its own key.

Intake writes here, de-identification reads one contribution, nobody else has a reason to come. The key
travels as a bound parameter only. Quarantined rows rest here too, under the contribution's key.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.digests import digest_file
from orchestration.engine.duck import quote_text
from orchestration.engine.files import replacing
from orchestration.engine.keystore import KeyStore
from orchestration.errors import IntegrityError, Reason
from orchestration.settings import Settings

CHANGED = Reason(
    "vault.changed",
    "The stored file of contribution {contribution} is not the one its receipt describes.",
    "Restore the vault from its backup, or ask the steward for a new delivery.",
)


class Vault:
    """Encrypted Parquet files under `<home>/vault`, one or two per contribution."""

    def __init__(self, settings: Settings, keys: KeyStore) -> None:
        self.folder = settings.root / "vault"
        self._keys = keys

    @staticmethod
    def key_id(contribution: str) -> str:
        return f"vault/{contribution}"

    def path(self, contribution: str) -> Path:
        return self.folder / f"{contribution}.parquet"

    def rejects_path(self, contribution: str) -> Path:
        return self.folder / f"{contribution}.rejected.parquet"

    def write(self, connection: duckdb.DuckDBPyConnection, query: str, path: Path, contribution: str) -> int:
        """Write the rows of `query` encrypted; returns how many. A torn file never gets the final name."""
        key = self._keys.create(self.key_id(contribution))
        with replacing(path) as temporary:
            row = connection.execute(
                f"COPY ({query}) TO {quote_text(str(temporary))}"
                " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,"
                " ENCRYPTION_CONFIG {footer_key_value: ?})",
                [key],
            ).fetchone()
        return int(row[0]) if row else 0

    def reader(self, connection: duckdb.DuckDBPyConnection, contribution: str) -> str:
        """A SQL table expression over the contribution; binds its key as a variable of the connection."""
        connection.execute("SET VARIABLE vault_key = ?", [self._keys.secret(self.key_id(contribution))])
        path = quote_text(str(self.path(contribution)))
        return f"read_parquet({path}, encryption_config = {{footer_key_value: getvariable('vault_key')}})"

    def check(self, contribution: str, digest: str) -> None:
        """Refuse a file that is not the one the receipt speaks of.

        Raises: IntegrityError (`vault.changed`).
        """
        path = self.path(contribution)
        if not path.exists() or digest_file(path) != digest:
            raise IntegrityError(CHANGED, contribution=contribution)
