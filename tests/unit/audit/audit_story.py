"""Short words for the events of a collaboration, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.audit import governance_events as ge
from orchestration.audit import statement
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.stage_events import (
    ComputationRun,
    ContributionAccepted,
    ContributionRefused,
    DatasetDeidentified,
    GateCheck,
    GateFailed,
    GatePassed,
    OutputGenerated,
    OutputReleased,
    RequestDecided,
    RequestSubmitted,
    RoomRefreshed,
)
from orchestration.audit.vocabulary import Payload, Stage, StageReceipt, now
from orchestration.audit.withdrawal_events import PeopleWithdrawn
from orchestration.digests import digest_bytes
from orchestration.signing import SigningKey

CHARTER = digest_bytes(b"charter")
STEWARD = "retailer.steward"
KEY = SigningKey.from_seed(bytes(range(32))).public
RUN = "0198f0c2-0000-7000-8000-000000000000"


@dataclass
class Desk:
    """A log with its operator's key, and short words for the events of a collaboration."""

    log: AuditLog
    key: SigningKey
    folder: Path

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def database(self) -> Path:
        return self.folder / "control.db"

    def say(self, subject: str, payload: Payload, lineage: tuple[Mapping[str, Any], ...] = ()) -> LoggedEvent:
        event = Event(collaboration="grocery", subject=subject, actor="house", payload=payload)
        return self.log.append(event, lineage=lineage)

    def contribute(self, name: str = "c1", dataset: str = "transactions") -> list[LoggedEvent]:
        """Contribution, de-identification and gate of one delivery."""
        first = self.say(name, accepted(name, dataset), (openlineage(name),))
        second = self.say(name, deidentified(name, dataset, first.receipt_id))
        return [first, second, self.say(name, gate_passed(name, dataset, second.receipt_id))]

    def found(self) -> None:
        """A charter on the table, and its one participant."""
        self.say("grocery", proposed())
        self.act("retailer", ge.ParticipantAccepted(participant="retailer", steward=STEWARD, public_key=KEY))

    def act(self, subject: str, payload: Payload) -> LoggedEvent:
        """What a member does with its own signature."""
        event = Event(collaboration="grocery", subject=subject, actor=STEWARD, payload=payload)
        return self.log.append(statement.sign(event, self.key))

    def govern(self) -> None:
        """A row in every table of governance, after `found`."""
        self.act("grocery", ge.CharterSigned(digest=CHARTER, participant="retailer", stewards={}))
        self.say("grocery", ge.CharterActivated(digest=CHARTER))
        self.act("d1", ge.DecisionOpened(matter="thaw", about="grocery"))
        self.act("d1", ge.VoteCast(decision="d1", vote="approve"))
        self.act("q1", ge.DisputeRaised(about_kind="request", about="r1", remedy="warn"))
        self.say("e1", exception())
        grant = ge.ReviewGrant(grant=f"{STEWARD}/steward", member=STEWARD, role="steward")
        self.say("v1", ge.ReviewOpened(kind="access", grants=(grant,), due=now()))
        self.act("v1", ge.ReviewAttested(grant=grant.grant, keep=True))
        attested = ge.DatasetAttested(
            dataset="transactions", evidence={"check": digest_bytes(b"evidence")}, expires_at=now()
        )
        self.act("transactions", attested)
        self.act(STEWARD, ge.TermsAcknowledged(terms=digest_bytes(b"terms")))
        taken_out = PeopleWithdrawn(
            dataset="transactions", reason="objection", list_digest=digest_bytes(b"people")
        )
        self.act("people-20260101-0123abcd", taken_out)
        self.say(STEWARD, ge.EmergencyUsed(grant="g1", member=STEWARD, action="vote.cast", act="d1"))

    def release(self, gate: LoggedEvent, files: Mapping[str, bytes], request: str = "r1") -> LoggedEvent:
        """Everything from a submitted request to its release."""
        room_payload = RoomRefreshed(
            receipt=receipt("room", "grocery", gate.receipt_id),
            tables={"transaction": ("c1",)},
        )
        room = self.say("grocery", room_payload)
        self.say(request, submitted())
        self.say(request, RequestDecided(allowed=True, message="Permitted."))
        cells_payload = ComputationRun(
            receipt=receipt("cells", request, room.receipt_id),
            request=request,
            template="audience_overlap",
            template_digest=digest_bytes(b"template"),
        )
        cells = self.say(request, cells_payload)
        protected_payload = OutputGenerated(
            receipt=receipt("protected", request, cells.receipt_id),
            request=request,
            template="audience_overlap",
            threshold=10,
            cells_shown=2,
            cells_primary=1,
            cells_complementary=0,
        )
        protected = self.say(request, protected_payload)
        return self.say(request, released(request, protected.receipt_id, files))


