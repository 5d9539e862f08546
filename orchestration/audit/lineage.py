"""Lineage of a stage as OpenLineage events: built here, stored with the log, forwarded by `forward.py`.

The only file that imports openlineage: its classes check what we build, its transports carry it away. A
stage builds its events and hands them to `AuditLog.append(event, lineage=[…])`, so they are stored in the
same transaction as the receipt, or the stage fails. Must not be here: sending anything from inside a stage
(a dead backend would hold it up), SQL text, paths, key names, or any value of a row.
"""

from __future__ import annotations

import base64
import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import attr
import requests
from openlineage.client import event_v2 as ol
from openlineage.client import facet_v2 as facets
from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport, TokenProvider
from openlineage.client.uuid import generate_new_uuid, generate_static_uuid

from orchestration.audit.lineage_datasets import Column, ColumnEdge, Dataset
from orchestration.audit.vocabulary import Stage, timestamp

LineageEvent = dict[str, Any]
Send = Callable[[Mapping[str, Any]], None]

PRODUCER = f"https://github.com/glasshouse/glasshouse/tree/v{importlib.metadata.version('glasshouse')}"
GOVERNANCE = "glasshouse_governance"
GOVERNANCE_SCHEMA = (
    "https://raw.githubusercontent.com/glasshouse/glasshouse/main/orchestration/audit/facets/"
    "GovernanceRunFacet.json"
)


@attr.define
class GovernanceRunFacet(facets.RunFacet):
    """Under which charter, for which purpose and on which receipts a stage ran."""

    charterDigest: str  # noqa: N815 - OpenLineage writes camel case
    collaboration: str
    stage: str
    receipts: list[str]
    purpose: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{GOVERNANCE_SCHEMA}#/$defs/GovernanceRunFacet"


@dataclass(frozen=True)
class ParentRun:
    """The orchestrator's run that a stage is a step of."""

    run_id: str
    job_name: str


@dataclass(frozen=True)
class StageRun:
    """One attempt at one stage. `job_name` is stable over runs: `<stage>.<what it makes>`."""

    run_id: str
    stage: Stage
    job_name: str
    collaboration: str
    charter_digest: str
    purpose: str | None = None
    parent: ParentRun | None = None

    @property
    def job_namespace(self) -> str:
        return f"glasshouse://{self.collaboration}"

    def child(self, job_name: str) -> StageRun:
        """A new run inside this one: a stage that makes several tables reports each on its own."""
        return replace(
            self, run_id=new_run_id(), job_name=job_name, parent=ParentRun(self.run_id, self.job_name)
        )


def new_run_id() -> str:
    """A fresh UUIDv7 for one attempt at a stage.

    A rerun after a kill gets another, so no run ever has two STARTs or two ends: attempts are told apart by
    this id, and joined by their parent and job. Consumers refuse UUIDv4.
    """
    return str(generate_new_uuid())


def parent_run_id(orchestrator_run: str, created: datetime) -> str:
    """The UUIDv7 that stands for a run of the orchestrator, whose own ids are version 4.

    Repeatable: every stage of that run finds the same one from its id and creation time alone.
    """
    return str(generate_static_uuid(created, orchestrator_run.encode()))


def started(
    run: StageRun, inputs: Sequence[Dataset], receipts: Sequence[str] = (), *, at: datetime | None = None
) -> LineageEvent:
    """The START event: what the stage is about to read, on which receipts."""
    return _event(run, ol.RunState.START, inputs, (), receipts, at)


def completed(
    run: StageRun,
    inputs: Sequence[Dataset],
    outputs: Sequence[Dataset],
    receipts: Sequence[str] = (),
    *,
    at: datetime | None = None,
) -> LineageEvent:
    """The COMPLETE event, with schema, column lineage, row counts and the checks of a gate.

    Args:
        inputs: with `assertions` when the stage is a gate.
        outputs: with `edges` that name inputs only.
        receipts: ids of the receipts the stage was given.

    Raises: ValueError when an edge names a dataset that is not an input, or a column nobody has.
    """
    return _event(run, ol.RunState.COMPLETE, inputs, outputs, receipts, at)


def failed(
    run: StageRun,
    inputs: Sequence[Dataset],
    code: str,
    message: str,
    receipts: Sequence[str] = (),
    *,
    at: datetime | None = None,
) -> LineageEvent:
    """The FAIL event. `code` and `message` are those of `errors.public`: safe to show to anybody."""
    error = facets.error_message_run.ErrorMessageRunFacet(
        message=f"{code}: {message}", programmingLanguage="PYTHON", producer=PRODUCER
    )
    return _event(run, ol.RunState.FAIL, inputs, (), receipts, at, {"errorMessage": error})


def _event(
    run: StageRun,
    state: ol.RunState,
    inputs: Sequence[Dataset],
    outputs: Sequence[Dataset],
    receipts: Sequence[str],
    at: datetime | None,
    more: Mapping[str, facets.RunFacet] | None = None,
) -> LineageEvent:
    known = {dataset.name: dataset for dataset in inputs}
    job_type = facets.job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="GLASSHOUSE", jobType="STAGE", producer=PRODUCER
    )
    event = ol.RunEvent(
        eventTime=timestamp(at or datetime.now(UTC)),
        eventType=state,
        producer=PRODUCER,
        run=ol.Run(run.run_id, {**_run_facets(run, receipts), **(more or {})}),
        job=ol.Job(run.job_namespace, run.job_name, {"jobType": job_type}),
        inputs=[_input(dataset) for dataset in inputs],
        outputs=[_output(dataset, known) for dataset in outputs],
    )
    return dict(Serde.to_dict(event))


