"""The full gate of the transactions, against hand-written SQL for the same rules.

Both sides read one table of an encrypted room, in a process of their own, with the same memory limit:

- `house`: `run_gate` with the suite of the example charter's transactions, as stage 3 calls it, and the
  statistics that later deliveries are compared with (their seconds are told apart);
- `sql`: what a good engineer writes for the same rules: one pass that counts what breaks any rule on a
  value, and for each column of free text the rows whose value resembles an e-mail address, a telephone
  number, a card, an account or an id. It counts candidates only; nothing decides about them.

Not in the time: imports, making the table, opening the room.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import PROJECT, Comparison, Sample, in_turns, report_side, run_side, scratch

TARGET = 2.5
_TABLE = "transactions_x"
_ROWS = """
    SELECT sha256('u' || (hash(i) % 200000)::VARCHAR) AS unit, sha256('b' || (i // 9)::VARCHAR) AS basket,
           (hash(i // 9) % 457)::VARCHAR AS store, (800000 + hash(i * 7) % 68509)::VARCHAR AS product,
           (1 + hash(i * 3) % 12)::BIGINT AS quantity,
           ((hash(i * 5) % 30000) / 100)::DECIMAL(12, 2) AS amount,
           (1 + hash(i // 9) % 53)::BIGINT AS week,
           DATE '2017-01-01' + (hash(i // 9) % 365)::INTEGER AS occurred_on
    FROM range({rows}) AS t(i)
"""
_REQUIRED = ("unit", "basket", "store", "product", "quantity", "amount", "week", "occurred_on")
_ONE_PASS = f"""
    SELECT count(*), {", ".join(f"count(*) FILTER ({name} IS NULL)" for name in _REQUIRED)},
           count(*) FILTER (NOT regexp_full_match(unit, '[0-9a-f]{{64}}')),
           count(*) FILTER (NOT regexp_full_match(basket, '[0-9a-f]{{64}}')),
           count(*) FILTER (quantity NOT BETWEEN 0 AND 100), count(*) FILTER (amount NOT BETWEEN 0 AND 1000),
           count(*) FILTER (week NOT BETWEEN 1 AND 53), count(*) FILTER (amount < 0),
           count(*) FILTER (quantity < 0), count(DISTINCT unit), count(DISTINCT week)
    FROM {_TABLE}
"""
_RESEMBLES = (
    r"[^\s@]+@[^\s@]+\.[a-z]{2,}|\+[1-9][0-9 ().-]{6,}|[A-Z]{2}[0-9]{2}[A-Z0-9 ]{11,}"
    r"|\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}|^[0-9]{9,18}$"
)


def compare(pairs: int, *, rows: int = 10_000_000) -> Comparison:
    with scratch() as home:
        run_side("gate", "make", str(rows), home=home)
        ours, theirs = in_turns(pairs, *(partial(_side, name, home) for name in ("house", "sql")))
    return Comparison(f"The gate over {rows:,} rows, vs hand-written SQL", ours, theirs, TARGET)


def _side(name: str, home: Path, _pair: int) -> Sample:
    return run_side("gate", name, "0", home=home)


def _run(side: str, rows: int) -> None:
    from orchestration.charter import load_charter
    from orchestration.engine.keystore import KeyStore
    from orchestration.engine.room import Room
    from orchestration.scope.expectations import compile_suite
    from orchestration.scope.gate import _great_expectations, run_gate
    from orchestration.settings import load_settings

    settings = load_settings()
    settings.root.mkdir(parents=True, exist_ok=True)
    keys = KeyStore(settings)
    keys.initialize()
    keys.create("room/grocery")
    charter = load_charter(PROJECT / "charters" / "grocery.yaml")
    suite = compile_suite(charter.dataset("transactions"), settings.expectations, charter)
    statistics: dict[str, float] = {}
    with Room(settings, keys, "grocery").open() as connection:
        if side == "make":
            report_side(lambda: connection.execute(f"CREATE TABLE {_TABLE} AS {_ROWS.format(rows=rows)}"))
        elif side == "sql":

            def script() -> None:
                connection.execute(_ONE_PASS).fetchall()
                for column in ("store", "product"):
                    connection.execute(
                        f"SELECT sum(n) FROM (SELECT {column} AS v, count(*) AS n FROM {_TABLE} GROUP BY ALL)"
                        " WHERE regexp_matches(v, ?)",
                        [_RESEMBLES],
                    ).fetchall()

            report_side(script)
        else:
            _great_expectations()

            def gate() -> None:
                result = run_gate(connection, _TABLE, suite)
                if not result.passed:
                    raise SystemExit(f"failed: {[check.rule.rule for check in result.failed]}")

            def details() -> dict[str, float]:
                begun = time.perf_counter()
                run_gate(connection, _TABLE, suite, keep_statistics=True)
                statistics["with_statistics_seconds"] = time.perf_counter() - begun
                return statistics

            report_side(gate, details=details)


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]))
