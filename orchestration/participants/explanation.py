"""Why not, and what would have to be different: the smallest change after which the answer is yes.

Belongs here: choosing the reason to tell, and asking the policies again with one fact changed at a time, then
with two. Must not be here: the policies themselves, and any change of a fact outside this question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from orchestration.errors import Reason
from orchestration.participants import changes, denials, wording
from orchestration.participants.case import Case
from orchestration.participants.changes import ROLES, Change
from orchestration.participants.question import Question
from orchestration.participants.state import State

DEFAULT = "policy.denied"  # the code of a denial by no rule in particular


@dataclass(frozen=True)
class Answer:
    """What the policies said, and which decided. `failed`: one could not be evaluated."""

    allowed: bool
    policies: tuple[str, ...]
    failed: bool = False


@dataclass(frozen=True)
class Denial:
    """The reason to tell, the facts of its words, and the change that was found, if any."""

    reason: Reason
    facts: Mapping[str, object]
    next_step: str


Ask = Callable[[Case], Answer]


def explain(state: State, question: Question, case: Case, codes: Iterable[str], ask: Ask) -> Denial:
    """Why a case is denied, and the smallest change that would pass."""
    reason = _reason(state, question, case, set(codes), ask)
    found = smallest_change(state, question, case, ask)
    next_step = " And ".join(_within(change.says, place) for place, change in enumerate(found))
    return Denial(reason, wording.words(state, question, case, reason.code), next_step)


def _within(sentence: str, place: int) -> str:
    """A sentence as it stands after "And"; names of members begin small anyway."""
    return sentence if place == 0 else sentence[:1].lower() + sentence[1:]


def smallest_change(state: State, question: Question, case: Case, ask: Ask) -> tuple[Change, ...]:
    """One change that turns the answer to yes, else two that do together; empty: nothing so small helps."""
    possible = list(changes.changes(state, question, case, lambda each: ask(each).allowed))
    for change in possible:
        if ask(change.apply(case)).allowed:
            return (change,)
    for first, second in combinations(possible, 2):
        if ask(second.apply(first.apply(case))).allowed:
            return first, second
    return ()


def _reason(state: State, question: Question, case: Case, codes: set[str], ask: Ask) -> Reason:
    """The first reason that a rule gave; without one, no rule allowed it: for want of a role, or at all."""
    for code, reason in denials.BY_CODE.items():
        if code in codes:
            return reason
    if codes:
        return denials.DENIED
    held, lent = case.of(case.member)["roles"], case.of(case.member)["lent"]
    if lent and ask(case.but(case.member, roles=held | lent)).allowed:
        return denials.LENT_ROLE
    lapsed = {grant.role for grant in changes.lapsed(state, question.member)}
    if lapsed and ask(case.but(case.member, roles=held | lapsed)).allowed:
        return denials.GRANT_EXPIRED
    every = frozenset(ROLES)
    if ask(case.but(case.member, roles=every, named=every)).allowed:
        return denials.NO_ROLE
    return denials.DENIED
