"""Nobody can do what the rules do not allow, and everybody can do what they do: a house against a reference.

Random members of a collaboration do random things, honestly or not; the real log with guard and consequences,
on SQLite and PostgreSQL, and a reference in plain sets must agree on every single act, on everything that
follows, and at the end on the replay of the whole log.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from orchestration.audit import governance_events as e
from orchestration.audit.log import AuditLog
from orchestration.audit.replay import replay
from orchestration.audit.vocabulary import timestamp
from orchestration.participants import guard
from tests.postgres import control_url, postgres_server, postgres_url
from tests.promises.governance_cast import (
    DATASETS,
    EVERYBODY,
    ORGANIZATIONS,
    PURPOSES,
    ROLES,
    TEMPLATES,
    VERSIONS,
    document,
)
from tests.promises.governance_facts import home, parties, people
from tests.promises.governance_follows import follow
from tests.promises.governance_model import TERMS
from tests.promises.governance_votes import Reference, voters
from tests.promises.governance_world import FLAWS, World, charter_of

__all__ = ["control_url", "postgres_server", "postgres_url"]

START = datetime(2026, 3, 2, 9, tzinfo=UTC)

who = st.sampled_from(EVERYBODY)
organization = st.sampled_from(ORGANIZATIONS)
role = st.sampled_from(ROLES)
pick = st.integers(0, 1000)
seldom = st.integers(0, 7)
yes_or_no = st.sampled_from(["approve", "approve", "approve", "reject", "abstain"])
span = st.sampled_from([-1, 0, 1, 3, 4.001, 24, 24 * 30, 24 * 200, 24 * 200 + 0.001])
matter = st.sampled_from(["membership", "membership", "thaw", "exception", "purpose", "closing", "dispute"])


class Governance(RuleBasedStateMachine):
    """Every rule is one act, tried on both sides."""

    log: AuditLog
    names: Iterator[int]
    tally: Counter[str]

    @initialize(founded=st.integers(0, 3))
    def found(self, founded: int) -> None:
        """A collaboration whose charter was just proposed, or, more often, one that everybody agreed to."""
        name = f"c{next(self.names)}"
        self.world, self.model, self.count = World(self.log, name), Reference(START), 0
        self.world.document = document(name)
        self.made = itertools.count()
        self.propose("shop.steward", "same", 1, 0)
        if not founded:
            return
        for organization, members in people_by_home(self.world.document).items():
            first, *others = members
            self.accept(first, organization, 0)
            for other in others:
                self.enroll(first, other, 0, 24 * 200)
        self.everybody_signs(0)
        for member in people(self.world.document):
            self.acknowledge(member, 0)
        assert self.model.phase == "active"

    # --- both sides

    def tries(self, verb: str, actor: str, flaw: str | None = None, /, **act: Any) -> bool:
        """Let a member try something; both sides must agree whether it may."""
        model, world = self.model, self.world
        event = world.event(verb, actor, model.now, act)
        key = world.keys.get(model.keys.get(actor, ""))
        others = (world.keys[each] for member, each in model.keys.items() if member != actor)
        if flaw is not None:
            cheated = world.cheat(flaw, event, key, others)
            if cheated is None or (verb == "propose" and model.phase == "forming"):
                return False
            event = cheated
        elif verb != "propose" or model.phase != "forming":  # a first charter needs nobody's signature
            event = world.signed(event, key)
        expected = flaw is None and model.allows(verb, actor, **act)
        allowed = world.records(event)
        said = f"{verb} by {actor}: {act}, {flaw or 'honest'}, {model.phase}"
        assert allowed == expected, f"allowed: {allowed}, expected: {expected}: {said}; {world.refusals}"
        self.counted(f"{verb} {'allowed' if allowed else 'refused'}")
        if allowed:
            model.happens(verb, actor, **act)
        return allowed

    def counted(self, what: str) -> None:
        self.tally[what] += 1
        self.tally["steps"] += 1

    def settle(self) -> None:
        follow(self.model)
        self.world.settle(self.model.now)

    @invariant()
    def both_say_the_same(self) -> None:
        if hasattr(self, "model"):
            assert self.world.tells(self.model.now) == told(self.model)

    def one(self, things: Any, number: int, otherwise: str = "nothing") -> str:
        names = sorted(things)
        return names[number % len(names)] if names else otherwise

    def name(self, kind: str, fresh: int, known: Any) -> str:
        """A new id; once in a while one that is taken."""
        if fresh == 0 and known:
            return self.one(known, fresh)
        return f"{self.world.name}-{kind}-{next(self.made)}"

    # --- charters

    @rule(actor=who, kind=st.sampled_from(VERSIONS), ahead=st.integers(0, 2), wrong=seldom)
    def propose(self, actor: str, kind: str, ahead: int, wrong: int) -> None:
        version = (self.model.charter or {"version": 0})["version"] + ahead
        text = document(self.world.name, max(1, version), kind)
        other = self.one(self.model.texts, wrong) if wrong == 1 and self.model.texts else self.model.active
        act = {"digest": charter_of(text).digest, "document": text, "supersedes": other}
        self.tries("propose", actor, **act)

    @rule(actor=who, number=pick, wrong=seldom)
    def sign(self, actor: str, number: int, wrong: int) -> None:
        digest = self.one(self.model.texts, number)
        roster = self.model.roster(self.model.texts[digest].document)
        if wrong == 0 and roster:
            roster[self.one(roster, number)] = "0" * 64
        about = self.one(ORGANIZATIONS, number) if wrong == 1 else home(actor)
        self.tries("sign", actor, digest=digest, organization=about, roster=roster)
        self.settle()

    @rule(number=pick)
    def everybody_signs(self, number: int) -> None:
        waiting = [digest for digest, text in self.model.texts.items() if text.status == "proposed"]
        for actor in EVERYBODY if waiting else []:
            digest = self.one(waiting, number)
            text = self.model.texts[digest]
            if text.status == "proposed" and "steward" in people(text.document).get(actor, []):
                roster = self.model.roster(text.document)
                self.tries("sign", actor, digest=digest, organization=home(actor), roster=roster)
        self.settle()

    @rule(actor=who, number=pick, rarely=seldom)
    def withdraw(self, actor: str, number: int, rarely: int) -> None:
        if rarely == 0:
            self.tries("withdraw", actor, digest=self.one(self.model.texts, number))

    # --- organizations, members, keys

    @rule(actor=who, organization=st.none() | organization, wrong=seldom)
    def accept(self, actor: str, organization: str | None, wrong: int) -> None:
        key = self.one(self.world.keys, wrong) if wrong == 1 else self.world.new_key(actor).key_id
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

    @rule(steward=who, number=pick)
    def enroll_a_colleague(self, steward: str, number: int) -> None:
        own = [each for each in EVERYBODY if home(each) == home(steward)]
        self.enroll(steward, self.one(own, number), 0, 24 * 100)

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

    def before_a_new_key(self, member: str) -> None:
        """Remember the key that may be about to end, to cheat with it later."""
        key = self.world.keys.get(self.model.keys.get(member, ""))
        if key is not None:
            self.world.ended[member] = key

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

    @rule(actor=who, number=pick)
    def attest_all(self, actor: str, number: int) -> None:
        review = self.one(self.model.reviews, number)
        asked = self.model.reviews[review].asked if review in self.model.reviews else {}
        for grant in sorted(asked):
            self.tries("attest", actor, review=review, grant=grant, keep=True)
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
                "owner": actor,
                "residual_risk": "Small",
                "expires_at": timestamp(self.model.now + timedelta(days=number % 40)),
            },
            "purpose": {"title": "Resale", "description": "To sell."},
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
        self.tries("ask", actor, **act)
        self.settle()

    @rule(actor=who, number=pick, vote=yes_or_no, settled=seldom)
    def vote(self, actor: str, number: int, vote: str, settled: int) -> None:
        """Sometimes nobody draws the consequence at once."""
        self.tries("vote", actor, question=self.a_question(number), vote=vote)
        if settled:
            self.settle()

    @rule(number=pick, vote=yes_or_no, away=st.integers(0, 20))
    def everybody_votes(self, number: int, vote: str, away: int) -> None:
        name = self.a_question(number)
        known = self.model.questions.get(name)
        if known is None or known.status != "pending":
            return
        for place, voter in enumerate(sorted(voters(self.model, known))):
            if place != away and known.status == "pending" and self.model.phase != "closed":
                self.tries("vote", voter, question=name, vote=vote)
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
            "remedy": ["warn", "recall", "suspend", "recall", "delete"][number % 5],
        }
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
        datasets=st.sets(st.sampled_from(sorted(DATASETS))),
        wrong=seldom,
    )
    def request(self, actor: str, template: str, purpose: str, datasets: set[str], wrong: int) -> None:
        approval = "questions" if (template == "audience_overlap") != (wrong == 1) else None
        act = {
            "request": self.name("r", wrong, self.model.requests),
            "template": template,
            "purpose": purpose,
            "datasets": tuple(sorted(datasets)),
            "approval": approval,
        }
        self.tries("request", actor, **act)
        self.settle()

    @rule(number=pick, allowed=seldom)
    def house_decides(self, number: int, allowed: int) -> None:
        """The house may refuse what is submitted at any time, but permits it only with the votes it needs."""
        name, model = self.one(self.model.requests, number), self.model
        known = model.requests.get(name)
        voted = model.questions.get(name)
        permits = allowed > 1
        approved = known is not None and (
            not known.approval or (voted is not None and voted.status == "approved")
        )
        expected = known is not None and known.status == "submitted" and (approved or not permits)
        assert self.world.decides(name, permits, model.now) == expected
        self.counted("decide allowed" if expected else "decide refused")
        if expected and known is not None:
            model.tick()
            known.status = "permitted" if permits else "denied"
        self.settle()

    @rule(number=pick)
    def house_answers(self, number: int) -> None:
        model = self.model
        name = self.one(model.requests, number)
        known = model.requests.get(name)
        receivers = ("brand",) if known and known.template == "audience_overlap" else ("brand", "media")
        end, release = model.now + timedelta(days=30), f"i-{name}"
        expected = known is not None and known.status == "permitted"
        assert self.world.answers(name, release, receivers, model.now, end) == expected
        self.counted("answer allowed" if expected else "answer refused")
        if expected:
            model.answered(name, release, receivers, end)

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
        asked = {"template": "joint_segmentation", "purpose": "insight", "datasets": (), "approval": None}
        name = f"{self.world.name}-r-{next(self.made)}"
        verb, act = ("open", act) if number % 2 else ("request", {"request": name, **asked})
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
        self.model.now = self.after(hours)
        if settled:
            self.settle()
        self.counted("wait")

    def after(self, hours: float) -> datetime:
        moment = self.model.now + timedelta(hours=hours)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def people_by_home(text: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [each for each in people(text) if home(each) == name] for name in parties(text)}


def told(model: Reference) -> dict[str, Any]:
    """The model in the words of `World.tells`."""
    return {
        "phase": model.phase,
        "active": model.active,
        "charters": {digest: text.status for digest, text in model.texts.items()},
        "organizations": {name: each.status for name, each in model.organizations.items()},
        "members": model.members,
        "keys": model.keys,
        "grants": {
            name: (each.member, each.role, each.start, each.end, each.emergency, each.revoked)
            for name, each in model.grants.items()
        },
        "questions": {
            name: (each.matter, each.about, each.asked_by, each.status, each.escalated)
            for name, each in model.questions.items()
        },
        "votes": {
            (name, member): vote
            for name, each in model.questions.items()
            for member, vote in each.votes.items()
        },
        "disputes": {name: each.status for name, each in model.disputes.items()},
        "exceptions": {name: each[0] for name, each in model.exceptions.items()},
        "reviews": {name: (each.kind, each.status) for name, each in model.reviews.items()},
        "attested": {
            (name, grant): keep for name, each in model.reviews.items() for grant, keep in each.asked.items()
        },
        "requests": {name: each.status for name, each in model.requests.items()},
        "releases": {name: each.recalled for name, each in model.releases.items()},
        "acknowledged": model.acknowledged,
    }


def run(url: str, examples: int, steps: int) -> Counter[str]:
    """Random lives of so many collaborations in one log, then the replay of all of it."""
    with AuditLog(url, admit=guard.admit) as log:
        lived: Counter[str] = Counter()
        machine = type("Lives", (Governance,), {"log": log, "names": itertools.count(1), "tally": lived})
        chosen = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(machine, settings=chosen)
        replayed = replay(log)
        assert replayed.ok, replayed.first
    return lived


Try = Callable[[str], Counter[str]]


@pytest.mark.parametrize(
    ("control_url", "examples"),
    [("sqlite", 20), ("postgresql", 7)],
    indirect=["control_url"],
    ids=["sqlite", "postgresql"],
)
def test_the_house_allows_what_the_reference_allows(control_url: str, examples: int) -> None:
    lived = run(control_url, examples, 50)
    assert lived["steps"] >= examples * 45  # a life may end before its last step


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("control_url", ["sqlite", "postgresql"], indirect=True)
def test_they_agree_for_ten_thousand_steps(control_url: str) -> None:
    lived = run(control_url, 140, 80)
    assert lived["steps"] >= 10_000
    seen = {verb.removesuffix(" allowed") for verb in lived if verb.endswith(" allowed")}
    assert len(seen) >= 24, f"acts that were never allowed prove little: {sorted(seen)}"
