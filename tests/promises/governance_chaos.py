"""Chaos: random members do random things, honestly or not, and time goes by.

Belongs here: rules that try anything. Must not be here: rules that look for what is allowed
(`governance_order`), or the helpers of both (`governance_life`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from orchestration.audit import governance_events as e
from orchestration.audit.vocabulary import timestamp
from tests.promises.governance_cast import (
    AUDIENCES,
    DATASETS,
    EVERYBODY,
    ORGANIZATIONS,
    PURPOSES,
    ROLES,
    TEMPLATES,
    VERSIONS,
)
from tests.promises.governance_facts import home
from tests.promises.governance_life import Life
from tests.promises.governance_model import TERMS
from tests.promises.governance_world import FLAWS, charter_of

who = st.sampled_from(EVERYBODY)
organization = st.sampled_from(ORGANIZATIONS)
role = st.sampled_from(ROLES)
pick = st.integers(0, 1000)
seldom = st.integers(0, 7)
yes_or_no = st.sampled_from(["approve", "approve", "approve", "reject", "abstain"])
span = st.sampled_from([-1, 0, 1, 3, 4.001, 24, 24 * 30, 24 * 200, 24 * 200 + 0.001])
matter = st.sampled_from(["membership", "membership", "thaw", "exception", "purpose", "closing", "dispute"])


class Chaos(Life):
    """Every rule is one act, tried on both sides."""

    # --- charters

    @rule(actor=who, kind=st.sampled_from(VERSIONS), ahead=st.integers(0, 2), wrong=seldom)
    def propose(self, actor: str, kind: str, ahead: int, wrong: int) -> None:
        version = (self.model.charter or {"version": 0})["version"] + ahead
        text = self.text(max(1, version), kind)
        other = self.one(self.model.texts, wrong) if wrong == 1 and self.model.texts else self.model.active
        act = {"digest": charter_of(text).digest, "document": text, "supersedes": other}
        self.tries("propose", "operator" if self.model.phase == "forming" else actor, **act)

    @rule(actor=who, number=pick, wrong=seldom)
    def sign(self, actor: str, number: int, wrong: int) -> None:
        digest = self.one(self.model.texts, number)
        roster = self.model.roster(self.model.texts[digest].document)
        if wrong == 0 and roster:
            roster[self.one(roster, number)] = "0" * 64
        about = self.one(ORGANIZATIONS, number) if wrong == 1 else home(actor)
        self.tries("sign", actor, digest=digest, organization=about, roster=roster)
        self.settle()

    @rule(actor=who, number=pick, rarely=seldom)
    def withdraw(self, actor: str, number: int, rarely: int) -> None:
        if rarely == 0:
            self.tries("withdraw", actor, digest=self.one(self.model.texts, number))

    # --- organizations, members, keys

    @rule(actor=who, organization=st.none() | organization, wrong=seldom)
    def accept(self, actor: str, organization: str | None, wrong: int) -> None:
        had = self.model.keys.get(actor)
        key = (
            self.one(self.world.keys, wrong)
            if wrong == 1 and self.world.keys
            else self.world.new_key(actor).key_id
        )
        if wrong > 4:
            key = self.model.agreed_keys.get(home(actor)) or had or key
        self.before_a_new_key(actor)
        evidence = [] if wrong == 2 else ["contract"]
        act = {"organization": organization or home(actor), "key": key, "evidence": evidence}
        self.tries("accept", actor, **act)
        self.settle()

    @rule(actor=who, rarely=seldom)
    def leave(self, actor: str, rarely: int) -> None:
        about = home(actor) if rarely == 0 else self.one(set(ORGANIZATIONS) - {home(actor)}, rarely)
        self.tries("leave", actor, organization=about)
        self.settle()

    @rule(actor=who, member=who, wrong=seldom, hours=span)
    def enroll(self, actor: str, member: str, wrong: int, hours: float) -> None:
        key = self.world.new_key(member).key_id
        if wrong == 1:
            key = self.one(self.model.used_keys, 5, key)
        if wrong == 2:
            key = self.model.keys.get(member, key)
        roles = sorted(self.model.named(member)) or ["analyst"]
        if wrong == 3:
            roles = [*roles, "owner"]
        act = {"member": member, "key": key, "roles": roles, "end": self.after(hours)}
        self.before_a_new_key(member)
        self.tries("enroll", actor, **act)
        self.settle()

    @rule(actor=who, member=who, rarely=seldom)
    def retire(self, actor: str, member: str, rarely: int) -> None:
        if rarely == 0 or home(actor) != home(member):
            self.tries("retire", actor, member=member)
            self.settle()

    @rule(actor=who, wrong=seldom, number=pick)
    def rotate(self, actor: str, wrong: int, number: int) -> None:
        member = self.one(EVERYBODY, number) if wrong == 0 else actor
        key = self.one(self.model.used_keys, number, "") if wrong == 1 else ""
        self.before_a_new_key(member)
        self.tries("rotate", actor, member=member, key=key or self.world.new_key(member).key_id)
        self.settle()

    @rule(actor=who, number=pick, rarely=seldom)
    def revoke_key(self, actor: str, number: int, rarely: int) -> None:
        own = [each for each in EVERYBODY if home(each) == home(actor)]
        member = actor if rarely == 0 else self.one(own if rarely == 1 else EVERYBODY, number)
        key = self.model.keys.get(member)
        if key is not None and (rarely < 2 or home(member) != home(actor)):
            self.before_a_new_key(member)
            self.tries("revoke_key", actor, member=member, key=key)
            self.settle()

    # --- roles

    @rule(actor=who, member=who, role=role, fresh=seldom, hours=span, begins=st.sampled_from([-24, 0, 24]))
    def give(self, actor: str, member: str, role: str, fresh: int, hours: float, begins: float) -> None:
        if fresh % 2:
            member = self.one([each for each in EVERYBODY if home(each) == home(actor)], fresh)
            role = self.one(self.model.named(member), fresh, role)
        act = {"grant": self.name("g", fresh, self.model.grants), "member": member, "role": role}
        if "/" not in act["grant"]:  # those names are for enrolment
            self.tries("give", actor, **act, start=self.after(begins), end=self.after(hours))
            self.settle()

    @rule(actor=who, number=pick, hours=span, own=st.booleans())
    def renew(self, actor: str, number: int, hours: float, own: bool) -> None:
        self.tries("renew", actor, grant=self.a_grant(actor, number, own), end=self.after(hours))
        self.settle()

    @rule(actor=who, number=pick, own=seldom)
    def revoke(self, actor: str, number: int, own: int) -> None:
        self.tries("revoke", actor, grant=self.a_grant(actor, number, own == 0))
        self.settle()

    def a_grant(self, actor: str, number: int, own: bool) -> str:
        grants = self.model.grants
        mine = [each for each, grant in grants.items() if home(grant.member) == home(actor)]
        return self.one(mine if own and mine else grants, number)

    @rule(actor=who, number=pick, role=role, hours=span, fresh=seldom)
    def lend(self, actor: str, number: int, role: str, hours: float, fresh: int) -> None:
        colleagues = [each for each in EVERYBODY if home(each) == home(actor)]
        member = self.one(EVERYBODY if fresh == 1 else colleagues, number)
        grant = self.name("e", fresh, self.model.grants)
        if "/" not in grant:
            self.tries("lend", actor, grant=grant, member=member, role=role, end=self.after(hours))
            self.settle()

    @rule(actor=who, number=pick, keep=st.booleans(), wrong=seldom)
    def attest(self, actor: str, number: int, keep: bool, wrong: int) -> None:
        review = self.one(self.model.reviews, number)
        asked = self.model.reviews[review].asked if review in self.model.reviews else {}
        grant = self.one(self.model.grants if wrong == 0 or not asked else asked, number)
        self.tries("attest", actor, review=review, grant=grant, keep=keep)
        self.settle()

    # --- decisions, stops, disputes

    @rule(actor=who, matter=matter, about=organization, number=pick, wrong=seldom)
    def ask(self, actor: str, matter: str, about: str, number: int, wrong: int) -> None:
        steps = ["suspend", "reinstate", "remove"]
        if matter == "membership" and number % 2:  # one that has a point
            status = {"active": "suspend", "suspended": "reinstate"}
            step = status.get(self.model.status(about) or "", "remove")
        else:
            step = steps[number % 3]
        contents: dict[str, dict[str, Any]] = {
            "membership": {"step": step},
            "exception": {
                "what": "More rows",
                "owner": actor if number % 7 else self.one(EVERYBODY, wrong),
                "residual_risk": "Small",
                "expires_at": timestamp(self.model.now + timedelta(days=number % 40 - 1)),
            },
            "purpose": {"title": "resale", "description": "resale" if number % 3 else "To sell."},
        }
        abouts = {"membership": about, "exception": f"x-{number % 5}", "purpose": self.one(PURPOSES, number)}
        act = {
            "question": self.name("q", wrong, self.model.questions),
            "matter": matter,
            "about": abouts.get(matter, self.world.name),
            "content": dict(contents.get(matter, {})),
            "here": self.world.name,
        }
        if wrong == 1:
            act["content"].popitem() if act["content"] else act["content"].update(step="suspend")
        if wrong == 2 and matter in ("thaw", "closing"):
            act["about"] = "elsewhere"
        if wrong == 3:
            act["question"] = f"r-{act['question']}"
        if wrong == 4 and matter == "membership":
            act["content"]["key_id"] = self.world.new_key(self.one(EVERYBODY, number)).key_id
        self.tries("ask", actor, **act)
        self.settle()

    @rule(actor=who, number=pick, vote=yes_or_no, settled=seldom)
    def vote(self, actor: str, number: int, vote: str, settled: int) -> None:
        """Sometimes nobody draws the consequence at once."""
        self.tries("vote", actor, question=self.a_question(number), vote=vote)
        if settled:
            self.settle()

    def a_question(self, number: int) -> str:
        questions = self.model.questions
        pending = [name for name, each in questions.items() if each.status == "pending"]
        return self.one(pending if pending and number % 5 else questions, number)

    @rule(actor=who)
    def freeze(self, actor: str) -> None:
        self.tries("freeze", actor)
        self.settle()

    @rule(
        actor=who,
        number=pick,
        fresh=seldom,
        kind=st.sampled_from(["release", "dataset", "participant", "request"]),
    )
    def dispute(self, actor: str, number: int, fresh: int, kind: str) -> None:
        known = {
            "participant": ORGANIZATIONS,
            "dataset": [*DATASETS, "unknown"],
            "request": self.model.requests,
            "release": self.model.releases,
        }
        act = {
            "dispute": self.name("s", fresh, self.model.disputes),
            "kind": kind,
            "about": self.one(known[kind], number),
            "remedy": ["warn", "recall", "suspend", "revoke", "delete"][number % 5],
        }
        if fresh == 3:
            act["dispute"] = f"r-{act['dispute']}"
        self.tries("dispute", actor, **act)
        self.settle()

    # --- questions to the data, and their answers

    @rule(actor=who, wrong=seldom)
    def acknowledge(self, actor: str, wrong: int) -> None:
        self.tries("acknowledge", actor, terms="others" if wrong == 1 else TERMS)

    @rule(
        actor=who,
        template=st.sampled_from([*TEMPLATES[:2], *TEMPLATES[:2], *TEMPLATES]),
        purpose=st.sampled_from([*PURPOSES[:1] * 4, *PURPOSES]),
        audiences=st.tuples(st.sampled_from(sorted(AUDIENCES)), st.sampled_from(sorted(AUDIENCES))),
        others=st.sets(st.sampled_from(sorted(DATASETS))),
        wrong=seldom,
    )
    def request(
        self,
        actor: str,
        template: str,
        purpose: str,
        audiences: tuple[str, str],
        others: set[str],
        wrong: int,
    ) -> None:
        act = self.asking(actor, template, audiences, purpose)
        if wrong == 0:
            act["request"] = self.name("r", wrong, self.model.requests)
        if wrong == 1:
            act["approval"] = None if act["approval"] else "questions"
        if wrong == 2:
            act["datasets"] = tuple(sorted(others))
        if wrong == 3:
            act["charter"] = self.one(self.model.texts, len(others), act["charter"] or "")
        self.tries("request", actor, **act)
        self.settle()

    @rule(actor=who, member=who, own=st.booleans())
    def login(self, actor: str, member: str, own: bool) -> None:
        self.tries("login", actor, member=actor if own else member)

    @rule(actor=who, dataset=st.sampled_from([*sorted(DATASETS), "unknown"]), hours=span, shown=st.booleans())
    def vouch(self, actor: str, dataset: str, hours: float, shown: bool) -> None:
        act = self.vouching(dataset, hours) | ({} if shown else {"evidence": []})
        self.tries("vouch", actor, **act)

    @rule(
        actor=who,
        dataset=st.sampled_from([*sorted(DATASETS), "unknown"]),
        purpose=st.sampled_from([*PURPOSES[:2] * 2, *PURPOSES]),
    )
    def contribute(self, actor: str, dataset: str, purpose: str) -> None:
        self.contributes(actor, dataset, purpose)

    @rule(number=pick, permits=st.booleans())
    def house_decides(self, number: int, permits: bool) -> None:
        """The house says what follows from charter and votes, or the contrary, which nobody may record."""
        self.decides(self.one(self.model.requests, number), permits)

    @rule(number=pick)
    def house_answers(self, number: int) -> None:
        self.answers(self.one(self.model.requests, number))

    @rule(
        actor=who,
        number=pick,
        detail=st.sampled_from(["full", "summary"]),
        why=st.sampled_from(["Why.", "Why.", " "]),
    )
    def open(self, actor: str, number: int, detail: str, why: str) -> None:
        self.tries("open", actor, release=self.one(self.model.releases, number), detail=detail, why=why)

    # --- cheating, and time

    @rule(actor=who, flaw=st.sampled_from(FLAWS), number=pick)
    def cheat(self, actor: str, flaw: str, number: int) -> None:
        """What would be allowed, signed wrongly; and what would not be, signed wrongly as well."""
        verb, act = [
            ("vote", {"question": self.a_question(number), "vote": "approve"}),
            ("freeze", {}),
            ("leave", {"organization": home(actor)}),
            ("revoke", {"grant": self.a_grant(actor, number, own=True)}),
            ("rotate", {"member": actor, "key": self.world.new_key(actor).key_id}),
        ][number % 5]
        self.tries(verb, actor, flaw, **act)

    @rule(actor=who, other=who, number=pick)
    def speak_for_another(self, actor: str, other: str, number: int) -> None:
        """A member signs, with its own key, what only another may say."""
        if actor == other or self.model.phase == "forming":
            return
        act = {"release": self.one(self.model.releases, number), "detail": "summary", "why": "Why."}
        asked = self.asking(other, "joint_segmentation", (), "insight")
        verb, act = ("open", act) if number % 2 else ("request", asked)
        event = self.world.event(verb, actor, self.model.now, act, speaks_for=other)
        key = self.world.keys.get(self.model.keys.get(actor, ""))
        assert not self.world.records(self.world.signed(event, key))
        self.counted("speak for another refused")

    @rule(number=pick, about=organization)
    def forge(self, number: int, about: str) -> None:
        """The operator writes what does not follow."""
        self.settle()
        question = self.a_question(number)
        digest = self.one(self.model.texts, number)
        here, grant = self.world.name, self.one(self.model.grants, number)
        payload, subject = [
            (e.CollaborationThawed(decision=question), here),
            (e.DecisionConcluded(decision=question, outcome="approved", rule="mine"), question),
            (e.ParticipantRemoved(participant=about, decision=question), about),
            (e.ParticipantReinstated(participant=about, decision=question), about),
            (e.CharterActivated(digest=digest, supersedes=self.model.active), here),
            (e.CharterClosed(digest=digest, decision=question), here),
            (e.ReviewClosed(lapsed=(grant,)), self.one(self.model.reviews, number)),
            (
                e.DisputeResolved(outcome="dismissed", decision=question),
                self.one(self.model.disputes, number),
            ),
            (e.ExceptionLapsed(), self.one(self.model.exceptions, number)),
            (e.DataDestroyed(rule="closed"), here),
        ][number % 10]
        if number % 10 == 9 and self.model.phase == "closed":
            return
        assert not self.world.records(self.world.forged(self.model.now, payload, subject)), payload
        self.counted("forge refused")

    @rule(hours=st.sampled_from([0.1, 1, 5, 23, 24, 72, 24 * 7, 24 * 14, 24 * 45]), settled=seldom)
    def wait(self, hours: float, settled: int) -> None:
        self.model.now = self.clock.now = self.after(hours)
        if settled:
            self.settle()
        self.counted("wait")
