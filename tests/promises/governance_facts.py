"""The reference's memory: what is so in one collaboration, as plain values, and what can be read off them.

Belongs here: facts. Must not be here: who may do what (`governance_model`), or imports of the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.promises.governance_cast import Document


def home(member: str) -> str:
    return member.split(".")[0]


@dataclass
class Text:
    """A charter, and what became of it."""

    document: Document
    status: str
    supersedes: str | None
    changed: int
    signatures: dict[str, dict[str, str]] = field(default_factory=dict)
    activated: datetime | None = None


@dataclass
class Organization:
    status: str
    changed: int


@dataclass
class Grant:
    member: str
    role: str
    start: datetime
    end: datetime
    lender: str | None = None
    revoked: bool = False

    @property
    def emergency(self) -> bool:
        return self.lender is not None


@dataclass
class Question:
    matter: str
    about: str
    asked_by: str
    opened: datetime
    changed: int
    right: str | None = None
    content: dict[str, Any] = field(default_factory=dict)
    status: str = "pending"
    escalated: bool = False
    votes: dict[str, str] = field(default_factory=dict)
    voted: dict[str, int] = field(default_factory=dict)


@dataclass
class Dispute:
    kind: str
    about: str
    remedy: str
    changed: int
    status: str = "raised"


@dataclass
class Review:
    kind: str
    opened: datetime
    due: datetime
    asked: dict[str, bool | None]
    status: str = "open"


@dataclass
class Request:
    asker: str
    template: str
    audiences: tuple[str, ...]
    purpose: str
    datasets: tuple[str, ...]
    charter: str | None
    status: str = "submitted"
    approval: str | None = None


@dataclass
class Release:
    request: str
    receivers: tuple[str, ...]
    expires: datetime
    recalled: bool = False


@dataclass
class Facts:
    """One collaboration. `number` counts events, so that `changed` tells what came later."""

    now: datetime
    number: int = 0
    phase: str = "forming"
    phase_changed: int = 0
    active: str | None = None
    texts: dict[str, Text] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    agreed_keys: dict[str, str] = field(default_factory=dict)
    used_keys: set[str] = field(default_factory=set)
    grants: dict[str, Grant] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    exceptions: dict[str, list[Any]] = field(default_factory=dict)
    reviews: dict[str, Review] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    vouched: dict[str, datetime] = field(default_factory=dict)

    # --- facts

    @property
    def charter(self) -> Document | None:
        return self.texts[self.active].document if self.active else None

    @property
    def proposal(self) -> Document | None:
        """The newest that waits for signatures."""
        waiting = [text for text in self.texts.values() if text.status == "proposed"]
        return max(waiting, key=lambda text: text.changed).document if waiting else None

    def named(self, member: str) -> set[str]:
        """Roles by the charter in force; a proposal speaks only for organizations that one does not name."""
        for document in (self.charter, self.proposal):
            for party in document["participants"] if document else []:
                if party["id"] == home(member):
                    return {
                        role for each in party["members"] if each["id"] == member for role in each["roles"]
                    }
        return set()

    def is_heard_of(self, member: str) -> bool:
        texts = [document for document in (self.charter, self.proposal) if document]
        return member in self.members or any(member in people(document) for document in texts)

    def status(self, organization: str) -> str | None:
        return self.organizations[organization].status if organization in self.organizations else None

    def roles(self, member: str, *, lent: bool = False, suspended: bool = False) -> set[str]:
        """What the member may be now. Lent roles count where that is said; being suspended takes all away."""
        here = {"active", "suspended"} if suspended else {"active"}
        if self.members.get(member) != "active" or self.status(home(member)) not in here:
            return set()
        return {
            grant.role
            for grant in self.grants.values()
            if grant.member == member
            and not grant.revoked
            and grant.start <= self.now < grant.end
            and (lent if grant.emergency else grant.role in self.named(member))
        }

    def roster(self, document: Document) -> dict[str, str]:
        """The stewards' keys as they are now."""
        return {
            member: self.keys[member]
            for party in document["participants"]
            if self.status(party["id"]) not in ("left", "removed")
            for member, roles in ((each["id"], each["roles"]) for each in party["members"])
            if "steward" in roles and self.members.get(member) == "active" and member in self.keys
        }

    def stays(self, document: Document | None) -> set[str]:
        """Parties that neither left nor were removed."""
        named = parties(document) if document else []
        return {each for each in named if self.status(each) not in ("left", "removed")}

    def is_revoked(self, *about: tuple[str, str]) -> bool:
        """By the remedy of a dispute that was upheld after the charter came into force."""
        since = self.texts[self.active].changed if self.active else 0
        return any(
            (each.status, each.remedy) == ("upheld", "revoke")
            and each.changed > since
            and (each.kind, each.about) in about
            for each in self.disputes.values()
        )

    def is_disputed(self, *about: tuple[str, str]) -> bool:
        return any(
            each.status == "raised" and (each.kind, each.about) in about for each in self.disputes.values()
        )


def parties(document: Document) -> list[str]:
    return [party["id"] for party in document.get("participants", [])]


def people(document: Document) -> dict[str, list[str]]:
    """Member → roles."""
    return {each["id"]: each["roles"] for party in document["participants"] for each in party["members"]}
