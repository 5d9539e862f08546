"""Rules about floors of anonymity: each names what is there, and each limit can make a difference.

Must not be here: the shape of a floor (`anonymity`), or measuring one.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.charter.anonymity import AnonymityFloor
from orchestration.charter.entities import ENTITIES
from orchestration.charter.findings import Finding, Names
from orchestration.charter.model import Charter

_LIMITS = ("k", "uniqueness", "average_risk", "sensitive")
_SENSITIVE_LIMITS = ("distinct_l", "entropy_l", "t")


def check_anonymity(charter: Charter) -> Iterator[Finding]:
    """Everything wrong with the floors of the datasets and of the joined room."""
    for dataset in charter.datasets:
        floor, at = dataset.anonymity, ("datasets", dataset.id, "anonymity")
        if floor is None:
            continue
        if not ENTITIES[dataset.entity].privacy_unit:
            yield Finding(at, f"A {dataset.entity} is about nobody, so nobody can be found in it.")
            continue
        if not dataset.quasi_identifiers:
            message = "No field with classification quasi_identifier keeps its value in the room."
            yield Finding(at, message, ("a quasi_identifier that is passed, generalized or clamped",))
        yield from _limits(floor, at)
        yield from _sensitive(floor, at, dataset.sensitive_attributes)
        for attribute in dataset.quasi_identifiers if floor.suppress else ():
            if attribute in dataset.unique_key:
                message = f"Suppressing would empty '{attribute}', which unique_key needs."
                yield Finding((*at, "suppress"), message, ("0", "a unique_key without it"))
    if charter.joined_anonymity is not None:
        joined: Names = ("joined_anonymity",)
        profiles = [each for each in charter.datasets if each.entity == "profile"]
        known = tuple(dict.fromkeys(name for each in profiles for name in each.sensitive_attributes))
        yield from _limits(charter.joined_anonymity, joined)
        yield from _sensitive(charter.joined_anonymity, joined, known)


def _limits(floor: AnonymityFloor, at: Names) -> Iterator[Finding]:
    if not any(getattr(floor, name) for name in _LIMITS) and floor.uniqueness is None:
        yield Finding(at, "The floor states no limit.", _LIMITS)
    if floor.k is not None and floor.uniqueness is not None:
        message = f"With k {floor.k} nobody is unique, so this limit does nothing."
        yield Finding((*at, "uniqueness"), message, ("leave it out", "or leave out k"))
    if floor.k is not None and floor.average_risk is not None and floor.average_risk * floor.k >= 1:
        message = f"With k {floor.k} the risk is never above 1/{floor.k}, so this limit does nothing."
        yield Finding((*at, "average_risk"), message, (f"below 1/{floor.k}", "leave it out"))


def _sensitive(floor: AnonymityFloor, at: Names, known: tuple[str, ...]) -> Iterator[Finding]:
    seen: set[str] = set()
    for each in floor.sensitive:
        here = (*at, "sensitive", each.attribute)
        if each.attribute not in known:
            message = f"'{each.attribute}' is no attribute of a field with classification sensitive."
            yield Finding((*here, "attribute"), message, known)
        if each.attribute in seen:
            yield Finding((*here, "attribute"), f"'{each.attribute}' has a floor already.")
        seen.add(each.attribute)
        if all(getattr(each, name) is None for name in _SENSITIVE_LIMITS):
            yield Finding(here, f"'{each.attribute}' has no limit.", _SENSITIVE_LIMITS)
