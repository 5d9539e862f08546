"""What is recorded when data is taken back: by a contributor, or by the people it is about.

Belongs here: payloads of withdrawal, and of what it does to insights that rest on it. Must not be here: who
may withdraw (`participants/`), or what is destroyed for another reason (`governance_events.DataDestroyed`).
No payload says who was withdrawn, or how many: two answers and a small count would single a person out.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from orchestration.audit.vocabulary import Consequence, Digest, Handover, Name, Payload, Signed, Stage

WithdrawalReason = Literal["consent_withdrawn", "objection", "erasure", "error"]
OutdatedBy = Literal["people_withdrawn", "contribution_withdrawn", "superseded"]


class ContributionWithdrawn(Signed):
    """A contributor takes a delivery back; the house then destroys it. The subject is the contribution."""

    type: ClassVar = "contribution.withdrawn"
    contribution: Name
    dataset: Name
    reason: WithdrawalReason


class PeopleWithdrawn(Signed):
    """People whose rows the contributor takes back, from what it gave as a dataset and will give.

    The subject is the withdrawal's id. Who they are stands in a list in the vault; the log has its digest.
    """

    type: ClassVar = "people.withdrawn"
    dataset: Name
    reason: WithdrawalReason
    list_digest: Digest = Field(description="Of the encrypted list in the vault.")


class ContributionTrimmed(Handover):
    """A contribution without the rows of people who were withdrawn; stages 2 to 4 have to run again.

    Its receipt takes the place of the one the contribution had. `receipt.subject` is the contribution.
    """

    type: ClassVar = "contribution.trimmed"
    stage: ClassVar[Stage] = "contribution"
    contribution: Name
    dataset: Name
    withdrawals: tuple[Name, ...] = Field(min_length=1)
    vault_digest: Digest
    key_id: Name = Field(description="Of the new key; the old one is destroyed.")


class WithdrawalApplied(Payload):
    """Nothing of these people is left in what the contributor gave. The subject is the withdrawal."""

    type: ClassVar = "withdrawal.applied"
    dataset: Name
    contributions: tuple[Name, ...] = Field(description="Those that were searched for them, all there are.")


class OutputOutdated(Consequence):
    """A release rests on data that was taken back or replaced since. The subject is the release."""

    type: ClassVar = "output.outdated"
    release: Name
    by: OutdatedBy
    contributions: tuple[Name, ...] = Field(min_length=1)
    effect: Literal["stale", "recalled"]


class PseudonymsRotated(Payload):
    """The room's pseudonyms were made anew under another key. The subject is the collaboration."""

    type: ClassVar = "pseudonyms.rotated"
    key_id: Name


PAYLOADS: tuple[type[Payload], ...] = (
    ContributionWithdrawn,
    PeopleWithdrawn,
    ContributionTrimmed,
    WithdrawalApplied,
    OutputOutdated,
    PseudonymsRotated,
)
