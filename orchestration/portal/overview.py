"""What happened, on one page: parties, the chain of stages of each dataset, insights, refusals, log health.

Belongs here: putting what one viewer sees of a collaboration into frozen values for the page and its twins.
Must not be here: HTML, queries (`records.py`, which narrows them), or any judgement of its own: a stage has
passed when its receipt says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import ContributionRefused, StageFailed
from orchestration.audit.vocabulary import now, timestamp
from orchestration.charter.model import Charter
from orchestration.house import House
from orchestration.portal.chains import (
    INTAKE,
    NO,
    TITLES,
    DatasetChain,
    RequestCard,
    dataset_chain,
    received_card,
    request_card,
)
from orchestration.portal.records import Records, read_records
from orchestration.stages.login import Viewer

CSV_COLUMNS = ("subject", "about", "stage", "state", "word", "receipt", "seq", "facts")


@dataclass(frozen=True)
class Party:
    """`rows`: accepted rows of the newest contribution of each of its datasets.

    `delivered` and `rows` are None where the viewer does not see them.
    """

    id: str
    name: str
    description: str
    datasets: tuple[str, ...]
    delivered: int | None
    rows: int | None
    members: int


@dataclass(frozen=True)
class Refusal:
    """A delivery that was refused, or a step that stopped and was not repeated with success since."""

    seq: int
    time: str
    what: str
    who: str
    code: str
    message: str
    next_step: str


@dataclass(frozen=True)
class NextStep:
    """`participants`: whom it waits for; none: the operator."""

    who: str
    what: str
    command: str = ""
    participants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overview:
    collaboration: str
    title: str
    version: int
    charter_digest: str
    charter_seq: int | None
    objectives: tuple[str, ...]
    privacy_unit: str
    threshold: int
    effective_from: str
    effective_until: str
    parties: tuple[Party, ...]
    chains: tuple[DatasetChain, ...]
    requests: tuple[RequestCard, ...]
    refusals: tuple[Refusal, ...]
    next_steps: tuple[NextStep, ...]

    @property
    def names(self) -> dict[str, str]:
        """Participant → what people call it."""
        return {party.id: party.name for party in self.parties}

    @property
    def intake(self) -> tuple[str, ...]:
        """The stages of every dataset, as the heads of a table."""
        return tuple(TITLES[stage] for stage in INTAKE)


def overview(house: House, charter: Charter, viewer: Viewer, seen: Collection[int]) -> Overview:
    """The state of one collaboration, made of nothing but the events that are `seen`.

    Raises: IntegrityError when an event is not what was written.
    """
    with house.log.read() as connection:
        records = read_records(connection, charter, seen)
    chains = tuple(
        dataset_chain(records, charter, each.id, shown=_sees_data_of(viewer, each.participant))
        for each in charter.datasets
    )
    cards = [request_card(records, row) for row in records.requests]
    cards += [received_card(records, row) for row in records.received]
    requests = tuple(sorted(cards, key=lambda card: (card.status in NO, -card.seq)))  # answers first
    refusals = tuple(_refusal(logged) for logged in (*records.refused, *records.stopped))
    return Overview(
        collaboration=charter.collaboration,
        title=charter.title,
        version=charter.version,
        charter_digest=charter.digest,
        charter_seq=records.charter_seq,
        objectives=charter.objectives,
        privacy_unit=charter.privacy_unit,
        threshold=charter.output.aggregation_threshold,
        effective_from=charter.effective_from.isoformat(),
        effective_until=charter.effective_until.isoformat(),
        parties=tuple(_party(records, charter, viewer, each.id) for each in charter.participants),
        chains=chains,
        requests=requests,
        refusals=tuple(sorted(refusals, key=lambda refusal: -refusal.seq)),
        next_steps=tuple(_next_steps(charter, viewer, chains, requests)),
    )


def _sees_data_of(viewer: Viewer, participant: str) -> bool:
    return viewer.sees_everything or participant == viewer.participant


def _party(records: Records, charter: Charter, viewer: Viewer, participant: str) -> Party:
    found = charter.participant(participant)
    datasets = [each for each in charter.datasets if each.participant == participant]
    delivered = [records.contributions[each.id] for each in datasets if each.id in records.contributions]
    shown = _sees_data_of(viewer, participant)
    return Party(
        id=participant,
        name=found.name,
        description=found.description,
        datasets=tuple(each.title for each in datasets),
        delivered=len(delivered) if shown else None,
        rows=sum(row.rows or 0 for row in delivered) if shown else None,
        members=records.members.get(participant, 0),
    )


def rows(view: Overview) -> Iterable[dict[str, Any]]:
    """Every step of every chain as one flat row."""
    for subject, about, steps in [
        *((chain.contribution or chain.dataset, chain.dataset, chain.steps) for chain in view.chains),
        *((request.request, request.template, request.steps) for request in view.requests),
    ]:
        for step in steps:
            yield {
                "subject": subject,
                "about": about,
                "stage": step.stage,
                "state": step.state,
                "word": step.word,
                "receipt": step.receipt,
                "seq": step.seq,
                "facts": "; ".join(step.facts),
            }


# --- what was refused, and what waits


def _refusal(logged: LoggedEvent) -> Refusal:
    payload = logged.event.payload
    if isinstance(payload, ContributionRefused):
        what = f"{payload.dataset or 'a delivery'} · {payload.delivery}"
        who = payload.participant
    elif isinstance(payload, StageFailed):
        what, who = f"{payload.stage} of {payload.subject}", logged.event.actor
    else:  # only these two kinds are read
        raise TypeError(f"{logged.event.type} is no refusal")
    time = timestamp(logged.event.time)
    return Refusal(logged.seq, time, what, who, payload.code, payload.message, payload.next_step)


def _next_steps(
    charter: Charter,
    viewer: Viewer,
    chains: Collection[DatasetChain],
    requests: Collection[RequestCard],
) -> Iterable[NextStep]:
    names = {each.id: each.name for each in charter.participants}
    for chain in chains:
        who, participants = names[chain.participant], (chain.participant,)
        if not chain.steps:
            continue
        if chain.contribution is None:
            command = f"glasshouse contribute FILE --dataset {chain.dataset} --provenance TEXT"
            yield NextStep(who, f"Contribute {chain.title}", command, participants)
        elif any(step.word == "failed" for step in chain.steps):
            what = f"See which checks {chain.title} failed, and deliver it corrected"
            yield NextStep(who, what, participants=participants)
        elif any(step.word == "stopped" for step in chain.steps[:3]):
            yield NextStep("operator", f"Run {chain.title} again", "glasshouse run")
    for request in requests:
        if request.status in ("submitted", "permitted", "computed", "protected"):
            yield NextStep("operator", f"Answer request {request.request}", "glasshouse run")
        elif request.release and request.outdated is None and not request.recalled:
            yield from _to_open(charter, viewer, request)
        elif request.release and (request.expires_at or "") > timestamp(now()):
            yield from _to_warn(viewer, request, names)


def _to_warn(viewer: Viewer, request: RequestCard, names: Mapping[str, str]) -> Iterable[NextStep]:
    """Receivers that can rely on the release no more; a member is told of its own organization alone."""
    told = [each for each in request.receivers if viewer.sees_everything or each == viewer.participant]
    if told:
        how = "Use no more the recalled" if request.recalled else "Ask again before relying on the stale"
        who = ", ".join(names.get(each, each) for each in told)
        yield NextStep(who, f"{how} insight {_title(request.template)}", participants=tuple(told))


def _to_open(charter: Charter, viewer: Viewer, request: RequestCard) -> Iterable[NextStep]:
    """Receivers of which nobody has opened the release; a member is told of its own organization alone."""
    ended = (request.expires_at or "") <= timestamp(now())
    waiting = [each for each in request.receivers if each not in request.openers and not ended]
    if not viewer.sees_everything:
        waiting = [each for each in waiting if each == viewer.participant]
    if not waiting:
        return
    may_open = viewer.participant in waiting and charter.access.detail_for(viewer.roles) is not None
    why = " --why TEXT" if charter.audit.justification_required else ""
    command = f"glasshouse open {request.release} --as {viewer.member if may_open else 'MEMBER'}{why}"
    names = {each.id: each.name for each in charter.participants}
    who = ", ".join(names.get(each, each) for each in waiting)
    yield NextStep(who, f"Open the insight {_title(request.template)}", command, tuple(waiting))


def _title(template: str) -> str:
    return template.replace("_", " ")
