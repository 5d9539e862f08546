"""Before stage 1: which deliveries wait in the landing folders, and which dataset each one is for.

A folder without a manifest is still being delivered. A folder that can be given to no dataset is refused
here, on record, because no asset would ever pick it up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestration.charter.model import Charter, Dataset
from orchestration.errors import ContributionError
from orchestration.house import House
from orchestration.scope.manifest import MANIFEST_FILE, check_delivery_name
from orchestration.stages.intake import claimed_dataset, refuse_unknown
from orchestration.stages.recorder import Caller


@dataclass(frozen=True)
class Waiting:
    """A delivery and the dataset it claims to be."""

    dataset: Dataset
    delivery: str


def sort(house: House, charter: Charter, caller: Caller) -> list[Waiting]:
    """Deliveries ready for intake, oldest name first; hopeless ones are refused and sealed."""
    found = []
    for participant, folder in _complete(house, charter):
        try:
            check_delivery_name(folder.name)
            found.append(Waiting(claimed_dataset(charter, participant, folder), folder.name))
        except ContributionError as error:
            refuse_unknown(house, charter, participant, folder, error, caller)
    return found


def is_waiting(house: House, charter: Charter) -> bool:
    """Whether any complete delivery is still in a landing folder."""
    return bool(_complete(house, charter))


def _complete(house: House, charter: Charter) -> list[tuple[str, Path]]:
    return [
        (participant.id, folder)
        for participant in charter.participants
        for folder in sorted(house.landing(charter.collaboration, participant.id).glob("[!.]*"))
        if (folder / MANIFEST_FILE).exists()
    ]
