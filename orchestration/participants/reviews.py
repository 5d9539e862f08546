"""Access reviews: when one is due, what it asks about, and which grants end with it.

Belongs here: reviews of roles in force, and of emergencies after they ended. Must not be here: who may attest
(`policy`). Pure functions of the state.

An access review asks about every grant that is neither revoked nor expired; roles lent in an emergency get a
review of their own once they end. A grant that nobody attested, or that was attested against, ends with the
review, with one exception: where a participant would lose its last steward, the stewards that the charter
itself names keep that role. They are listed and reported like all others, but a collaboration must not lock
itself out by silence; to remove a participant is a decision of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import ReviewClosed, ReviewGrant, ReviewOpened
from orchestration.participants.effects import Effect
from orchestration.participants.state import Grant, State, moment, participant_of

ACCESS_DAYS = timedelta(days=14)
EMERGENCY_DAYS = timedelta(days=7)


def openings(state: State) -> Iterator[Effect]:
    """At most one: the next review's name depends on how many there are."""
    reviews = state.rows(g.reviews)
    name = f"review-{len(reviews) + 1}"
    ended = next(iter(unreviewed_emergencies(state)), None)
    if ended is not None:
        listed = (_listed(ended),)
        opened = ReviewOpened(kind="emergency", grants=listed, due=state.at + EMERGENCY_DAYS)
        yield name, opened, f"The emergency grant {ended.id} has ended."
        return
    since = review_since(state)
    if state.charter is None or since is None:
        return
    days = state.charter.audit.access_review_days
    if state.at < since + timedelta(days=days):
        return
    grants = tuple(
        _listed(grant)
        for grant in state.grants()
        if not grant.revoked and not grant.emergency and grant.expires_at > state.at
    )
    opened = ReviewOpened(kind="access", grants=grants, due=state.at + ACCESS_DAYS)
    yield name, opened, f"The charter wants every role reviewed each {days} days."


def closings(state: State) -> Iterator[Effect]:
    """A review ends when everything is attested, or when its time is over.

    That of an emergency waits until somebody looked: who lent the role lends no other meanwhile.
    """
    for review in state.rows(g.reviews, status="open"):
        asked = state.rows(g.attestations, review=review.review)
        if all(row.keep is not None for row in asked):
            why = "Every grant was attested."
        elif state.at >= moment(review.due) and review.kind != "emergency":
            why = "Its time is over."
        else:
            continue
        yield review.review, ReviewClosed(lapsed=_lapsed(state, review, asked)), why


def review_since(state: State) -> datetime | None:
    """When roles were last asked about: the last access review, else the activation; None: not active."""
    opened = [moment(row.due) - ACCESS_DAYS for row in state.rows(g.reviews, kind="access")]
    active = [moment(row.activated_at) for row in state.rows(g.charters, status="active") if row.activated_at]
    return max(opened or active, default=None)


def unreviewed_emergencies(state: State) -> list[Grant]:
    """Emergency grants that ended, expired or revoked, and that no review has asked about."""
    asked = {
        row.grant
        for review in state.rows(g.reviews, kind="emergency")
        for row in state.rows(g.attestations, review=review.review)
    }
    return [
        grant
        for row in state.rows(g.grants, emergency=True)
        if (grant := state.grant(row.grant)) is not None
        and grant.id not in asked
        and (grant.revoked or grant.expires_at <= state.at)
    ]


def _listed(grant: Grant) -> ReviewGrant:
    return ReviewGrant(grant=grant.id, member=grant.member, role=grant.role)


def _lapsed(state: State, review: Row[Any], asked: list[Row[Any]]) -> tuple[str, ...]:
    """Grants that end with this review; what ended before is left as it is."""
    if review.kind == "emergency":
        return ()  # it is about grants that ended already
    unkept = {row.grant for row in asked if row.keep is not True}
    standing = {each.id: each for each in state.grants() if not each.revoked and each.expires_at > state.at}
    ending = unkept & standing.keys()
    named = {each.id for each in state.charter.members if "steward" in each.roles} if state.charter else set()
    stewards = [
        each
        for each in standing.values()
        if each.role == "steward"
        and not each.emergency
        and each.member in named
        # a retired steward keeps no door open
        and state.member_status(each.member) == "active"
    ]
    keepers = {participant_of(each.member) for each in stewards if each.id not in ending}
    spared = {
        each.id
        for each in stewards
        if participant_of(each.member) not in keepers and each.id == f"{each.member}/steward"
    }
    return tuple(sorted(ending - spared))
