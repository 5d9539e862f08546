"""A fingerprint of a table's rows, whatever their order: what a receipt vouches for.

Row count and the sum of 64-bit row hashes, under a key of the house. It finds a changed, lost or doubled row.
The key matters: receipts are read by everybody, and without it whoever knows most of a small table could
try out the rest against its fingerprint.
"""

from __future__ import annotations

import hashlib
import hmac

import duckdb

from orchestration.digests import canonical_json


def fingerprint(connection: duckdb.DuckDBPyConnection, table: str, key: bytes) -> tuple[int, str]:
    """Rows of `table` (a quoted name) and its mark, `sha256:…` (HMAC-SHA256 under `key`)."""
    row = connection.execute(f"SELECT count(*), coalesce(sum(hash(t)), 0) FROM {table} AS t").fetchone()
    count, total = row if row else (0, 0)
    facts = canonical_json({"rows": int(count), "sum": str(total)})
    return int(count), f"sha256:{hmac.new(key, facts, hashlib.sha256).hexdigest()}"
