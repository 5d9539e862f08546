"""What every asset gets: the opened house, and the way errors leave a step.

A step's exception would put an engine's text, which quotes values, into Dagster's event log. Only the
public reason leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from orchestration.audit.lineage import ParentRun, parent_run_id
from orchestration.defs import liveness
from orchestration.errors import public
from orchestration.house import OPERATOR, House
from orchestration.settings import load_settings
from orchestration.stages.recorder import Caller

ACTOR_TAG = "glasshouse/actor"
REASON_TAG = "glasshouse/justification"
COLLABORATION_TAG = "glasshouse/collaboration"
CHARTER_TAG = "glasshouse/charter"
REQUEST_TAG = "glasshouse/request"
WORK_TAG = "glasshouse/work"


class HouseResource(dg.ConfigurableResource["HouseResource"]):
    """Opens the house of the environment's settings, for one step at a time."""

    @contextmanager
    def step(
        self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext
    ) -> Iterator[tuple[House, Caller]]:
        """The house and who is calling; whatever goes wrong inside leaves as its public reason."""
        settings = load_settings()
        liveness.hold(settings, context.run.run_id)
        with public_errors(), House.opened(settings) as house:
            yield house, caller(context)


@contextmanager
def public_errors() -> Iterator[None]:
    """Whatever is raised inside leaves as its public reason, in steps, sensors and schedules alike."""
    try:
        yield
    except dg.Failure:
        raise
    except Exception as error:
        # Bugs included: a traceback's message may quote a value, so only its public form leaves.
        reason = public(error)
        raise dg.Failure(
            description=str(reason),
            metadata={"code": reason.code, "next step": reason.next_step},
            allow_retries=False,
        ) from None


def caller(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Caller:
    """Dagster has no users and its tags can be written by anybody, so every run acts as the operator.

    Whoever asked stands in the request's own event. The charter's tag can only stop a run, never permit one.
    """
    run = context.run
    started = context.instance.get_run_stats(run.run_id).start_time
    moment = datetime.fromtimestamp(started, UTC) if started else datetime.now(UTC)
    return Caller(
        actor=OPERATOR,
        justification=run.tags.get(REASON_TAG, "Started in Dagster."),
        parent=ParentRun(parent_run_id(run.run_id, moment), f"dagster.{run.job_name}"),
        charter_digest=run.tags.get(CHARTER_TAG),
    )
