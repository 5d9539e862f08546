"""Did an answer stay within what was agreed? What ran is held against the charter, and differences are named.

Belongs here: rules of the charter that can be checked afterwards from the log alone. Must not be here:
deciding beforehand (`computation/request`, `participants/policy`), or collecting events (`trace`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

from orchestration.audit import stage_events as s
from orchestration.audit.governance_events import DecisionConcluded, OutputRecalled
from orchestration.audit.trace import Trace, charter_at
from orchestration.charter.model import Charter, Computation
from orchestration.participants.state import State, participant_of


class _Case(NamedTuple):
    """What every check looks at: what happened, and what was agreed."""

    found: Trace
    charter: Charter
    computation: Computation


Check = Callable[[_Case], Iterator[str]]


def differences(found: Trace, state: State) -> list[str]:
    """Everything in which a request or its answer went beyond the charter, in words; empty: nothing.

    What was refused in time went beyond nothing.
    """
    charter = found.charter
    if charter is None:
        return ["No charter was in force when it was asked."]
    agreed = {each.template: each for each in charter.computations}
    computation = agreed.get(found.request.template)
    named = [*_other_charter(found, state)]
    if computation is None:
        if found.last(s.ComputationRun) or found.last(s.OutputReleased):
            named.append(f"The charter does not name the computation {found.request.template}.")
        return named
    for check in _CHECKS:
        named += check(_Case(found, charter, computation))
    return list(dict.fromkeys(named))


def datasets_of(found: Trace) -> tuple[str, ...]:
    """Datasets the request said its answer reads."""
    return tuple(json.loads(found.request.datasets))


def required_threshold(charter: Charter, template: str, datasets: tuple[str, ...]) -> int:
    """Fewest privacy units of a shown cell, over what the charter still names."""
    known = {each.id for each in charter.datasets}
    if template not in {each.template for each in charter.computations}:
        return charter.output.aggregation_threshold
    return charter.threshold_for(template, [each for each in datasets if each in known])


def _other_charter(found: Trace, state: State) -> Iterator[str]:
    for logged, payload in found.handovers:
        then = charter_at(state, logged.event.time)
        if then is None or payload.receipt.charter_digest != then.digest:
            yield f"Stage {payload.stage} ran under a charter not in force then (event {logged.seq})."


def _asked(case: _Case) -> Iterator[str]:
    """Whoever was permitted must have been entitled to ask this."""
    found, charter, computation = case
    if not (found.last(s.ComputationRun) or found.last(s.OutputReleased)):
        return
    asked = found.request
    if asked.participant not in computation.requesters:
        yield f"{asked.participant} is not among those who may ask for it."
    if asked.purpose not in computation.purposes:
        yield f"The purpose {asked.purpose} is not among those of the computation."
    for use in charter.prohibited_uses:
        if asked.template in use.templates:
            yield f"The charter prohibits the computation ({use.id})."
    for dataset in charter.datasets:
        if dataset.id in datasets_of(found) and asked.purpose not in dataset.purposes:
            yield f"{dataset.id} was not given for the purpose {asked.purpose}."


def _approval(case: _Case) -> Iterator[str]:
    """Where people had to approve, they did, and before anything ran."""
    found, charter, _ = case
    ran = [logged.seq for logged, _payload in found.all(s.ComputationRun)]
    wanted = charter.approval_for(found.request.template)
    if not ran or wanted is None:
        return
    if found.request.approval != wanted:
        yield f"It did not wait for the decision right {wanted}."
        return
    approved = [logged.seq for logged, said in found.all(DecisionConcluded) if said.outcome == "approved"]
    if not approved:
        yield f"It ran without approval under the decision right {wanted}."
    elif approved[0] > ran[0]:
        yield f"It ran (event {ran[0]}) before it was approved (event {approved[0]})."


def _template(case: _Case) -> Iterator[str]:
    found = case.found
    for logged, said in found.all(s.ComputationRun):
        if said.template != found.request.template:
            yield f"{said.template} ran in place of {found.request.template} (event {logged.seq})."


def _protection(case: _Case) -> Iterator[str]:
    found, charter, _ = case
    required = required_threshold(charter, found.request.template, datasets_of(found))
    for logged, said in found.all(s.OutputGenerated):
        if said.threshold < required:
            yield f"Its threshold was {said.threshold}; the charter wants {required} (event {logged.seq})."
        if said.cells_shown > charter.output.max_cells:
            most = charter.output.max_cells
            yield f"It shows {said.cells_shown} cells; the charter allows {most} (event {logged.seq})."


def _release(case: _Case) -> Iterator[str]:
    found, charter, computation = case
    for logged, said in found.all(s.OutputReleased):
        others = sorted(set(said.receivers) - set(computation.receivers))
        if others:
            yield f"It was released to {', '.join(others)}, not named by the charter (event {logged.seq})."
        if said.purpose != found.request.purpose:
            yield f"It was released for {said.purpose}, asked for {found.request.purpose}."
        days = charter.access.release_valid_days
        if said.expires_at > logged.event.time + timedelta(days=days):
            yield f"It can be opened for longer than {days} days."


def _contributions(case: _Case) -> Iterator[str]:
    found = case.found
    if not found.behind:
        return
    used = datasets_of(found)
    given = {said.dataset for _id, said in found.contributions}
    for name in used:
        if name not in given:
            yield f"No contribution to {name} stands behind it."
    for contribution, said in found.contributions:
        if said.dataset in used and found.request.purpose not in said.purposes:
            yield f"Contribution {contribution} was not given for the purpose {found.request.purpose}."


def _openings(case: _Case) -> Iterator[str]:
    found, _, computation = case
    released = found.last(s.OutputReleased)
    recalled = [logged.seq for logged, _payload in found.all(OutputRecalled)]
    for logged, said in found.all(s.OutputAccessed):
        at = f"(event {logged.seq})"
        if participant_of(said.member) not in computation.receivers:
            yield f"{said.member} opened it, whose organization the charter does not name {at}."
        if released is not None and logged.event.time >= released.expires_at:
            yield f"{said.member} opened it after it had expired {at}."
        if recalled and logged.seq > recalled[0]:
            yield f"{said.member} opened it after it was recalled {at}."


_CHECKS: tuple[Check, ...] = (
    _asked,
    _approval,
    _template,
    _protection,
    _release,
    _contributions,
    _openings,
)
