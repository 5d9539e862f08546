"""Rules about classes that need explicit safeguards: a dataset has all that the taxonomy forces.

Must not be here: what a class forces (`taxonomy.yaml`), rules of one field alone (`field_checks`). A field
that is dropped forces nothing: it never meets the data of others.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.charter.findings import Finding, Names
from orchestration.charter.governance import DEFAULT_RIGHT, DecisionRight
from orchestration.charter.model import Charter, Computation, Dataset, Drop
from orchestration.charter.taxonomy import CLASSES, FieldClass


def check_safeguards(charter: Charter) -> Iterator[Finding]:
    """Everything that is missing for the classes of fields that reach the room."""
    for dataset in charter.datasets:
        for found in _classes(dataset):
            yield from _of_dataset(charter, dataset, found)
            if found.safeguards.ethics_panel:
                yield from _ethics(charter, dataset, found)


def _classes(dataset: Dataset) -> list[FieldClass]:
    """The classes of what reaches the room, each once."""
    names = [each.classification for each in dataset.fields if not isinstance(each.technique, Drop)]
    return [CLASSES[name] for name in dict.fromkeys(names)]


def _of_dataset(charter: Charter, dataset: Dataset, found: FieldClass) -> Iterator[Finding]:
    at: Names = ("datasets", dataset.id)
    wanted = found.safeguards.threshold_factor * charter.output.aggregation_threshold
    stated = max(dataset.threshold or 0, charter.output.aggregation_threshold)
    if stated < wanted:
        message = f"It has a field of class {found.name}: its cells need {wanted} units."
        yield Finding((*at, "threshold"), message, (f"{wanted} or more",), needs=("output",))
    bases = found.safeguards.lawful_bases
    if bases and dataset.lawful_basis not in bases:
        message = f"{dataset.lawful_basis} is no ground for a field of class {found.name}."
        yield Finding((*at, "lawful_basis"), message, bases)


def _ethics(charter: Charter, dataset: Dataset, found: FieldClass) -> Iterator[Finding]:
    if charter.ethics_panel is None:
        message = f"Dataset {dataset.id} has a field of class {found.name}: an ethics panel is needed."
        yield Finding(("ethics_panel",), message, ("ethics_panel: {members, quorum}",), ("ethics_panel",))
    for computation in charter.computations:
        if set(computation.purposes) & set(dataset.purposes):
            right = _right(charter, computation)
            if right is None or found.name not in right.ethics_for:
                message = f"It may read {dataset.id}, which has a field of class {found.name}."
                allowed = (f"a decision right with ethics_for: [{found.name}]",)
                at: Names = ("computations", computation.template, "approval")
                yield Finding(at, message, allowed, needs=("decision_rights",))


def _right(charter: Charter, computation: Computation) -> DecisionRight | None:
    """The right that its requests wait for; None: they wait for nobody."""
    if computation.approval is not None:
        known = {DEFAULT_RIGHT.id: DEFAULT_RIGHT} | {each.id: each for each in charter.decision_rights}
        return known.get(computation.approval)
    return charter.right_for("request") if charter.maturity == "manual_approvals" else None
