"""What a delivery declares, held against the charter: whose it is, for what, from when, and who signed it.

Belongs here: the checks that need the manifest, the charter and the registered keys. Must not be here: the
data file (`source`), and what happens to a delivery that is refused.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.audit.log import AuditLog
from orchestration.charter.model import Charter, Dataset
from orchestration.errors import ContributionError, GlasshouseError, Reason
from orchestration.participants.registry import registered_member
from orchestration.participants.state import State, moment
from orchestration.scope.manifest import (
    BAD_MANIFEST,
    Manifest,
    claimed_manifest,
    read_envelope,
    verified_manifest,
)

UNDECLARED_DATASET = Reason(
    "contribution.undeclared_dataset",
    "The charter of {collaboration} names no such dataset of {participant}.",
    "Deliver a dataset the charter names for you: {known}.",
)
WRONG_SIGNER = Reason(
    "contribution.wrong_signer",
    "The manifest is not signed by a steward or contributor in force of {participant}.",
    "Have a steward or contributor of {participant} sign the delivery with the active key.",
)
OTHER_COLLABORATION = Reason(
    "contribution.other_collaboration",
    "The manifest is made out to another collaboration or participant.",
    "Make the delivery again for {collaboration} and {participant}.",
)
OUTSIDE_CHARTER = Reason(
    "contribution.outside_charter_dates",
    "The charter of {collaboration} is in effect from {start} until {end}; this delivery is outside it.",
    "Deliver within these dates, or have the charter renewed.",
)
OUTSIDE_PERIOD = Reason(
    "contribution.outside_period",
    "The charter allows rows of {dataset} from {start} until {end}; the manifest declares others.",
    "Deliver rows of the permitted period only.",
)
PURPOSE = Reason(
    "contribution.purpose",
    "The manifest declares a purpose for which the charter does not permit {dataset}.",
    "Declare one or more of: {allowed}.",
)
NOT_ATTESTED = Reason(
    "contribution.not_attested",
    "Nobody has attested the onboarding checklist of {dataset}, or its attestation ended: {items} missing.",
    "A steward of {participant} attests it with evidence: `glasshouse dataset attest {dataset}`.",
)
_MAY_GIVE = frozenset({"steward", "contributor"})


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


def checked_manifest(log: AuditLog, charter: Charter, dataset: Dataset, envelope: dict[str, Any]) -> Manifest:
    """The manifest, after signature, signer, dates and purposes were checked against the charter.

    Raises: ContributionError, with the first of these that does not hold.
    """
    claim = claimed_manifest(envelope)
    signer_facts = {"participant": dataset.participant}
    try:
        signer = registered_member(log, charter.collaboration, claim.signer)
    except GlasshouseError:
        raise ContributionError(WRONG_SIGNER, **signer_facts) from None
    if signer.participant != dataset.participant or not _MAY_GIVE & set(signer.roles):
        raise ContributionError(WRONG_SIGNER, **signer_facts)
    manifest = verified_manifest(envelope, signer.public_key)
    if (manifest.collaboration, manifest.participant) != (charter.collaboration, dataset.participant):
        raise ContributionError(
            OTHER_COLLABORATION, collaboration=charter.collaboration, participant=dataset.participant
        )
    if manifest.dataset != dataset.id:
        raise ContributionError(
            UNDECLARED_DATASET,
            collaboration=charter.collaboration,
            participant=dataset.participant,
            known=dataset.id,
        )
    for day in (datetime.now(UTC).date(), manifest.created.date()):
        if not charter.effective_from <= day <= charter.effective_until:
            raise ContributionError(
                OUTSIDE_CHARTER,
                collaboration=charter.collaboration,
                start=charter.effective_from,
                end=charter.effective_until,
            )
    if manifest.period.first > manifest.period.last:
        raise ContributionError(BAD_MANIFEST, problems="period (ends before it begins)")
    if dataset.period and not (
        dataset.period.start <= manifest.period.first <= manifest.period.last <= dataset.period.end
    ):
        raise ContributionError(
            OUTSIDE_PERIOD, dataset=dataset.id, start=dataset.period.start, end=dataset.period.end
        )
    if not set(manifest.purposes) <= set(dataset.purposes):
        raise ContributionError(PURPOSE, dataset=dataset.id, allowed=", ".join(dataset.purposes))
    return manifest


def require_attested(state: State, dataset: Dataset) -> None:
    """Refuse a dataset whose contributor has not shown what the charter's onboarding checklist requires.

    Raises: ContributionError (`contribution.not_attested`).
    """
    required = {item.id for item in dataset.onboarding if item.required}
    if not required:
        return
    row = state.attested_dataset(dataset.id)
    shown = json.loads(row.evidence) if row is not None and state.at < moment(row.expires_at) else {}
    missing = sorted(required - set(shown))
    if missing:
        raise ContributionError(
            NOT_ATTESTED,
            dataset=dataset.id,
            participant=dataset.participant,
            items=", ".join(missing),
        )
