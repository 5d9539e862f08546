"""Acting for all members where all their keys are at hand: the demo, a trial on one machine, tests.

Belongs here: founding a collaboration, agreeing to a question, and cosigning a checkpoint, as the members
would, each with its own key. Must not be here: any shortcut; every act passes the same guard as one that was
signed far away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from orchestration.audit import tiles, witness, witnessed
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    CharterProposed,
    CharterSigned,
    DatasetAttested,
    MemberEnrolled,
    ParticipantAccepted,
    TermsAcknowledged,
    VoteCast,
)
from orchestration.audit.log import LoggedEvent
from orchestration.audit.statement import sign
from orchestration.audit.tile_reader import Folder
from orchestration.audit.vocabulary import Payload, now
from orchestration.charter.model import Charter, ChecklistItem, Participant
from orchestration.digests import digest_json
from orchestration.house import OPERATOR, House
from orchestration.participants.approvals import electorate
from orchestration.participants.enrollment import prove
from orchestration.signing import SigningKey
from orchestration.stages import governance

_WHY = "Founding the collaboration."

Evidence = Callable[[str, ChecklistItem], str]


def declaration(about: str, item: ChecklistItem) -> str:
    """Digest of a plain declaration: enough to try things out, where nobody has a document to show."""
    return digest_json({"declared": item.text, "by": about})


def found(
    house: House,
    charter: Charter,
    keys: Mapping[str, SigningKey],
    *,
    evidence: Evidence = declaration,
    why: str = _WHY,
) -> list[LoggedEvent]:
    """Bring a charter from proposal to force: everybody accepts, enrols, signs, and shows what it asks for.

    A charter that is active already stays as it is; one that follows an active charter is proposed by the
    first participant's steward. What a newcomer or a known member has done before is left out.

    Args:
        keys: member id → private key, of every member the charter names.
        evidence: participant or dataset, and checklist item → digest of the document that shows it.

    Raises: PolicyDeniedError, IntegrityError when an act is refused; nothing is recorded then.
    """
    with house.state(charter.collaboration) as state:
        if state.charter_status(charter.digest) == "active":
            return []
        acts = list(_agreeing(house, charter, keys, evidence, why))
    logged = house.log.append_many(acts)
    logged += governance.settle(house, charter.collaboration)
    showing = list(_showing(house, charter, keys, evidence, why))
    return [*logged, *house.log.append_many(showing)]


def approve(house: House, collaboration: str, decision: str, keys: Mapping[str, SigningKey]) -> None:
    """Vote yes on a question, member after member of those who may, until it is decided.

    Raises: PolicyDeniedError when a vote is refused.
    """
    while True:
        with house.state(collaboration) as state:
            row = state.decision(decision)
            if row is None or row.status != "pending":
                return
            voted = {vote.member for vote in state.votes(decision)}
            left = [each for each in electorate(state, row).voters if each not in voted and each in keys]
        if not left:
            return
        event = Event(
            collaboration=collaboration,
            subject=decision,
            actor=left[0],
            justification="Agreed.",
            payload=VoteCast(decision=decision, vote="approve"),
        )
        governance.act(house, sign(event, keys[left[0]]))


def cosign(house: House, charter: Charter, keys: Mapping[str, SigningKey]) -> list[str]:
    """Let every witness the charter names look at the log and cosign its newest checkpoint.

    Each remembers what it saw under the home folder, because here all sites are one.

    Returns: the witnesses. Raises: IntegrityError when one refuses.
    """
    if charter.audit.witnesses is None:
        return []
    published = house.settings.root / "published"
    tiles.export(house.log, published, house.operator.public)
    for participant in charter.audit.witnesses.participants:
        seen = witness.observe(
            Folder(published),
            house.settings.root / "witnesses",
            collaboration=charter.collaboration,
            participant=participant,
            key=keys[_stewards(charter.participant(participant))[0]],
            at=now(),
            operator=house.operator.public,
        )
        witnessed.add_cosignatures(house.log, house.checkpoints, seen.note, now())
    return list(charter.audit.witnesses.participants)


def _agreeing(
    house: House, charter: Charter, keys: Mapping[str, SigningKey], evidence: Evidence, why: str
) -> Iterator[Event]:
    act = _Acts(charter, keys, why)
    with house.state(charter.collaboration) as state:
        active = state.charter
        accepted = {each.id for each in charter.participants if state.participant_status(each.id) == "active"}
        known = {member.id: state.active_key(member.id) for member in charter.members}
        proposed = state.charter_status(charter.digest) is not None
    first = _stewards(charter.participants[0])[0]
    if not proposed:
        payload = CharterProposed(
            digest=charter.digest,
            title=charter.title,
            version=charter.version,
            document=charter.document,
            supersedes=active.digest if active else None,
        )
        yield act.event(
            first if active else OPERATOR, charter.collaboration, payload, signed=active is not None
        )
    until = now() + timedelta(days=charter.access.grant_days)
    for participant in charter.participants:
        steward = _stewards(participant)[0]
        if participant.id not in accepted:
            shown = {item.id: evidence(participant.id, item) for item in charter.eligibility}
            payload_ = ParticipantAccepted(
                participant=participant.id,
                steward=steward,
                public_key=keys[steward].public,
                evidence=shown,
            )
            yield act.event(steward, participant.id, payload_)
        for member in participant.members:
            key = keys[member.id]
            present = known[member.id]
            if (member.id == steward and participant.id not in accepted) or (
                present is not None and present.id == key.key_id
            ):
                continue
            enrolled = MemberEnrolled(
                member=member.id,
                roles=member.roles,
                public_key=key.public,
                proof=prove(key, charter.collaboration, member.id),
                expires_at=until,
            )
            yield act.event(steward, member.id, enrolled)
    roster = {
        each: keys[each].key_id for participant in charter.participants for each in _stewards(participant)
    }
    for participant in charter.participants:
        signed = CharterSigned(digest=charter.digest, participant=participant.id, stewards=roster)
        yield act.event(_stewards(participant)[0], charter.collaboration, signed)


def _showing(
    house: House, charter: Charter, keys: Mapping[str, SigningKey], evidence: Evidence, why: str
) -> Iterator[Event]:
    """Terms that every member read, and the onboarding checklist of every dataset."""
    act = _Acts(charter, keys, why)
    with house.state(charter.collaboration) as state:
        terms = charter.terms_digest
        for member in charter.members:
            if terms is not None and not state.acknowledged(member.id, terms):
                yield act.event(member.id, member.id, TermsAcknowledged(terms=terms))
        for dataset in charter.datasets:
            if dataset.onboarding and state.attested_dataset(dataset.id) is None:
                attested = DatasetAttested(
                    dataset=dataset.id,
                    evidence={item.id: evidence(dataset.id, item) for item in dataset.onboarding},
                    expires_at=now() + timedelta(days=dataset.attestation_days),
                )
                yield act.event(_stewards(charter.participant(dataset.participant))[0], dataset.id, attested)


class _Acts:
    """Events of one founding, each signed by its actor."""

    def __init__(self, charter: Charter, keys: Mapping[str, SigningKey], why: str) -> None:
        self._collaboration, self._keys, self._why = charter.collaboration, keys, why

    def event(self, actor: str, subject: str, payload: Payload, *, signed: bool = True) -> Event:
        event = Event(
            collaboration=self._collaboration,
            subject=subject,
            actor=actor,
            justification=self._why,
            payload=payload,
        )
        return sign(event, self._keys[actor]) if signed else event


def _stewards(participant: Participant) -> list[str]:
    return [member.id for member in participant.members if "steward" in member.roles]
