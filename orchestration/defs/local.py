"""Running what waits from a command, in this process, through the same jobs that sensors and the UI start.

The runs stand in Dagster's storage like any other; its console log is off, because the command shows
progress of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import dagster as dg

from orchestration.charter.model import Charter
from orchestration.defs import liveness
from orchestration.defs.build import build_defs
from orchestration.defs.instance import open_instance
from orchestration.defs.names import (
    deliveries_name,
    intake_job_name,
    refresh_job_name,
    request_job_name,
    requests_name,
)
from orchestration.defs.resources import REQUEST_TAG, WORK_TAG
from orchestration.defs.sensors import run_tags
from orchestration.errors import GlasshouseError, public
from orchestration.house import House
from orchestration.stages import governance, landing, refresh, request, withdrawal
from orchestration.stages.recorder import Caller
from orchestration.stages.standing import require_standing


@dataclass(frozen=True)
class Step:
    """One run: what it is about, and how it ended. `problem` is a public error text."""

    kind: str
    subject: str
    succeeded: bool
    problem: str = ""


Progress = Callable[[str, str], None]


class LocalRuns:
    """Jobs of one house, run here and now. Use as a context manager."""

    def __init__(
        self, house: House, caller: Caller, on_start: Progress = lambda _kind, _subject: None
    ) -> None:
        self._house = house
        self._caller = caller
        self._on_start = on_start
        self._stack = ExitStack()

    def __enter__(self) -> LocalRuns:
        self._instance = self._stack.enter_context(open_instance(self._house.settings))
        liveness.end_dead_runs(self._instance, self._house.settings)
        self._repository = build_defs(self._house.settings).get_repository_def()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def everything(self, charter: Charter) -> Iterator[Step]:
        """Take in what landed, refresh the room if that changed it, answer what was asked.

        Raises: PolicyDeniedError while the collaboration does not run.
        """
        try:
            withdrawal.apply_due(self._house, charter.collaboration)
        except GlasshouseError as error:  # the data of others goes on meanwhile
            yield Step("withdrawal", charter.collaboration, False, str(public(error)))
        governance.settle(self._house, charter.collaboration)
        require_standing(self._house, charter)
        for waiting in landing.sort(self._house, charter, self._caller):
            yield self.intake(charter, waiting)
        if refresh.due(self._house, charter):
            yield self.refresh(charter)
        if refresh.current(self._house, charter) is not None:
            for permitted in request.permitted(self._house, charter):
                yield self.answer(charter, permitted.template, permitted.id)
        governance.settle(self._house, charter.collaboration)  # what was corrected lies sealed no longer

    def intake(self, charter: Charter, waiting: landing.Waiting) -> Step:
        """Stages 1 to 3 of one delivery."""
        self._on_start("intake", waiting.dataset.id)
        return self._run(
            charter,
            intake_job_name(charter, waiting.dataset),
            waiting.dataset.id,
            "intake",
            partition=(deliveries_name(charter, waiting.dataset), waiting.delivery),
            tags={WORK_TAG: f"{waiting.dataset.id}/{waiting.delivery}"},
        )

    def refresh(self, charter: Charter) -> Step:
        """Stage 4."""
        self._on_start("refresh", charter.collaboration)
        return self._run(charter, refresh_job_name(charter), charter.collaboration, "refresh")

    def answer(self, charter: Charter, template: str, request_id: str) -> Step:
        """Stages 5 to 7 of one request."""
        self._on_start("request", template)
        return self._run(
            charter,
            request_job_name(charter, template),
            request_id,
            "request",
            partition=(requests_name(charter, template), request_id),
            tags={REQUEST_TAG: request_id, WORK_TAG: request_id},
        )

    def _run(
        self,
        charter: Charter,
        job: str,
        subject: str,
        kind: str,
        *,
        partition: tuple[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Step:
        if partition is not None:
            self._instance.add_dynamic_partitions(partition[0], [partition[1]])
        result = self._repository.get_job(job).execute_in_process(
            instance=self._instance,
            partition_key=partition[1] if partition else None,
            tags=run_tags(charter, self._caller.actor, self._caller.justification) | (tags or {}),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        liveness.release(self._house.settings, result.run_id)
        return Step(kind, subject, result.success, "" if result.success else _problem(result))


def _problem(result: dg.ExecuteInProcessResult) -> str:
    """The public text that a failed step left, or which checks blocked what came after."""
    for event in result.get_step_failure_events():
        data = event.step_failure_data.user_failure_data
        if data is not None and data.description:
            return str(data.description)
    failed = [
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    if failed:
        return f"gate.failed: checks that do not hold: {', '.join(failed)}"
    return "The run failed; see it in Dagster (`make dev`)."
