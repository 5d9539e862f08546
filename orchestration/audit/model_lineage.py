"""Lineage of the dbt models, from the manifest dbt compiled them into.

Belongs here: what a manifest's nodes mean to lineage. Must not be here: how SQL is read
(`column_lineage.py`), running dbt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestration.audit.column_lineage import trace_query
from orchestration.audit.lineage_datasets import Column, Dataset, relation_name, room_namespace
from orchestration.charter.entities import ENTITIES


@dataclass(frozen=True)
class ModelLineage:
    """What one dbt model reads, and what it makes of it (`output.edges`)."""

    inputs: tuple[Dataset, ...]
    output: Dataset


def trace_dbt_manifest(
    manifest: Mapping[str, Any], collaboration: str, only: Collection[str] | None = None
) -> dict[str, ModelLineage]:
    """Lineage of the compiled models of a dbt manifest, by model name.

    Columns of models come from their YAML (contracts are enforced, so it is whole), those of the admitted
    views from the entities of the charter.

    Args:
        manifest: the JSON object of `target/manifest.json`, after dbt compiled or built.
        only: names of the models to trace; default: every compiled one.

    Raises: ConfigError (`lineage.untraceable`).
    """
    columns: dict[str, tuple[Column, ...]] = {
        f"admitted.{entity.name}": tuple(Column(name, kind) for name, kind in entity.attributes.items())
        for entity in ENTITIES.values()
    }
    names = {table: table for table in columns}
    queries: dict[str, tuple[str, str]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        schema, table = node["schema"].lower(), node["alias"].lower()
        relation = f"{schema}.{table}"
        names[relation] = relation_name(schema, table)
        columns[relation] = tuple(
            Column(name.lower(), column.get("data_type") or "", column.get("description") or "")
            for name, column in node["columns"].items()
        )
        if node.get("compiled_code") and (only is None or node["name"] in only):
            queries[node["name"]] = (relation, node["compiled_code"])
    schemas = {
        relation: {column.name: column.type for column in found} for relation, found in columns.items()
    }
    namespace = room_namespace(collaboration)

    def lineage_of(model: str, relation: str, sql: str) -> ModelLineage:
        found = trace_query(sql, schemas, model=model)
        edges = tuple(replace(edge, source_table=names[edge.source_table]) for edge in found.edges)
        return ModelLineage(
            tuple(Dataset(namespace, names[source], columns[source]) for source in found.tables),
            Dataset(namespace, names[relation], columns[relation], edges),
        )

    return {model: lineage_of(model, relation, sql) for model, (relation, sql) in queries.items()}
