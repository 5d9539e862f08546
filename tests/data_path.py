"""Data on its way through a guarded log, without any stage: each handover as the stage would record it.

Belongs here: events that fit what was agreed and made before, for tests that need their outcome on record, or
change one of them to see it refused. Must not be here: any assertion, and acts of members.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from orchestration.audit import stage_events as s
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.vocabulary import Handover, Payload, StageReceipt
from orchestration.charter.model import Charter
from orchestration.computation.template import load_templates
from orchestration.digests import digest_json
from orchestration.participants.deliveries import contribution_id
from orchestration.participants.handovers import release_name, table_name
from orchestration.scope.manifest import Manifest, Period
from orchestration.signing import SigningKey

ROWS = 7
DIGEST = digest_json("made by a test")


@dataclass
class DataPath:
    """One collaboration's data path in `log`, under `charter`, as of `at`."""

    log: AuditLog
    charter: Charter
    at: datetime

    def event(self, payload: Payload, subject: str = "", actor: str = "operator") -> Event:
        about = subject or (payload.receipt.subject if isinstance(payload, Handover) else "")
        return Event(
            collaboration=self.charter.collaboration,
            subject=about,
            actor=actor,
            justification="test",
            time=self.at,
            payload=payload,
        )

    def record(self, payload: Payload, subject: str = "") -> LoggedEvent:
        return self.log.append(self.event(payload, subject))

    # --- one handover after the other

    def accepted(
        self, dataset: str, signer: str, key: SigningKey, file: object = 1, **claims: Any
    ) -> s.ContributionAccepted:
        """A contribution of `file`, whose manifest `signer` signed; `claims` change the manifest."""
        given = self.charter.dataset(dataset)
        source = digest_json([dataset, file])
        period = given.period
        first, last = (period.start, period.end) if period else (date(2024, 1, 1), date(2024, 1, 2))
        manifest = Manifest(
            collaboration=self.charter.collaboration,
            dataset=dataset,
            participant=given.participant,
            signer=signer,
            purposes=given.purposes,
            provenance="test",
            period=Period(first=first, last=last),
            file="rows.csv",
            format="csv",
            rows=ROWS,
            sha256=source,
            created=self.at,
        ).model_copy(update=claims)
        contribution = contribution_id(self.charter, dataset, source)
        return s.ContributionAccepted(
            receipt=self.receipt("contribution", contribution, outputs={"vault": DIGEST}),
            dataset=dataset,
            participant=given.participant,
            delivery="delivery",
            rows=ROWS,
            source_digest=source,
            vault_digest=DIGEST,
            key_id=f"vault/{contribution}",
            signer=signer,
            purposes=manifest.purposes,
            manifest=manifest.signed(key),
        )

    def deidentified(self, accepted: LoggedEvent) -> s.DatasetDeidentified:
        before = accepted.event.payload
        assert isinstance(before, s.ContributionAccepted)
        contribution = before.receipt.subject
        kept = [each for each in self.charter.dataset(before.dataset).fields if each.technique.kind != "drop"]
        return s.DatasetDeidentified(
            receipt=self.receipt("deidentified", contribution, accepted),
            dataset=before.dataset,
            contribution=contribution,
            table=table_name(contribution),
            rows=before.rows,
            techniques={str(each.attribute): each.technique.kind for each in kept if each.attribute},
        )

    def passed(self, deidentified: LoggedEvent) -> s.GatePassed:
        before = deidentified.event.payload
        assert isinstance(before, s.DatasetDeidentified)
        return s.GatePassed(
            receipt=self.receipt("gate", before.contribution, deidentified),
            dataset=before.dataset,
            contribution=before.contribution,
            table=before.table,
            suite_digest=DIGEST,
            checks=(s.GateCheck(rule="r01", expectation="expect_rows", passed=True),),
        )

    def refreshed(self, *gates: LoggedEvent) -> s.RoomRefreshed:
        tables: dict[str, tuple[str, ...]] = {}
        for gate in gates:
            before = gate.event.payload
            assert isinstance(before, s.GatePassed)
            entity = self.charter.dataset(before.dataset).entity
            tables[entity] = (*tables.get(entity, ()), before.contribution)
        return s.RoomRefreshed(
            receipt=self.receipt("room", self.charter.collaboration, *gates), tables=tables
        )

    def ran(self, request: str, template: str, room: LoggedEvent) -> s.ComputationRun:
        return s.ComputationRun(
            receipt=self.receipt("cells", request, room),
            request=request,
            template=template,
            template_digest=load_templates()[template].digest,
        )

    def protected(self, request: str, template: str, cells: LoggedEvent) -> s.OutputGenerated:
        return s.OutputGenerated(
            receipt=self.receipt("protected", request, cells),
            request=request,
            template=template,
            threshold=self.charter.threshold_for(template, [each.id for each in self.charter.datasets]),
            cells_shown=3,
            cells_primary=0,
            cells_complementary=0,
        )

    def released(self, request: str, template: str, purpose: str, protected: LoggedEvent) -> s.OutputReleased:
        files = {"table.csv": DIGEST}
        return s.OutputReleased(
            receipt=self.receipt("insight", request, protected, outputs=files),
            request=request,
            release=release_name(request),
            template=template,
            purpose=purpose,
            receivers=self.charter.computation(template).receivers,
            files=files,
            expires_at=self.at + timedelta(days=self.charter.access.release_valid_days),
        )

    # --- several at once

    def contribute(self, dataset: str, signer: str, key: SigningKey, file: object = 1) -> LoggedEvent:
        """Stages 1 to 3; returns the gate."""
        accepted = self.record(self.accepted(dataset, signer, key, file))
        return self.record(self.passed(self.record(self.deidentified(accepted))))

    def answer(self, request: str, template: str, purpose: str, room: LoggedEvent) -> LoggedEvent:
        """Stages 5 to 7 of a permitted request."""
        cells = self.record(self.ran(request, template, room))
        protected = self.record(self.protected(request, template, cells))
        return self.record(self.released(request, template, purpose, protected))

    def receipt(
        self, stage: Any, subject: str, *inputs: LoggedEvent, outputs: dict[str, str] | None = None
    ) -> StageReceipt:
        return StageReceipt(
            stage=stage,
            subject=subject,
            charter_digest=self.charter.digest,
            inputs=tuple(each.receipt_id for each in inputs),
            outputs={"table": DIGEST} if outputs is None else outputs,
            run_id="0190a000-0000-7000-8000-000000000000",
        )
