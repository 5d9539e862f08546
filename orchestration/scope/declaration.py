"""Which dataset a delivery in the landing folder says it is.

Belongs here: reading the claim of a folder nobody has checked yet. Must not be here: whether it may be given
(`participants/deliveries`), the data file (`source`), and what happens to a delivery that is refused.
"""

from __future__ import annotations

from pathlib import Path

from orchestration.charter.model import Charter, Dataset
from orchestration.errors import ContributionError
from orchestration.participants.deliveries import UNDECLARED_DATASET
from orchestration.scope.manifest import claimed_manifest, read_envelope


def claimed_dataset(charter: Charter, participant: str, folder: Path) -> Dataset:
    """The dataset a waiting delivery says it is; checked in full by `accept`.

    Raises: ContributionError (`no_manifest`, `bad_manifest`, `unsigned`, `undeclared_dataset`).
    """
    claim = claimed_manifest(read_envelope(folder))
    own = {dataset.id: dataset for dataset in charter.datasets if dataset.participant == participant}
    if claim.dataset not in own:
        raise ContributionError(
            UNDECLARED_DATASET,
            collaboration=charter.collaboration,
            participant=participant,
            known=", ".join(own) or "none",
        )
    return own[claim.dataset]
