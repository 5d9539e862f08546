"""The vault: raw contributions as Parquet, each encrypted under its own key.

Intake writes here, de-identification reads one contribution, nobody else has a reason to come. The key
travels as a bound parameter only. Must not be here: rows that did not fit, which nobody keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from orchestration.digests import digest_file
from orchestration.engine.duck import quote_text
from orchestration.engine.files import partial, replacing
from orchestration.engine.keystore import KeyStore
from orchestration.errors import IntegrityError, Reason, ServiceError
from orchestration.settings import Settings

CHANGED = Reason(
    "vault.changed",
    "The stored file of contribution {contribution} is not the one its receipt describes.",
    "Restore the vault from its backup, or ask the steward for a new delivery.",
)
BUSY = Reason(
    "vault.busy",
    "Another delivery has been on its way into the vault for longer than this one may wait.",
    "Wait for it to finish (`glasshouse status`), then rerun.",
)


class Vault:
    """Encrypted Parquet files under `<home>/vault`, one per contribution."""

    def __init__(self, settings: Settings, keys: KeyStore) -> None:
        self.folder = settings.root / "vault"
        self._keys = keys
        self._lock = FileLock(self.folder / ".lock", timeout=settings.room_wait_seconds)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold the vault's single writer's place: the same file delivered twice at once gets one name.

        Raises: ServiceError (`vault.busy`) after the configured wait.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock.acquire()
        except Timeout:
            raise ServiceError(BUSY) from None
        try:
            yield
        finally:
            self._lock.release()

    @staticmethod
    def key_id(contribution: str) -> str:
        return f"vault/{contribution}"

    def path(self, contribution: str) -> Path:
        return self.folder / f"{contribution}.parquet"

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

    def discard(self, contribution: str) -> None:
        """Remove what an attempt that came to nothing left here, its key included."""
        for path in (*self.folder.glob(f"{contribution}.*"), partial(self.path(contribution))):
            path.unlink(missing_ok=True)
        self._keys.destroy(self.key_id(contribution))

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
