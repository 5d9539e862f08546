"""What happens by the clock: signing the log's head, forwarding lineage, and what time brings about.

Belongs here: how often. Must not be here: what expires, escalates or is reviewed
(`participants/consequences`).
"""

# No `from __future__ import annotations`: Dagster checks the context's annotation as an object.

from collections.abc import Iterable

import dagster as dg

from orchestration.audit import checkpoint, forward
from orchestration.charter.model import Charter
from orchestration.defs.resources import public_errors
from orchestration.errors import public
from orchestration.house import House
from orchestration.settings import load_settings
from orchestration.stages import governance


@dg.op(description="Sign the log's current head; forward lineage that has not left the house yet.")
def sign_and_forward(context: dg.OpExecutionContext) -> None:
    settings = load_settings()
    with public_errors(), House.opened(settings) as house:
        signed = checkpoint.make(house.log, house.operator, house.checkpoints)
        sinks = forward.forward(house.log, settings)
    context.log.info(f"Checkpoint of {signed.size} events.")
    for sink in sinks:
        context.log.info(f"Lineage to {sink.sink}: {sink.sent} sent, {sink.waiting} waiting.")


@dg.job(
    name="log_checkpoint",
    description="Signed tree head of the audit log.",
    executor_def=dg.in_process_executor,
)
def checkpoint_job() -> None:
    sign_and_forward()


def checkpoint_schedule(charters: Iterable[Charter]) -> dg.ScheduleDefinition:
    """As often as the strictest charter wants it."""
    minutes = min((charter.audit.checkpoint_minutes for charter in charters), default=60)
    return dg.ScheduleDefinition(
        name="log_checkpoint_due",
        job=checkpoint_job,
        cron_schedule=cron_every(minutes),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"At least every {minutes} minutes, as the charters demand.",
    )


@dg.op(description="Record what is due: expiries, escalations, access reviews, lapses, what votes decided.")
def settle_everything(context: dg.OpExecutionContext) -> None:
    """One collaboration that cannot be settled does not keep the others waiting."""
    failed: list[str] = []
    with public_errors(), House.opened(load_settings()) as house:
        for collaboration in governance.collaborations(house):
            try:
                logged = governance.settle(house, collaboration)
            except Exception as error:
                failed.append(f"{collaboration}: {public(error)}")
                continue
            for each in logged:
                context.log.info(f"{collaboration}: {each.event.type}, event {each.seq}.")
    if failed:
        raise dg.Failure(description="\n".join(failed), allow_retries=False)


@dg.job(
    name="governance_due_job",
    description="Consequences that no act of a member brings about at once.",
    executor_def=dg.in_process_executor,
)
def governance_job() -> None:
    settle_everything()


governance_schedule = dg.ScheduleDefinition(
    name="governance_due",
    job=governance_job,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every five minutes, for all collaborations of this house.",
)


def cron_every(minutes: int) -> str:
    """The longest even rhythm of the clock that is at least as frequent as every `minutes`.

    Cron restarts counting each hour and day, so only divisors of 60 minutes and 24 hours keep the promise.
    """
    if minutes < 60:
        step = max(d for d in range(1, 31) if 60 % d == 0 and d <= minutes)
        return f"*/{step} * * * *"
    hours = max(d for d in range(1, 25) if 24 % d == 0 and d <= minutes // 60)
    return "0 0 * * *" if hours == 24 else f"0 */{hours} * * *"
