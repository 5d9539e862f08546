"""Running a suite with Great Expectations on the full table inside DuckDB.

This file and `gx_expectations`, which gives GX expectations of our own, are the only ones that know GX.

GX is kept from failing open. It drops expectation types it does not know, calls an empty suite a success,
and puts raw values into its default results; so every rule must come back with an answer of its own, in
BOOLEAN_ONLY form, and anything that is not a clear yes counts as no. How many rows broke a rule is read from
GX's metrics, never from its results. GX closes the cursor before it
fetches, which loses DuckDB's result: an event hook reads the rows first.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import duckdb

from orchestration.engine.duck import quote_name
from orchestration.errors import QualityGateError, Reason
from orchestration.scope.expectations import Rule, Suite
from orchestration.scope.measures import Evidence, Figure, Measured, Subject
from orchestration.scope.statistics import Statistics
from orchestration.settings import silence_telemetry

EMPTY_SUITE = Reason(
    "gate.empty_suite",
    "The suite of {dataset} has no rules, so its gate cannot pass.",
    "Write expectations for the dataset's entity; a gate without rules is no gate.",
)
NOT_UNDERSTOOD = Reason(
    "gate.not_understood",
    "The suite of {dataset} asks what this version does not understand: {expectation} in rule {rule}.",
    "Correct the expectation's name or arguments; a rule that is not understood is never skipped.",
)
FAILED = Reason(
    "gate.failed",
    "{dataset} failed {failed} of {total} checks: {rules}. The room keeps the last version that passed.",
    "The steward mends these in the source and delivers again; `glasshouse status` lists them.",
)

_BROKEN, _MISSING = ".unexpected_count", "column_values.nonnull.unexpected_count"
_BOOLEAN_ONLY = {"result_format": {"result_format": "BOOLEAN_ONLY"}}


@dataclass(frozen=True)
class Check:
    """One rule and whether it holds.

    `measured` False: there is nothing to compare with yet, which is neither. `figures` are counts and shares
    of one party's table, for its steward only; they enter no log and no metadata.
    """

    rule: Rule
    passed: bool
    measured: bool = True
    figures: Mapping[str, Figure] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class GateResult:
    """The answer of a whole suite, one check per rule, in the suite's order; and the table in figures."""

    suite: Suite
    checks: tuple[Check, ...]
    statistics: Statistics | None = field(default=None, compare=False, repr=False)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.passed and c.rule.severity == "critical")

    @property
    def warned(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.passed and c.rule.severity == "warning")

    @property
    def measured(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.measured)

    @property
    def passed(self) -> bool:
        return any(c.rule.severity == "critical" for c in self.measured) and not self.failed

    def require(self) -> None:
        """Raises: QualityGateError (`gate.failed`) naming the rules that do not hold."""
        if not self.passed:
            raise QualityGateError(
                FAILED,
                dataset=self.suite.dataset,
                failed=len(self.failed),
                total=len(self.checks),
                rules=", ".join(check.rule.rule for check in self.failed),
            )


def run_gate(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    suite: Suite,
    evidence: Evidence | None = None,
    *,
    keep_statistics: bool = False,
) -> GateResult:
    """Check every row of `table`, a name in the connection's current schema.

    Args:
        evidence: what there is to compare with; without it, such rules are not measured.
        keep_statistics: count what later contributions are compared with, too.

    Raises: QualityGateError (`gate.empty_suite`, `gate.not_understood`); a rule that cannot be computed is
    a failed check, not an error.
    """
    if not suite.rules:
        raise QualityGateError(EMPTY_SUITE, dataset=suite.dataset)
    gx = _great_expectations()
    configurations = [_configured(gx, suite.dataset, rule) for rule in suite.rules]
    cursor = connection.cursor()
    # A cursor starts in the in-memory catalog; the table is in the caller's current schema.
    cursor.execute("USE room.deidentified")
    subject = Subject(cursor, quote_name(table), evidence or Evidence())
    try:
        answers = _validate(gx, cursor, table, configurations, subject)
        statistics = subject.statistics if keep_statistics else None
        subject.drop_temporary()
    finally:
        cursor.close()
    unanswered = Measured(False)
    checks = []
    for rule in suite.rules:
        answer = answers.get(rule.rule, unanswered)
        measured = answer.passed is not None
        checks.append(Check(rule, answer.passed is not False, measured, answer.figures))
    return GateResult(suite, tuple(checks), statistics)


