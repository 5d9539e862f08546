"""A collaboration of four, written straight into the tables: what the rules of `participants/` read.

Belongs here: rows, and short words for them. Must not be here: signatures, the log, or any rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert, update

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.vocabulary import timestamp
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json
from orchestration.participants.state import State, participant_of

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAME = "quartet"

MEMBERS = {
    "shop": {"shop.steward": ["steward"], "shop.reviewer": ["reviewer"], "shop.analyst": ["analyst"]},
    "brand": {"brand.steward": ["steward"], "brand.owner": ["owner"], "brand.analyst": ["analyst"]},
    "media": {"media.steward": ["steward"], "media.auditor": ["auditor"]},
    "panel": {"panel.steward": ["steward"], "panel.reviewer": ["reviewer"]},
}


def right(id_: str = "rule", **clauses: Any) -> dict[str, Any]:
    return {"id": id_, "decision": "Something.", **clauses}


def dataset(id_: str, participant: str, *, sensitive: bool = False) -> dict[str, Any]:
    """Its one attribute is a behaviour, or sensitive."""
    kind = "sensitive" if sensitive else "behavioural"
    column = {
        "name": "product_id",
        "as": "product",
        "type": "string",
        "required": True,
        "max_length": 20,
        "classification": kind,
        "technique": "pass",
    }
    return {
        "id": id_,
        "participant": participant,
        "entity": "transaction",
        "title": id_,
        "description": id_,
        "classification": "commercial",
        "purposes": ["insight"],
        "lawful_basis": "not_personal_data",
        "license": {"id": "LicenseRef-test", "terms": "Test only", "redistribution": False},
        "max_rows": 100,
        "max_bytes": 1000,
        "fields": [column],
    }


def charter(**clauses: Any) -> Charter:
    """The quartet's charter; `clauses` replace sections."""
    document: dict[str, Any] = {
        "collaboration": NAME,
        "title": "Four",
        "version": 1,
        "effective_from": "2020-01-01",
        "effective_until": "2099-12-31",
        "privacy_unit": "household",
        "objectives": ["Learn."],
        "participants": [
            {
                "id": participant,
                "name": participant,
                "description": "Takes part.",
                "responsibilities": ["Something."],
                "members": [{"id": each, "name": each, "roles": roles} for each, roles in members.items()],
            }
            for participant, members in MEMBERS.items()
        ],
        "datasets": [
            dataset("sales", "shop"),
            dataset("adverts", "media"),
            dataset("health", "panel", sensitive=True),
        ],
        "purposes": [{"id": "insight", "title": "Insight", "description": "Who buys what."}],
        "prohibited_uses": [{"id": "re_identification", "description": "Nobody tries."}],
        "computations": [
            {
                "template": "overlap",
                "purposes": ["insight"],
                "requesters": ["shop", "brand"],
                "receivers": ["brand"],
            },
            {
                "template": "lift",
                "purposes": ["insight"],
                "requesters": ["shop", "brand"],
                "receivers": ["brand", "media"],
            },
        ],
        "decision_rights": [right()],
        "access": {"detail": {"steward": "full"}, "release_valid_days": 30},
        "retention": {"contributions_days": 60, "quarantine_days": 30, "releases_days": 60},
        "output": {"aggregation_threshold": 5, "max_cells": 100, "formats": ["csv"]},
        "audit": {
            "checkpoint_minutes": 60,
            "justification_required": True,
            "lineage": True,
            "review_days": 90,
        },
    }
    return Charter.model_validate_json(canonical_json(document | clauses))


def located(where: Mapping[str, str], stays: Mapping[str, list[str]]) -> dict[str, Any]:
    """Clauses in which organizations say where they are, and datasets where they stay."""
    document: Any = charter().document
    return {
        "participants": [
            each | ({"jurisdiction": where[each["id"]]} if each["id"] in where else {})
            for each in document["participants"]
        ],
        "datasets": [
            each | ({"residency": stays[each["id"]]} if each["id"] in stays else {})
            for each in document["datasets"]
        ],
    }


