"""Whether a house may store a dataset: its country is among those the charter names for it.

Where a house stores data is a setting of whoever runs it, which no log can prove; so a stage asks this, and
the policies cannot. Must not be here: who may ask and open from where (`participants`).
"""

from __future__ import annotations

from orchestration.charter.model import Dataset
from orchestration.errors import ContributionError, Reason

RESIDENCY = Reason(
    "contribution.residency",
    "The charter keeps {dataset} in {countries}; this house stores data in {region}.",
    "Deliver to a house there. Who runs this one says where it is with GLASSHOUSE_REGION.",
)


def require_in_region(dataset: Dataset, region: str | None) -> None:
    """Refuse to store rows of a dataset that stays elsewhere.

    Args:
        region: ISO 3166-1 alpha-2 code of the house's country; None: nobody said, so it is nowhere.

    Raises: ContributionError (`contribution.residency`).
    """
    if dataset.residency is not None and region not in dataset.residency:
        raise ContributionError(
            RESIDENCY,
            dataset=dataset.id,
            countries=", ".join(dataset.residency),
            region=region or "no country that it names",
        )
