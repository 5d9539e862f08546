"""What starts work without a click: deliveries that landed, gates that passed, requests that were permitted.

Each sensor reads our folders and our log, never Dagster's event storage, which anyone with its port can
write. Run keys name the thing to do, so nothing is started twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from orchestration.charter.model import Charter
from orchestration.defs.names import (
    deliveries_name,
    intake_job_name,
    request_job_name,
    requests_name,
)
from orchestration.defs.resources import ACTOR_TAG, CHARTER_TAG, COLLABORATION_TAG, REASON_TAG, REQUEST_TAG
from orchestration.digests import digest_json
from orchestration.house import OPERATOR, House
from orchestration.settings import load_settings
from orchestration.stages import landing, refresh, request
from orchestration.stages.recorder import Caller


def landing_sensor(charter: Charter, jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """A run per waiting delivery; what belongs to no dataset is refused and recorded on the spot."""

    @dg.sensor(
        name=f"{charter.collaboration}__landing",
        jobs=list(jobs.values()),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Deliveries in the landing folders of the participants.",
    )
    def on_landing() -> dg.SensorResult | dg.SkipReason:
        with House.opened(load_settings()) as house:
            caller = Caller(OPERATOR, "Found in the landing folder.")
            waiting = landing.sort(house, charter, caller)
        if not waiting:
            return dg.SkipReason("No delivery is waiting.")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    job_name=intake_job_name(charter, each.dataset),
                    partition_key=each.delivery,
                    run_key=f"{each.dataset.id}/{each.delivery}",
                    tags=run_tags(charter, OPERATOR, "Found in the landing folder."),
                )
                for each in waiting
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
    def on_gates() -> Iterator[dg.RunRequest | dg.SkipReason]:
        with House.opened(load_settings()) as house:
            if landing.is_waiting(house, charter):
                yield dg.SkipReason("Deliveries are still on their way in.")
                return
            due = refresh.due(house, charter)
        if not due:
            yield dg.SkipReason("The room is up to date.")
            return
        yield dg.RunRequest(
            run_key=digest_json([*sorted(due)]),
            tags=run_tags(charter, OPERATOR, "Contributions passed their gates."),
        )

    return on_gates


def request_sensor(charter: Charter, jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """A run per permitted request, once there is a room to ask."""

    @dg.sensor(
        name=f"{charter.collaboration}__requests",
        jobs=list(jobs.values()),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests that the charter permits and nobody has run yet.",
    )
    def on_requests() -> dg.SensorResult | dg.SkipReason:
        with House.opened(load_settings()) as house:
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
                    run_key=each.id,
                    tags=run_tags(charter, each.requester, f"Purpose: {each.purpose}")
                    | {REQUEST_TAG: each.id},
                )
                for each in permitted
            ],
            dynamic_partitions_requests=[
                dg.DynamicPartitionsDefinition(name=requests_name(charter, each.template)).build_add_request(
                    [each.id]
                )
                for each in permitted
            ],
        )

    return on_requests


def run_tags(charter: Charter, actor: str, reason: str) -> dict[str, str]:
    """Who, why and under which charter: Dagster itself has no users."""
    return {
        ACTOR_TAG: actor,
        REASON_TAG: reason,
        COLLABORATION_TAG: charter.collaboration,
        CHARTER_TAG: charter.digest,
    }
