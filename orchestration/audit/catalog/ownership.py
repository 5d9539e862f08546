"""Whose what is: datasets, tables made of them and insights, with the strictest of their owners' terms.

Belongs here: following tables back to contributions, and joining the terms of all they were made of. Must
not be here: the graph itself (`audit/lineage_graph`), enforcing a licence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestration.audit.lineage_datasets import Layer
from orchestration.audit.lineage_graph import LineageGraph
from orchestration.charter.model import Charter


@dataclass(frozen=True)
class Artefact:
    """A table or an insight. What is derived has the owners of all behind it, and may do no more than each.

    `datasets` is what it was made of, also what only decided which rows there are.
    """

    name: str
    layer: Layer
    owners: tuple[str, ...]
    datasets: tuple[str, ...]
    licences: tuple[str, ...]
    redistribution: bool
    columns: int
    made_at: str | None


def artefacts(graph: LineageGraph, charter: Charter) -> tuple[Artefact, ...]:
    """Everything in the lineage, in the order of its layers."""
    known = {each.id: each for each in charter.datasets}
    origins = _origins(graph)
    found = []
    for table in graph.tables:
        datasets = [known[each] for each in sorted(origins[table.id]) if each in known]
        found.append(
            Artefact(
                name=table.name,
                layer=table.layer,
                owners=_each_once(each.participant for each in datasets),
                datasets=tuple(each.id for each in datasets),
                licences=_each_once(each.license.id for each in datasets),
                redistribution=bool(datasets) and all(each.license.redistribution for each in datasets),
                columns=len(table.columns),
                made_at=table.made.at if table.made else None,
            )
        )
    return tuple(found)


def made_of(every: Iterable[Artefact], dataset: str) -> tuple[Artefact, ...]:
    """What was made of a dataset, nearest first, itself left out."""
    return tuple(
        each for each in every if dataset in each.datasets and each.name != f"contribution.{dataset}"
    )


def _origins(graph: LineageGraph) -> Mapping[str, set[str]]:
    """Table id → the datasets it was made of.

    A reader may see that data of others was joined but not its way there: a de-identified table counts too.
    """
    found: dict[str, set[str]] = {table.id: set() for table in graph.tables}
    following: dict[str, list[str]] = {}
    for source, target in graph.table_edges:
        following.setdefault(source, []).append(target)
    for table in graph.tables:
        if table.layer in ("contribution", "deidentified"):
            dataset = table.name.partition(".")[2]
            waiting = [table.id]
            while waiting:
                here = waiting.pop()
                if dataset not in found[here]:
                    found[here].add(dataset)
                    waiting += following.get(here, ())
    return found


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
