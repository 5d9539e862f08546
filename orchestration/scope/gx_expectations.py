"""Glasshouse's own expectations, as Great Expectations knows them: the second and last file that knows GX.

Belongs here: one class for each measure (`measures`), with its arguments, so that GX refuses unknown ones;
and the metric they share. Must not be here: SQL, or what an answer means.

Importing this file imports GX, which takes seconds, so only `gate` does, lazily.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from orchestration.scope import measures
from orchestration.scope.measures import Measured
from orchestration.settings import silence_telemetry

silence_telemetry()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine
    from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
    from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial
    from great_expectations.expectations.metrics.metric_provider import metric_value
    from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

_METRIC = "glasshouse.measured"
_KEYS = (
    *("measure", "column", "column_list", "min_value", "max_value", "change", "limit", "dataset", "mirrored"),
    *("missing", "tolerance", "shares", "population", "reach", "largest_share", "dispersion", "after"),
)


class Engine(SqlAlchemyExecutionEngine):  # type: ignore[misc]  # GX ships no usable types
    """GX's engine for one gate: it knows the table, and keeps what was counted.

    `counted` maps the id of each metric to its value; our own metrics are a `Measured`.
    """

    def __init__(self, subject: measures.Subject, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.subject = subject
        self.counted: dict[Any, Any] = {}

    def resolve_metrics(self, *arguments: Any, **named: Any) -> Any:
        resolved = super().resolve_metrics(*arguments, **named)
        self.counted.update(resolved)
        return resolved


class MeasuredMetric(TableMetricProvider):  # type: ignore[misc]
    """Calls the measure; the same measure with the same arguments is called once."""

    metric_name = _METRIC
    value_keys = _KEYS

    @metric_value(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _measured(
        cls,  # noqa: N805  GX passes it by name
        execution_engine: Engine,
        metric_value_kwargs: Mapping[str, Any],
        **_: Any,
    ) -> Measured:
        given = {key: value for key, value in metric_value_kwargs.items() if value is not None}
        return _MEASURES[given.pop("measure")](execution_engine.subject, **given)


class PseudonymMetric(ColumnMapMetricProvider):  # type: ignore[misc]
    """A condition on each value: GX counts it in one query together with all others of its kind."""

    condition_metric_name = "column_values.pseudonym"

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy(cls, column: Any, **_: Any) -> Any:  # noqa: N805  GX passes it by name
        """64 hexadecimal digits: what is left after them is nothing."""
        from sqlalchemy import func

        return (func.length(column) == 64) & (func.ltrim(column, "0123456789abcdef") == "")


class ExpectColumnValuesToBePseudonyms(ColumnMapExpectation):  # type: ignore[misc]
    map_metric: ClassVar = "column_values.pseudonym"


class _Expectation(BatchExpectation):  # type: ignore[misc]
    """What all of ours have in common; abstract, so GX does not register it."""

    metric_dependencies: ClassVar = (_METRIC,)
    success_keys: ClassVar = _KEYS
    args_keys: ClassVar = _KEYS

    def _validate(self, metrics: Mapping[str, Any], **_: Any) -> dict[str, bool]:
        """No answer yet is no failure; `gate` reads the difference from the metric itself."""
        return {"success": metrics[_METRIC].passed is not False}


class ExpectColumnToHoldNoPersonalData(_Expectation):
    measure: str = "no_personal_data"
    column: str


class ExpectGroupsToHaveAtLeast(_Expectation):
    measure: str = "smallest_group"
    column_list: list[str]
    min_value: int


class ExpectRowsToBeFresh(_Expectation):
    measure: str = "fresh"
    column_list: list[str]
    max_value: int


class ExpectRowCountToChangeByAtMost(_Expectation):
    measure: str = "volume"
    change: float


class ExpectDistributionToBeStable(_Expectation):
    measure: str = "drift"
    column: str
    limit: float


class ExpectValuesToExistInDataset(_Expectation):
    measure: str = "referring"
    column: str
    dataset: str
    missing: float
    mirrored: bool = False


class ExpectSegmentsToKeepTheirShares(_Expectation):
    measure: str = "segments"
    column: str
    tolerance: float
    shares: dict[str, float] | None = None


class ExpectUnitOverlapToBeBetween(_Expectation):
    measure: str = "overlap"
    dataset: str
    min_value: float
    max_value: float
    mirrored: bool = False


class ExpectKeyspaceNotToBeExhausted(_Expectation):
    measure: str = "keyspace"
    population: int
    reach: float


class ExpectUnitsToLookNatural(_Expectation):
    measure: str = "natural_units"
    largest_share: float
    dispersion: float


class ExpectColumnNotToBeGiven(_Expectation):
    measure: str = "not_given"
    column: str
    after: str | None = None


_MEASURES: dict[str, Callable[..., Measured]] = {
    "no_personal_data": measures.no_personal_data,
    "smallest_group": measures.smallest_group,
    "fresh": measures.fresh,
    "volume": measures.volume,
    "drift": measures.drift,
    "referring": measures.referring,
    "segments": measures.segments,
    "overlap": measures.overlap,
    "keyspace": measures.keyspace,
    "natural_units": measures.natural_units,
    "not_given": measures.not_given,
}