@dataclass
class Facts:
    """Tables of one collaboration; every row gets the next number."""

    connection: Connection
    at: datetime = START
    seq: int = field(default=0)

    @property
    def state(self) -> State:
        return State(self.connection, NAME, self.at)

    def later(self, **time: float) -> Facts:
        self.at += timedelta(**time)
        return self

    def add(self, table: Table, **row: Any) -> None:
        self.seq += 1
        self.connection.execute(insert(table).values(collaboration=NAME, seq=self.seq, **row))

    def change(self, table: Table, where: Mapping[str, Any], **values: Any) -> None:
        """Set columns of the rows that `where` names, and their number."""
        self.seq += 1
        query = update(table).where(*(table.c[name] == value for name, value in where.items()))
        if "seq" in table.c:
            values = {"seq": self.seq} | values
        self.connection.execute(query.values(**values))

    # --- words

    def active(self, agreed: Charter) -> Facts:
        """The charter in force, everybody in it active with the roles and a key of its own."""
        self.proposed(agreed, status="active", activated_at=timestamp(self.at))
        self.add(g.collaborations, state="active", charter=agreed.digest)
        self.everybody(agreed)
        return self

    def proposed(self, agreed: Charter, *, supersedes: str | None = None, **row: Any) -> None:
        row = {"status": "proposed", "activated_at": None} | row
        text = canonical_json(agreed.document).decode()
        self.add(
            g.charters,
            digest=agreed.digest,
            title=agreed.title,
            version=agreed.version,
            document=text,
            proposed_by="operator",
            supersedes=supersedes,
            **row,
        )

    def everybody(self, agreed: Charter) -> None:
        for participant in agreed.participants:
            self.add(g.participants, participant=participant.id, status="active", evidence="{}")
            for member in participant.members:
                self.add(g.members, member=member.id, participant=participant.id, status="active")
                self.add(
                    g.keys, member=member.id, key_id=f"key of {member.id}", public_key="{}", status="active"
                )
                for role in member.roles:
                    self.grant(member.id, role)

    def grant(self, member: str, role: str, id_: str | None = None, **row: Any) -> None:
        row = {
            "not_before": timestamp(self.at),
            "expires_at": timestamp(self.at + timedelta(days=365)),
            "revoked": False,
            "emergency": False,
        } | row
        self.add(g.grants, grant=id_ or f"{member}/{role}", member=member, role=role, **row)

    def status(self, participant: str, status: str) -> Facts:
        self.change(g.participants, {"participant": participant}, status=status)
        return self

    def phase(self, phase: str) -> Facts:
        self.change(g.collaborations, {}, state=phase)
        return self

    def request(
        self, id_: str = "r-1", template: str = "overlap", datasets: tuple[str, ...] = ("sales",), **row: Any
    ) -> None:
        row = {
            "requester": "brand.analyst",
            "participant": "brand",
            "status": "submitted",
            "code": None,
        } | row
        self.add(
            t.requests,
            request=id_,
            template=template,
            parameters="{}",
            purpose="insight",
            datasets=json.dumps(datasets),
            updated_seq=self.seq,
            **row,
        )

    def release(self, request: str, receivers: tuple[str, ...] = ("brand",), **row: Any) -> None:
        row = {"recalled": False, "expires_at": timestamp(self.at + timedelta(days=30))} | row
        self.add(
            t.releases,
            release=f"i-{request}",
            request=request,
            template="overlap",
            purpose="insight",
            receivers=json.dumps(receivers),
            **row,
        )

    def decision(self, id_: str = "d-1", matter: str = "thaw", about: str = NAME, **row: Any) -> None:
        content = json.dumps(row.pop("content", {}))
        row = {
            "right": None,
            "asked_by": "brand.steward",
            "status": "pending",
            "opened_at": timestamp(self.at),
            "escalated": False,
        } | row
        self.add(g.decisions, decision=id_, matter=matter, about=about, content=content, **row)

    def votes(self, decision: str = "d-1", /, **votes: str) -> None:
        """`shop_steward="approve"`."""
        for name, vote in votes.items():
            member = name.replace("_", ".")
            self.add(g.votes, decision=decision, member=member, participant=participant_of(member), vote=vote)

    def dispute(self, id_: str = "s-1", kind: str = "release", about: str = "i-r-1", **row: Any) -> None:
        row = {"remedy": "recall", "status": "raised", "raised_by": "media.steward", "evidence": None} | row
        self.add(g.disputes, dispute=id_, about_kind=kind, about=about, **row)

    def review(self, id_: str, grants: tuple[str, ...], due: datetime, kind: str = "access") -> None:
        self.add(g.reviews, review=id_, kind=kind, status="open", due=timestamp(due))
        for grant in grants:
            self.add(g.attestations, review=id_, grant=grant, keep=None, attested_by=None)


@contextmanager
def facts(agreed: Charter | None = None) -> Iterator[Facts]:
    """An active quartet in memory."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        t.metadata.create_all(connection)
        yield Facts(connection).active(agreed or charter())
    engine.dispose()
