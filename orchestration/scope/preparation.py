"""A contributor's own desk: raw rows become exactly what may leave it, and nothing raw stays behind.

Everything happens in an encrypted database whose key is in memory alone, in a folder that is swept even after
a kill, on a connection that reaches its origin and nothing else. Belongs here: the order of the steps. Must
not be here: where rows lie (`origin`), rules of rows (`coercion`), techniques (`deidentification`), what is
shown (`preview`), the seal (`package`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.model import Dataset
from orchestration.engine.duck import confine, connect, quote_name, quote_text
from orchestration.engine.fingerprint import fingerprint
from orchestration.engine.scratch import scratch
from orchestration.errors import ContributionError, QualityGateError, Reason, ServiceError, is_storage_full
from orchestration.scope.anonymity import Anonymity, measure
from orchestration.scope.coercion import Intake, compile_intake
from orchestration.scope.deidentification import Deidentification, compile_preparation
from orchestration.scope.expectations import compile_suite
from orchestration.scope.gate import GateResult, run_gate
from orchestration.scope.manifest import Quality
from orchestration.scope.normalization import register_normalizers
from orchestration.scope.origin import POSTGRES_KIND, UNREACHABLE, Origin, open_origin
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.source import EMPTY, MALFORMED
from orchestration.settings import Settings

NO_ROW_FITS = Reason(
    "prepare.no_row_fits",
    "None of the {rows:,} rows fits the charter's types and limits; reasons were {reasons}.",
    "Compare the source with the charter's fields.",
)
TOO_MANY_ROWS = Reason(
    "prepare.too_many_rows",
    "The source has {found:,} rows; the charter allows {limit:,} for {dataset}.",
    "Prepare fewer rows, or have the charter's limit changed.",
)
NOT_GOOD_ENOUGH = Reason(
    "prepare.not_good_enough",
    "The room would refuse these rows of {dataset}; failed checks: {rules}.",
    "Mend the source and prepare it again; nothing was written.",
)

TABLE = "prepared"
NotMeasured = Literal["aggregated", "about_nobody", "no_quasi_identifier"]
_FAULTS_OF_THE_DESK = (duckdb.OutOfMemoryException, duckdb.FatalException, duckdb.InternalException)


@dataclass(frozen=True)
class Preparation:
    """Prepared rows at the desk, in the table `prepared` of the connection, and what is known of them."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    dataset: Dataset
    origin: str
    compiled: Deidentification
    gate: GateResult
    anonymity: Anonymity | None
    rejected: dict[str, int]
    dropped: int
    rows: int
    content: str

    @property
    def quality(self) -> Quality:
        return Quality(
            rows=self.rows,
            rejected=self.rejected,
            dropped_columns=self.dropped,
            checks=len(self.gate.checks),
            warnings=tuple(each.rule.rule for each in self.gate.checks if not each.passed),
            k=None if self.anonymity is None else self.anonymity.k,
            unique=None if self.anonymity is None else round(self.anonymity.uniqueness, 6),
        )

    @property
    def not_measured(self) -> NotMeasured | None:
        """Why there is no k and no uniqueness; None when there is."""
        return _not_measured(self.dataset)

    @property
    def numbers_last(self) -> bool:
        """Whether a row has the same number when it is read again: a table of a server has no order."""
        return self.origin != POSTGRES_KIND

    def rejected_rows(self) -> Iterator[tuple[int, str]]:
        """Number (from 1, a header not counted) and reason of each row left out, in the source's order."""
        found = self.connection.execute("SELECT number, reason FROM rejected ORDER BY number")
        while rows := found.fetchmany(50_000):
            yield from ((int(number), str(reason)) for number, reason in rows)


