"""Which members have to act before work goes on: agreeing, deciding, acknowledging, attesting.

Belongs here: turning what the log says into "who: what". Must not be here: what waits in the room
(`cli/state`), or any rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestration.audit import governance_tables as g
from orchestration.cli.agreement import parties
from orchestration.cli.pending import questions
from orchestration.cli.quorums import unmet
from orchestration.cli.told import day
from orchestration.participants.outdated import warned
from orchestration.participants.state import State, participant_of


@dataclass(frozen=True)
class Waiting:
    who: str
    what: str


def waiting_members(state: State) -> list[Waiting]:
    """Everything that some member has to do in the collaboration, most urgent first."""
    if state.phase == "closed":
        return []
    return [*_agreement(state), *_decisions(state), *_duties(state), *_outdated(state)]


def _agreement(state: State) -> Iterator[Waiting]:
    if state.phase == "frozen" and not state.rows(g.decisions, matter="thaw", status="pending"):
        yield Waiting("any steward", "ask to go on, when the reason is gone: `glasshouse thaw`")
    charter = state.proposal or state.charter
    if charter is None:
        yield Waiting("operator", "put the charter on the table: `glasshouse charter propose FILE`")
        return
    for name, _, _, waits in parties(state, charter):
        if waits:
            yield Waiting(_steward(state, name), f"{waits}: charter version {charter.version}")
    if state.proposal is None:
        for each in unmet(state):
            yield Waiting("any steward", each.says)


def _decisions(state: State) -> Iterator[Waiting]:
    for question in questions(state, only_pending=True):
        who = "\n".join(question.waits_for) or "nobody"
        yield Waiting(who, f"decide {question.id}: {question.says}")


def _duties(state: State) -> Iterator[Waiting]:
    charter = state.charter
    if charter is None:
        return
    if charter.terms_digest is not None:
        for row in state.rows(g.members, status="active"):
            if state.roles(row.member) and not state.acknowledged(row.member, charter.terms_digest):
                how = f"`glasshouse terms acknowledge --as {row.member}`"
                yield Waiting(row.member, f"read the terms, then {how}")
    for dataset in charter.datasets:
        if state.participant_status(dataset.participant) in ("left", "removed"):
            continue
        if any(item.required for item in dataset.onboarding) and state.attested_dataset(dataset.id) is None:
            yield Waiting(
                _steward(state, dataset.participant), f"attest {dataset.id}: `glasshouse dataset attest`"
            )
    for review in state.rows(g.reviews, status="open"):
        left = [row for row in state.rows(g.attestations, review=review.review) if row.keep is None]
        if left:
            what = (
                f"attest {len(left)} roles until {day(review.due)}: `glasshouse review show {review.review}`"
            )
            yield Waiting("stewards, reviewers", what)


def _outdated(state: State) -> Iterator[Waiting]:
    """Receivers hear of it until the release expires, or its question is answered anew."""
    for release in warned(state):
        what = "use no more" if release.recalled else "rely no more on"
        yield Waiting("\n".join(release.receivers), f"{what} {release.release}: {release.why}")


def _steward(state: State, participant: str) -> str:
    """Who speaks for an organization; before it accepted, whoever the charter names."""
    charter = state.proposal or state.charter
    named = [] if charter is None else charter.participant(participant).members
    stewards = [member.id for member in named if "steward" in member.roles]
    return stewards[0] if stewards else participant_of(participant)
