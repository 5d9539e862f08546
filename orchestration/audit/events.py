"""What the log can say: one frozen payload per event type, and the canonical bytes of an event.

Belongs here: the vocabulary, and what makes a single event well-formed. Must not be here: what events do to
tables (`projections`), or whether the thing may happen at all. An unknown type or an extra field is refused:
a log that is only partly understood is not evidence. No payload may carry a value of a customer's row.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    SerializeAsAny,
    StringConstraints,
    field_validator,
    model_validator,
)

from orchestration.digests import canonical_json

Stage = Literal["contribution", "deidentified", "gate", "room", "cells", "protected", "insight"]
Detail = Literal["full", "summary"]

_LARGEST = 2**53 - 1  # RFC 8785 numbers are IEEE doubles: beyond this, neighbours become equal


def now() -> datetime:
    """The current UTC time in whole milliseconds: the log's only clock."""
    return to_milliseconds(datetime.now(UTC))


def to_milliseconds(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """`2026-01-31T09:30:00.000Z`: the one spelling of a time in events, tables and passports."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


Time = Annotated[AwareDatetime, AfterValidator(to_milliseconds), PlainSerializer(timestamp, when_used="json")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}\z")]
ReceiptId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\z")]
Name = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=0, le=_LARGEST, strict=True)]
Parameter = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)] | bool | str


class Document(BaseModel):
    """Frozen, and closed to fields nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StageReceipt(Document):
    """What a stage hands over: which receipts it was given, and the digest of each thing it made."""

    stage: Stage
    subject: Name = Field(description="Contribution id, collaboration (room) or request id.")
    charter_digest: Digest
    inputs: tuple[ReceiptId, ...] = Field(default=(), description="Receipts of the stages before.")
    outputs: dict[str, Digest] = Field(default_factory=dict, description="Name of an output → its digest.")
    run_id: Name = Field(description="UUIDv7 of the run; the OpenLineage run id.")


class Payload(Document):
    """Base of all payloads; `type` names the event."""

    type: ClassVar[str]


class Handover(Payload):
    """A payload that proves a stage passed. Only these give receipts."""

    stage: ClassVar[Stage]
    receipt: StageReceipt

    @model_validator(mode="after")
    def _receipt_is_about_this(self) -> Self:
        if self.receipt.stage != self.stage:
            raise ValueError(f"a receipt of stage {self.stage!r} is needed here")
        subject = getattr(self, "contribution", None) or getattr(self, "request", None)
        if subject is not None and subject != self.receipt.subject:
            raise ValueError("the receipt is about another subject than the event")
        return self


class CharterRegistered(Payload):
    type: ClassVar = "charter.registered"
    digest: Digest
    title: str
    version: Count


class MemberRegistered(Payload):
    type: ClassVar = "member.registered"
    member: Name
    participant: Name
    roles: tuple[str, ...]
    public_key: dict[str, JsonValue]


class ContributionAccepted(Handover):
    """`receipt.subject` is the contribution id."""

    type: ClassVar = "contribution.accepted"
    stage: ClassVar[Stage] = "contribution"
    dataset: Name
    participant: Name
    delivery: Name
    rows: Count
    quarantined_rows: dict[str, Count] = Field(default_factory=dict, description="Reason code → rows.")
    dropped_columns: Count = 0
    source_digest: Digest
    vault_digest: Digest
    key_id: Name
    signer: Name
    purposes: tuple[str, ...] = Field(min_length=1, description="What the steward gave it for.")
    manifest: dict[str, JsonValue] = Field(description="The steward's signed statement, a DSSE envelope.")


class ContributionRefused(Payload):
    """The event's subject is the contribution id."""

    type: ClassVar = "contribution.refused"
    dataset: str | None
    participant: Name
    delivery: Name
    code: Name
    message: str
    next_step: str
    rows: Count | None = None
    sealed: str | None = Field(default=None, description="File name of the sealed copy, if one was kept.")


class DatasetDeidentified(Handover):
    type: ClassVar = "dataset.deidentified"
    stage: ClassVar[Stage] = "deidentified"
    dataset: Name
    contribution: Name
    table: Name
    rows: Count
    techniques: dict[str, str] = Field(description="Entity attribute → kind of technique.")


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


class RequestSubmitted(Payload):
    """The event's subject is the request id."""

    type: ClassVar = "request.submitted"
    template: Name
    parameters: dict[str, Parameter]
    purpose: Name
    requester: Name
    participant: Name


class RequestDecided(Payload):
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


class OutputAccessed(Payload):
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


PAYLOADS: dict[str, type[Payload]] = {
    payload.type: payload
    for payload in (
        CharterRegistered,
        MemberRegistered,
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
}


class Event(Document):
    """One entry of the log.

    `type` follows from the payload and may be left out in Python; in JSON it says which payload to expect.

    Raises: pydantic's ValidationError for an unknown type, a field nobody declared, a payload of another
    type, or text that is not valid Unicode.
    """

    type: str = ""
    collaboration: Name
    subject: Name
    actor: Name = Field(description="Member or service that acted.")
    justification: str = ""
    time: Time = Field(default_factory=now)
    lineage: Digest | None = Field(
        default=None, description="Digest of the OpenLineage events stored with it; the log fills it in."
    )
    payload: SerializeAsAny[Payload]

    @model_validator(mode="before")
    @classmethod
    def _payload_by_type(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        payload = data.get("payload")
        if isinstance(payload, Payload):
            name = str(data.get("type") or getattr(type(payload), "type", ""))
            known = PAYLOADS.get(name)
            if known is not type(payload):
                raise ValueError("the payload is not of the event's type")
            return {**data, "type": name}
        known = PAYLOADS.get(str(data.get("type")))
        if known is None:
            raise ValueError("unknown event type")
        return {**data, "payload": known.model_validate(payload)}

    @model_validator(mode="after")
    def _has_canonical_form(self) -> Self:
        self.leaf()
        return self

    def leaf(self) -> bytes:
        """Canonical JSON (RFC 8785): the bytes the Merkle tree commits to."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_leaf(cls, leaf: bytes) -> Event:
        """Raises: ValueError when these are not exactly the canonical bytes of a known event."""
        event = cls.model_validate(json.loads(leaf))
        if event.leaf() != leaf:
            raise ValueError("not the canonical form of an event")
        return event
