"""The vault: raw contributions as Parquet, each encrypted under its own key.

Intake is handed a `VaultWriter`, which reads nothing; de-identification a `VaultReader` of one contribution;
nobody else has a reason to come. The key travels as a bound parameter only. Lists of people taken out
rest here too, each under its own key. Must not be here: rows that did not fit, which nobody keeps.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from orchestration.digests import digest_file
from orchestration.engine.duck import quote_text
from orchestration.engine.files import partial, replacing, sync
from orchestration.engine.key_access import KeyAccess, Keys
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

    def __init__(self, settings: Settings, keys: Keys) -> None:
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

    def writer(self, contribution: str) -> VaultWriter:
        """For intake: puts this contribution here, under a key of its own."""
        name = self.key_id(contribution)
        return VaultWriter(self, contribution, KeyAccess(self._keys, make=[name], destroy=[name]))

    def reader(self, contribution: str) -> VaultReader:
        """For de-identification: reads this contribution."""
        return VaultReader(self, contribution, KeyAccess(self._keys, read=[self.key_id(contribution)]))

    def discard(self, contribution: str) -> None:
        """Remove what an attempt that came to nothing left here, its key included."""
        for name in (contribution, self.next_name(contribution)):
            for path in (*self.folder.glob(f"{name}.*"), partial(self.path(name))):
                path.unlink(missing_ok=True)
            self._keys.destroy(self.key_id(name))

    @staticmethod
    def next_name(contribution: str) -> str:
        """What a contribution is called here while it is written anew, under another key."""
        return f"{contribution}-next"

    def settle(self, contribution: str, digest: str) -> None:
        """Complete or undo a rewriting, whichever the log says: `digest` is of the file it speaks of.

        Safe to repeat, wherever an earlier call was killed. The old key goes first, so from there on there is
        only forward.
        """
        name = self.next_name(contribution)
        new, new_key, key = self.path(name), self.key_id(name), self.key_id(contribution)
        if new.exists() and digest_file(new) != digest:
            new.unlink()
        elif new.exists():
            self._keys.destroy(key)
            self._keys.create(key, self._keys.secret(new_key))
            os.replace(new, self.path(contribution))
            sync(self.folder)
        self._keys.destroy(new_key)

    def unsettled(self) -> list[str]:
        """Contributions whose rewriting a killed process left unfinished."""
        ending = f"{self.next_name('')}.parquet"
        return sorted(path.name.removesuffix(ending) for path in self.folder.glob(f"*{ending}"))


class VaultWriter:
    """Writes one contribution. Its key is new with the first write, and cannot be had a second time."""

    def __init__(self, vault: Vault, contribution: str, keys: Keys) -> None:
        self.key_id = vault.key_id(contribution)
        self.path = vault.path(contribution)
        self._keys = keys
        self._key: bytes | None = None

    def write(self, connection: duckdb.DuckDBPyConnection, query: str) -> int:
        """Write the rows of `query` encrypted; returns how many. A torn file never gets the final name.

        The first write starts the contribution afresh: what an attempt that was killed left here is noise.
        """
        if self._key is None:
            self._key = self._keys.renew(self.key_id)
        with replacing(self.path) as temporary:
            row = connection.execute(
                f"COPY ({query}) TO {quote_text(str(temporary))}"
                " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,"
                " ENCRYPTION_CONFIG {footer_key_value: ?})",
                [self._key],
            ).fetchone()
        return int(row[0]) if row else 0


class VaultReader:
    """Reads one contribution."""

    def __init__(self, vault: Vault, contribution: str, keys: Keys) -> None:
        self.contribution = contribution
        self.path = vault.path(contribution)
        self._key_id = vault.key_id(contribution)
        self._keys = keys

    def relation(self, connection: duckdb.DuckDBPyConnection) -> str:
        """A SQL table expression over the contribution; binds its key as a variable of the connection."""
        connection.execute("SET VARIABLE vault_key = ?", [self._keys.secret(self._key_id)])
        path = quote_text(str(self.path))
        return f"read_parquet({path}, encryption_config = {{footer_key_value: getvariable('vault_key')}})"

    def check(self, digest: str) -> None:
        """Refuse a file that is not the one the receipt speaks of.

        Raises: IntegrityError (`vault.changed`).
        """
        if not self.path.exists() or digest_file(self.path) != digest:
            raise IntegrityError(CHANGED, contribution=self.contribution)
