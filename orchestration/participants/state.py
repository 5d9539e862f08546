"""What the log says of one collaboration at one moment: the facts every rule is asked about.

Belongs here: reading projections. Must not be here: any rule, and any clock but the moment given. Everything
is looked up when asked for, so a decision costs the same whether there are ten members or a thousand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, select

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.charter.model import Charter, Role

_MOST_CHARTERS = 64


@dataclass(frozen=True)
class Grant:
    """A role for a time. `emergency` grants may exceed what the charter gives the member."""

    id: str
    member: str
    role: str
    not_before: datetime
    expires_at: datetime
    revoked: bool
    emergency: bool
    lender: str | None = None

    def in_force(self, at: datetime) -> bool:
        return not self.revoked and self.not_before <= at < self.expires_at


@dataclass(frozen=True)
class Key:
    """A member's public key. `status`: active | rotated | revoked."""

    id: str
    member: str
    public_key: dict[str, Any]
    status: str


@dataclass(frozen=True)
class State:
    """One collaboration as one connection sees it, at one moment."""

    connection: Connection
    collaboration: str
    at: datetime
    _grants: dict[str | None, list[Grant]] = field(default_factory=dict, repr=False, compare=False)

    # --- the agreement

    @cached_property
    def phase(self) -> str:
        """forming | active | frozen | closed; a collaboration nobody proposed yet is forming."""
        return self._collaboration.state if self._collaboration else "forming"

    @cached_property
    def charter(self) -> Charter | None:
        """The active charter."""
        digest = self._collaboration.charter if self._collaboration else None
        return _by_digest(digest, self.charter_version) if digest else None

    @cached_property
    def _collaboration(self) -> Row[Any] | None:
        return self._row(g.collaborations)

    def charter_version(self, digest: str) -> Charter | None:
        """The charter with this digest, whatever its status."""
        row = self._row(g.charters, digest=digest)
        return read_charter(row.document) if row else None

    def charter_status(self, digest: str) -> str | None:
        """proposed | active | superseded | withdrawn | closed."""
        row = self._row(g.charters, digest=digest)
        return row.status if row else None

    @cached_property
    def proposal(self) -> Charter | None:
        """The newest charter that waits for signatures."""
        waiting = self._rows(g.charters, status="proposed")
        return read_charter(max(waiting, key=lambda row: row.seq).document) if waiting else None

    @property
    def agreement(self) -> Charter | None:
        """The charter whose rules apply: the active one, or before there is one the proposal."""
        return self.charter or self.proposal

    @cached_property
    def revoked(self) -> frozenset[tuple[str, str]]:
        """What the remedy of a dispute wants used no more: (kind, id). A deleted answer is not made anew.

        All may agree otherwise: a version of the charter that came into force later gives it back.
        """
        disputes = self._rows(g.disputes, status="upheld", remedy="revoke")
        disputes += self._rows(g.disputes, status="upheld", remedy="delete", about_kind="request")
        if not disputes:
            return frozenset()
        since = max((row.seq for row in self._rows(g.charters, status="active")), default=0)
        return frozenset((row.about_kind, row.about) for row in disputes if row.seq > since)

    # --- who

    def participant_status(self, participant: str) -> str | None:
        """invited | active | suspended | left | removed; None: never invited."""
        row = self._row(g.participants, participant=participant)
        return row.status if row else None

    def member_status(self, member: str) -> str | None:
        """active | retired; None: never enrolled."""
        row = self._row(g.members, member=member)
        return row.status if row else None

    def key(self, member: str, key_id: str) -> Key | None:
        row = self._row(g.keys, member=member, key_id=key_id)
        return _key(row) if row else None

    def active_key(self, member: str) -> Key | None:
        """The one key that speaks for the member now."""
        row = self._row(g.keys, member=member, status="active")
        return _key(row) if row else None

    def grant(self, grant_id: str) -> Grant | None:
        row = self._row(g.grants, grant=grant_id)
        return _grant(row) if row else None

    def grants(self, member: str | None = None) -> list[Grant]:
        """All grants of a member or of everybody, in force or not."""
        if member not in self._grants:  # asked for several times by one question
            where = {} if member is None else {"member": member}
            self._grants[member] = [_grant(row) for row in self._rows(g.grants, **where)]
        return self._grants[member]

    def roles(self, member: str, *, emergency: bool = True) -> frozenset[Role]:
        """Roles in force: granted, within its time, and still given by the agreement (or an emergency).

        `emergency=False` leaves out what was only lent: it opens doors, it does not vote.
        None for a retired member, or one whose participant is not active.
        """
        if self.member_status(member) != "active":
            return frozenset()
        if self.participant_status(participant_of(member)) != "active":
            return frozenset()
        return self.held(member, emergency=emergency)

    def held(self, member: str, *, emergency: bool = True) -> frozenset[Role]:
        """The same, whether or not member and participant are active."""
        given = self.given(member)
        return frozenset(
            grant.role  # type: ignore[misc]  # the guard lets only roles of the charter's vocabulary in
            for grant in self.grants(member)
            if grant.in_force(self.at) and (emergency if grant.emergency else grant.role in given)
        )

    def lent(self, member: str) -> frozenset[str]:
        """Roles in force for hours only, whether or not member and participant are active."""
        return frozenset(
            grant.role for grant in self.grants(member) if grant.emergency and grant.in_force(self.at)
        )

    def given(self, member: str) -> frozenset[Role]:
        """Roles by the charter in force; by the proposal only for newcomers, who must be able to sign it.

        So nobody gets a role by proposing a charter that gives it.
        """
        for charter in self._agreements():
            organization = next((p for p in charter.participants if p.id == participant_of(member)), None)
            if organization is not None:
                return frozenset(role for m in organization.members if m.id == member for role in m.roles)
        return frozenset()

    def _agreements(self) -> Iterator[Charter]:
        """The proposal is looked up only when the charter in force does not answer."""
        if self.charter is not None:
            yield self.charter
        if self.proposal is not None:
            yield self.proposal

    # --- rows of the other tables, as they are

    def decision(self, decision: str) -> Row[Any] | None:
        return self._row(g.decisions, decision=decision)

    def votes(self, decision: str) -> list[Row[Any]]:
        return self._rows(g.votes, decision=decision)

    def dispute(self, dispute: str) -> Row[Any] | None:
        return self._row(g.disputes, dispute=dispute)

    def open_disputes(self, kind: str, about: str) -> list[Row[Any]]:
        return self._rows(g.disputes, about_kind=kind, about=about, status="raised")

    def request(self, request: str) -> Row[Any] | None:
        return self._row(t.requests, request=request)

    def release(self, release: str) -> Row[Any] | None:
        return self._row(t.releases, release=release)

    def attested_dataset(self, dataset: str) -> Row[Any] | None:
        return self._row(g.attested_datasets, dataset=dataset)

    def acknowledged(self, member: str, terms: str) -> bool:
        return self._row(g.acknowledgements, member=member, terms=terms) is not None

    def rows(self, table: Table, **where: object) -> list[Row[Any]]:
        """Rows of this collaboration whose columns equal what is given, in order of their keys."""
        return self._rows(table, **where)

    def _row(self, table: Table, **where: object) -> Row[Any] | None:
        rows = self._rows(table, **where)
        return rows[0] if rows else None

    def _rows(self, table: Table, **where: object) -> list[Row[Any]]:
        query = _query(table, tuple(where))
        rows = list(self.connection.execute(query, {"collaboration": self.collaboration, **where}))
        # Sorted here: databases sort text each in its own way, and SQLite would scan to avoid sorting.
        names = [column.name for column in table.primary_key.columns]
        return sorted(rows, key=lambda row: [getattr(row, name) for name in names]) if len(rows) > 1 else rows


