"""What things are called in Dagster: keys, groups, partitions, jobs and tags, each in one place.

Asset keys read `<collaboration>/<stage>/<name>`, the stages of DESIGN's table.
"""

from __future__ import annotations

import dagster as dg

from orchestration.charter.model import Charter, Dataset

GROUP_SCOPE = "layer_2_data_scope"
GROUP_COMPUTATION = "layer_3_computation"
GROUP_OUTPUT = "layer_4_output"


def contribution_key(charter: Charter, dataset: Dataset) -> dg.AssetKey:
    return dg.AssetKey([charter.collaboration, "contribution", dataset.id])


def deidentified_key(charter: Charter, dataset: Dataset) -> dg.AssetKey:
    return dg.AssetKey([charter.collaboration, "deidentified", dataset.id])


def template_key(charter: Charter, stage: str, template: str) -> dg.AssetKey:
    """`stage` is cells, protected or insight."""
    return dg.AssetKey([charter.collaboration, stage, template])


def deliveries(charter: Charter, dataset: Dataset) -> dg.DynamicPartitionsDefinition:
    """One partition per delivery of the dataset."""
    return dg.DynamicPartitionsDefinition(name=deliveries_name(charter, dataset))


def deliveries_name(charter: Charter, dataset: Dataset) -> str:
    return f"{charter.collaboration}.{dataset.id}.deliveries"


def requests(charter: Charter, template: str) -> dg.DynamicPartitionsDefinition:
    """One partition per permitted request of the template."""
    return dg.DynamicPartitionsDefinition(name=requests_name(charter, template))


def requests_name(charter: Charter, template: str) -> str:
    return f"{charter.collaboration}.{template}.requests"


def intake_job_name(charter: Charter, dataset: Dataset) -> str:
    return f"{charter.collaboration}__intake__{dataset.id}"


def refresh_job_name(charter: Charter) -> str:
    return f"{charter.collaboration}__refresh"


def request_job_name(charter: Charter, template: str) -> str:
    return f"{charter.collaboration}__request__{template}"


def shared_tags(charter: Charter, classification: str | None = None) -> dict[str, str]:
    tags = {"collaboration": charter.collaboration}
    return tags | {"classification": classification} if classification else tags
