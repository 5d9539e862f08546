"""How every stage leaves its trace: one event, its receipt and its lineage, in one transaction.

A stage that ends without `complete` or `refuse` has failed: the failure is recorded with its public reason
and raised again. What an exception says beyond that reason never reaches the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestration.audit import lineage
from orchestration.audit.events import Event
from orchestration.audit.lineage_datasets import Dataset
from orchestration.audit.log import LoggedEvent
from orchestration.audit.model_lineage import ModelLineage
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.audit.receipts import Receipt
from orchestration.audit.stage_events import StageFailed
from orchestration.audit.vocabulary import Payload, Stage, StageReceipt
from orchestration.charter.model import Charter
from orchestration.errors import public
from orchestration.house import House
from orchestration.stages.standing import Subject, require_standing


@dataclass(frozen=True)
class Caller:
    """Who runs a stage, why, and as part of which larger run.

    `charter_digest` is the charter that run was started under, when it says so.
    """

    actor: str
    justification: str
    parent: lineage.ParentRun | None = None
    charter_digest: str | None = None


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
    participants: list[str] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    ended: bool = False

    def concern(self, participants: Sequence[str] = (), subjects: Sequence[Subject] = ()) -> None:
        """Name whose data, and what, this stage turns out to rest on; they are asked about at once.

        Raises: PolicyDeniedError, like `require_standing`.
        """
        self.participants += participants
        self.subjects += subjects
        self.require_standing()

    def require_standing(self) -> None:
        """Raises: PolicyDeniedError when the stage must stop here."""
        require_standing(
            self.house,
            self.charter,
            participants=self.participants,
            subjects=self.subjects,
            started_under=self.caller.charter_digest,
        )

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
        before: Callable[[Event], Sequence[Event]] = lambda _: (),
    ) -> LoggedEvent:
        """Record success: event, projections and lineage, durably and together.

        Args:
            writes: what the stage made of what it read.
            steps: models that ran inside it; each becomes a run of its own, below this one.
            before: events that have to stand right before it, in the same transaction.

        Raises: PolicyDeniedError when the collaboration was stopped, or amended, while the stage ran; and
        whatever the log's guard raises, which asks all rules again in the transaction that appends.
        """
        self.require_standing()
        ending = lineage.completed(self._run(), self.reads, writes, receipts=self.receipts)
        events = [self.start, *(event for step in steps for event in self._step(step)), ending]
        event = self._event(payload, subject)
        logged = self.house.log.append_many([*before(event), event], lineage=events)
        self.ended = True
        return logged[-1]

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
    participants: Sequence[str] = (),
    subjects: Sequence[Subject] = (),
) -> Iterator[Recording]:
    """Run one stage on record, if the collaboration stands; being stopped is on record too.

    Args:
        subject: what a failure is about, as far as known at the start.
        job: lineage name of the step, such as `deidentified.transactions`.
        reads: what it reads, as far as known at the start; the stage may add to `reads`.
        participants: those who must be active for it, as far as known; see `Recording.concern`.
        subjects: what must not be under dispute.

    Raises: PolicyDeniedError, like `require_standing`.
    """
    recorded = Recording(
        house, charter, stage, subject, caller, job, purpose, lineage.new_run_id(), {}, list(reads)
    )
    recorded.start = lineage.started(recorded._run(), recorded.reads)
    try:
        recorded.concern(participants, subjects)
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
