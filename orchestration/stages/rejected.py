"""Rows of an accepted delivery that did not fit: their numbers and reasons, sealed for the steward.

No value of such a row is kept. A number means something only to whoever has the file, and that is the
contributor; a reason says what to look for there. Must not be here: which rows fit (`scope/coercion`), or
deliveries that are refused as a whole (`quarantine`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import duckdb

from orchestration.engine import sealing
from orchestration.engine.duck import confine, connect
from orchestration.engine.files import replacing
from orchestration.house import House
from orchestration.scope.normalization import register_normalizers
from orchestration.signing import SigningKey
from orchestration.stages import quarantine
from orchestration.stages.arrived import Arrived
from orchestration.stages.quarantine import SealedFor

_FILE = "rejected.age"
_AT_ONCE = 50_000


class RejectedRow(NamedTuple):
    """`row` counts the delivered file's rows from 1, without a header."""

    row: int
    reason: str


def seal_rejected(
    house: House, arrived: Arrived, contribution: str, sealed_for: SealedFor
) -> tuple[dict[str, int], str]:
    """Number the rejected rows in another pass over the file, in its order, and seal the list.

    Returns: rows by reason, and the digest of what was sealed.
    """
    counts: dict[str, int] = {}
    folder = quarantine.sealed_copy(house, contribution)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with connect(house.settings, in_order=True) as connection:
        arrived.bind(connection)
        register_normalizers(connection)
        confine(connection, files=[arrived.file], folders=[house.settings.root / "tmp"])
        found = connection.execute(arrived.intake.rejected)
        with replacing(folder / _FILE) as temporary, temporary.open("wb") as sealed:
            sealing.seal(sealing.Streamed(_lines(found, counts)), sealed, sealed_for.recipients)
    return counts, quarantine.digest_of(folder)


def _lines(found: duckdb.DuckDBPyConnection, counts: dict[str, int]) -> Iterator[bytes]:
    while rows := found.fetchmany(_AT_ONCE):
        for _, reason in rows:
            counts[reason] = counts.get(reason, 0) + 1
        yield "".join(f"{number},{reason}\n" for number, reason in rows).encode()


def unseal_rejected(house: House, contribution: str, key: SigningKey) -> list[RejectedRow]:
    """The rejected rows of a contribution, opened with the steward's key; none when all rows fit.

    Raises: IntegrityError (`sealed.other_key`).
    """
    path = quarantine.sealed_copy(house, contribution) / _FILE
    if not path.exists():
        return []
    plain = io.BytesIO()
    with path.open("rb") as sealed:
        sealing.unseal(sealed, plain, key)
    rows = (line.split(",") for line in plain.getvalue().decode().splitlines())
    return [RejectedRow(int(number), reason) for number, reason in rows]