def proposed() -> ge.CharterProposed:
    steward = {"id": STEWARD, "roles": ["steward"]}
    document: Any = {
        "participants": [{"id": "retailer", "members": [steward]}],
        "effective_until": "2999-12-31",
    }
    return ge.CharterProposed(digest=CHARTER, title="Grocery", version=1, document=document)


def exception() -> ge.ExceptionGranted:
    return ge.ExceptionGranted(
        what="Late delivery.", owner=STEWARD, residual_risk="Old rows.", expires_at=now(), decision="d1"
    )


def receipt(stage: Stage, subject: str, *inputs: str) -> StageReceipt:
    outputs = {"table": digest_bytes(subject.encode())}
    return StageReceipt(
        stage=stage, subject=subject, charter_digest=CHARTER, inputs=inputs, outputs=outputs, run_id=RUN
    )


def accepted(
    name: str = "c1", dataset: str = "transactions", source: bytes | None = None
) -> ContributionAccepted:
    return ContributionAccepted(
        receipt=receipt("contribution", name),
        dataset=dataset,
        participant="retailer",
        delivery=f"{dataset}.parquet",
        rows=10,
        quarantined_rows={"row.type": 2},
        dropped_columns=1,
        source_digest=digest_bytes(source or name.encode()),
        vault_digest=digest_bytes(b"vault"),
        key_id=f"contribution/{name}",
        signer="retailer.steward",
        purposes=("planning",),
        manifest={"payload": "e30=", "payloadType": "manifest", "signatures": []},
    )


def refused(code: str = "contribution.unsigned") -> ContributionRefused:
    return ContributionRefused(
        dataset="transactions",
        participant="retailer",
        delivery="transactions.parquet",
        code=code,
        message="No.",
        next_step="Sign it.",
    )


def deidentified(name: str, dataset: str, *inputs: str) -> DatasetDeidentified:
    return DatasetDeidentified(
        receipt=receipt("deidentified", name, *inputs),
        dataset=dataset,
        contribution=name,
        table=f"{dataset}_{name}",
        rows=8,
        techniques={"unit": "pseudonymize"},
    )


def gate_passed(name: str, dataset: str, *inputs: str) -> GatePassed:
    return GatePassed(
        receipt=receipt("gate", name, *inputs),
        dataset=dataset,
        contribution=name,
        table=f"{dataset}_{name}",
        suite_digest=digest_bytes(b"suite"),
        checks=(GateCheck(rule="r1", expectation="not_null", column="unit", passed=True),),
    )


def gate_failed(name: str, dataset: str = "transactions") -> GateFailed:
    return GateFailed(
        dataset=dataset,
        contribution=name,
        table=f"{dataset}_{name}",
        charter_digest=CHARTER,
        suite_digest=digest_bytes(b"suite"),
        run_id=RUN,
        checks=(),
    )


def submitted() -> RequestSubmitted:
    return RequestSubmitted(
        template="audience_overlap",
        parameters={"left": "shoppers", "right": "mailed"},
        purpose="customer_insight",
        requester="brand_agency.analyst",
        participant="brand_agency",
        datasets=("transactions",),
    )


def released(request: str, protected: str, files: Mapping[str, bytes]) -> OutputReleased:
    return OutputReleased(
        receipt=receipt("insight", request, protected),
        request=request,
        release=f"{request}-release",
        template="audience_overlap",
        purpose="customer_insight",
        receivers=("brand_agency", "retailer"),
        files={name: digest_bytes(data) for name, data in files.items()},
        expires_at=now(),
    )


def openlineage(subject: str) -> dict[str, Any]:
    return {"eventType": "COMPLETE", "run": {"runId": RUN}, "job": {"namespace": "x", "name": subject}}
