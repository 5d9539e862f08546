"""Order: the right members do the right things, so that every act is often allowed, and what follows shows.

Belongs here: rules that ask the reference who may do what, and do that. Must not be here: acts that nobody
may do (`governance_chaos`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from orchestration.audit.vocabulary import timestamp
from tests.promises.governance_cast import AUDIENCES, DATASETS, EVERYBODY, ROLES, VERSIONS
from tests.promises.governance_chaos import Chaos, pick, seldom, yes_or_no
from tests.promises.governance_facts import home, people
from tests.promises.governance_votes import voters
from tests.promises.governance_world import charter_of

Attempts = Iterator[tuple[str, dict[str, Any]]]
MONTHS = 24 * 100


class Order(Chaos):
    """Rules that look for what is allowed."""

    def turned(self, number: int) -> list[str]:
        """Everybody, each time beginning with another."""
        start = number % len(EVERYBODY)
        return EVERYBODY[start:] + EVERYBODY[:start]

    def colleagues(self, number: int) -> Iterator[tuple[str, str]]:
        for actor in self.turned(number):
            for member in self.turned(number // 3):
                if home(actor) == home(member):
                    yield actor, member

    # --- charters and organizations

    @rule(number=pick)
    def everybody_signs(self, number: int) -> None:
        waiting = [digest for digest, text in self.model.texts.items() if text.status == "proposed"]
        if waiting:
            self.all_sign(self.one(waiting, number))

    @rule(number=pick, kind=st.sampled_from(VERSIONS), agreed=seldom)
    def a_new_version(self, number: int, kind: str, agreed: int) -> None:
        """Proposed by somebody who may; now and then withdrawn, more often signed by all."""
        version = (self.model.charter or {"version": 0})["version"] + 1
        text = self.text(version, kind)
        act = {"digest": charter_of(text).digest, "document": text, "supersedes": self.model.active}
        if self.model.phase == "forming" or not self.does("propose", ((a, act) for a in self.turned(number))):
            return
        if agreed < 3:
            self.does("withdraw", ((a, {"digest": act["digest"]}) for a in self.turned(number // 2)))
        else:
            self.all_sign(act["digest"])

    @rule(number=pick)
    def those_invited_come(self, number: int) -> None:
        def attempts() -> Attempts:
            for actor in self.turned(number):
                known = self.model.agreed_keys.get(home(actor)) or self.model.keys.get(actor)
                for key in (known, self.world.new_key(actor).key_id):
                    if key is not None:
                        self.before_a_new_key(actor)
                        yield actor, {"organization": home(actor), "key": key, "evidence": ["contract"]}

        self.does("accept", attempts())

    @rule(number=pick, rarely=st.integers(0, 40))
    def somebody_leaves(self, number: int, rarely: int) -> None:
        """Sometimes one that is suspended; seldom another."""
        suspended = [each for each in self.turned(number) if self.model.status(home(each)) == "suspended"]
        leaving = suspended if rarely < 10 else self.turned(number) if rarely == 40 else []
        self.does("leave", ((each, {"organization": home(each)}) for each in leaving))

    # --- members and roles

    @rule(number=pick)
    def colleagues_are_enrolled(self, number: int) -> None:
        """Whoever lost key, seat or roles gets them back."""
        for actor, member in self.colleagues(number):
            lacks = member not in self.model.keys or not self.model.roles(member)
            steward = actor != member and "steward" in self.model.roles(actor)
            if lacks and steward and self.model.named(member) and actor in self.model.keys:
                self.enrolls(actor, member, MONTHS)
                return

    @rule(number=pick, rarely=seldom)
    def somebody_retires(self, number: int, rarely: int) -> None:
        """Never a steward: an organization without one is out of the game."""
        if rarely > 2:
            return
        pairs = ((a, b) for a, b in self.colleagues(number) if "steward" not in self.model.named(b))
        self.does("retire", ((actor, {"member": member}) for actor, member in pairs))

    @rule(number=pick, rarely=seldom)
    def a_key_ends(self, number: int, rarely: int) -> None:
        keys = self.model.keys if rarely < 3 else {}
        pairs = ((a, b) for a, b in self.colleagues(number) if a != b and b in keys)
        for _, member in self.colleagues(number):
            self.before_a_new_key(member)
        self.does("revoke_key", ((a, {"member": b, "key": keys[b]}) for a, b in pairs))

    @rule(number=pick)
    def a_role_is_given(self, number: int) -> None:
        def attempts() -> Attempts:
            for actor, member in self.colleagues(number):
                for role in sorted(self.model.named(member)):
                    grant = {
                        "grant": f"{self.world.name}-g-{next(self.made)}",
                        "member": member,
                        "role": role,
                    }
                    yield actor, {**grant, "start": self.after(0), "end": self.after(MONTHS)}

        self.does("give", attempts())

    @rule(number=pick)
    def a_role_is_renewed(self, number: int) -> None:
        start = number % (len(self.model.grants) or 1)
        names = sorted(self.model.grants)
        attempts = (
            (actor, {"grant": name, "end": self.after(MONTHS)})
            for name in names[start:] + names[:start]
            for actor in EVERYBODY
        )
        self.does("renew", attempts)

    @rule(number=pick)
    def a_lent_role_ends(self, number: int) -> None:
        lent = [name for name, grant in self.model.grants.items() if grant.emergency]
        self.does("revoke", ((a, {"grant": self.one(lent, number)}) for a in EVERYBODY if lent))

    @rule(number=pick, role=st.sampled_from(ROLES))
    def a_role_is_lent_and_used(self, number: int, role: str) -> None:
        """And somebody tries to govern with it."""
        until = self.after(3)

        def attempts() -> Attempts:
            for actor, member in self.colleagues(number):
                grant = f"{self.world.name}-e-{next(self.made)}"
                yield actor, {"grant": grant, "member": member, "role": role, "end": until}

        self.does("lend", attempts())
        lent = [grant.member for grant in self.model.grants.values() if grant.emergency and not grant.revoked]
        borrower = self.one(set(lent), number, "shop.analyst")
        self.tries("leave", borrower, organization=home(borrower)) if number % 9 == 0 else None
        self.retire(borrower, self.one(EVERYBODY, number), 0)
        self.vote(borrower, number, "approve", 1)
        if self.model.releases:
            release = self.one(self.model.releases, number)
            self.tries("open", borrower, release=release, detail="full", why="Why.")

    @rule(number=pick, keep=st.integers(0, 5))
    def a_review_is_attested(self, number: int, keep: int) -> None:
        waiting = [name for name, each in self.model.reviews.items() if each.status == "open"]
        review = self.one(waiting, number)
        for grant in sorted(self.model.reviews[review].asked if waiting else {}):
            act = {"review": review, "grant": grant, "keep": keep > 0}
            self.does("attest", ((actor, act) for actor in self.turned(number)))

    # --- decisions

    @rule(number=pick, vote=yes_or_no, away=st.integers(0, 20))
    def everybody_votes(self, number: int, vote: str, away: int) -> None:
        self.all_vote(self.a_question(number), vote, away)

    def all_vote(self, name: str, vote: str = "approve", away: int = 20) -> None:
        known = self.model.questions.get(name)
        if known is None or known.status != "pending":
            return
        for place, voter in enumerate(sorted(voters(self.model, known))):
            if place != away and known.status == "pending" and voter in self.model.keys:
                self.does("vote", [(voter, {"question": name, "vote": vote})])

    def is_decided(self, number: int, matter: str, about: str, content: dict[str, Any]) -> bool:
        """Asked by somebody who may, and answered yes."""
        question = f"{self.world.name}-q-{next(self.made)}"
        act = {"matter": matter, "about": about, "content": content, "here": self.world.name}
        if not self.does("ask", ((a, {"question": question, **act}) for a in self.turned(number))):
            return False
        self.all_vote(question)
        return self.model.questions[question].status == "approved"

    @rule(number=pick, matter=st.sampled_from(["exception", "purpose", "membership", "membership"]))
    def a_question_is_decided(self, number: int, matter: str) -> None:
        about = self.one(self.model.organizations, number)
        until = timestamp(self.model.now + timedelta(days=number % 30 + 1))
        member = self.one(self.model.members, number, "shop.steward")
        risk = {"what": "More rows", "owner": member, "residual_risk": "Small", "expires_at": until}
        if matter == "exception":
            self.is_decided(number, "exception", f"x-{next(self.made)}", risk)
        elif matter == "purpose":
            self.is_decided(number, "purpose", "resale", {"title": "resale", "description": "resale"})
        elif self.model.status(about) == "suspended":
            key = {"key_id": self.world.new_key(f"{about}.steward").key_id} if number % 2 else {}
            self.is_decided(number, "membership", about, {"step": "reinstate", **key})
            self.those_invited_come(number)
        elif number % 4 == 0:
            self.is_decided(number, "membership", about, {"step": "suspend"})

    @rule(number=pick)
    def it_goes_on(self, number: int) -> None:
        """What was frozen is thawed."""
        if self.model.phase == "frozen":
            self.is_decided(number, "thaw", self.world.name, {})

    @rule(number=pick, kind=st.sampled_from(["dataset", "release", "participant"]), upheld=st.booleans())
    def an_objection(self, number: int, kind: str, upheld: bool) -> None:
        known = {"dataset": DATASETS, "release": self.model.releases, "participant": ["brand", "media"]}[kind]
        remedy = {"dataset": "revoke", "release": "recall", "participant": "suspend"}[kind]
        dispute = f"{self.world.name}-s-{next(self.made)}"
        act = {"dispute": dispute, "kind": kind, "about": self.one(known, number), "remedy": remedy}
        if number % 3 == 0 and self.does("dispute", ((a, act) for a in self.turned(number))):
            self.all_vote(dispute, "approve" if upheld else "reject")

    # --- data

    @rule(number=pick, pair=st.permutations(sorted(AUDIENCES)), template=st.booleans())
    def a_question_is_answered(self, number: int, pair: list[str], template: bool) -> None:
        """Asked, approved, run, released, and opened by those it was made for."""
        name = "audience_overlap" if template else "joint_segmentation"
        audiences = (pair[0], pair[1])
        for member in ("brand.analyst", "brand.steward", "shop.analyst", "media.steward"):
            if member not in self.model.acknowledged:
                self.does("acknowledge", [(member, {"terms": "the terms"})])
        asked: list[str] = []

        def attempts() -> Attempts:
            for actor in self.turned(number):
                act = self.asking(actor, name, audiences, "insight")
                if act["datasets"]:  # the charter's own rules allow it
                    asked.append(act["request"])
                    yield actor, act

        if not self.does("request", attempts()):
            return
        self.all_vote(asked[-1])
        self.decides(asked[-1], permits=True)
        self.answers(asked[-1])
        act = {"release": f"i-{asked[-1]}", "detail": "full", "why": "Why."}
        self.does("open", ((actor, act) for actor in self.turned(number)))

    @rule(number=pick, dataset=st.sampled_from(sorted(DATASETS)))
    def data_is_given(self, number: int, dataset: str) -> None:
        act = self.vouching(dataset, 24 * 80)
        self.does("vouch", ((actor, act) for actor in self.turned(number)))
        owner = self.one([each for each in people(self.text()) if home(each) == DATASETS[dataset]], 1)
        self.contributes(owner, dataset, "insight")

    # --- one thing after the other

    @rule(number=pick, last=seldom)
    def a_good_day(self, number: int, last: int) -> None:
        """What would seldom come together by chance."""
        self.it_goes_on(number)
        self.colleagues_are_enrolled(number)
        self.a_role_is_given(number)
        self.a_role_is_renewed(number)
        self.a_question_is_answered(number, sorted(AUDIENCES), template=number % 2 == 0)
        self.data_is_given(number, self.one(DATASETS, number))
        self.a_role_is_lent_and_used(number, "steward")
        self.a_lent_role_ends(number)
        self.a_review_is_attested(number, keep=number % 4)
        self.contribute(self.one(EVERYBODY, number), "sales", "insight")
        self.attest(self.one(EVERYBODY, number), number, keep=False, wrong=0)
        if last == 0:
            self.somebody_leaves(number, rarely=40)
