"""How every stage leaves its trace: one event, its receipt and its lineage, in one transaction.

A stage that ends without `complete` or `refuse` has failed: the failure is recorded with its public reason
and raised again. What an exception says beyond that reason never reaches the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import select

from orchestration.audit import lineage, tables
from orchestration.audit.events import Event, Payload, Stage, StageFailed, StageReceipt
from orchestration.audit.lineage_datasets import Dataset
from orchestration.audit.log import LoggedEvent
from orchestration.audit.model_lineage import ModelLineage
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.audit.receipts import Receipt
from orchestration.charter.model import Charter
from orchestration.errors import CharterError, Reason, public
from orchestration.house import House

NOT_REGISTERED = Reason(
    "charter.not_registered",
    "The charter of {collaboration} was changed, and this version of it is not in the log.",
    "Put the agreed version back, or register the new one with `glasshouse init`.",
)


@dataclass(frozen=True)
class Caller:
    """Who runs a stage, why, and as part of which larger run."""

    actor: str
    justification: str
    parent: lineage.ParentRun | None = None


@dataclass
class Recording:
    """A stage in progress."""

    house: House
    charter: Charter
    stage: Stage
    subject: str
    caller: Caller
    job: str
    purpose: str | None
    run_id: str
    start: lineage.LineageEvent
    reads: list[Dataset]
    receipts: list[str] = field(default_factory=list)
    ended: bool = False

    def receipt(
        self, subject: str, *, inputs: Sequence[Receipt] = (), outputs: Mapping[str, str] | None = None
    ) -> StageReceipt:
        """The receipt this stage is about to hand over."""
        self.receipts = [receipt.id for receipt in inputs]
        return StageReceipt(
            stage=self.stage,
            subject=subject,
            charter_digest=self.charter.digest,
            inputs=tuple(self.receipts),
            outputs=dict(outputs or {}),
            run_id=self.run_id,
        )

    def complete(
        self,
        payload: Payload,
        *,
        subject: str,
        writes: Sequence[Dataset] = (),
        steps: Sequence[ModelLineage] = (),
    ) -> LoggedEvent:
        """Record success: event, projections and lineage, durably and together.

        Args:
            writes: what the stage made of what it read.
            steps: models that ran inside it; each becomes a run of its own, below this one.
        """
        ending = lineage.completed(self._run(), self.reads, writes, receipts=self.receipts)
        events = [self.start, *(event for step in steps for event in self._step(step)), ending]
        logged = self.house.log.append(self._event(payload, subject), lineage=events)
        self.ended = True
        return logged

    def _step(self, model: ModelLineage) -> tuple[lineage.LineageEvent, lineage.LineageEvent]:
        run = self._run().child(model.output.name)
        return (
            lineage.started(run, model.inputs, self.receipts),
            lineage.completed(run, model.inputs, [model.output], self.receipts),
        )

    def refuse(self, payload: Payload, *, subject: str, code: str, message: str) -> LoggedEvent | None:
        """Record an honest no with an event of its own; None when this very refusal stands already."""
        ending = lineage.failed(self._run(), self.reads, code, message, self.receipts)
        self.ended = True
        try:
            return self.house.log.append(self._event(payload, subject), lineage=[self.start, ending])
        except AlreadyRecordedError:
            return None

    def _event(self, payload: Payload, subject: str) -> Event:
        return Event(
            collaboration=self.charter.collaboration,
            subject=subject,
            actor=self.caller.actor,
            justification=self.caller.justification,
            payload=payload,
        )

    def _run(self) -> lineage.StageRun:
        return lineage.StageRun(
            run_id=self.run_id,
            stage=self.stage,
            job_name=self.job,
            collaboration=self.charter.collaboration,
            charter_digest=self.charter.digest,
            purpose=self.purpose,
            parent=self.caller.parent,
        )


def require_registered(house: House, charter: Charter) -> None:
    """Refuse to act under a charter that the log does not know.

    Raises: CharterError (`charter.not_registered`).
    """
    table = tables.charters.c
    query = select(table.seq).where(
        table.collaboration == charter.collaboration, table.digest == charter.digest
    )
    with house.log.read() as connection:
        if connection.execute(query).first() is None:
            raise CharterError(NOT_REGISTERED, collaboration=charter.collaboration)


@contextmanager
def recording(
    house: House,
    charter: Charter,
    stage: Stage,
    subject: str,
    caller: Caller,
    *,
    job: str,
    reads: Sequence[Dataset] = (),
    purpose: str | None = None,
) -> Iterator[Recording]:
    """Run one stage on record.

    Args:
        subject: what a failure is about, as far as known at the start.
        job: lineage name of the step, such as `deidentified.transactions`.
        reads: what it reads, as far as known at the start; the stage may add to `reads`.
    """
    require_registered(house, charter)
    recorded = Recording(
        house, charter, stage, subject, caller, job, purpose, lineage.new_run_id(), {}, list(reads)
    )
    recorded.start = lineage.started(recorded._run(), recorded.reads)
    try:
        yield recorded
    except Exception as error:
        # Everything is recorded, bugs included; what they say is reduced to a public reason first.
        if not recorded.ended:
            reason = public(error)
            failure = StageFailed(
                stage=stage,
                subject=subject,
                code=reason.code,
                message=reason.message,
                next_step=reason.next_step,
            )
            recorded.refuse(failure, subject=subject, code=reason.code, message=reason.message)
        raise
