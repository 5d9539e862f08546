"""Column lineage of what dbt just built, from the manifest's columns and the SQL that actually ran."""

from __future__ import annotations

import json

from orchestration.audit.model_lineage import ModelLineage, trace_dbt_manifest
from orchestration.charter.model import Charter
from orchestration.computation.runner import DbtResult, prepare_manifest
from orchestration.house import House


def traced_models(house: House, charter: Charter, result: DbtResult) -> dict[str, ModelLineage]:
    """Lineage of each model of `result`, by model name.

    Raises: ConfigError (`lineage.untraceable`): a model whose lineage is unknown does not pass.
    """
    manifest = json.loads(prepare_manifest(house.settings).read_bytes())
    executed = {node.name: node.sql for node in result.nodes if node.kind == "model"}
    for node in manifest["nodes"].values():
        node["compiled_code"] = executed.get(node["name"])
    return trace_dbt_manifest(manifest, charter.collaboration, only=executed.keys())
