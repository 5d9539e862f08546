"""The two chains of stages: from a contribution to the room, and from a request to its insight.

Belongs here: what each stage says of itself in a few words. A stage has passed when its receipt says so; this
file judges nothing. Must not be here: queries (`records.py`), HTML.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Row

from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import (
    ComputationRun,
    ContributionAccepted,
    DatasetDeidentified,
    GateFailed,
    GatePassed,
    OutputGenerated,
    OutputReleased,
    RoomRefreshed,
    StageFailed,
)
from orchestration.audit.vocabulary import Stage
from orchestration.audit.withdrawal_events import ContributionTrimmed, OutdatedBy
from orchestration.charter.model import Charter
from orchestration.portal.records import Records

State = Literal["passed", "failed", "waiting", "withheld"]
NO = ("denied", "withheld")
TITLES: dict[Stage, str] = {
    "contribution": "Contribution",
    "deidentified": "De-identified",
    "gate": "Gate",
    "room": "Room",
    "cells": "Cells",
    "protected": "Protected",
    "insight": "Insight",
}
INTAKE: tuple[Stage, ...] = ("contribution", "deidentified", "gate", "room")


@dataclass(frozen=True)
class Step:
    """One stage of a chain: its state, the event that says so, and what it says in a few words."""

    stage: Stage
    title: str
    state: State
    word: str
    seq: int | None = None
    receipt: str | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetChain:
    """Without steps, and `deliveries` None, where only the dataset's owner sees how far it has come."""

    dataset: str
    title: str
    entity: str
    participant: str
    contribution: str | None
    deliveries: int | None
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Cells:
    """What output control did with the cells of one request."""

    shown: int
    primary: int
    complementary: int
    threshold: int

    @property
    def total(self) -> int:
        return self.shown + self.primary + self.complementary


@dataclass(frozen=True)
class RequestCard:
    """A request that the viewer sees, or of one it does not see the release that it receives.

    `openers`: the receivers of which somebody has opened it.
    """

    request: str
    template: str
    parameters: dict[str, Any]
    purpose: str
    requester: str
    status: str
    seq: int
    steps: tuple[Step, ...]
    cells: Cells | None = None
    release: str | None = None
    receivers: tuple[str, ...] = ()
    expires_at: str | None = None
    opened: int = 0
    openers: tuple[str, ...] = ()
    recalled: bool = False
    outdated: OutdatedBy | None = None
    code: str | None = None
    message: str | None = None
    next_step: str | None = None


# --- from contribution to room


def dataset_chain(records: Records, charter: Charter, dataset_id: str, *, shown: bool) -> DatasetChain:
    """From the newest accepted contribution of a dataset to the room; `shown` to its owner and auditors."""
    dataset = charter.dataset(dataset_id)
    row = records.contributions.get(dataset_id) if shown else None
    steps: tuple[Step, ...]
    if not shown:
        steps = ()
    elif row is None:
        steps = tuple(Step(stage, TITLES[stage], "waiting", "not yet") for stage in INTAKE)
    else:
        steps = (
            _contribution(records, row.contribution),
            _deidentified(records, row.contribution),
            _gate(records, row.contribution),
            _room(records, charter.collaboration, row),
        )
    return DatasetChain(
        dataset=dataset_id,
        title=dataset.title,
        entity=dataset.entity,
        participant=dataset.participant,
        contribution=row.contribution if row is not None else None,
        deliveries=records.deliveries.get(dataset_id, 0) if shown else None,
        steps=steps,
    )


def _passed(logged: LoggedEvent, stage: Stage, word: str, *facts: str) -> Step:
    given = tuple(fact for fact in facts if fact)
    return Step(stage, TITLES[stage], "passed", word, logged.seq, logged.receipt_id, given)


def _missing(records: Records, stage: Stage, subject: str, word: str = "not yet") -> Step:
    """A stage without a receipt: it has not run, or it stopped."""
    for logged in records.stopped:
        payload = logged.event.payload
        if isinstance(payload, StageFailed) and (payload.stage, payload.subject) == (stage, subject):
            return Step(stage, TITLES[stage], "failed", "stopped", logged.seq, None, (payload.code,))
    return Step(stage, TITLES[stage], "waiting", word)


