"""Two layers of pseudonyms for ten million rows, compiled from a charter, against the same written by hand.

Five rows per identifier. Sides, each reading one Parquet file and writing another:
- house: the statement that `compile_deidentification` makes of a charter's dataset;
- bare: the hashing alone, once per distinct identifier, joined back;
- rows: the hashing alone, once per row, as one would first write it.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Comparison, Sample, in_turns, report_side, run_side, scratch

TARGET = 1.15
_ROWS_PER_IDENTIFIER = 5
_KEY, _BLINDING = bytes(range(32)), bytes(range(32, 64))
_LAYER = """sha256(getvariable('{key}_outer') || unhex(sha256(getvariable('{key}_inner')
            || encode('household') || '\\x00'::BLOB || encode({text}))))"""
_HASH = _LAYER.format(
    key="blinding", text=_LAYER.format(key="collaboration", text="nfc_normalize(trim(household_id))")
)
_BARE = f"""
    WITH units AS (SELECT household_id, {_HASH} AS unit FROM (SELECT DISTINCT household_id FROM {{file}}))
    SELECT units.unit, product, amount, week FROM {{file}} AS source JOIN units USING (household_id)
"""
_ROWS = f"SELECT {_HASH} AS unit, product, amount, week FROM {{file}}"


def compare(pairs: int, *, rows: int = 10_000_000) -> list[Comparison]:
    """The compiled statement against both ways to write it by hand."""
    with scratch() as folder:
        file = _synthetic(folder / "given.parquet", rows)
        names = ("house", "bare", "rows")
        samples = in_turns(pairs, *(partial(_side, name, file) for name in names))
    found: dict[str, list[Sample]] = dict(zip(names, samples, strict=True))
    if len({sample.details["rows_hash"] for each in samples for sample in each}) != 1:
        raise SystemExit("the sides do not write the same rows")
    title = f"Pseudonymize and write {rows:,} rows"
    return [
        Comparison(f"{title}, vs the same hashing in bare DuckDB", found["house"], found["bare"], TARGET),
        Comparison(f"{title}, vs hashing every row", found["house"], found["rows"]),
    ]


def _synthetic(path: Path, rows: int) -> Path:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'household-' || (hash(i) % {rows // _ROWS_PER_IDENTIFIER}) AS household_id,"
            " 'P' || i % 1000 AS product, CAST(i % 10000 / 100 AS DECIMAL(12, 2)) AS amount,"
            f" i % 52 + 1 AS week FROM range({rows}) t(i)) TO '{path}' (COMPRESSION zstd)"
        )
    return path


def _side(name: str, file: Path, _pair: int) -> Sample:
    with scratch() as home:
        return run_side("deidentification", name, str(file), home=home)


# --- the sides, each in its own process


def _work(name: str, file: Path) -> None:
    from orchestration.engine.duck import connect
    from orchestration.scope.deidentification import compile_deidentification
    from orchestration.scope.pseudonymization import bind_keys
    from orchestration.settings import load_settings

    settings = load_settings()
    relation = f"read_parquet('{file}')"
    written = settings.root / "written.parquet"
    settings.root.mkdir(parents=True, exist_ok=True)
    with connect(settings) as connection:
        bind_keys(connection, collaboration=_KEY, blinding=_BLINDING)
        by_hand = {"bare": _BARE, "rows": _ROWS}

        def write() -> None:
            if name == "house":
                query = compile_deidentification(_dataset(), relation).query
            else:
                query = by_hand[name].format(file=relation)
            connection.execute(f"COPY ({query}) TO '{written}' (COMPRESSION zstd, COMPRESSION_LEVEL 1)")

        def details() -> dict[str, Any]:
            row = connection.execute(f"SELECT count(*), sum(hash(t)) FROM '{written}' AS t").fetchone()
            assert row is not None
            return {"rows_hash": f"{row[0]} rows, {row[1]}"}

        report_side(write, details=details)


def _dataset() -> Any:
    from orchestration.charter.fields import Field
    from orchestration.charter.loader import load_charter
    from orchestration.settings import PROJECT_ROOT

    pseudonymize = {"kind": "pseudonymize", "domain": "household"}
    fields = [
        {"name": "household_id", "as": "unit", "type": "string", "technique": pseudonymize},
        {"name": "product", "as": "product", "type": "string", "technique": "pass"},
        {"name": "amount", "as": "amount", "type": "decimal", "technique": "pass"},
        {"name": "week", "as": "week", "type": "integer", "technique": "pass"},
    ]
    transactions = load_charter(PROJECT_ROOT / "charters" / "grocery.yaml").dataset("transactions")
    shaped = tuple(Field.model_validate(each | {"classification": "behavioural"}) for each in fields)
    return transactions.model_copy(update={"fields": shaped})


if __name__ == "__main__":
    _work(sys.argv[1], Path(sys.argv[2]))
