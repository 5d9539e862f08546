"""The certificate of one destruction: what is gone, why, by which rule; it verifies offline.

Belongs here: signing what the log says of a `data.destroyed`, and checking it with nothing but the envelope
and the operator's public key. Must not be here: destroying, or needing the database to verify. The form is
that of the passport: an in-toto Statement in a DSSE envelope, whose subjects are the files that are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue

from orchestration import signing
from orchestration.audit.evidence import Evidence, make_evidence, verify_evidence
from orchestration.audit.governance_events import DataDestroyed
from orchestration.audit.log import AuditLog
from orchestration.audit.passport import PAYLOAD_TYPE, STATEMENT_TYPE, FileDigest, Subject
from orchestration.audit.vocabulary import Document, Time, now
from orchestration.errors import ConfigError, IntegrityError, Reason
from orchestration.signing import SigningKey

PREDICATE_TYPE = "https://github.com/glasshouse/glasshouse/destruction/v1"

NOT_A_DESTRUCTION = Reason(
    "certificate.not_a_destruction",
    "Event {seq} destroys nothing, so there is nothing to certify.",
    "Give the number of an event `data.destroyed`: `glasshouse destruction list`.",
)
UNREADABLE = Reason(
    "certificate.unreadable",
    "This is not a destruction certificate, or one of a version this program does not know.",
    "Use the file exactly as `glasshouse destruction certificate` wrote it.",
)
CONTRADICTION = Reason(
    "certificate.contradiction",
    "The certificate says something about {what} that the log entry it carries does not.",
    "Treat it as tampering and tell the auditor.",
)


class Certificate(Document):
    """What a certificate says: the event in words of its own, and the proof that it stands in the log."""

    collaboration: str
    about: str = Field(description="The participant whose data it was, or the collaboration.")
    why: str
    destroyed_at: Time
    destruction: DataDestroyed
    log: Evidence
    issued_at: Time


class _Statement(Document):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://github.com/glasshouse/glasshouse/destruction/v1"] = Field(
        alias="predicateType"
    )
    predicate: Certificate


def make_certificate(log: AuditLog, key: SigningKey, checkpoints: Path, seq: int) -> dict[str, Any]:
    """The signed envelope, as a JSON object, for the destruction that event `seq` records.

    Signs a checkpoint covering it if there is none yet.

    Raises: ConfigError `certificate.not_a_destruction`, `log.no_such_event`; IntegrityError when the log is
    broken.
    """
    event = log.event(seq).event
    if not isinstance(event.payload, DataDestroyed):
        raise ConfigError(NOT_A_DESTRUCTION, seq=seq)
    certificate = Certificate(
        collaboration=event.collaboration,
        about=event.subject,
        why=event.justification,
        destroyed_at=event.time,
        destruction=event.payload,
        log=make_evidence(log, key, checkpoints, seq),
        issued_at=now(),
    )
    statement: JsonValue = {
        "_type": STATEMENT_TYPE,
        "subject": [each.model_dump(mode="json") for each in _subjects(event.payload)],
        "predicateType": PREDICATE_TYPE,
        "predicate": certificate.model_dump(mode="json"),
    }
    return key.sign(statement, PAYLOAD_TYPE)


def verify_certificate(envelope: dict[str, Any], public_key: Mapping[str, Any]) -> Certificate:
    """What the certificate says, once all of it was checked. Needs no network and no database.

    Args:
        envelope: the DSSE envelope as a JSON object.
        public_key: the operator's, from a source the reader trusts.

    Raises: IntegrityError `signature.*`, `certificate.*`, `evidence.*`, `checkpoint.*`.
    """
    payload = signing.verify(envelope, dict(public_key), PAYLOAD_TYPE, kind="certificate")
    try:
        statement = _Statement.model_validate(payload)
    except ValueError as error:
        raise IntegrityError(UNREADABLE) from error
    said = statement.predicate
    event = verify_evidence(said.log, public_key)
    if not isinstance(event.payload, DataDestroyed):
        raise IntegrityError(CONTRADICTION, what="the destruction")
    told: dict[str, tuple[object, object]] = {
        "the collaboration": (said.collaboration, event.collaboration),
        "whose data it was": (said.about, event.subject),
        "the reason": (said.why, event.justification),
        "the moment": (said.destroyed_at, event.time),
        "the destruction": (said.destruction, event.payload),
        "the files": (statement.subject, _subjects(event.payload)),
    }
    for what, (here, there) in told.items():
        if here != there:
            raise IntegrityError(CONTRADICTION, what=what)
    return said


def _subjects(destroyed: DataDestroyed) -> tuple[Subject, ...]:
    return tuple(
        Subject(name=name, digest=FileDigest(sha256=digest.removeprefix("sha256:")))
        for name, digest in sorted(destroyed.files.items())
    )
