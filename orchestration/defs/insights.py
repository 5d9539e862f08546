"""Stages 6 and 7 as assets of every template: the protected table and the released insight, by request."""

# No `from __future__ import annotations`: Dagster checks the context's annotation as an object.

import dagster as dg

from orchestration.audit.stage_events import OutputReleased
from orchestration.charter.model import Charter
from orchestration.computation.template import Template
from orchestration.defs.names import GROUP_OUTPUT, requests, shared_tags, template_key
from orchestration.defs.resources import HouseResource
from orchestration.stages import protect, release


def protected_asset(charter: Charter, template: Template) -> dg.AssetsDefinition:
    """Stage 6 of one template."""

    @dg.asset(
        key=template_key(charter, "protected", template.id),
        deps=[template_key(charter, "cells", template.id)],
        partitions_def=requests(charter, template.id),
        group_name=GROUP_OUTPUT,
        owners=["team:operator"],
        kinds={"python"},
        tags=shared_tags(charter),
        description=f"{template.title}: small cells hidden, and others, so that none follows from a total.",
    )
    def protected(context: dg.AssetExecutionContext, house: HouseResource) -> dg.MaterializeResult[None]:
        with house.step(context) as (opened, caller):
            logged = protect.protect_cells(opened, charter, context.partition_key, caller)
        return dg.MaterializeResult(metadata={"receipt": logged.receipt_id})

    return protected


def insight_asset(charter: Charter, template: Template) -> dg.AssetsDefinition:
    """Stage 7 of one template."""

    @dg.asset(
        key=template_key(charter, "insight", template.id),
        deps=[template_key(charter, "protected", template.id)],
        partitions_def=requests(charter, template.id),
        group_name=GROUP_OUTPUT,
        owners=["team:operator"],
        kinds={"parquet"},
        tags=shared_tags(charter),
        description=f"{template.title}: finding, charts and passport, on the shelf for its receivers.",
    )
    def insight(context: dg.AssetExecutionContext, house: HouseResource) -> dg.MaterializeResult[None]:
        with house.step(context) as (opened, caller):
            logged = release.release(opened, charter, context.partition_key, caller)
            payload = logged.event.payload
            name = payload.release if isinstance(payload, OutputReleased) else ""
        return dg.MaterializeResult(
            metadata={
                "receipt": logged.receipt_id,
                "release": name,
                "open it with": f"glasshouse open {name} --as MEMBER --why REASON",
            }
        )

    return insight
