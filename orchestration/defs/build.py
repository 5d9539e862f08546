"""Assembling Dagster's definitions from the charters: which assets, jobs, sensors and schedules there are.

Belongs here: the list. Must not be here: what any of them does. Nothing is discovered; a part that is not
named here does not exist. Reads charters, expectations and dbt's manifest, and does no other I/O.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from orchestration.charter import Charter
from orchestration.computation.template import load_templates
from orchestration.defs import contributions, insights, names, schedules, sensors, transforms
from orchestration.defs.resources import HouseResource
from orchestration.errors import ConfigError
from orchestration.house import NO_HOUSE, OPERATOR, served_charters
from orchestration.settings import Settings, load_settings


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """Definitions of every charter this house serves: the agreed one, or else the one in its folder.

    Raises: ConfigError (`house.not_initialized`) before `glasshouse init` prepared dbt's manifest;
    CharterError when a charter has mistakes.
    """
    settings = settings or load_settings()
    manifest = settings.dbt_target / "manifest.json"
    if not manifest.is_file():
        raise ConfigError(NO_HOUSE, home=settings.home)
    charters = list(served_charters(settings).values())
    of_charters = [_of_charter(charter, manifest, settings) for charter in charters]
    common = dg.Definitions(
        jobs=[schedules.checkpoint_job, schedules.governance_job],
        schedules=[schedules.checkpoint_schedule(charters), schedules.governance_schedule],
        resources={"house": HouseResource()},
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(common, *of_charters)


def _of_charter(charter: Charter, manifest: Path, settings: Settings) -> dg.Definitions:
    templates = [load_templates()[each.template] for each in charter.computations]
    tags = sensors.run_tags(charter, OPERATOR, "Started in Dagster.")  # what starts a run otherwise says more
    intake_jobs = {
        dataset.id: dg.define_asset_job(
            names.intake_job_name(charter, dataset),
            selection=dg.AssetSelection.assets(
                names.contribution_key(charter, dataset), names.deidentified_key(charter, dataset)
            ),
            description=f"Stages 1 to 3 of one delivery of {dataset.title}.",
            run_tags=tags,
        )
        for dataset in charter.datasets
    }
    room = transforms.room_assets(charter, manifest)
    refresh_job = dg.define_asset_job(
        names.refresh_job_name(charter),
        selection=dg.AssetSelection.assets(room),
        description="Stage 4: the room takes in what passed its gates.",
        run_tags=tags,
    )
    request_jobs = {
        template.id: dg.define_asset_job(
            names.request_job_name(charter, template.id),
            selection=dg.AssetSelection.assets(
                *(
                    names.template_key(charter, stage, template.id)
                    for stage in ("cells", "protected", "insight")
                )
            ),
            description=f"Stages 5 to 7 of one request for {template.title}.",
            run_tags=tags,
        )
        for template in templates
    }
    return dg.Definitions(
        assets=[
            *(contributions.contribution_asset(charter, dataset) for dataset in charter.datasets),
            *(contributions.deidentified_asset(charter, dataset) for dataset in charter.datasets),
            room,
            *(transforms.cells_assets(charter, template, manifest) for template in templates),
            *(insights.protected_asset(charter, template) for template in templates),
            *(insights.insight_asset(charter, template) for template in templates),
        ],
        asset_checks=[contributions.gate_checks(charter, dataset, settings) for dataset in charter.datasets],
        jobs=[*intake_jobs.values(), refresh_job, *request_jobs.values()],
        sensors=[
            sensors.landing_sensor(charter, intake_jobs),
            sensors.withdrawal_sensor(charter),
            sensors.refresh_sensor(charter, refresh_job),
            sensors.request_sensor(charter, request_jobs),
        ],
    )
