"""Each act of governance and each consequence as one sentence, for whoever just caused it.

Belongs here: words. Must not be here: how an event came about, or tables of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from orchestration.audit import governance_events as g
from orchestration.audit import withdrawal_events as w
from orchestration.audit.events import Event
from orchestration.audit.key_events import CollaborationKeyShared
from orchestration.audit.stage_events import RequestDecided
from orchestration.audit.vocabulary import timestamp
from orchestration.participants.permissions import ACTIONS

_DOES = {action.event.type: action.says for action in ACTIONS.values() if action.event is not None}
OUTDATED: dict[w.OutdatedBy, str] = {
    "people_withdrawn": "people were taken out of data it rests on.",
    "contribution_withdrawn": "data it rests on was taken back.",
    "superseded": "data it rests on was replaced by a newer delivery.",
}
_VOTES = {"approve": "approves", "reject": "rejects", "abstain": "abstains from"}


def told(event: Event) -> str:
    """One sentence; an event that needs no words of its own is named by type and subject."""
    found = _agreement(event) or _people(event) or _decisions(event) or _withdrawals(event)
    return found or f"{event.type} about {event.subject}."


def _agreement(event: Event) -> str:
    match event.payload:
        case g.CharterProposed() as said:
            return f"{event.actor} proposes charter {short(said.digest)}, version {said.version}."
        case g.CharterSigned() as said:
            return f"{event.actor} signs charter {short(said.digest)} for {said.participant}."
        case g.CharterWithdrawn() as said:
            return f"{event.actor} withdraws the proposal {short(said.digest)}."
        case g.CharterActivated() as said:
            return f"All have signed: charter {short(said.digest)} is active."
        case g.CharterClosed() as said:
            return f"{event.collaboration} is closed; {len(said.destroyed)} keys were destroyed."
        case g.CollaborationFrozen():
            return f"{event.actor} freezes {event.collaboration}: nothing runs or opens."
        case g.CollaborationThawed():
            return f"{event.collaboration} is thawed: work goes on."
        case g.DataDestroyed() as said:
            gone = [
                _count(len(names), what)
                for names, what in (
                    (said.contributions, "contribution"),
                    (said.quarantined, "sealed folder"),
                    (said.releases, "release"),
                )
                if names
            ]
            return f"Data of {event.subject} destroyed: {', '.join(gone) or 'nothing was left'}."
        case g.DatasetAttested() as said:
            return f"{event.actor} attests {said.dataset} until {day(timestamp(said.expires_at))}."
        case g.TermsAcknowledged() as said:
            return f"{event.actor} acknowledges the terms {short(said.terms)}."
    return ""


def _people(event: Event) -> str:
    match event.payload:
        case g.ParticipantAccepted() as said:
            return f"{said.participant} joins; {said.steward} speaks for it."
        case g.ParticipantLeft() as said:
            return f"{said.participant} leaves."
        case g.ParticipantSuspended() as said:
            return f"{said.participant} is suspended."
        case g.ParticipantReinstated() as said:
            return f"{said.participant} is invited again."
        case g.ParticipantRemoved() as said:
            return f"{said.participant} is removed."
        case g.MemberEnrolled() as said:
            return f"{said.member} is enrolled as {', '.join(said.roles)}."
        case g.MemberRetired() as said:
            return f"{said.member} is retired."
        case g.KeyRotated() as said:
            return f"{said.member} signs with key {short_key(str(said.public_key['keyid']))} from now on."
        case g.KeyRevoked() as said:
            return f"Key {short_key(said.key_id)} of {said.member} counts no longer ({said.reason})."
        case g.GrantGiven() as said:
            return f"{said.member} is {said.role} until {day(timestamp(said.expires_at))} ({said.grant})."
        case g.GrantRenewed() as said:
            return f"Grant {said.grant} lasts until {day(timestamp(said.expires_at))}."
        case g.GrantRevoked() as said:
            return f"Grant {said.grant} is revoked."
        case g.EmergencyOpened() as said:
            until = minute(timestamp(said.expires_at))
            return f"{said.member} is {said.role} until {until} UTC, in an emergency ({said.grant})."
        case g.EmergencyUsed() as said:
            return f"Emergency grant {said.grant} was used to {_does(said.action)}."
        case CollaborationKeyShared():
            return f"{event.subject} was handed the collaboration's key, to prepare data at the own desk."
    return ""


def _decisions(event: Event) -> str:
    match event.payload:
        case g.DecisionOpened() as said:
            asked = question_in_words(said.matter, said.about, said.content)
            return f"{event.actor} asks for {event.subject}: {asked}."
        case g.VoteCast() as said:
            return f"{event.actor} {_VOTES[said.vote]} {said.decision}."
        case g.DecisionConcluded() as said:
            return f"{said.decision} is {said.outcome}. Rule: {said.rule}."
        case RequestDecided() as said:
            return f"Request {event.subject} {'may' if said.allowed else 'may not'} run."
        case g.DecisionEscalated() as said:
            return f"{said.decision} waited too long; {said.to} is asked."
        case g.DisputeRaised() as said:
            about = f"{said.about_kind} {said.about}"
            return f"{event.actor} disputes {about} ({event.subject}): it rests until decided."
        case g.DisputeDocumented() as said:
            return f"Evidence of {event.subject} is kept: {short(said.digest)}."
        case g.DisputeResolved() as said:
            return f"Dispute {event.subject} is {said.outcome}{f': {said.remedy}' if said.remedy else ''}."
        case g.OutputRecalled() as said:
            return f"Release {said.release} is recalled."
        case g.ExceptionGranted() as said:
            return f"Exception {event.subject} holds until {day(timestamp(said.expires_at))}."
        case g.ExceptionLapsed():
            return f"Exception {event.subject} has lapsed."
        case g.ReviewOpened() as said:
            due = day(timestamp(said.due))
            return f"Review {event.subject}: {_count(len(said.grants), 'grant')} to attest by {due}."
        case g.ReviewAttested() as said:
            return f"{event.actor} says of {said.grant}: {'keep' if said.keep else 'revoke'}."
        case g.ReviewClosed() as said:
            return f"Review {event.subject} is closed; {_count(len(said.lapsed), 'grant')} ended."
    return ""


def _withdrawals(event: Event) -> str:
    match event.payload:
        case w.ContributionWithdrawn() as said:
            return f"{event.actor} takes back {said.contribution}: it is used no more, and destroyed."
        case w.PeopleWithdrawn() as said:
            return f"{event.actor} takes people out of {said.dataset} ({event.subject})."
        case w.ContributionTrimmed() as said:
            return f"{said.contribution} was written anew without people who were taken out."
        case w.WithdrawalApplied():
            return f"Nobody of {event.subject} is left in what the house keeps."
        case w.OutputOutdated() as said:
            what = "recalled" if said.effect == "recalled" else "stale"
            return f"Release {said.release} is {what}: {OUTDATED[said.by]}"
        case w.PseudonymsRotated():
            return f"The pseudonyms of {event.subject} are made anew under another key."
    return ""


def question_in_words(matter: str, about: str, content: Mapping[str, JsonValue]) -> str:
    """What is to be decided, as far as the question itself says it."""
    match matter:
        case "membership":
            return f"{content.get('step', 'decide about')} {about}"
        case "exception":
            return str(content.get("what", about)).rstrip(".")
        case "purpose":
            return f"add the purpose {about}"
        case "thaw":
            return f"let {about} go on"
        case "closing":
            return f"close {about} and destroy its keys"
    return f"{matter} {about}"


def short(digest: str) -> str:
    """Enough of a digest to recognize it: `sha256:1a2b3c4d5e6f`."""
    return digest[:19]


def short_key(key_id: str) -> str:
    """The first 16 characters of a key id."""
    return key_id[:16]


def fingerprint(key_id: str) -> str:
    """A key id in groups of four, to be compared by eye or read out on the telephone."""
    return " ".join(key_id[start : start + 4] for start in range(0, len(key_id), 4))


def fingerprint_lines(key_id: str) -> tuple[str, str]:
    """A whole key id on two lines."""
    return fingerprint(key_id[:32]), fingerprint(key_id[32:])


def minute(time: str) -> str:
    """Day and minute of a time as the log spells it."""
    return time[:16].replace("T", " ")


def day(time: str) -> str:
    """The day of a time as the log spells it."""
    return time[:10]


def _does(act: str) -> str:
    """`revoke a key` for the act `key.revoked`, or for the verb that asks for it."""
    verb = ACTIONS.get(act)
    return verb.says if verb is not None else _DOES.get(act, act)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
