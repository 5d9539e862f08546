"""What happened, on one page: parties, the chain of stages of each dataset, insights, refusals, log health.

Belongs here: reading the log's tables and events of one collaboration into frozen values for the template
and its JSON twin. Must not be here: HTML, or any judgement of its own: a stage has passed when its receipt
says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from orchestration.audit.log import LoggedEvent
from orchestration.audit.stage_events import ContributionRefused, StageFailed
from orchestration.audit.vocabulary import timestamp
from orchestration.charter.model import Charter
from orchestration.house import House
from orchestration.portal.chains import NO, DatasetChain, RequestCard, Step, dataset_chain, request_card
from orchestration.portal.records import Records, read_records

CSV_COLUMNS = ("subject", "about", "stage", "state", "word", "receipt", "seq", "facts")


@dataclass(frozen=True)
class Party:
    """`rows`: accepted rows of the newest contribution of each of its datasets; None: not the viewer's."""

    id: str
    name: str
    description: str
    datasets: tuple[str, ...]
    delivered: int
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
    who: str
    what: str
    command: str = ""


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


def overview(house: House, charter: Charter) -> Overview:
    """The state of one collaboration. Raises: IntegrityError when an event is not what was written."""
    with house.log.read() as connection:
        records = read_records(connection, charter)
    chains = tuple(dataset_chain(records, charter, dataset.id) for dataset in charter.datasets)
    cards = [request_card(records, row) for row in records.requests]
    requests = tuple(sorted(cards, key=lambda card: card.status in NO))  # answers first, both newest first
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
        parties=tuple(_party(records, charter, each.id) for each in charter.participants),
        chains=chains,
        requests=requests,
        refusals=tuple(sorted(refusals, key=lambda refusal: -refusal.seq)),
        next_steps=tuple(_next_steps(charter, chains, requests)),
    )


def narrowed(view: Overview, participant: str, seen: Collection[int]) -> Overview:
    """The same for one organization: of the others' data only how far it has come, no figures, no refusals;
    of requests those whose submission it sees."""
    chains = tuple(
        chain
        if chain.participant == participant
        else replace(chain, contribution=None, steps=tuple(_bare(step) for step in chain.steps))
        for chain in view.chains
    )
    parties = tuple(party if party.id == participant else replace(party, rows=None) for party in view.parties)
    requests = tuple(card for card in view.requests if card.seq in seen)
    refusals = tuple(refusal for refusal in view.refusals if refusal.seq in seen)
    steps = tuple(each for each in view.next_steps if each.who in (view.names[participant], "operator"))
    return replace(
        view, parties=parties, chains=chains, requests=requests, refusals=refusals, next_steps=steps
    )


def _bare(step: Step) -> Step:
    return replace(step, seq=None, receipt=None, facts=())


def _party(records: Records, charter: Charter, participant: str) -> Party:
    found = charter.participant(participant)
    datasets = [each for each in charter.datasets if each.participant == participant]
    delivered = [records.contributions[each.id] for each in datasets if each.id in records.contributions]
    return Party(
        id=participant,
        name=found.name,
        description=found.description,
        datasets=tuple(each.title for each in datasets),
        delivered=len(delivered),
        rows=sum(row.rows or 0 for row in delivered),
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
    chains: Collection[DatasetChain],
    requests: Collection[RequestCard],
) -> Iterable[NextStep]:
    names = {each.id: each.name for each in charter.participants}
    for chain in chains:
        who = names[chain.participant]
        if chain.contribution is None:
            command = f"glasshouse contribute FILE --dataset {chain.dataset} --provenance TEXT"
            yield NextStep(who, f"Contribute {chain.title}", command)
        elif any(step.word == "failed" for step in chain.steps):
            yield NextStep(who, f"See which checks {chain.title} failed, and deliver it corrected")
        elif any(step.word == "stopped" for step in chain.steps[:3]):
            yield NextStep("operator", f"Run {chain.title} again", "glasshouse run")
    for request in requests:
        if request.status in ("submitted", "permitted", "computed", "protected"):
            yield NextStep("operator", f"Answer request {request.request}", "glasshouse run")
        elif request.release and not request.opened:
            receivers = ", ".join(names.get(each, each) for each in request.receivers)
            why = " --why TEXT" if charter.audit.justification_required else ""
            command = f"glasshouse open {request.release} --as {request.requester}{why}"
            yield NextStep(receivers, f"Open the insight {_title(request.template)}", command)


def _title(template: str) -> str:
    return template.replace("_", " ")
