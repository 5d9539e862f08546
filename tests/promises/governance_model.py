"""The reference: what the rules of governance mean, written without the house's code.

Belongs here: who may do what, and what it changes, a pair of methods for each act. Must not be here: imports
of the package, signatures, the log. What follows from acts is in `governance_follows`, who decides in
`governance_votes`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.promises.governance_cast import Document
from tests.promises.governance_facts import (
    Dispute,
    Facts,
    Grant,
    Organization,
    Question,
    Release,
    Request,
    Text,
    home,
    parties,
    people,
)

STEWARDS = {"steward", "owner"}
TERMS = "the terms"
# What organizations do that a charter in force does not name (yet).
JOINING = {
    "accept",
    "leave",
    "enroll",
    "retire",
    "rotate",
    "revoke_key",
    "give",
    "renew",
    "revoke",
    "acknowledge",
    "sign",
}


class Model(Facts):
    """One collaboration, changed by acts."""

    # --- acts

    def allows(self, verb: str, actor: str, **act: Any) -> bool:
        """Whether this member may do this now."""
        return self._stands(verb, actor) and bool(getattr(self, f"may_{verb}")(actor, **act))

    def happens(self, verb: str, actor: str, **act: Any) -> None:
        self.tick()
        getattr(self, f"do_{verb}")(actor, **act)

    def tick(self) -> int:
        self.number += 1
        return self.number

    def _stands(self, verb: str, actor: str) -> bool:
        """What is asked of everybody, whatever the act."""
        if self.phase == "closed":
            return False
        if verb == "accept" or (verb == "propose" and self.phase == "forming"):
            return True
        if (
            self.members.get(actor) != "active"
            or self.status(home(actor)) != "active"
            or actor not in self.keys
        ):
            return False
        if self.charter is None or verb in JOINING:
            return True
        return home(actor) in parties(self.charter)

    # --- charter

    def may_propose(self, actor: str, digest: str, document: Document, supersedes: str | None) -> bool:
        if digest in self.texts or supersedes != self.active:
            return False
        if self.phase == "forming":
            return True
        charter = self.texts[self.active or ""].document
        new = {each["id"] for each in document["purposes"]} - {each["id"] for each in charter["purposes"]}
        agreed = {
            each.about
            for each in self.questions.values()
            if each.matter == "purpose" and each.status == "approved"
        }
        return (
            bool(self.roles(actor) & STEWARDS) and document["version"] > charter["version"] and new <= agreed
        )

    def do_propose(self, actor: str, digest: str, document: Document, supersedes: str | None) -> None:
        self.texts[digest] = Text(document, "proposed", supersedes, self.number)
        for organization in parties(document):
            self.organizations.setdefault(organization, Organization("invited", self.number))

    def may_sign(self, actor: str, digest: str, organization: str, roster: dict[str, str]) -> bool:
        text = self.texts.get(digest)
        if text is None or text.status != "proposed" or organization != home(actor):
            return False
        return (
            "steward" in self.roles(actor)
            and "steward" in people(text.document).get(actor, [])
            and roster == self.roster(text.document)
            and text.signatures.get(organization) != roster
        )

    def do_sign(self, actor: str, digest: str, organization: str, roster: dict[str, str]) -> None:
        self.texts[digest].signatures[organization] = dict(roster)

    def may_withdraw(self, actor: str, digest: str) -> bool:
        text = self.texts.get(digest)
        if text is None or text.status != "proposed":
            return False
        return bool(self.roles(actor) & STEWARDS) and home(actor) in parties(text.document)

    def do_withdraw(self, actor: str, digest: str) -> None:
        self.texts[digest].status = "withdrawn"
        self.texts[digest].changed = self.number

    # --- organizations, members, keys

    def may_accept(self, actor: str, organization: str, key: str, evidence: list[str]) -> bool:
        return (
            self.status(organization) == "invited"
            and home(actor) == organization
            and "steward" in self.named(actor)
            and actor not in self.keys
            and key not in self.used_keys
            and "contract" in evidence
        )

    def do_accept(self, actor: str, organization: str, key: str, evidence: list[str]) -> None:
        self.organizations[organization] = Organization("active", self.number)
        self._enter(actor, key)
        texts = [text for text in self.texts.values() if text.status in ("active", "proposed")]
        newest = sorted(texts, key=lambda text: -text.changed)
        roles = next(people(text.document)[actor] for text in newest if actor in people(text.document))
        self._replace_grants(actor, roles, datetime(2100, 1, 1, tzinfo=UTC))

    def may_leave(self, actor: str, organization: str) -> bool:
        return home(actor) == organization and bool(self.roles(actor) & STEWARDS)

    def do_leave(self, actor: str, organization: str) -> None:
        self.organizations[organization] = Organization("left", self.number)

    def may_enroll(self, actor: str, member: str, key: str, roles: list[str], end: datetime) -> bool:
        return (
            self._manages(actor, member)
            and set(roles) <= self.named(member)
            and self._lasts(end)
            and (key not in self.used_keys or self.keys.get(member) == key)
        )

    def do_enroll(self, actor: str, member: str, key: str, roles: list[str], end: datetime) -> None:
        self._enter(member, key)
        self._replace_grants(member, roles, end)

    def may_retire(self, actor: str, member: str) -> bool:
        return self._manages(actor, member) and self.members.get(member) == "active"

    def do_retire(self, actor: str, member: str) -> None:
        self.members[member] = "retired"
        self.keys.pop(member, None)
        for grant in self.grants.values():
            grant.revoked |= grant.member == member

    def may_rotate(self, actor: str, member: str, key: str) -> bool:
        return actor == member and key not in self.used_keys

    def do_rotate(self, actor: str, member: str, key: str) -> None:
        self._enter(member, key)

    def may_revoke_key(self, actor: str, member: str, key: str) -> bool:
        if self.members.get(member) != "active" or self.keys.get(member) != key:
            return False
        return actor == member or self._manages(actor, member)

    def do_revoke_key(self, actor: str, member: str, key: str) -> None:
        del self.keys[member]

    # --- roles

    def may_give(
        self, actor: str, grant: str, member: str, role: str, start: datetime, end: datetime
    ) -> bool:
        return (
            grant not in self.grants
            and self._manages(actor, member)
            and role in self.named(member)
            and self._lasts(end)
            and start < end
        )

    def do_give(self, actor: str, grant: str, member: str, role: str, start: datetime, end: datetime) -> None:
        self.grants[grant] = Grant(member, role, start, end)

    def may_renew(self, actor: str, grant: str, end: datetime) -> bool:
        known = self.grants.get(grant)
        if known is None or known.revoked or known.emergency:
            return False
        return (
            known.role in self.named(known.member) and self._manages(actor, known.member) and self._lasts(end)
        )

    def do_renew(self, actor: str, grant: str, end: datetime) -> None:
        self.grants[grant].end = end

    def may_revoke(self, actor: str, grant: str) -> bool:
        known = self.grants.get(grant)
        return known is not None and not known.revoked and self._manages(actor, known.member)

    def do_revoke(self, actor: str, grant: str) -> None:
        self.grants[grant].revoked = True

    def may_lend(self, actor: str, grant: str, member: str, role: str, end: datetime) -> bool:
        """An emergency: a colleague's word is enough, for hours."""
        return (
            self.phase != "forming"
            and grant not in self.grants
            and bool(self.roles(actor))
            and actor != member
            and home(actor) == home(member)
            and self.members.get(member) == "active"
            and self.now < end <= self.now + timedelta(hours=4)
        )

    def do_lend(self, actor: str, grant: str, member: str, role: str, end: datetime) -> None:
        self.grants[grant] = Grant(member, role, self.now, end, emergency=True)

    def may_attest(self, actor: str, review: str, grant: str, keep: bool) -> bool:
        known = self.reviews.get(review)
        if known is None or known.status != "open" or grant not in known.asked or grant not in self.grants:
            return False
        may = bool(self.roles(actor) & (STEWARDS | {"reviewer", "auditor"}))
        return may and self.grants[grant].member != actor

    def do_attest(self, actor: str, review: str, grant: str, keep: bool) -> None:
        self.reviews[review].asked[grant] = keep

    # --- stops and objections

    def may_freeze(self, actor: str) -> bool:
        return self.phase == "active" and bool(self.roles(actor) & STEWARDS)

    def do_freeze(self, actor: str) -> None:
        self.phase, self.phase_changed = "frozen", self.number

    def may_dispute(self, actor: str, dispute: str, kind: str, about: str, remedy: str) -> bool:
        if self.phase == "forming" or dispute in self.disputes or dispute in self.questions:
            return False
        charter = self.charter or {}
        known = {
            "participant": {*self.organizations, *parties(charter), *parties(self.proposal or {})},
            "dataset": {each["id"] for each in charter["datasets"]},
            "request": set(self.requests),
            "release": set(self.releases),
        }[kind]
        may = bool(self.roles(actor) & (STEWARDS | {"reviewer", "auditor"}))
        return may and about in known and remedy in charter["remedies"]

    def do_dispute(self, actor: str, dispute: str, kind: str, about: str, remedy: str) -> None:
        self.disputes[dispute] = Dispute(kind, about, remedy, self.number)
        self.questions[dispute] = Question("dispute", dispute, actor, self.now, self.number)

    # --- questions and answers

    def may_acknowledge(self, actor: str, terms: str) -> bool:
        return terms == TERMS and actor not in self.acknowledged

    def do_acknowledge(self, actor: str, terms: str) -> None:
        self.acknowledged.add(actor)

    def may_request(
        self,
        actor: str,
        request: str,
        template: str,
        purpose: str,
        datasets: tuple[str, ...],
        approval: str | None,
    ) -> bool:
        charter = self.charter or {"computations": [], "datasets": []}
        agreed = next((each for each in charter["computations"] if each["template"] == template), None)
        given = {each["id"]: each["purposes"] for each in charter["datasets"]}
        if agreed is None or self.phase != "active" or request in self.requests or request in self.questions:
            return False
        return (
            bool(self.roles(actor) & (STEWARDS | {"analyst"}))
            and home(actor) in agreed["requesters"]
            and purpose in agreed["purposes"]
            and all(purpose in given[each] for each in datasets)
            and approval == agreed.get("approval")
            and actor in self.acknowledged
            and not self.is_disputed(("participant", home(actor)), *(("dataset", each) for each in datasets))
        )

    def do_request(
        self,
        actor: str,
        request: str,
        template: str,
        purpose: str,
        datasets: tuple[str, ...],
        approval: str | None,
    ) -> None:
        self.requests[request] = Request(template, datasets, approval=approval)
        if approval:
            asked = Question("request", request, actor, self.now, self.number, right=approval)
            self.questions[request] = asked

    def may_open(self, actor: str, release: str, detail: str, why: str) -> bool:
        known = self.releases.get(release)
        if known is None or self.phase != "active" or known.recalled or self.now >= known.expires:
            return False
        roles = self.roles(actor)
        most = "full" if roles & {"steward", "analyst"} else "summary" if "executive" in roles else None
        return (
            most in ("full", detail)
            and home(actor) in known.receivers
            and bool(why.strip())
            and actor in self.acknowledged
            and not self.is_disputed(
                ("participant", home(actor)), ("release", release), ("request", known.request)
            )
        )

    def do_open(self, actor: str, release: str, detail: str, why: str) -> None:
        pass

    def answered(self, request: str, release: str, receivers: tuple[str, ...], end: datetime) -> None:
        """The house ran it and released the answer."""
        self.tick()
        self.requests[request].status = "released"
        self.releases[release] = Release(request, receivers, end)

    # --- helpers

    def _manages(self, actor: str, member: str) -> bool:
        may = bool(self.roles(actor) & STEWARDS) and home(actor) == home(member)
        return may and self.is_heard_of(member)

    def _lasts(self, end: datetime) -> bool:
        return self.now < end <= self.now + timedelta(days=200)

    def _enter(self, member: str, key: str) -> None:
        self.members[member] = "active"
        self.keys[member] = key
        self.used_keys.add(key)

    def _replace_grants(self, member: str, roles: list[str], end: datetime) -> None:
        for role in {grant.role for grant in self.grants.values()}:
            self.grants.pop(f"{member}/{role}", None)
        for role in roles:
            self.grants[f"{member}/{role}"] = Grant(member, role, self.now, end)
