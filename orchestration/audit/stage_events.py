"""What the stages between a delivery and an opened insight record.

Belongs here: payloads of data moving through the house. Must not be here: what people agree and decide
(`governance_events`). No payload may carry a value of a customer's row.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, JsonValue, field_validator

from orchestration.audit.vocabulary import (
    Consequence,
    Count,
    Detail,
    Digest,
    Document,
    Grown,
    Handover,
    Name,
    Parameter,
    Payload,
    Signed,
    Stage,
    Time,
)


class ContributionAccepted(Grown, Handover):
    """`receipt.subject` is the contribution id."""

    later: ClassVar = frozenset({"quarantine_digest", "supersedes"})

    type: ClassVar = "contribution.accepted"
    stage: ClassVar[Stage] = "contribution"
    dataset: Name
    participant: Name
    delivery: Name
    rows: Count
    quarantined_rows: dict[str, Count] = Field(default_factory=dict, description="Reason code → rows.")
    quarantine_digest: Digest | None = Field(
        default=None, description="Of the rejected rows' numbers and reasons, sealed for the signer."
    )
    supersedes: Name | None = Field(
        default=None, description="The contribution, or refused delivery, that the manifest says it corrects."
    )
    dropped_columns: Count = 0
    source_digest: Digest
    vault_digest: Digest
    key_id: Name
    signer: Name
    purposes: tuple[str, ...] = Field(min_length=1, description="What the steward gave it for.")
    manifest: dict[str, JsonValue] = Field(description="The steward's signed statement, a DSSE envelope.")


class ContributionRefused(Grown):
    """The event's subject is the contribution id."""

    later: ClassVar = frozenset({"sealed_for", "quarantine_digest"})

    type: ClassVar = "contribution.refused"
    dataset: str | None
    participant: Name
    delivery: Name
    code: Name
    message: str
    next_step: str
    rows: Count | None = None
    sealed: str | None = Field(default=None, description="File name of the sealed copy, if one was kept.")
    sealed_for: tuple[Name, ...] = Field(
        default=(), description="Members who can open the sealed copy; none: the house itself."
    )
    quarantine_digest: Digest | None = Field(default=None, description="Of the sealed copy.")


class AnonymityFigures(Document):
    """How well rows hide among others, rounded so that everybody may know (`scope/anonymity_figures`)."""

    k: Count
    uniqueness: float = Field(ge=0, le=1)
    average_risk: float = Field(ge=0, le=1)
    suppressed: float = Field(default=0.0, ge=0, le=1)
    l_distinct: dict[str, Count] = Field(default_factory=dict, description="Sensitive attribute → values.")
    l_entropy: dict[str, float] = Field(default_factory=dict)
    t: dict[str, float] = Field(default_factory=dict)


class DatasetDeidentified(Handover):
    type: ClassVar = "dataset.deidentified"
    stage: ClassVar[Stage] = "deidentified"
    dataset: Name
    contribution: Name
    table: Name
    rows: Count
    techniques: dict[str, str] = Field(description="Entity attribute → kind of technique.")
    anonymity: AnonymityFigures | None = None


class GateCheck(Document):
    rule: Name
    expectation: Name
    column: str | None = None
    severity: Literal["critical", "warning"] = "critical"
    passed: bool


class GatePassed(Handover):
    """A gate with critical checks, all of which passed; anything less is `gate.failed`."""

    type: ClassVar = "gate.passed"
    stage: ClassVar[Stage] = "gate"
    dataset: Name
    contribution: Name
    table: Name
    suite_digest: Digest
    checks: tuple[GateCheck, ...]

    @field_validator("checks")
    @classmethod
    def _all_passed(cls, checks: tuple[GateCheck, ...]) -> tuple[GateCheck, ...]:
        critical = [check.passed for check in checks if check.severity == "critical"]
        if not critical or not all(critical):
            raise ValueError("a gate without critical checks, or with a failed one, has not passed")
        return checks


class GateFailed(Payload):
    """A failed gate hands over nothing, and takes back the receipt of an earlier pass."""

    type: ClassVar = "gate.failed"
    dataset: Name
    contribution: Name
    table: Name
    charter_digest: Digest
    suite_digest: Digest
    run_id: Name
    checks: tuple[GateCheck, ...]


class RoomRefreshed(Handover):
    """How many rows joining the parties gives is a figure before output control, so it is not here."""

    type: ClassVar = "room.refreshed"
    stage: ClassVar[Stage] = "room"
    tables: dict[str, tuple[str, ...]] = Field(description="Entity → contributions it is made of.")
    anonymity: AnonymityFigures | None = Field(default=None, description="Of the joined privacy units.")


class RequestSubmitted(Signed):
    """The event's subject is the request id."""

    type: ClassVar = "request.submitted"
    template: Name
    parameters: dict[str, Parameter]
    purpose: Name
    requester: Name
    participant: Name
    charter: Digest | None = Field(default=None, description="The charter in force when it was asked.")
    datasets: tuple[Name, ...] = Field(default=(), description="Datasets whose rows the answer reads.")
    approval: Name | None = Field(
        default=None, description="Decision right that must approve it; the decision has the request's id."
    )


class RequestDecided(Consequence):
    """The event's subject is the request id."""

    type: ClassVar = "request.decided"
    allowed: bool
    code: str | None = None
    message: str


class ComputationRun(Handover):
    type: ClassVar = "computation.run"
    stage: ClassVar[Stage] = "cells"
    request: Name
    template: Name
    template_digest: Digest


class OutputGenerated(Handover):
    type: ClassVar = "output.generated"
    stage: ClassVar[Stage] = "protected"
    request: Name
    template: Name
    threshold: Count
    cells_shown: Count
    cells_primary: Count
    cells_complementary: Count


class OutputWithheld(Payload):
    type: ClassVar = "output.withheld"
    request: Name
    code: Name
    message: str
    next_step: str


class OutputReleased(Handover):
    type: ClassVar = "output.released"
    stage: ClassVar[Stage] = "insight"
    request: Name
    release: Name
    template: Name
    purpose: Name
    receivers: tuple[str, ...]
    files: dict[str, Digest] = Field(min_length=1, description="Name on the shelf → digest.")
    expires_at: Time


class OutputAccessed(Signed):
    type: ClassVar = "output.accessed"
    release: Name
    member: Name
    detail: Detail


class AccessDenied(Payload):
    type: ClassVar = "access.denied"
    release: Name
    member: Name
    code: Name


class StageFailed(Payload):
    type: ClassVar = "stage.failed"
    stage: Stage
    subject: Name
    code: Name
    message: str
    next_step: str


PAYLOADS: tuple[type[Payload], ...] = (
    ContributionAccepted,
    ContributionRefused,
    DatasetDeidentified,
    GatePassed,
    GateFailed,
    RoomRefreshed,
    RequestSubmitted,
    RequestDecided,
    ComputationRun,
    OutputGenerated,
    OutputWithheld,
    OutputReleased,
    OutputAccessed,
    AccessDenied,
    StageFailed,
)
