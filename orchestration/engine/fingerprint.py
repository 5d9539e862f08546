"""A fingerprint of a table's rows, whatever their order: what a receipt vouches for.

Row count and the sum of 64-bit row hashes. It finds a changed, lost or doubled row; it is not a
cryptographic commitment (who can write the room can forge it), and reveals nothing about any row.
"""

from __future__ import annotations

import duckdb

from orchestration.digests import digest_json


def fingerprint(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, str]:
    """Rows of `table` (a quoted name) and the digest of its fingerprint."""
    row = connection.execute(f"SELECT count(*), coalesce(sum(hash(t)), 0) FROM {table} AS t").fetchone()
    count, total = row if row else (0, 0)
    return int(count), digest_json({"rows": int(count), "sum": str(total)})