def _configured(gx: Any, dataset: str, rule: Rule) -> Any:
    """The rule in GX's form, once it is sure that it means something and can fail.

    Raises: QualityGateError (`gate.not_understood`).
    """
    configuration = gx.ExpectationConfiguration(
        type=rule.expectation, kwargs=dict(rule.arguments), meta={"rule": rule.rule}
    )
    try:
        if rule.expectation not in gx.known() or _is_vacuous(rule):
            raise ValueError
        configuration.to_domain_obj()
    # GX and its models complain in many types, about our own rule and before any data is read.
    except Exception:
        raise QualityGateError(
            NOT_UNDERSTOOD, dataset=dataset, expectation=rule.expectation, rule=rule.rule
        ) from None
    return configuration


def _is_vacuous(rule: Rule) -> bool:
    """Whether the rule holds for any table: it asks of no row, of no share of rows, or for no bound."""
    arguments = rule.arguments
    mostly = arguments.get("mostly", 1)
    bounds = arguments.get("min_value"), arguments.get("max_value")
    return (
        bool({"row_condition", "condition_parser"} & arguments.keys())
        or not isinstance(mostly, int | float)
        or not mostly > 0
        or (rule.expectation.endswith("_to_be_between") and bounds == (None, None))
    )


def _validate(
    gx: Any, cursor: duckdb.DuckDBPyConnection, table: str, configurations: list[Any], subject: Subject
) -> dict[str, Measured]:
    """Answers by rule id; a rule without exactly one clear answer is a no."""
    engine = gx.sqlalchemy.create_engine(
        "duckdb:///:memory:",
        creator=lambda: gx.ConnectionWrapper(cursor),
        poolclass=gx.StaticPool,
    )
    gx.sqlalchemy.event.listen(engine, "after_cursor_execute", gx.buffer_result)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    execution = gx.Engine(subject, engine=engine)
    data = gx.SqlAlchemyBatchData(execution_engine=execution, table_name=table, create_temp_table=False)
    validator = gx.Validator(execution_engine=execution, batches=[gx.Batch(data=data)], data_context=context)
    results = validator.graph_validate(configurations, runtime_configuration=dict(_BOOLEAN_ONLY))
    answers: dict[str, Measured] = {}
    for result in results:
        rule = str(result.expectation_config.meta["rule"])
        # `success` of a rule whose metric raised is False as well; said twice because it must hold.
        clear = result.success is True and not _raised(result.exception_info)
        if rule in answers:
            answers[rule] = Measured(False)
        else:
            answers[rule] = _answer(execution, result.expectation_config, clear=clear)
    return answers


def _answer(execution: Any, configuration: Any, *, clear: bool) -> Measured:
    """The answer with its figures: our own measures bring theirs, of GX's only counts of rows are taken."""
    asked = configuration.to_domain_obj().get_validation_dependencies(execution, dict(_BOOLEAN_ONLY))
    counted = {name: execution.counted.get(each.id) for name, each in asked.metric_configurations.items()}
    for value in counted.values():
        if isinstance(value, Measured):
            # "Not yet" is said by a measure that ran to its end, or not at all.
            return value if clear else Measured(False, value.figures)
    broken = {name: value for name, value in counted.items() if name.endswith(_BROKEN)}
    if len(broken) > 1:
        broken.pop(_MISSING, None)  # asked for only to know of how many rows the rule speaks
    rows = next((value for value in broken.values() if isinstance(value, int)), None)
    return Measured(clear, {} if rows is None else {"rows": rows})


def _raised(info: dict[str, Any]) -> bool:
    """GX reports either one exception record or one per failed metric."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(record.get("raised_exception", True) for record in info.values())


def _buffer_result(
    _connection: Any, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

    if cursor.description:
        context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
            cursor, initial_buffer=cursor.fetchall()
        )


@cache
def _great_expectations() -> SimpleNamespace:
    """Import GX once, on first use (it takes seconds), with analytics off and its logger quiet.

    Its log lines carry SQL, and its analytics would leave the house.
    """
    logger = logging.getLogger("great_expectations")
    logger.handlers, logger.propagate = [logging.NullHandler()], False  # some of its modules set own levels
    silence_telemetry()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as package
        import sqlalchemy
        from duckdb_engine import ConnectionWrapper
        from great_expectations.core.batch import Batch
        from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
        from great_expectations.expectations.registry import list_registered_expectation_implementations
        from great_expectations.validator.validator import Validator
        from sqlalchemy.pool import StaticPool

        from orchestration.scope.gx_expectations import Engine

    return SimpleNamespace(
        Batch=Batch,
        ConnectionWrapper=ConnectionWrapper,
        Engine=Engine,
        ExpectationConfiguration=ExpectationConfiguration,
        SqlAlchemyBatchData=SqlAlchemyBatchData,
        StaticPool=StaticPool,
        Validator=Validator,
        buffer_result=_buffer_result,
        get_context=package.get_context,
        known=cache(lambda: frozenset(list_registered_expectation_implementations())),
        sqlalchemy=sqlalchemy,
    )