def _plural(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _contribution(records: Records, contribution: str) -> Step:
    found = records.payload("contribution", contribution, ContributionAccepted)
    if found is None:
        trimmed = records.payload("contribution", contribution, ContributionTrimmed)
        if trimmed is not None:
            return _passed(trimmed[0], "contribution", "accepted", "people were taken out since")
        return _missing(records, "contribution", contribution)
    logged, payload = found
    quarantined = sum(payload.quarantined_rows.values())
    facts = _plural(payload.rows, "row"), f"{quarantined:,} in quarantine" if quarantined else ""
    return _passed(logged, "contribution", "accepted", *facts)


def _deidentified(records: Records, contribution: str) -> Step:
    found = records.payload("deidentified", contribution, DatasetDeidentified)
    if found is None:
        return _missing(records, "deidentified", contribution)
    logged, payload = found
    changed = sum(kind not in ("pass", "drop") for kind in payload.techniques.values())
    return _passed(logged, "deidentified", "done", f"{changed} transformed" if changed else "passed on as is")


def _gate(records: Records, contribution: str) -> Step:
    found = records.payload("gate", contribution, GatePassed)
    failed = records.gates.get(contribution)
    if found is not None:
        logged, payload = found
        passed = sum(check.passed for check in payload.checks)
        warnings = len(payload.checks) - passed  # nothing worse may fail in a gate that passed
        facts = f"{passed}/{len(payload.checks)} checks", _plural(warnings, "warning") if warnings else ""
        return _passed(logged, "gate", "passed", *facts)
    if failed is not None and isinstance(failed.event.payload, GateFailed):
        checks = failed.event.payload.checks
        fact = f"{sum(not check.passed for check in checks)} of {len(checks)} checks failed"
        return Step("gate", TITLES["gate"], "failed", "failed", failed.seq, None, (fact,))
    return _missing(records, "gate", contribution)


def _room(records: Records, collaboration: str, row: Row[Any]) -> Step:
    found = records.payload("room", collaboration, RoomRefreshed)
    if found is not None:
        logged, payload = found
        entities = [name for name, made_of in payload.tables.items() if row.contribution in made_of]
        if entities:
            return _passed(logged, "room", "joined", f"as {', '.join(entities)}")
    missing = _missing(
        records, "room", collaboration, "at next refresh" if row.gate == "passed" else "not yet"
    )
    earlier = records.admitted.get(row.dataset, row.contribution) != row.contribution
    return replace(missing, facts=("earlier delivery stays",)) if earlier else missing


# --- from request to insight


def request_card(records: Records, row: Row[Any]) -> RequestCard:
    """From a request to its insight, or to the reason why there is none."""
    protected = records.payload("protected", row.request, OutputGenerated)
    answer = records.answers.get(row.request)
    said = answer.event.payload if answer is not None and row.code is not None else None
    release = records.releases.get(row.request)
    return RequestCard(
        request=row.request,
        template=row.template,
        parameters=json.loads(row.parameters),
        purpose=row.purpose,
        requester=row.requester,
        status=row.status,
        seq=row.seq,
        steps=_request_steps(records, row, answer),
        cells=_cells(protected[1]) if protected else None,
        code=row.code,
        message=getattr(said, "message", None),
        next_step=getattr(said, "next_step", None),
        **(_of_release(records, release) if release else {}),
    )


def received_card(records: Records, release: Row[Any]) -> RequestCard:
    """What a receiver sees of an answer that others asked for."""
    insight = records.payload("insight", release.request, OutputReleased)
    return RequestCard(
        request=release.request,
        template=release.template,
        parameters={},
        purpose=release.purpose,
        requester="",
        status="released",
        seq=release.seq,
        steps=(_released(*insight),) if insight else (),
        **_of_release(records, release),
    )


def _of_release(records: Records, release: Row[Any]) -> dict[str, Any]:
    return {
        "release": release.release,
        "receivers": tuple(json.loads(release.receivers)),
        "expires_at": release.expires_at,
        "opened": records.opened.get(release.release, 0),
        "openers": tuple(sorted(records.openers.get(release.release, ()))),
        "recalled": release.recalled,
        "outdated": release.outdated,
    }


def _released(logged: LoggedEvent, payload: OutputReleased) -> Step:
    return _passed(logged, "insight", "released", _plural(len(payload.receivers), "receiver"))


def _request_steps(records: Records, row: Row[Any], answer: LoggedEvent | None) -> tuple[Step, ...]:
    computed = records.payload("cells", row.request, ComputationRun)
    protected = records.payload("protected", row.request, OutputGenerated)
    insight = records.payload("insight", row.request, OutputReleased)
    steps = [
        _passed(computed[0], "cells", "computed", "")
        if computed
        else _missing(records, "cells", row.request),
        _passed(protected[0], "protected", "protected", f"{protected[1].cells_shown:,} shown")
        if protected
        else _missing(records, "protected", row.request),
        _released(*insight) if insight else _missing(records, "insight", row.request),
    ]
    if row.status in NO:
        state: State = "failed" if row.status == "denied" else "withheld"
        stage: Stage = "cells" if row.status == "denied" else "insight"
        said = Step(stage, TITLES[stage], state, row.status, answer.seq if answer else None)
        steps = [said if step.stage == stage else step for step in steps]
    return tuple(steps)


def _cells(payload: OutputGenerated) -> Cells:
    return Cells(payload.cells_shown, payload.cells_primary, payload.cells_complementary, payload.threshold)
