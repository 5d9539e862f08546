"""Short words for the events of a collaboration, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.audit import events as e
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.digests import digest_bytes
from orchestration.signing import SigningKey

CHARTER = digest_bytes(b"charter")
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

    def say(
        self, subject: str, payload: e.Payload, lineage: tuple[Mapping[str, Any], ...] = ()
    ) -> LoggedEvent:
        event = e.Event(collaboration="grocery", subject=subject, actor="house", payload=payload)
        return self.log.append(event, lineage=lineage)

    def contribute(self, name: str = "c1", dataset: str = "transactions") -> list[LoggedEvent]:
        """Contribution, de-identification and gate of one delivery."""
        first = self.say(name, accepted(name, dataset), (openlineage(name),))
        second = self.say(name, deidentified(name, dataset, first.receipt_id))
        return [first, second, self.say(name, gate_passed(name, dataset, second.receipt_id))]

    def release(self, gate: LoggedEvent, files: Mapping[str, bytes], request: str = "r1") -> LoggedEvent:
        """Everything from a submitted request to its release."""
        room_payload = e.RoomRefreshed(
            receipt=receipt("room", "grocery", gate.receipt_id),
            tables={"transaction": ("c1",)},
        )
        room = self.say("grocery", room_payload)
        self.say(request, submitted())
        self.say(request, e.RequestDecided(allowed=True, message="Permitted."))
        cells_payload = e.ComputationRun(
            receipt=receipt("cells", request, room.receipt_id),
            request=request,
            template="audience_overlap",
            template_digest=digest_bytes(b"template"),
        )
        cells = self.say(request, cells_payload)
        protected_payload = e.OutputGenerated(
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


def receipt(stage: e.Stage, subject: str, *inputs: str) -> e.StageReceipt:
    outputs = {"table": digest_bytes(subject.encode())}
    return e.StageReceipt(
        stage=stage, subject=subject, charter_digest=CHARTER, inputs=inputs, outputs=outputs, run_id=RUN
    )


def accepted(
    name: str = "c1", dataset: str = "transactions", source: bytes | None = None
) -> e.ContributionAccepted:
    return e.ContributionAccepted(
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


def refused(code: str = "contribution.unsigned") -> e.ContributionRefused:
    return e.ContributionRefused(
        dataset="transactions",
        participant="retailer",
        delivery="transactions.parquet",
        code=code,
        message="No.",
        next_step="Sign it.",
    )


def deidentified(name: str, dataset: str, *inputs: str) -> e.DatasetDeidentified:
    return e.DatasetDeidentified(
        receipt=receipt("deidentified", name, *inputs),
        dataset=dataset,
        contribution=name,
        table=f"{dataset}_{name}",
        rows=8,
        techniques={"unit": "pseudonymize"},
    )


def gate_passed(name: str, dataset: str, *inputs: str) -> e.GatePassed:
    return e.GatePassed(
        receipt=receipt("gate", name, *inputs),
        dataset=dataset,
        contribution=name,
        table=f"{dataset}_{name}",
        suite_digest=digest_bytes(b"suite"),
        checks=(e.GateCheck(rule="r1", expectation="not_null", column="unit", passed=True),),
    )


def gate_failed(name: str, dataset: str = "transactions") -> e.GateFailed:
    return e.GateFailed(
        dataset=dataset,
        contribution=name,
        table=f"{dataset}_{name}",
        charter_digest=CHARTER,
        suite_digest=digest_bytes(b"suite"),
        run_id=RUN,
        checks=(),
    )


def submitted() -> e.RequestSubmitted:
    return e.RequestSubmitted(
        template="audience_overlap",
        parameters={"left": "shoppers", "right": "mailed"},
        purpose="customer_insight",
        requester="brand_agency.analyst",
        participant="brand_agency",
    )


def released(request: str, protected: str, files: Mapping[str, bytes]) -> e.OutputReleased:
    return e.OutputReleased(
        receipt=receipt("insight", request, protected),
        request=request,
        release=f"{request}-release",
        template="audience_overlap",
        purpose="customer_insight",
        receivers=("brand_agency", "retailer"),
        files={name: digest_bytes(data) for name, data in files.items()},
        expires_at=e.now(),
    )


def openlineage(subject: str) -> dict[str, Any]:
    return {"eventType": "COMPLETE", "run": {"runId": RUN}, "job": {"namespace": "x", "name": subject}}
