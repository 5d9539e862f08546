"""Whether a contribution may be given: what its signed manifest says, held against the charter and the log.

Belongs here: rules over the state, the charter and the manifest; intake asks them before it reads the file,
and the guard again when the contribution is recorded. Must not be here: the data file (`scope/source`),
folders of deliveries (`scope/declaration`), or what happens to a refused delivery (`stages/intake`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from orchestration.audit import tables as t
from orchestration.audit.stage_events import ContributionAccepted
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_json
from orchestration.errors import ContributionError, PolicyDeniedError, Reason
from orchestration.participants import policy
from orchestration.participants.question import Question
from orchestration.participants.standing import require_running
from orchestration.participants.state import Grant, Key, State, moment, participant_of
from orchestration.scope.manifest import BAD_MANIFEST, Manifest, claimed_manifest, verified_manifest

UNDECLARED_DATASET = Reason(
    "contribution.undeclared_dataset",
    "The charter of {collaboration} names no such dataset of {participant}.",
    "Deliver a dataset the charter names for you: {known}.",
)
WRONG_SIGNER = Reason(
    "contribution.wrong_signer",
    "The manifest is not signed by a member in force of {participant} who may give its data.",
    "Have a steward, owner or contributor of {participant} sign the delivery with the active key.",
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
RAW = Reason(
    "contribution.raw_not_accepted",
    "The charter has {dataset} de-identified at its source; raw rows of it do not enter the room.",
    "Prepare them at your own desk: `glasshouse prepare FILE --dataset {dataset}`.",
)
OTHER_CHARTER = Reason(
    "contribution.other_charter",
    "The package was prepared under another version of the charter of {collaboration}.",
    "Have the house invite you anew (`glasshouse room invite`), and prepare the file again.",
)
NOTHING_TO_SUPERSEDE = Reason(
    "contribution.nothing_to_supersede",
    "The manifest says that it corrects a delivery of {dataset} that is not on record.",
    "Name one of this dataset's deliveries (`glasshouse status`), or leave out what it corrects.",
)
OTHER_MANIFEST = Reason(
    "contribution.other_manifest",
    "What is to be recorded as contribution {contribution} is not what its signed manifest says.",
    "Take the delivery in with `glasshouse run`, which records what was signed and checked.",
)


def contribution_id(charter: Charter, dataset: str, source_digest: str) -> str:
    """One name for one file, given as one dataset, under one charter: delivering it twice gives the same id.

    Under a new version of the charter the same file is a new contribution: it is given for other terms.
    """
    return f"{dataset}-{digest_json([charter.digest, dataset, source_digest])[7:19]}"


def is_contribution_of(dataset: str, name: str) -> bool:
    """Whether contributions of this dataset are named like this; a list of people, say, is not."""
    return re.fullmatch(rf"{re.escape(dataset)}-[0-9a-f]{{12}}", name) is not None


def given_by(dataset: Dataset) -> list[tuple[str, str]]:
    """What must not be under dispute while anything is done with rows of this dataset."""
    return [("dataset", dataset.id), ("participant", dataset.participant)]


def require_declared(state: State, charter: Charter, dataset: Dataset, envelope: dict[str, Any]) -> Manifest:
    """The manifest, after everything it declares, and who signed it, was checked.

    Raises: PolicyDeniedError when the collaboration does not run, like `standing.require_running`: then the
    delivery may wait; ContributionError with the first reason for which it may not be given.
    """
    require_running(state, charter.digest, participants=[dataset.participant], subjects=given_by(dataset))
    claim = claimed_manifest(envelope)
    key = state.active_key(claim.signer)
    if key is None or participant_of(claim.signer) != dataset.participant:
        raise ContributionError(WRONG_SIGNER, participant=dataset.participant)
    manifest = verified_manifest(envelope, key.public_key)
    for refusal in _mistakes(state, charter, dataset, manifest):
        raise refusal
    if not all(policy.allows(state, each) for each in _questions(dataset, manifest)):
        raise ContributionError(WRONG_SIGNER, participant=dataset.participant)
    return manifest


def signing_key(state: State, participant: str, envelope: dict[str, Any]) -> Key | None:
    """The key in force of the member of this participant who verifiably signed; None: nobody known did."""
    try:
        signer = claimed_manifest(envelope).signer
        key = state.active_key(signer)
        if key is None or participant_of(signer) != participant:
            return None
        verified_manifest(envelope, key.public_key)
    except ContributionError:
        return None
    return key


def emergency_grant(state: State, dataset: Dataset, manifest: Manifest) -> Grant | None:
    """The emergency grant without which the signer could not give this; None when it needs none."""
    lent = (policy.emergency_grant(state, each) for each in _questions(dataset, manifest))
    return next((each for each in lent if each is not None), None)


def require_as_signed(state: State, charter: Charter, payload: ContributionAccepted) -> Manifest:
    """Refuse to record a contribution that its manifest does not say, or that may not be given.

    Raises: like `require_declared`; PolicyDeniedError (`contribution.other_manifest`).
    """
    dataset = charter.dataset(payload.dataset)
    manifest = require_declared(state, charter, dataset, payload.manifest)
    contribution = payload.receipt.subject
    said = (manifest.participant, manifest.signer, manifest.purposes, manifest.sha256, manifest.rows)
    corrects = payload.supersedes == manifest.supersedes
    rows = payload.rows + sum(payload.quarantined_rows.values())
    told = (payload.participant, payload.signer, payload.purposes, payload.source_digest, rows)
    made = contribution_id(charter, dataset.id, manifest.content)
    vault = payload.receipt.outputs == {"vault": payload.vault_digest}
    if said != told or not corrects or made != contribution or not vault or rows > dataset.max_rows:
        raise PolicyDeniedError(OTHER_MANIFEST, contribution=contribution)
    return manifest


def _questions(dataset: Dataset, manifest: Manifest) -> Iterator[Question]:
    for purpose in manifest.purposes:
        yield Question(manifest.signer, "contribute", dataset.id, {"purpose": purpose})


def _mistakes(
    state: State, charter: Charter, dataset: Dataset, manifest: Manifest
) -> Iterator[ContributionError]:
    """Every way in which a signed manifest does not fit the charter, in the order of telling."""
    facts = {"collaboration": charter.collaboration, "participant": dataset.participant}
    if (manifest.collaboration, manifest.participant) != (charter.collaboration, dataset.participant):
        yield ContributionError(OTHER_COLLABORATION, **facts)
    if manifest.prepared is None and not dataset.takes_raw:
        yield ContributionError(RAW, dataset=dataset.id)
    if manifest.prepared is not None and manifest.prepared.charter != charter.digest:
        yield ContributionError(OTHER_CHARTER, **facts)
    if manifest.dataset != dataset.id:
        yield ContributionError(UNDECLARED_DATASET, **facts, known=dataset.id)
    for day in (state.at.date(), manifest.created.date()):
        if not charter.effective_from <= day <= charter.effective_until:
            start, end = charter.effective_from, charter.effective_until
            yield ContributionError(
                OUTSIDE_CHARTER, collaboration=charter.collaboration, start=start, end=end
            )
    period = manifest.period
    if period.first > period.last:
        yield ContributionError(BAD_MANIFEST, problems="period (ends before it begins)")
    allowed = dataset.period
    if allowed and not (allowed.start <= period.first <= period.last <= allowed.end):
        yield ContributionError(OUTSIDE_PERIOD, dataset=dataset.id, start=allowed.start, end=allowed.end)
    if not set(manifest.purposes) <= set(dataset.purposes):
        yield ContributionError(PURPOSE, dataset=dataset.id, allowed=", ".join(dataset.purposes))
    if manifest.supersedes is not None and not _is_own(state, dataset, manifest.supersedes):
        yield ContributionError(NOTHING_TO_SUPERSEDE, dataset=dataset.id)
    missing = _not_attested(state, dataset)
    if missing:
        yield ContributionError(
            NOT_ATTESTED,
            dataset=dataset.id,
            participant=dataset.participant,
            items=", ".join(missing),
        )


def _is_own(state: State, dataset: Dataset, name: str) -> bool:
    """Whether there is such a contribution or refusal: of this dataset, or of none that was known."""
    rows = state.rows(t.contributions, contribution=name, participant=dataset.participant)
    return any(row.dataset in (dataset.id, None) for row in rows)


def _not_attested(state: State, dataset: Dataset) -> list[str]:
    """What the charter's onboarding checklist requires, and the contributor has not shown."""
    required = {item.id for item in dataset.onboarding if item.required}
    row = state.attested_dataset(dataset.id) if required else None
    shown = json.loads(row.evidence) if row is not None and state.at < moment(row.expires_at) else {}
    return sorted(required - set(shown))