@lru_cache(maxsize=256)
def _query(table: Table, columns: tuple[str, ...]) -> Select[Any]:
    """Built once: putting a statement together takes longer than running it."""
    query = select(table)
    for column in ("collaboration", *columns):
        query = query.where(table.c[column] == bindparam(column))
    return query


def participant_of(member: str) -> str:
    """`retailer.steward` acts for `retailer`."""
    return member.partition(".")[0]


@lru_cache(maxsize=_MOST_CHARTERS)
def read_charter(document: str) -> Charter:
    """A charter from the canonical document in the log; it was checked before it could be proposed."""
    return Charter.model_validate_json(document)


_CHARTERS: dict[str, Charter] = {}


def _by_digest(digest: str, find: Callable[[str], Charter | None]) -> Charter | None:
    """A charter by what it is a digest of: a text of many pages is not fetched again for every question."""
    charter = _CHARTERS.get(digest) or find(digest)
    if charter is not None and charter.digest == digest:
        if len(_CHARTERS) >= _MOST_CHARTERS:
            _CHARTERS.clear()
        _CHARTERS[digest] = charter
    return charter


def moment(text: str) -> datetime:
    """Inverse of `timestamp`."""
    return datetime.fromisoformat(text)


def _key(row: Row[Any]) -> Key:
    return Key(row.key_id, row.member, json.loads(row.public_key), row.status)


def _grant(row: Row[Any]) -> Grant:
    return Grant(
        row.grant,
        row.member,
        row.role,
        moment(row.not_before),
        moment(row.expires_at),
        row.revoked,
        row.emergency,
        row.lender,
    )
