"""The statement that travels with an insight and verifies offline: an in-toto Statement in a DSSE envelope.

Belongs here: collecting from the log what stands behind a release, signing it, and checking it with nothing
but the envelope, the operator's public key and the files. Must not be here: releasing, or needing the
database to verify. A passport says only what was read from proven log entries; callers cannot add claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue

from orchestration import signing
from orchestration.audit.events import Event
from orchestration.audit.evidence import Evidence, make_evidence, verify_evidence
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.receipts import logged_receipt, receipt_of
from orchestration.audit.stage_events import (
    ComputationRun,
    ContributionAccepted,
    OutputGenerated,
    OutputReleased,
)
from orchestration.audit.vocabulary import Count, Digest, Document, ReceiptId, Stage, Time, now
from orchestration.digests import digest_file
from orchestration.errors import IntegrityError, Reason, ReceiptError
from orchestration.signing import SigningKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://github.com/glasshouse/glasshouse/passport/v1"
FILENAME = "passport.json"

NOT_A_RELEASE = Reason(
    "passport.not_a_release",
    "Event {seq} releases nothing, so there is nothing to write a passport for.",
    "Give the event `output.released` of the insight.",
)
INCOMPLETE = Reason(
    "passport.incomplete",
    "The release {release} does not stand on a receipt of every stage: {stages} missing.",
    "Run the missing stages and request the insight again.",
)
UNREADABLE = Reason(
    "passport.unreadable",
    "This is not a Glasshouse passport, or one of a version this program does not know.",
    "Use the file exactly as it lies on the shelf.",
)
FILE_MISSING = Reason(
    "passport.file_missing",
    "The file {name}, which the passport vouches for, is not there.",
    "Copy the whole release from the shelf again.",
)
FILE_CHANGED = Reason(
    "passport.file_changed",
    "The file {name} is not the one that was released.",
    "Do not use it; copy the release from the shelf again.",
)
FILE_UNKNOWN = Reason(
    "passport.file_unknown",
    "The passport does not vouch for the file {name}.",
    "Remove it from the release; it was not released with it.",
)
CONTRADICTION = Reason(
    "passport.contradiction",
    "The passport says something about {what} that the log entry it carries does not.",
    "Treat it as tampering and tell the auditor.",
)


class CharterReference(Document):
    collaboration: str
    digest: Digest


class TemplateReference(Document):
    id: str
    digest: Digest


class ReceiptReference(Document):
    id: ReceiptId
    seq: Count
    stage: Stage
    subject: str


class ContributionReference(Document):
    id: str
    dataset: str
    participant: str
    rows: Count
    source_digest: Digest


class Passport(Document):
    """What a passport says about a release."""

    charter: CharterReference
    template: TemplateReference
    release: str
    request: str
    purpose: str
    receivers: tuple[str, ...]
    threshold: Count
    contributions: tuple[ContributionReference, ...]
    receipts: tuple[ReceiptReference, ...] = Field(
        description="Every stage behind the release, oldest first."
    )
    log: Evidence = Field(description="Proof that the release stands in the signed log.")
    issued_at: Time
    expires_at: Time


class FileDigest(Document):
    sha256: str


class Subject(Document):
    name: str
    digest: FileDigest


class _Statement(Document):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1)
    predicate_type: Literal["https://github.com/glasshouse/glasshouse/passport/v1"] = Field(
        alias="predicateType"
    )
    predicate: Passport


def make_passport(log: AuditLog, key: SigningKey, checkpoints: Path, seq: int) -> dict[str, Any]:
    """The signed envelope, as a JSON object, for the release that event `seq` records.

    Signs a checkpoint covering the release if there is none yet.

    Raises: ReceiptError `passport.not_a_release`, `passport.incomplete`, `receipt.missing`; IntegrityError
    when the log is broken.
    """
    logged = log.event(seq)
    released = logged.event.payload
    if not isinstance(released, OutputReleased):
        raise ReceiptError(NOT_A_RELEASE, seq=seq)
    chain = _chain(log, logged)
    payloads = [entry.event.payload for entry in chain]
    computed = [payload for payload in payloads if isinstance(payload, ComputationRun)]
    protected = [payload for payload in payloads if isinstance(payload, OutputGenerated)]
    needed: set[Stage] = {"contribution", "deidentified", "gate", "room", "cells", "protected"}
    missing = needed - {receipt_of(entry).stage for entry in chain}
    if missing:
        raise ReceiptError(INCOMPLETE, release=released.release, stages=", ".join(sorted(missing)))
    passport = Passport(
        charter=CharterReference(
            collaboration=logged.event.collaboration, digest=released.receipt.charter_digest
        ),
        template=TemplateReference(id=released.template, digest=computed[-1].template_digest),
        release=released.release,
        request=released.request,
        purpose=released.purpose,
        receivers=released.receivers,
        threshold=protected[-1].threshold,
        contributions=tuple(
            ContributionReference(
                id=payload.receipt.subject,
                dataset=payload.dataset,
                participant=payload.participant,
                rows=payload.rows,
                source_digest=payload.source_digest,
            )
            for payload in payloads
            if isinstance(payload, ContributionAccepted)
        ),
        receipts=tuple(
            ReceiptReference(id=entry.receipt_id, seq=entry.seq, stage=part.stage, subject=part.subject)
            for entry in chain
            for part in [receipt_of(entry)]
        ),
        log=make_evidence(log, key, checkpoints, seq),
        issued_at=now(),
        expires_at=released.expires_at,
    )
    statement: JsonValue = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
            for name, digest in sorted(released.files.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": passport.model_dump(mode="json"),
    }
    return key.sign(statement, PAYLOAD_TYPE)


def verify_passport(
    envelope: dict[str, Any], public_key: Mapping[str, Any], files: Mapping[str, Path]
) -> Passport:
    """What the passport says, once all of it was checked. Needs no network and no database.

    Args:
        envelope: the DSSE envelope as a JSON object.
        public_key: the operator's, from a source the reader trusts.
        files: name on the shelf → path of every file of the release, the passport itself left out.

    Raises: IntegrityError `signature.*`, `passport.*`, `evidence.*`, `checkpoint.*`.
    """
    payload = signing.verify(envelope, dict(public_key), PAYLOAD_TYPE, kind="passport")
    try:
        statement = _Statement.model_validate(payload)
    except ValueError as error:
        raise IntegrityError(UNREADABLE) from error
    passport = statement.predicate
    vouched = {subject.name: f"sha256:{subject.digest.sha256}" for subject in statement.subject}
    _check_against_log(passport, vouched, verify_evidence(passport.log, public_key))
    for name in sorted(files.keys() - vouched.keys()):
        raise IntegrityError(FILE_UNKNOWN, name=name)
    for name, digest in vouched.items():
        path = files.get(name)
        if path is None or not path.is_file():
            raise IntegrityError(FILE_MISSING, name=name)
        if digest_file(path) != digest:
            raise IntegrityError(FILE_CHANGED, name=name)
    return passport


def _chain(log: AuditLog, release: LoggedEvent) -> list[LoggedEvent]:
    """The receipts behind a release, itself included, each proven from the log; oldest first."""
    found = {release.receipt_id: release}
    waiting = list(receipt_of(release).inputs)
    while waiting:
        receipt_id = waiting.pop()
        if receipt_id not in found:
            found[receipt_id] = logged_receipt(log, receipt_id)
            waiting += receipt_of(found[receipt_id]).inputs
    return sorted(found.values(), key=lambda entry: entry.seq)


def _check_against_log(passport: Passport, vouched: Mapping[str, str], event: Event) -> None:
    """The proven event must say the same as the passport wherever both speak."""
    released = event.payload
    if not isinstance(released, OutputReleased):
        raise IntegrityError(CONTRADICTION, what="the release")
    said: dict[str, tuple[object, object]] = {
        "the collaboration": (passport.charter.collaboration, event.collaboration),
        "the charter": (passport.charter.digest, released.receipt.charter_digest),
        "the template": (passport.template.id, released.template),
        "the release": (passport.release, released.release),
        "the request": (passport.request, released.request),
        "the purpose": (passport.purpose, released.purpose),
        "the receivers": (passport.receivers, released.receivers),
        "the expiry": (passport.expires_at, released.expires_at),
        "the files": (dict(vouched), released.files),
    }
    for what, (here, there) in said.items():
        if here != there:
            raise IntegrityError(CONTRADICTION, what=what)
    if not set(released.receipt.inputs) <= {receipt.id for receipt in passport.receipts}:
        raise IntegrityError(CONTRADICTION, what="the receipts")
