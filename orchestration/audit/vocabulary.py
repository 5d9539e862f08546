"""The words every event is written in: closed documents, times, digests, and the kinds of payload there are.

Belongs here: base classes and scalar types. Must not be here: any single event (`stage_events`,
`governance_events`), or the envelope they travel in (`events`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

Stage = Literal["contribution", "deidentified", "gate", "room", "cells", "protected", "insight"]
Detail = Literal["full", "summary"]

_LARGEST = 2**53 - 1  # RFC 8785 numbers are IEEE doubles: beyond this, neighbours become equal


def now() -> datetime:
    """The current UTC time in whole milliseconds: the log's only clock."""
    return to_milliseconds(datetime.now(UTC))


def to_milliseconds(moment: datetime) -> datetime:
    """Raises: ValueError where the year falls out of the calendar."""
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such moment in UTC") from error
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """`2026-01-31T09:30:00.000Z`: the one spelling of a time in events, tables and passports."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


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


class Grown(Payload):
    """A payload that got fields later: while they say nothing they are left out, as if they were not there.

    So an event of before has the same canonical bytes, and the same leaf, as on the day it was written.
    """

    later: ClassVar[frozenset[str]]

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        fields = type(self).model_fields
        for name in self.later:
            if name in written and getattr(self, name) == fields[name].get_default(call_default_factory=True):
                del written[name]
        return written


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


class Signed(Payload):
    """An act of a member: it counts only with its actor's own signature, so nobody else can record it."""


class Consequence(Payload):
    """What follows from signed acts and the charter's rules; anybody can derive it again from the log."""
