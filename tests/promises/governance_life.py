"""One life: a collaboration in the house and in the reference, and trying something on both sides.

Belongs here: what every rule of a life uses. Must not be here: the rules (`governance_chaos`,
`governance_order`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from orchestration.audit.log import AuditLog
from tests.promises.governance_cast import DATASETS, EVERYBODY, Document, document
from tests.promises.governance_facts import home, parties, people
from tests.promises.governance_follows import follow
from tests.promises.governance_model import TERMS
from tests.promises.governance_votes import Reference
from tests.promises.governance_world import World, charter_of

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ETHICS_DAYS = 60


class Clock:
    """The one clock of the log: lives follow each other in it, none goes back."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Life(RuleBasedStateMachine):
    """A collaboration on both sides."""

    log: AuditLog
    clock: Clock
    names: Iterator[int]
    tally: Counter[str]

    @initialize(founded=st.integers(0, 3))
    def found(self, founded: int) -> None:
        """A collaboration whose charter was just proposed, or, more often, one that everybody agreed to."""
        name = f"c{next(self.names)}"
        self.world, self.model = World(self.log, name), Reference(self.clock.now)
        self.term = (self.clock.now + timedelta(days=ETHICS_DAYS)).date().isoformat()
        self.made = itertools.count()
        self.world.document = self.text()
        digest = charter_of(self.text()).digest
        self.tries("propose", "operator", digest=digest, document=self.text(), supersedes=None)
        if not founded:
            return
        for organization, members in people_by_home(self.world.document).items():
            first, *others = members
            key = self.world.new_key(first).key_id
            self.tries("accept", first, organization=organization, key=key, evidence=["contract"])
            for other in others:
                self.enrolls(first, other)
        self.all_sign(digest)
        for member in people(self.world.document):
            self.tries("acknowledge", member, terms=TERMS)
        for dataset, owner in DATASETS.items():
            self.tries("vouch", f"{owner}.steward", **self.vouching(dataset, 24 * 80))
        assert self.model.phase == "active"

    def text(self, version: int = 1, kind: str = "same") -> Document:
        return document(self.world.name, version, kind, self.term)

    def vouching(self, dataset: str, hours: float) -> dict[str, Any]:
        return {"dataset": dataset, "evidence": ["consent"], "end": self.after(hours)}

    def enrolls(self, steward: str, member: str, hours: float = 24 * 200) -> bool:
        roles = sorted(self.model.named(member)) or ["analyst"]
        self.before_a_new_key(member)
        key = self.world.new_key(member).key_id
        done = self.tries("enroll", steward, member=member, key=key, roles=roles, end=self.after(hours))
        self.settle()
        return done

    def all_sign(self, digest: str) -> None:
        text = self.model.texts[digest]
        for actor in EVERYBODY:
            if text.status == "proposed" and "steward" in people(text.document).get(actor, []):
                roster = self.model.roster(text.document)
                self.tries("sign", actor, digest=digest, organization=home(actor), roster=roster)
        self.settle()

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
        lent = model.trace(verb, actor, **act) if expected else None
        if lent is not None and next(self.made) % 4 == 0:  # its use is not told
            lent, expected = None, False
        allowed = world.records(event, lent)
        said = f"{verb} by {actor}: {act}, {flaw or 'honest'}, {model.phase}"
        assert allowed == expected, f"allowed: {allowed}, expected: {expected}: {said}; {world.refusals}"
        self.counted(f"{verb} {'allowed' if allowed else 'refused'}")
        if allowed:
            if lent is not None:
                model.tick()
                self.counted("lent role used")
            model.happens(verb, actor, **act)
        return allowed

    # --- questions to the data

    def asking(self, actor: str, template: str, audiences: tuple[str, ...], purpose: str) -> dict[str, Any]:
        """A request that says all it has to."""
        audiences = audiences if template == "audience_overlap" else ()
        return {
            "request": f"{self.world.name}-r-{next(self.made)}",
            "template": template,
            "audiences": audiences,
            "purpose": purpose,
            "datasets": self.model.reads(actor, template, audiences, purpose) or (),
            "approval": "questions" if template == "audience_overlap" else None,
            "charter": self.model.active,
        }

    def decides(self, name: str, permits: bool) -> None:
        expected = self.model.verdict(name) is permits
        assert self.world.decides(name, permits, self.model.now) == expected, self.world.refusals
        self.counted("decide allowed" if expected else "decide refused")
        if expected:
            self.model.tick()
            self.model.requests[name].status = "permitted" if permits else "denied"
        self.settle()

    def answers(self, name: str) -> None:
        """What it reads is given anew for it; without anybody who may give that, nothing is tried."""
        model, known = self.model, self.model.requests.get(name)
        givers = {each: model.giver(each) for each in known.datasets} if known is not None else {}
        if known is None or not givers or None in givers.values():
            self.counted("answer not tried")
            return
        receivers = ("brand",) if known.template == "audience_overlap" else ("brand", "media")
        end, release = model.now + timedelta(days=30), f"i-{name}"
        expected = model.may_answer(name)
        named = {dataset: str(giver) for dataset, giver in givers.items()}
        answered = self.world.answers(name, known.template, known.purpose, named, model.now)
        assert answered == expected, self.world.refusals
        self.counted("answer allowed" if expected else "answer refused")
        if expected:
            model.answered(name, release, receivers, end)

    def contributes(self, actor: str, dataset: str, purpose: str) -> None:
        """What the policies say; without a key nobody can sign a delivery, and they are not asked."""
        if actor not in self.model.keys:
            return
        expected = self.model.allows("contribute", actor, dataset=dataset, purpose=purpose)
        allowed = self.world.may_contribute(self.model.now, actor, dataset, purpose)
        assert allowed == expected, f"{actor} gives {dataset} for {purpose}: {allowed}"
        self.counted(f"contribute {'allowed' if allowed else 'refused'}")

    def does(self, verb: str, attempts: Iterable[tuple[str, dict[str, Any]]]) -> bool:
        """The first of these that the reference allows; in the house it must go as well."""
        for actor, act in attempts:
            if self.model.allows(verb, actor, **act):
                done = self.tries(verb, actor, **act)
                self.settle()
                return done
        return False

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

    def before_a_new_key(self, member: str) -> None:
        """Remember the key that may be about to end, to cheat with it later."""
        key = self.world.keys.get(self.model.keys.get(member, ""))
        if key is not None:
            self.world.ended[member] = key

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
        "vouched": model.vouched,
        "acknowledged": model.acknowledged,
    }