def _run_facets(run: StageRun, receipts: Sequence[str]) -> dict[str, facets.RunFacet]:
    found: dict[str, facets.RunFacet] = {
        GOVERNANCE: GovernanceRunFacet(
            charterDigest=run.charter_digest,
            collaboration=run.collaboration,
            stage=run.stage,
            receipts=list(dict.fromkeys(receipts)),
            purpose=run.purpose,
            producer=PRODUCER,
        )
    }
    if run.parent:
        found["parent"] = facets.parent_run.ParentRunFacet(
            run=facets.parent_run.Run(run.parent.run_id),
            job=facets.parent_run.Job(run.job_namespace, run.parent.job_name),
            producer=PRODUCER,
        )
    return found


def _input(dataset: Dataset) -> ol.InputDataset:
    checks = facets.data_quality_assertions_dataset
    found: dict[str, facets.InputDatasetFacet] = {}
    if dataset.assertions:
        found["dataQualityAssertions"] = checks.DataQualityAssertionsDatasetFacet(
            assertions=[
                checks.Assertion(
                    assertion=check.expectation,
                    success=check.passed,
                    column=check.column,
                    severity="error",
                    name=check.rule,
                    params=None,
                )
                for check in dataset.assertions
            ],
            producer=PRODUCER,
        )
    return ol.InputDataset(dataset.namespace, dataset.name, inputFacets=found, facets=_described(dataset))


def _output(dataset: Dataset, inputs: Mapping[str, Dataset]) -> ol.OutputDataset:
    described = _described(dataset)
    if dataset.edges:
        described["columnLineage"] = _column_lineage(dataset, inputs)
    statistics: dict[str, facets.OutputDatasetFacet] = {}
    if dataset.rows is not None:
        statistics["outputStatistics"] = (
            facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=dataset.rows, producer=PRODUCER
            )
        )
    return ol.OutputDataset(dataset.namespace, dataset.name, outputFacets=statistics, facets=described)


def _described(dataset: Dataset) -> dict[str, facets.DatasetFacet]:
    schema = facets.schema_dataset
    if not dataset.columns:
        return {}
    return {
        "schema": schema.SchemaDatasetFacet(
            fields=[
                schema.SchemaDatasetFacetFields(name=c.name, type=c.type, description=c.description or None)
                for c in dataset.columns
            ],
            producer=PRODUCER,
        )
    }


def _column_lineage(dataset: Dataset, inputs: Mapping[str, Dataset]) -> facets.DatasetFacet:
    lineage = facets.column_lineage_dataset
    names = {column.name for column in dataset.columns}
    for edge in dataset.edges:
        if edge.source_table not in inputs or not _has(inputs[edge.source_table].columns, edge.source_column):
            raise ValueError("a lineage edge starts at a column that no input has")
        if edge.output and edge.output not in names:
            raise ValueError("a lineage edge ends at a column the output does not have")

    def sources(edges: Iterable[ColumnEdge]) -> list[Any]:
        grouped: dict[tuple[str, str], list[Any]] = {}
        for edge in edges:
            how = lineage.Transformation(type=edge.kind, subtype=edge.subtype, masking=edge.masking)
            grouped.setdefault((edge.source_table, edge.source_column), []).append(how)
        return [
            lineage.InputField(inputs[table].namespace, table, column, steps)
            for (table, column), steps in grouped.items()
        ]

    by_output: dict[str, list[ColumnEdge]] = {}
    for edge in sorted(dataset.edges):
        by_output.setdefault(edge.output, []).append(edge)
    return lineage.ColumnLineageDatasetFacet(
        dataset=sources(by_output.pop("", ())),
        fields={output: lineage.Fields(sources(edges)) for output, edges in by_output.items()},
        producer=PRODUCER,
    )


def _has(columns: Iterable[Column], name: str) -> bool:
    return any(column.name == name for column in columns)


# --- transports, built by hand: what OPENLINEAGE_DISABLED or an openlineage.yml says cannot silence them


class RejectedError(Exception):
    """A backend understood the request and will never take this event."""


class UnreachableError(Exception):
    """A backend could not take an event now. The text names the kind of failure, nothing of the address."""


class _Credentials(TokenProvider):
    """User and password as a header: the client logs the address, but never what this holds."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__({})
        self._header = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def get_bearer(self) -> str | None:
        return self._header


def file_sender(path: Path) -> Send:
    """Appends events to an NDJSON file. Raises RuntimeError when it cannot be written."""
    transport = FileTransport(FileConfig(log_file_path=str(path), append=True))

    def send(event: Mapping[str, Any]) -> None:
        transport.emit(event)  # type: ignore[arg-type]  # a transport takes the JSON object just as well

    return send


def http_sender(url: str, timeout_seconds: float) -> Send:
    """Posts events to `<url>/api/v1/lineage`, once each, without retrying.

    Raises: ValueError for something that is no address; when sending, RejectedError or UnreachableError.
    """
    parts = urlsplit(url)
    bare, user = _without_user(url), parts.username
    auth = _Credentials(unquote(user), unquote(parts.password or "")) if user else TokenProvider({})
    transport = HttpTransport(
        HttpConfig(url=bare, timeout=timeout_seconds, auth=auth, retry={"total": 0, "backoff_factor": 0})
    )

    def send(event: Mapping[str, Any]) -> None:
        try:
            transport.emit(event)  # type: ignore[arg-type]  # as above
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in {400, 413, 422}:
                raise RejectedError(f"HTTP {status}") from None
            raise UnreachableError(f"HTTP {status}") from None
        except requests.RequestException as error:
            raise UnreachableError(type(error).__name__) from None

    return send


def http_target(url: str) -> str:
    """The address without user, password, query or fragment: what may be shown and remembered."""
    return _without_user(url)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", ""))
