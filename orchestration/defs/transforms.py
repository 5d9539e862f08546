"""Stages 4 and 5 as dbt assets: the room's staging and intermediate tables, and the cells of a request.

dagster-dbt gives the assets, their dependencies and their tests from the manifest; running dbt is ours
(`computation/runner`), because its own resource hands dbt our whole environment and shows its error text.
"""

# No `from __future__ import annotations`: Dagster checks the context's annotation as an object.

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from orchestration.charter.model import Charter
from orchestration.computation.template import Template
from orchestration.defs.contributions import plotted
from orchestration.defs.names import (
    GROUP_COMPUTATION,
    deidentified_key,
    requests,
    shared_tags,
    template_key,
)
from orchestration.defs.resources import HouseResource
from orchestration.scope.anonymity_figures import numbers
from orchestration.stages import compute, refresh


class RoomTranslator(DagsterDbtTranslator):
    """dbt's nodes as assets of one collaboration: `<collaboration>/<layer>/<name>`."""

    def __init__(self, charter: Charter) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=False))
        self._charter = charter

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None:  # a source: an admitted entity
            name = manifest["sources"][unique_id]["name"]
            return spec.replace_attributes(key=dg.AssetKey([self._charter.collaboration, "admitted", name]))
        return spec.replace_attributes(
            key=self._key(node["schema"], node["name"]),
            deps=[dep for each in spec.deps for dep in self._upstream(each)],
            group_name=GROUP_COMPUTATION,
            owners=["team:operator"],
            kinds={"dbt", "duckdb"},
            tags=shared_tags(self._charter) | {"layer": node["schema"]},
            code_version=None,
        )

    def _key(self, schema: str, name: str) -> dg.AssetKey:
        return dg.AssetKey([self._charter.collaboration, schema, name.removeprefix("cells_")])

    def _upstream(self, dep: dg.AssetDep) -> Iterator[dg.AssetDep]:
        """An admitted entity is a view over the datasets that give it; those are what it depends on."""
        _, layer, name = dep.asset_key.path
        if layer != "admitted":
            yield dep
            return
        for dataset in self._charter.datasets:
            if dataset.entity == name:
                yield dg.AssetDep(deidentified_key(self._charter, dataset))


def room_assets(charter: Charter, manifest: Path) -> dg.AssetsDefinition:
    """Stage 4: all staging and intermediate models, refreshed together."""

    @dbt_assets(
        manifest=manifest,
        select="staging intermediate",
        name=f"{charter.collaboration}__room",
        dagster_dbt_translator=RoomTranslator(charter),
    )
    def room(context: dg.AssetExecutionContext, house: HouseResource) -> Iterator[dg.MaterializeResult[None]]:
        with house.step(context) as (opened, caller):
            refreshed = refresh.refresh(opened, charter, caller)
        for node in refreshed.result.nodes:
            if node.kind == "model":
                layer = "staging" if node.name.startswith("stg_") else "intermediate"
                # No row counts: how many households the parties share is a figure before output control.
                figures = numbers(refreshed.anonymity) if node.name == "int_units__joined" else {}
                yield dg.MaterializeResult(
                    asset_key=dg.AssetKey([charter.collaboration, layer, node.name]),
                    metadata={"receipt": dg.MetadataValue.text(refreshed.receipt_id), **plotted(figures)},
                )

    return room


def cells_assets(charter: Charter, template: Template, manifest: Path) -> dg.AssetsDefinition:
    """Stage 5 of one template: the cells of one request. How many there are stays in the room."""

    @dbt_assets(
        manifest=manifest,
        select=template.model,
        name=f"{charter.collaboration}__cells__{template.id}",
        partitions_def=requests(charter, template.id),
        dagster_dbt_translator=RoomTranslator(charter),
    )
    def cells(
        context: dg.AssetExecutionContext, house: HouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with house.step(context) as (opened, caller):
            logged = compute.compute(opened, charter, context.partition_key, caller)
        yield dg.MaterializeResult(
            asset_key=template_key(charter, "cells", template.id), metadata={"receipt": logged.receipt_id}
        )

    return cells
