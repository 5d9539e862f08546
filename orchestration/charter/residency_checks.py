"""Rules about where data may be: a residency that nobody could keep, or that nobody could tell, is a mistake.

Must not be here: which house stores what (`stages/intake`), who may ask and open (the policies of
`participants`).
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.charter.findings import Finding, Names
from orchestration.charter.model import Charter, Dataset


def check_residency(charter: Charter) -> Iterator[Finding]:
    """One house can hold all datasets, and everybody they concern says where it is."""
    bound = [each for each in charter.datasets if each.residency]
    yield from _one_house(bound)
    concerned: dict[str, str] = {}
    for dataset in bound:
        stays = f"Dataset {dataset.id} stays in {', '.join(dataset.residency or ())}"
        concerned.setdefault(dataset.participant, f"{stays}; '{dataset.participant}', who gives it,")
        for computation in charter.computations:
            if set(computation.purposes) & set(dataset.purposes):
                for party in (*computation.requesters, *computation.receivers):
                    by = f"{stays}; '{party}', who asks for or receives {computation.template},"
                    concerned.setdefault(party, by)
    for participant in charter.participants:
        if participant.id in concerned and participant.jurisdiction is None:
            message = f"{concerned[participant.id]} does not say where it is."
            at: Names = ("participants", participant.id, "jurisdiction")
            yield Finding(at, message, ("a country, such as DE",), needs=at[:-1])


def _one_house(bound: list[Dataset]) -> Iterator[Finding]:
    """A house is in one country, and joins what all gave."""
    common: set[str] | None = None
    for dataset in bound:
        places = set(dataset.residency or ())
        if common is not None and not common & places:
            message = "No country is left in which one house could hold it together with the datasets above."
            yield Finding(
                ("datasets", dataset.id, "residency"), message, tuple(sorted(common)), ("datasets",)
            )
            return
        common = places if common is None else common & places