@contextmanager
def prepared(
    settings: Settings,
    dataset: Dataset,
    location: str,
    key: bytes,
    on_step: Callable[[str], None] = lambda _: None,
) -> Iterator[Preparation]:
    """Prepare the rows at `location` (see `open_origin`); everything is gone when the context ends.

    Args:
        key: of the collaboration.
        on_step: told what begins, for progress.

    Raises: ContributionError when the source cannot be taken as a whole, QualityGateError
    (`prepare.not_good_enough`) when the room's gate would refuse it.
    """
    temporary = settings.root / "tmp"
    with connect(settings, in_order=True) as connection, scratch(temporary) as folder:
        register_normalizers(connection)
        on_step("Opening the source")
        origin = open_origin(connection, settings, location)
        connection.execute(
            f"ATTACH {quote_text(str(folder / 'desk.duckdb'))} AS room (ENCRYPTION_KEY ?)",
            [secrets.token_hex(32)],
        )
        connection.execute("CREATE SCHEMA room.deidentified")
        connection.execute("USE room.deidentified")
        confine(connection, files=origin.files, folders=[temporary])
        intake = compile_intake(dataset, origin.source)
        rejected = _fitting(connection, dataset, origin, intake, on_step)
        on_step("Applying the techniques")
        compiled = compile_preparation(dataset, "fitting")
        bind_keys(connection, collaboration=key)
        # In an order of their own: how the contributor keeps its rows is nobody's business.
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM ({compiled.query}) ORDER BY ALL")
        connection.execute("DROP TABLE fitting")
        on_step("Checking the quality")
        gate = run_gate(connection, TABLE, compile_suite(dataset, settings.expectations))
        if not gate.passed:
            rules = ", ".join(check.rule.rule for check in gate.failed)
            raise QualityGateError(NOT_GOOD_ENOUGH, dataset=dataset.id, rules=rules)
        on_step("Measuring anonymity")
        rows, content = fingerprint(connection, TABLE, key)
        anonymity = _anonymity(connection, dataset)
        yield Preparation(
            connection, folder, dataset, origin.kind, compiled, gate, anonymity, rejected, intake.dropped,
            rows, content,
        )  # fmt: skip


def _fitting(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    origin: Origin,
    intake: Intake,
    on_step: Callable[[str], None],
) -> dict[str, int]:
    """Read the source, within one transaction: rows that fit, and numbers and reasons of the others."""
    on_step("Reading the rows")
    try:
        connection.execute("BEGIN")
        rows = _count(connection, intake.rows)
        if rows == 0:
            raise ContributionError(EMPTY)
        if rows > dataset.max_rows:
            raise ContributionError(TOO_MANY_ROWS, found=rows, limit=dataset.max_rows, dataset=dataset.id)
        connection.execute(f"CREATE TABLE fitting AS {intake.kept}")
        connection.execute("CREATE TABLE rejected (number BIGINT, reason VARCHAR)")
        kept = _count(connection, "SELECT count(*) FROM fitting")
        if kept < rows:
            connection.execute(f"INSERT INTO rejected {intake.rejected}")
        connection.execute("COMMIT")
    except duckdb.Error as error:
        if is_storage_full(error) or isinstance(error, _FAULTS_OF_THE_DESK):
            raise
        if not origin.files or "://" in origin.files[0]:
            raise ServiceError(UNREACHABLE, what=f"The source ({origin.kind})") from None
        raise ContributionError(MALFORMED, format=origin.kind) from None
    counted = connection.execute("SELECT reason, count(*) FROM rejected GROUP BY reason ORDER BY reason")
    rejected = {str(reason): int(count) for reason, count in counted.fetchall()}
    if kept + sum(rejected.values()) != rows:  # it changed while it was read
        raise ContributionError(MALFORMED, format=origin.kind)
    if kept == 0:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejected.items())
        raise ContributionError(NO_ROW_FITS, rows=rows, reasons=reasons)
    return rejected


def _anonymity(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> Anonymity | None:
    """What the room will measure; None where there is nothing to measure."""
    if _not_measured(dataset):
        return None
    return measure(connection, TABLE, dataset.quasi_identifiers, dataset.sensitive_attributes, unit=UNIT)


def _not_measured(dataset: Dataset) -> NotMeasured | None:
    entity = ENTITIES[dataset.entity]
    if entity.aggregated:
        return "aggregated"
    if not entity.privacy_unit:
        return "about_nobody"
    return None if dataset.quasi_identifiers else "no_quasi_identifier"


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def selected(columns: tuple[str, ...]) -> str:
    """The query of everything that will leave the desk."""
    return f"SELECT {', '.join(map(quote_name, columns))} FROM {TABLE}"
