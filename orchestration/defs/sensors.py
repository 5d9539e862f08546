"""What starts work without a click: deliveries that landed, gates that passed, requests that were permitted.

Each sensor reads our folders and our log to know what there is to do, never Dagster's event storage, which
anyone with its port can write. Of Dagster it asks only whether that work is being done already: work whose
run was killed is started again, a few times an hour.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.charter.model import Charter
from orchestration.defs import liveness
from orchestration.defs.names import (
    deliveries_name,
    intake_job_name,
    request_job_name,
    requests_name,
)
from orchestration.defs.resources import (
    ACTOR_TAG,
    CHARTER_TAG,
    COLLABORATION_TAG,
    REASON_TAG,
    REQUEST_TAG,
    WORK_TAG,
    public_errors,
)
from orchestration.digests import digest_json
from orchestration.errors import PolicyDeniedError
from orchestration.house import OPERATOR, House
from orchestration.settings import load_settings
from orchestration.stages import governance, landing, refresh, request, withdrawal
from orchestration.stages.recorder import Caller
from orchestration.stages.standing import require_standing

_MOST_FAILURES = 3  # an hour


def landing_sensor(charter: Charter, jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """A run per waiting delivery; what belongs to no dataset is refused and recorded on the spot."""

    @dg.sensor(
        name=f"{charter.collaboration}__landing",
        jobs=list(jobs.values()),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Deliveries in the landing folders of the participants.",
    )
    def on_landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = load_settings()
        with public_errors(), House.opened(settings) as house:
            liveness.end_dead_runs(context.instance, settings)
            if (stopped := _stopped(house, charter)) is not None:
                return stopped
            caller = Caller(OPERATOR, "Found in the landing folder.")
            waiting = landing.sort(house, charter, caller)
        if not waiting:
            return dg.SkipReason("No delivery is waiting.")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    job_name=intake_job_name(charter, each.dataset),
                    partition_key=each.delivery,
                    run_key=key,
                    tags=run_tags(charter, OPERATOR, "Found in the landing folder.") | {WORK_TAG: work},
                )
                for each in waiting
                if (key := _attempt(context.instance, work := f"{each.dataset.id}/{each.delivery}"))
            ],
            dynamic_partitions_requests=[
                dg.DynamicPartitionsDefinition(name=deliveries_name(charter, each.dataset)).build_add_request(
                    [each.delivery]
                )
                for each in waiting
            ],
        )

    return on_landing


def refresh_sensor(charter: Charter, job: dg.UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """One refresh for whatever passed its gates since the last, once no delivery is waiting."""

    @dg.sensor(
        name=f"{charter.collaboration}__refresh_due",
        job=job,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Contributions that passed their gate and are not in the room yet.",
    )
    def on_gates(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with public_errors(), House.opened(load_settings()) as house:
            if (stopped := _stopped(house, charter)) is not None:
                return stopped
            if landing.is_arriving(house, charter):
                return dg.SkipReason("Deliveries are still on their way in.")
            due = refresh.due(house, charter)
        if not due:
            return dg.SkipReason("The room is up to date.")
        work = f"refresh/{digest_json([*sorted(due)])[7:23]}"
        key = _attempt(context.instance, work)
        if key is None:
            return dg.SkipReason("A refresh is running, or failed several times this hour: see its runs.")
        return dg.RunRequest(
            run_key=key,
            tags=run_tags(charter, OPERATOR, "Contributions passed their gates.") | {WORK_TAG: work},
        )

    return on_gates


def withdrawal_sensor(charter: Charter) -> dg.SensorDefinition:
    """Takes out the people whose withdrawal is due; landing and refresh then see to the rest."""

    @dg.sensor(
        name=f"{charter.collaboration}__withdrawals",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="People who are taken out of what was contributed, once enough of them leave together.",
    )
    def on_withdrawals(_: dg.SensorEvaluationContext) -> dg.SkipReason:
        with public_errors(), House.opened(load_settings()) as house:
            logged = withdrawal.apply_due(house, charter.collaboration)
            logged += governance.settle(house, charter.collaboration) if logged else []
        return dg.SkipReason(
            f"{len(logged)} events recorded." if logged else "Nobody is to be taken out now."
        )

    return on_withdrawals


def request_sensor(charter: Charter, jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """A run per permitted request, once there is a room to ask."""

    @dg.sensor(
        name=f"{charter.collaboration}__requests",
        jobs=list(jobs.values()),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests that the charter permits and nobody has run yet.",
    )
    def on_requests(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        with public_errors(), House.opened(load_settings()) as house:
            if (stopped := _stopped(house, charter)) is not None:
                return stopped
            if refresh.current(house, charter) is None:
                return dg.SkipReason("The room has not been refreshed yet.")
            permitted = request.permitted(house, charter)
        if not permitted:
            return dg.SkipReason("No request is waiting.")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    job_name=request_job_name(charter, each.template),
                    partition_key=each.id,
                    run_key=key,
                    tags=run_tags(charter, each.requester, f"Purpose: {each.purpose}")
                    | {REQUEST_TAG: each.id, WORK_TAG: each.id},
                )
                for each in permitted
                if (key := _attempt(context.instance, each.id))
            ],
            dynamic_partitions_requests=[
                dg.DynamicPartitionsDefinition(name=requests_name(charter, each.template)).build_add_request(
                    [each.id]
                )
                for each in permitted
            ],
        )

    return on_requests


def _stopped(house: House, charter: Charter) -> dg.SkipReason | None:
    """Why nothing may start: frozen, closed, not agreed yet, or these definitions are of an older charter."""
    try:
        require_standing(house, charter)
    except PolicyDeniedError as error:
        return dg.SkipReason(f"{error.message} {error.next_step}")
    return None


def _attempt(instance: dg.DagsterInstance, work: str) -> str | None:
    """The run key of the next attempt; None while one is running, or after too many failures in an hour."""
    runs = instance.get_run_records(dg.RunsFilter(tags={WORK_TAG: work}))
    recently = datetime.now(UTC) - timedelta(hours=1)
    failed = [
        each for each in runs if each.dagster_run.is_failure_or_canceled and each.create_timestamp > recently
    ]
    if any(not each.dagster_run.is_finished for each in runs) or len(failed) >= _MOST_FAILURES:
        return None
    return f"{work}#{len(runs) + 1}"


def run_tags(charter: Charter, actor: str, reason: str) -> dict[str, str]:
    """Who, why and under which charter: Dagster itself has no users."""
    return {
        ACTOR_TAG: actor,
        REASON_TAG: reason,
        COLLABORATION_TAG: charter.collaboration,
        CHARTER_TAG: charter.digest,
    }
