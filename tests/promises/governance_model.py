"""The reference: what the rules of governance mean, written without the house's code.

Belongs here: who may do what, and what it changes, a pair of methods for each act. Must not be here: imports
of the package, signatures, the log. What follows from acts is in `governance_follows`, who decides in
`governance_votes`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.promises.governance_cast import AUDIENCES, Document
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
READERS = {"steward", "analyst", "executive"}
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
    "login",
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
        if self.members.get(actor) != "active" or actor not in self.keys:
            return False
        if verb == "login":
            return True
        if self.status(home(actor)) == "suspended":
            return verb in ("leave", "revoke_key")
        if self.status(home(actor)) != "active":
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
        worded = [(each["id"], each["title"], each["description"]) for each in document["purposes"]]
        known = [(each["id"], each["title"], each["description"]) for each in charter["purposes"]]
        agreed = [
            (each.about, each.content["title"], each.content["description"])
            for each in self.questions.values()
            if each.matter == "purpose" and each.status == "approved"
        ]
        return (
            bool(self.roles(actor) & STEWARDS)
            and document["version"] > charter["version"]
            and self.stays(charter) <= set(parties(document))
            and set(worded) <= {*known, *agreed}
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
            and self._comes_with(actor, organization, key)
            and "contract" in evidence
        )

    def _comes_with(self, actor: str, organization: str, key: str) -> bool:
        """Who is new brings a new key. Who comes back brings its old one, or the one that was agreed."""
        had = self.keys.get(actor)
        if organization not in parties(self.charter or {}):
            return had is None and key not in self.used_keys
        return key == self.agreed_keys.get(organization, had) and (key == had or key not in self.used_keys)

    def do_accept(self, actor: str, organization: str, key: str, evidence: list[str]) -> None:
        self.organizations[organization] = Organization("active", self.number)
        self._enter(actor, key)
        texts = [text for text in self.texts.values() if text.status in ("active", "proposed")]
        first = sorted(texts, key=lambda text: (text.status != "active", -text.changed))
        roles = next(people(text.document)[actor] for text in first if home(actor) in parties(text.document))
        self._replace_grants(actor, roles, datetime(2100, 1, 1, tzinfo=UTC))
        if "steward" in roles:  # somebody must be there after the charter's last day
            self.grants[f"{actor}/steward"].end = datetime(9999, 12, 31, tzinfo=UTC)

    def may_leave(self, actor: str, organization: str) -> bool:
        return home(actor) == organization and bool(self.roles(actor, suspended=True) & STEWARDS)

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
        return actor == member or self._manages(actor, member, suspended=True)

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
        """An emergency: the word of one who leads is enough, for hours; but not while it owes an account."""
        overdue = {
            self.grants[each].lender
            for review in self.reviews.values()
            if review.kind == "emergency" and review.status == "open" and review.due <= self.now
            for each in review.asked
        }
        return (
            self.phase != "forming"
            and grant not in self.grants
            and actor not in overdue
            and bool(self.roles(actor) & (STEWARDS | {"executive"}))
            and actor != member
            and home(actor) == home(member)
            and self.members.get(member) == "active"
            and self.now < end <= self.now + timedelta(hours=4)
        )

    def do_lend(self, actor: str, grant: str, member: str, role: str, end: datetime) -> None:
        self.grants[grant] = Grant(member, role, self.now, end, lender=actor)

    def may_attest(self, actor: str, review: str, grant: str, keep: bool) -> bool:
        known = self.reviews.get(review)
        if known is None or known.status != "open" or grant not in known.asked or grant not in self.grants:
            return False
        asked, role = known.asked[grant], self.grants[grant]
        if actor in (role.member, role.lender):
            return False
        if home(actor) == home(role.member):
            return bool(self.roles(actor) & (STEWARDS | {"reviewer", "auditor"}))
        confirms = asked is None and (keep or role.emergency)  # others overrule nobody, and end no role
        return confirms and bool(self.roles(actor) & {"reviewer", "auditor"})

    def do_attest(self, actor: str, review: str, grant: str, keep: bool) -> None:
        self.reviews[review].asked[grant] = keep

    # --- stops and objections

    def may_freeze(self, actor: str) -> bool:
        return self.phase == "active" and bool(self.roles(actor, lent=True) & STEWARDS)

    def do_freeze(self, actor: str) -> None:
        self.phase, self.phase_changed = "frozen", self.number

    def may_dispute(self, actor: str, dispute: str, kind: str, about: str, remedy: str) -> bool:
        if self.phase == "forming" or dispute in self.disputes or dispute in self.questions:
            return False
        if dispute.startswith("r-"):
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

    def reads(
        self, actor: str, template: str, audiences: tuple[str, ...], purpose: str
    ) -> tuple[str, ...] | None:
        """Whose data the answer rests on; None: the charter's own rules refuse the question."""
        charter = self.charter or {"computations": [], "datasets": [], "purposes": []}
        agreed = next((each for each in charter["computations"] if each["template"] == template), None)
        if agreed is None or "analyst" not in people(charter).get(actor, []):
            return None
        if home(actor) not in agreed["requesters"] or purpose not in agreed["purposes"]:
            return None
        read = [AUDIENCES[each] for each in audiences]
        if template == "joint_segmentation":
            read = ["baskets", "sales"]
        elif len(set(audiences)) < 2:
            return None
        given = {each["id"]: each["purposes"] for each in charter["datasets"]}
        return tuple(sorted(read)) if all(purpose in given[each] for each in read) else None

    def may_request(
        self,
        actor: str,
        request: str,
        template: str,
        audiences: tuple[str, ...],
        purpose: str,
        datasets: tuple[str, ...],
        approval: str | None,
        charter: str | None,
    ) -> bool:
        agreed = next(
            (each for each in (self.charter or {}).get("computations", []) if each["template"] == template),
            None,
        )
        if agreed is None or self.phase != "active" or request in self.requests or request in self.questions:
            return False
        given = {each["id"]: each["purposes"] for each in (self.charter or {})["datasets"]}
        mine = (("participant", home(actor)), *(("dataset", each) for each in datasets))
        return (
            bool(self.roles(actor, lent=True) & (STEWARDS | {"analyst"}))
            and home(actor) in agreed["requesters"]
            and purpose in agreed["purposes"]
            and all(purpose in given[each] for each in datasets)
            and approval == agreed.get("approval")
            and charter == self.active
            and set(datasets) == set(self.reads(actor, template, audiences, purpose) or ())
            and actor in self.acknowledged
            and not self.is_disputed(*mine)
            and not self.is_revoked(*mine)
        )

    def do_request(
        self,
        actor: str,
        request: str,
        template: str,
        audiences: tuple[str, ...],
        purpose: str,
        datasets: tuple[str, ...],
        approval: str | None,
        charter: str | None,
    ) -> None:
        asked = Request(actor, template, audiences, purpose, datasets, charter, approval=approval)
        self.requests[request] = asked
        if approval:
            question = Question("request", request, actor, self.now, self.number, right=approval)
            self.questions[request] = question

    def verdict(self, request: str) -> bool | None:
        """What the house has to say to a request now; None: nothing."""
        known = self.requests.get(request)
        if known is None or known.status != "submitted" or self.phase != "active":
            return None
        read = self.reads(known.asker, known.template, known.audiences, known.purpose)
        if known.charter != self.active or read is None or not set(read) <= set(known.datasets):
            return False
        if not known.approval:
            return True
        status = self.questions[request].status
        return None if status == "pending" else status == "approved"

    def may_open(self, actor: str, release: str, detail: str, why: str) -> bool:
        known = self.releases.get(release)
        if known is None or self.phase != "active" or known.recalled or self.now >= known.expires:
            return False
        roles = self.roles(actor, lent=True)
        most = "full" if roles & {"steward", "analyst"} else "summary" if "executive" in roles else None
        return (
            most in ("full", detail)
            and home(actor) in known.receivers
            and bool(why.strip())
            and actor in self.acknowledged
            and not self.is_disputed(
                ("participant", home(actor)), ("release", release), ("request", known.request)
            )
            and not self.is_revoked(
                ("participant", home(actor)), ("release", release), ("request", known.request)
            )
        )

    def do_open(self, actor: str, release: str, detail: str, why: str) -> None:
        pass

    def may_login(self, actor: str, member: str) -> bool:
        return actor == member

    def do_login(self, actor: str, member: str) -> None:
        pass

    def trace(self, verb: str, actor: str, **act: Any) -> str | None:
        """The lent role without which this act, which is allowed, would not be: it is logged twice."""
        needed = {"freeze": STEWARDS, "request": STEWARDS | {"analyst"}, "open": READERS}.get(verb, set())
        lasting = self.roles(actor)
        if verb == "open" and lasting & READERS and act["detail"] == "full":
            needed = READERS - {"executive"}
        if not needed or lasting & needed:
            return None
        lent = [
            name
            for name, grant in sorted(self.grants.items())
            if grant.member == actor and grant.emergency and not grant.revoked and self.now < grant.end
        ]
        return next((name for name in lent if self.grants[name].role in needed), None)

    # --- data

    def may_vouch(self, actor: str, dataset: str, evidence: list[str], end: datetime) -> bool:
        """For the dataset's checklist, in the words of whoever owns it."""
        document = self.charter or self.proposal or {"datasets": []}
        known = next((each for each in document["datasets"] if each["id"] == dataset), None)
        if known is None:
            return False
        may = STEWARDS if known["classification"] == "personal" else STEWARDS | {"contributor"}
        return (
            known["participant"] == home(actor)
            and bool(self.roles(actor) & may)
            and (not known.get("onboarding") or "consent" in evidence)
            and end <= self.now + timedelta(days=90)
        )

    def do_vouch(self, actor: str, dataset: str, evidence: list[str], end: datetime) -> None:
        self.vouched[dataset] = end

    def may_contribute(self, actor: str, dataset: str, purpose: str) -> bool:
        charter = self.charter or {"datasets": []}
        known = next((each for each in charter["datasets"] if each["id"] == dataset), None)
        if known is None or self.phase != "active":
            return False
        return (
            known["participant"] == home(actor)
            and bool(self.roles(actor, lent=True) & (STEWARDS | {"contributor"}))
            and purpose in known["purposes"]
            and (not known.get("onboarding") or self.now < self.vouched.get(dataset, self.now))
            and not self.is_disputed(("participant", home(actor)), ("dataset", dataset))
            and not self.is_revoked(("participant", home(actor)), ("dataset", dataset))
        )

    def giver(self, dataset: str) -> str | None:
        """Somebody who may give this data now, for all it is agreed for, with a lasting role."""
        charter = self.charter or {"datasets": []}
        known = next((each for each in charter["datasets"] if each["id"] == dataset), None)
        if known is None:
            return None
        able = (
            member
            for member in sorted(self.keys)
            if home(member) == known["participant"]
            and self.roles(member) & (STEWARDS | {"contributor"})
            and all(
                self.allows("contribute", member, dataset=dataset, purpose=purpose)
                for purpose in known["purposes"]
            )
        )
        return next(able, None)

    def may_answer(self, request: str) -> bool:
        """Whether it may run today, on data that was just given by those it is of."""
        known = self.requests[request]
        read = self.reads(known.asker, known.template, known.audiences, known.purpose)
        about = (("request", request), ("participant", home(known.asker)))
        return (
            known.status == "permitted"
            and self.phase == "active"
            and known.charter == self.active
            and read is not None
            and set(read) == set(known.datasets)
            and self.status(home(known.asker)) == "active"
            and not self.is_disputed(*about)
            and not self.is_revoked(*about)
        )

    def answered(self, request: str, release: str, receivers: tuple[str, ...], end: datetime) -> None:
        """The house ran it and released the answer."""
        self.tick()
        self.requests[request].status = "released"
        self.releases[release] = Release(request, receivers, end)

    # --- helpers

    def _manages(self, actor: str, member: str, *, suspended: bool = False) -> bool:
        may = bool(self.roles(actor, suspended=suspended) & STEWARDS) and home(actor) == home(member)
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
