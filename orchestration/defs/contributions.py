"""Stages 1 to 3 as assets of every dataset: contribution, de-identified table, and its gate as checks.

Partition: one delivery. The checks show what the gate answered; what lets the next stage run is the receipt
in our log, because a blocking check stops only its own run.
"""

# No `from __future__ import annotations`: Dagster checks the context's annotation as an object.

from collections.abc import Iterator, Mapping

import dagster as dg

from orchestration.audit.lineage_datasets import published_rows
from orchestration.charter.entities import ENTITIES
from orchestration.charter.model import Charter, Dataset
from orchestration.defs.names import (
    GROUP_SCOPE,
    contribution_key,
    deidentified_key,
    deliveries,
    shared_tags,
)
from orchestration.defs.resources import HouseResource
from orchestration.scope.anonymity_figures import numbers
from orchestration.scope.expectations import Rule, compile_suite
from orchestration.scope.gate import GateResult
from orchestration.settings import Settings
from orchestration.stages import deidentify, gate, intake


def contribution_asset(charter: Charter, dataset: Dataset) -> dg.AssetsDefinition:
    """Stage 1 of one dataset."""

    @dg.asset(
        key=contribution_key(charter, dataset),
        partitions_def=deliveries(charter, dataset),
        group_name=GROUP_SCOPE,
        owners=[f"team:{dataset.participant}"],
        kinds={"parquet"},
        tags=shared_tags(charter, dataset.classification),
        description=f"{dataset.title} of {dataset.participant}: checked, typed, encrypted in the vault.",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(field.name, field.sql_type, tags={"classification": field.classification})
                    for field in dataset.fields
                ]
            )
        },
    )
    def contribution(context: dg.AssetExecutionContext, house: HouseResource) -> dg.MaterializeResult[None]:
        with house.step(context) as (opened, caller):
            logged = intake.accept(opened, charter, dataset, context.partition_key, caller)
            payload = logged.event.payload
            rows = published_rows(getattr(payload, "rows", 0), charter.output.aggregation_threshold)
        return dg.MaterializeResult(metadata=_metadata(logged.receipt_id, rows))

    return contribution


def deidentified_asset(charter: Charter, dataset: Dataset) -> dg.AssetsDefinition:
    """Stage 2 of one dataset."""
    entity = ENTITIES[dataset.entity]
    present = {field.attribute for field in dataset.fields}

    @dg.asset(
        key=deidentified_key(charter, dataset),
        deps=[contribution_key(charter, dataset)],
        partitions_def=deliveries(charter, dataset),
        group_name=GROUP_SCOPE,
        owners=[f"team:{dataset.participant}"],
        kinds={"duckdb"},
        tags=shared_tags(charter, dataset.classification),
        description=f"{dataset.title} with every technique of the charter applied, in the encrypted room.",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(name, kind) for name, kind in entity.attributes.items() if name in present
                ]
            )
        },
    )
    def deidentified(context: dg.AssetExecutionContext, house: HouseResource) -> dg.MaterializeResult[None]:
        with house.step(context) as (opened, caller):
            contribution = intake.accepted_contribution(opened, charter, dataset, context.partition_key)
            logged = deidentify.deidentify(opened, charter, dataset, contribution, caller)
            rows = published_rows(
                getattr(logged.event.payload, "rows", 0), charter.output.aggregation_threshold
            )
            figures = numbers(getattr(logged.event.payload, "anonymity", None))
        return dg.MaterializeResult(metadata={**_metadata(logged.receipt_id, rows), **plotted(figures)})

    return deidentified


def gate_checks(charter: Charter, dataset: Dataset, settings: Settings) -> dg.AssetChecksDefinition:
    """Stage 3 of one dataset: one blocking check per critical rule of its suite."""
    suite = compile_suite(dataset, settings.expectations, charter)
    asset = deidentified_key(charter, dataset)

    @dg.multi_asset_check(
        name=f"{charter.collaboration}__gate__{dataset.id}",
        specs=[_spec(rule, asset) for rule in suite.rules],
    )
    def gate_of_dataset(
        context: dg.AssetCheckExecutionContext, house: HouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        with house.step(context) as (opened, caller):
            delivery = context.op_execution_context.partition_key
            contribution = intake.accepted_contribution(opened, charter, dataset, delivery)
            result = gate.check(opened, charter, dataset, contribution, caller)
        # Observations are what the UI plots over time; what they count is in the log, for everybody.
        context.op_execution_context.log_event(
            dg.AssetObservation(asset, partition=delivery, metadata=_over_time(result), description="Gate")
        )
        for check in result.checks:
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=check.rule.rule,
                passed=check.passed,
                severity=_severity(check.rule),
                description=check.rule.because or None,
                metadata={"expectation": check.rule.expectation, "measured": check.measured},
            )

    return gate_of_dataset


def _spec(rule: Rule, asset: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        rule.rule,
        asset=asset,
        blocking=rule.severity == "critical",
        description=rule.because or rule.expectation,
    )


def _severity(rule: Rule) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if rule.severity == "critical" else dg.AssetCheckSeverity.WARN


def plotted(figures: Mapping[str, float]) -> dict[str, dg.MetadataValue]:
    """Numbers as metadata, which Dagster plots over time."""
    return {
        name: dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(value)
        for name, value in figures.items()
    }


def _over_time(result: GateResult) -> dict[str, dg.MetadataValue]:
    """A gate in numbers that say nothing of any row: how many rules hold, warn, fail."""
    measured = len(result.measured)
    share = sum(check.passed for check in result.measured) / measured if measured else 0.0
    return plotted(
        {
            "gate/passed": int(result.passed),
            "gate/rules": measured,
            "gate/warnings": len(result.warned),
            "gate/failures": len(result.failed),
            "gate/share_passed": round(share, 3),
        }
    )


def _metadata(receipt_id: str, rows: int | None) -> dict[str, dg.MetadataValue]:
    shown: dict[str, dg.MetadataValue] = {"receipt": dg.MetadataValue.text(receipt_id)}
    if rows is not None:
        shown["dagster/row_count"] = dg.MetadataValue.int(rows)
    return shown
