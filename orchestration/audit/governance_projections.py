"""What each event of governance does to the tables: one projector function per event type.

Belongs here: event → rows, and the order in which states may follow each other. Must not be here: who may do
it, and what has to be true besides (`participants/guard` asks that before a projector is called). Replaying
the log must give the same tables, so nothing but the event and the projections themselves is read.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, select, update

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.governance_rows import (
    ask,
    change,
    drop,
    end_keys,
    enter,
    find,
    flag,
    give,
    give_first,
    move,
    new_key,
    out_of_order,
    parties_of,
    replace_grants,
    require,
    where,
)
from orchestration.audit.key_events import CollaborationKeyShared, HouseKeysRotated
from orchestration.audit.portal_events import LoginChanged, LoginLocked, PortalEntered
from orchestration.audit.projections import (
    ALREADY_RECORDED,
    AlreadyRecordedError,
    Entry,
    add,
    json_text,
    on,
)
from orchestration.audit.stage_events import RequestSubmitted
from orchestration.audit.vocabulary import Payload, timestamp

# --- charters


@on(e.CharterProposed)
def _charter_proposed(connection: Connection, entry: Entry, payload: e.CharterProposed) -> None:
    """Those it names for the first time are invited; who left or was removed stays so."""
    row = payload.model_dump(include={"digest", "title", "version", "supersedes"})
    row |= {"status": "proposed", "document": json_text(payload.document)}
    add(connection, g.charters, entry, row | {"proposed_by": entry.event.actor})
    if find(connection, entry, g.collaborations) is None:
        add(connection, g.collaborations, entry, {"state": "forming"})
    require(connection, entry, g.collaborations, {}, {"forming", "active", "frozen"})
    for participant in parties_of(payload.document):
        if find(connection, entry, g.participants, participant=participant["id"]) is None:
            invited = {"participant": participant["id"], "status": "invited", "evidence": "{}"}
            add(connection, g.participants, entry, invited)


@on(e.CharterSigned)
def _charter_signed(connection: Connection, entry: Entry, payload: e.CharterSigned) -> None:
    """Once for each participant; signing anew replaces the keys that were compared."""
    require(connection, entry, g.charters, {"digest": payload.digest}, {"proposed"})
    mine = {"digest": payload.digest, "participant": payload.participant}
    stewards = json_text(dict(payload.stewards))
    if find(connection, entry, g.charter_signatures, **mine, stewards=stewards) is not None:
        raise AlreadyRecordedError(ALREADY_RECORDED, type=entry.event.type, subject=entry.event.subject)
    drop(connection, entry, g.charter_signatures, mine)
    row = mine | {"member": entry.event.actor, "stewards": stewards}
    add(connection, g.charter_signatures, entry, row)


@on(e.CharterWithdrawn)
def _charter_withdrawn(connection: Connection, entry: Entry, payload: e.CharterWithdrawn) -> None:
    move(connection, entry, g.charters, {"digest": payload.digest}, "withdrawn", {"proposed"})


@on(e.CharterActivated)
def _charter_activated(connection: Connection, entry: Entry, payload: e.CharterActivated) -> None:
    """A frozen collaboration stays so, by the same freeze: only a decision thaws it."""
    moment = timestamp(entry.event.time)
    active = {"digest": payload.digest}
    move(connection, entry, g.charters, active, "active", {"proposed"}, activated_at=moment)
    if payload.supersedes is not None:
        before = {"digest": payload.supersedes}
        move(connection, entry, g.charters, before, "superseded", {"active"})
    row = require(connection, entry, g.collaborations, {}, {"forming", "active", "frozen"})
    if row.charter != payload.supersedes:
        raise out_of_order(entry, "under another charter than the one this supersedes")
    if row.state != "frozen":
        change(connection, entry, g.collaborations, {}, state="active")
    mine = where(entry, g.collaborations, {})
    connection.execute(update(g.collaborations).where(mine).values(charter=payload.digest))


@on(e.CharterClosed)
def _charter_closed(connection: Connection, entry: Entry, payload: e.CharterClosed) -> None:
    move(connection, entry, g.charters, {"digest": payload.digest}, "closed", {"active"})
    move(connection, entry, g.collaborations, {}, "closed", {"active", "frozen"})


# --- participants and their members


@on(e.ParticipantAccepted)
def _participant_accepted(connection: Connection, entry: Entry, payload: e.ParticipantAccepted) -> None:
    evidence = json_text(dict(payload.evidence))
    mine = {"participant": payload.participant}
    move(connection, entry, g.participants, mine, "active", {"invited"}, evidence=evidence)
    enter(connection, entry, payload.steward, payload.participant)
    new_key(connection, entry, payload.steward, payload.public_key)
    give_first(connection, entry, payload.steward)


@on(e.ParticipantLeft)
def _participant_left(connection: Connection, entry: Entry, payload: e.ParticipantLeft) -> None:
    mine = {"participant": payload.participant}
    move(connection, entry, g.participants, mine, "left", {"active", "suspended"})


@on(e.ParticipantSuspended)
def _participant_suspended(connection: Connection, entry: Entry, payload: e.ParticipantSuspended) -> None:
    mine = {"participant": payload.participant}
    move(connection, entry, g.participants, mine, "suspended", {"active"})


@on(e.ParticipantRemoved)
def _participant_removed(connection: Connection, entry: Entry, payload: e.ParticipantRemoved) -> None:
    mine = {"participant": payload.participant}
    move(connection, entry, g.participants, mine, "removed", {"invited", "active", "suspended"})


@on(e.ParticipantReinstated)
def _participant_reinstated(connection: Connection, entry: Entry, payload: e.ParticipantReinstated) -> None:
    """Its stewards come again with the keys they had; where the decision names a key, that one alone."""
    mine = {"participant": payload.participant}
    move(connection, entry, g.participants, mine, "invited", {"suspended", "invited"})
    decision = find(connection, entry, g.decisions, decision=payload.decision)
    agreed = json.loads(decision.content).get("key_id") if decision is not None else None
    if agreed is None:
        return
    table = g.members.c
    stewards = select(g.grants.c.member).where(
        g.grants.c.collaboration == entry.event.collaboration, g.grants.c.role == "steward"
    )
    members = select(table.member).where(
        table.collaboration == entry.event.collaboration,
        table.participant == payload.participant,
        table.member.in_(stewards),
    )
    stewards_here: list[str] = list(connection.execute(members.order_by(table.member)).scalars())
    for member in stewards_here:
        if find(connection, entry, g.keys, member=member, key_id=agreed, status="active") is None:
            end_keys(connection, entry, member, "revoked")


@on(e.MemberEnrolled)
def _member_enrolled(connection: Connection, entry: Entry, payload: e.MemberEnrolled) -> None:
    enter(connection, entry, payload.member, payload.member.partition(".")[0])
    new_key(connection, entry, payload.member, payload.public_key)
    replace_grants(connection, entry, payload.member, payload.roles, timestamp(payload.expires_at))


@on(e.MemberRetired)
def _member_retired(connection: Connection, entry: Entry, payload: e.MemberRetired) -> None:
    mine = {"member": payload.member}
    move(connection, entry, g.members, mine, "retired", {"active"})
    end_keys(connection, entry, payload.member, "revoked")
    change(connection, entry, g.grants, mine | {"revoked": False}, revoked=True)


@on(e.KeyRotated)
def _key_rotated(connection: Connection, entry: Entry, payload: e.KeyRotated) -> None:
    if find(connection, entry, g.keys, member=payload.member, status="active") is None:
        raise out_of_order(entry, "without a key in force")
    new_key(connection, entry, payload.member, payload.public_key)


@on(e.KeyRevoked)
def _key_revoked(connection: Connection, entry: Entry, payload: e.KeyRevoked) -> None:
    mine = {"member": payload.member, "key_id": payload.key_id}
    require(connection, entry, g.keys, mine, {"active"}, already="revoked")
    end_keys(connection, entry, payload.member, "revoked")


# --- grants


@on(e.GrantGiven)
def _grant_given(connection: Connection, entry: Entry, payload: e.GrantGiven) -> None:
    moments = (timestamp(payload.not_before), timestamp(payload.expires_at))
    give(connection, entry, payload.grant, payload.member, payload.role, *moments)


@on(e.EmergencyOpened)
def _emergency_opened(connection: Connection, entry: Entry, payload: e.EmergencyOpened) -> None:
    moments = (timestamp(entry.event.time), timestamp(payload.expires_at))
    give(connection, entry, payload.grant, payload.member, payload.role, *moments, lender=entry.event.actor)


@on(e.GrantRenewed)
def _grant_renewed(connection: Connection, entry: Entry, payload: e.GrantRenewed) -> None:
    mine = {"grant": payload.grant, "revoked": False}
    if not change(connection, entry, g.grants, mine, expires_at=timestamp(payload.expires_at)):
        raise out_of_order(entry, "revoked, or was never given")


@on(e.GrantRevoked)
def _grant_revoked(connection: Connection, entry: Entry, payload: e.GrantRevoked) -> None:
    flag(connection, entry, g.grants, {"grant": payload.grant}, "revoked")


@on(e.EmergencyUsed)
def _emergency_used(connection: Connection, entry: Entry, payload: e.EmergencyUsed) -> None:
    add(connection, g.emergency_uses, entry, payload.model_dump(include={"grant", "member", "act"}))


# --- decisions, and the requests and disputes that open one


@on(e.DecisionOpened)
def _decision_opened(connection: Connection, entry: Entry, payload: e.DecisionOpened) -> None:
    ask(connection, entry, payload.matter, payload.about, content=payload.content)


@on(RequestSubmitted)
def _request_submitted(connection: Connection, entry: Entry, payload: RequestSubmitted) -> None:
    """A request that people must approve opens its decision itself."""
    row = payload.model_dump(include={"template", "purpose", "requester", "participant", "approval"})
    row |= {"request": entry.event.subject, "parameters": json_text(dict(payload.parameters))}
    row["datasets"] = json_text(list(payload.datasets))
    row["charter_digest"] = payload.charter
    add(connection, t.requests, entry, row | {"status": "submitted", "updated_seq": entry.seq})
    if payload.approval is not None:
        ask(connection, entry, "request", entry.event.subject, right=payload.approval)


@on(e.DisputeRaised)
def _dispute_raised(connection: Connection, entry: Entry, payload: e.DisputeRaised) -> None:
    row = payload.model_dump(include={"about_kind", "about", "remedy"})
    row |= {"dispute": entry.event.subject, "status": "raised", "raised_by": entry.event.actor}
    add(connection, g.disputes, entry, row)
    ask(connection, entry, "dispute", entry.event.subject)


@on(e.VoteCast)
def _vote_cast(connection: Connection, entry: Entry, payload: e.VoteCast) -> None:
    """A later vote of the same member takes the place of the earlier one."""
    require(connection, entry, g.decisions, {"decision": payload.decision}, {"pending"})
    mine = {"decision": payload.decision, "member": entry.event.actor}
    drop(connection, entry, g.votes, mine)
    row = mine | {"participant": entry.event.actor.partition(".")[0], "vote": payload.vote}
    add(connection, g.votes, entry, row)


@on(e.DecisionEscalated)
def _decision_escalated(connection: Connection, entry: Entry, payload: e.DecisionEscalated) -> None:
    mine = {"decision": payload.decision}
    require(connection, entry, g.decisions, mine, {"pending"})
    flag(connection, entry, g.decisions, mine, "escalated")


@on(e.DecisionConcluded)
def _decision_concluded(connection: Connection, entry: Entry, payload: e.DecisionConcluded) -> None:
    mine = {"decision": payload.decision}
    move(connection, entry, g.decisions, mine, payload.outcome, {"pending"})


# --- stops, disputes, exceptions


@on(e.CollaborationFrozen)
def _collaboration_frozen(connection: Connection, entry: Entry, _: e.CollaborationFrozen) -> None:
    move(connection, entry, g.collaborations, {}, "frozen", {"active"})


@on(e.CollaborationThawed)
def _collaboration_thawed(connection: Connection, entry: Entry, _: e.CollaborationThawed) -> None:
    move(connection, entry, g.collaborations, {}, "active", {"frozen"})


@on(e.DisputeDocumented)
def _dispute_documented(connection: Connection, entry: Entry, payload: e.DisputeDocumented) -> None:
    mine = {"dispute": entry.event.subject}
    if require(connection, entry, g.disputes, mine, {"raised"}).evidence == payload.digest:
        raise AlreadyRecordedError(ALREADY_RECORDED, type=entry.event.type, subject=entry.event.subject)
    change(connection, entry, g.disputes, mine, evidence=payload.digest)


@on(e.DisputeResolved)
def _dispute_resolved(connection: Connection, entry: Entry, payload: e.DisputeResolved) -> None:
    mine = {"dispute": entry.event.subject}
    move(connection, entry, g.disputes, mine, payload.outcome, {"raised"})


@on(e.OutputRecalled)
def _output_recalled(connection: Connection, entry: Entry, payload: e.OutputRecalled) -> None:
    flag(connection, entry, t.releases, {"release": payload.release}, "recalled")


@on(e.ExceptionGranted)
def _exception_granted(connection: Connection, entry: Entry, payload: e.ExceptionGranted) -> None:
    row = payload.model_dump(include={"what", "owner", "residual_risk", "decision"})
    row |= {"exception": entry.event.subject, "expires_at": timestamp(payload.expires_at)}
    add(connection, g.exceptions, entry, row | {"status": "granted"})


@on(e.ExceptionLapsed)
def _exception_lapsed(connection: Connection, entry: Entry, _: e.ExceptionLapsed) -> None:
    move(connection, entry, g.exceptions, {"exception": entry.event.subject}, "lapsed", {"granted"})


# --- access reviews, onboarding, terms, destruction


@on(e.ReviewOpened)
def _review_opened(connection: Connection, entry: Entry, payload: e.ReviewOpened) -> None:
    review = {"review": entry.event.subject}
    row = {"kind": payload.kind, "status": "open", "due": timestamp(payload.due)}
    add(connection, g.reviews, entry, review | row)
    for each in payload.grants:
        add(connection, g.attestations, entry, review | {"grant": each.grant})


@on(e.ReviewAttested)
def _review_attested(connection: Connection, entry: Entry, payload: e.ReviewAttested) -> None:
    require(connection, entry, g.reviews, {"review": entry.event.subject}, {"open"})
    mine = {"review": entry.event.subject, "grant": payload.grant}
    values = {"keep": payload.keep, "attested_by": entry.event.actor}
    if not change(connection, entry, g.attestations, mine, **values):
        raise out_of_order(entry, "about other grants")


@on(e.ReviewClosed)
def _review_closed(connection: Connection, entry: Entry, payload: e.ReviewClosed) -> None:
    move(connection, entry, g.reviews, {"review": entry.event.subject}, "closed", {"open"})
    for grant in payload.lapsed:
        change(connection, entry, g.grants, {"grant": grant, "revoked": False}, revoked=True)


@on(e.DatasetAttested)
def _dataset_attested(connection: Connection, entry: Entry, payload: e.DatasetAttested) -> None:
    mine = {"dataset": payload.dataset}
    drop(connection, entry, g.attested_datasets, mine)
    row = {"evidence": json_text(dict(payload.evidence)), "expires_at": timestamp(payload.expires_at)}
    add(connection, g.attested_datasets, entry, mine | row)


@on(e.TermsAcknowledged)
def _terms_acknowledged(connection: Connection, entry: Entry, payload: e.TermsAcknowledged) -> None:
    add(connection, g.acknowledgements, entry, {"member": entry.event.subject, "terms": payload.terms})


@on(e.DataDestroyed)
def _data_destroyed(connection: Connection, entry: Entry, payload: e.DataDestroyed) -> None:
    """What is gone opens nothing any more; its receipts still prove what was."""
    for contribution in payload.contributions:
        mine = where(entry, t.contributions, {"contribution": contribution})
        taken_back = where(entry, t.withdrawals, {"contribution": contribution})
        connection.execute(update(t.withdrawals).where(taken_back).values(status="applied"))
        gone = {"status": "destroyed", "sealed": None, "sealed_digest": None}
        connection.execute(update(t.contributions).where(mine).values(**gone))
        drop(connection, entry, t.datasets, {"contribution": contribution})
        proofs = where(entry, t.receipts, {"subject": contribution})
        connection.execute(update(t.receipts).where(proofs).values(revoked=True))
    if payload.contributions:
        # The room was written anew without them, so what was built from its old tables is gone as well.
        built = where(entry, t.receipts, {}) & t.receipts.c.stage.in_(("room", "cells", "protected"))
        connection.execute(update(t.receipts).where(built).values(revoked=True))
    if payload.rule in ("left", "removed"):
        # Its lists of people went with its data, so there is nobody to take out any more.
        mine = where(entry, t.withdrawals, {"participant": entry.event.subject})
        connection.execute(update(t.withdrawals).where(mine).values(status="applied", list_digest=None))
    for name in payload.quarantined:
        mine = where(entry, t.contributions, {"contribution": name})
        connection.execute(update(t.contributions).where(mine).values(sealed=None, sealed_digest=None))
    for release in payload.releases:
        mine = where(entry, t.releases, {"release": release})
        at = timestamp(entry.event.time)
        connection.execute(update(t.releases).where(mine).values(destroyed_at=at))


# --- the door of the portal, whose own tables are no projections, and keys, which are only wrapped anew


def _unchanged(connection: Connection, entry: Entry, payload: Payload) -> None:
    """The event is all there is to show."""


for each in (LoginChanged, PortalEntered, LoginLocked, CollaborationKeyShared, HouseKeysRotated):
    on(each)(_unchanged)
