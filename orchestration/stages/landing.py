"""Before stage 1: which deliveries wait for intake, and which dataset each one is for.

A folder without a manifest is still being delivered. A folder that can be given to no dataset is refused
here, on record, because no asset would ever pick it up. A delivery that was accepted, and whose run was then
killed before the gate spoke, waits as well: running it again does the rest.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from orchestration.audit import tables
from orchestration.charter.model import Charter, Dataset
from orchestration.errors import ContributionError
from orchestration.house import House
from orchestration.scope.declaration import claimed_dataset
from orchestration.scope.manifest import MANIFEST_FILE, check_delivery_name
from orchestration.stages import quarantine
from orchestration.stages.intake import refuse_unknown
from orchestration.stages.recorder import Caller

_ARRIVING_SECONDS = 600


@dataclass(frozen=True)
class Waiting:
    """A delivery and the dataset it claims to be."""

    dataset: Dataset
    delivery: str


def sort(house: House, charter: Charter, caller: Caller) -> list[Waiting]:
    """Deliveries to run, unfinished ones first; hopeless ones are refused and sealed.

    What lies there of a participant that is not active stays where it is: it may be its own again one day.
    """
    active = _active(house, charter)
    waiting = (each for each in _unfinished(house, charter) if each.dataset.participant in active)
    found = dict.fromkeys(waiting)  # a set that keeps its order
    for participant in charter.participants:
        quarantine.sweep(house.landing(charter.collaboration, participant.id))
    for participant_id, folder in _complete(house, charter):
        if participant_id not in active:
            continue
        try:
            check_delivery_name(folder.name)
            found[Waiting(claimed_dataset(charter, participant_id, folder), folder.name)] = None
        except ContributionError as error:
            refuse_unknown(house, charter, participant_id, folder, error, caller)
    return list(found)


def is_arriving(house: House, charter: Charter) -> bool:
    """Whether a delivery came in these minutes; one that is stuck for longer must not hold up the others."""
    recently = time.time() - _ARRIVING_SECONDS
    return any(folder.lstat().st_mtime > recently for _, folder in _complete(house, charter))


def is_waiting(house: House, charter: Charter) -> bool:
    """Whether any delivery has yet to be taken in, or has not come as far as its gate."""
    return bool(_complete(house, charter) or _unfinished(house, charter))


def _active(house: House, charter: Charter) -> set[str]:
    with house.state(charter.collaboration) as state:
        return {each.id for each in charter.participants if state.participant_status(each.id) == "active"}


def _complete(house: House, charter: Charter) -> list[tuple[str, Path]]:
    return [
        (participant.id, folder)
        for participant in charter.participants
        for folder in sorted(house.landing(charter.collaboration, participant.id).glob("[!.]*"))
        if os.path.lexists(folder / MANIFEST_FILE)
    ]


def _unfinished(house: House, charter: Charter) -> list[Waiting]:
    """Accepted deliveries whose gate has not spoken, in the order they were accepted."""
    table = tables.contributions.c
    query = (
        select(table.dataset, table.delivery)
        .where(
            table.collaboration == charter.collaboration,
            table.charter_digest == charter.digest,
            table.status == "accepted",
            table.gate.is_(None),
        )
        .order_by(table.seq)
    )
    with house.log.read() as connection:
        rows = connection.execute(query).all()
    known = {dataset.id: dataset for dataset in charter.datasets}
    return [Waiting(known[row.dataset], row.delivery) for row in rows if row.dataset in known]
