"""The reference for consequences: what follows from acts and time, in the order in which it does.

Belongs here: changes nobody decides. Must not be here: imports of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from tests.promises.governance_facts import (
    Facts,
    Grant,
    Organization,
    Question,
    Release,
    Review,
    home,
    people,
)
from tests.promises.governance_votes import outcome, right_of, starts

Step = Callable[[], None]


def follow(model: Facts) -> None:
    """Let everything that is due happen, one thing after the other."""
    while model.phase != "closed" and (step := next(due(model), None)) is not None:
        model.tick()
        step()
    ended = [q for q in model.questions.values() if q.matter == "closing" and q.status == "approved"]
    if ended and model.phase in ("active", "frozen"):
        model.tick()
        model.texts[model.active or ""].status = "closed"
        model.phase = "closed"


def due(model: Facts) -> Iterator[Step]:
    """What was decided takes effect first; then charters, new decisions, and what time brings."""
    yield from _effects(model)
    yield from _activation(model)
    yield from _decisions(model)
    for exception in model.exceptions.values():
        if exception[0] == "granted" and exception[1] <= model.now:
            yield partial(_lapse, exception)
    yield from _new_reviews(model)
    yield from _ended_reviews(model)


def _effects(model: Facts) -> Iterator[Step]:
    decided = [(name, q) for name, q in sorted(model.questions.items()) if q.status == "approved"]
    for _, question in decided:
        if question.matter == "thaw" and model.phase == "frozen" and question.changed > model.phase_changed:
            yield partial(_set_phase, model, "active")
    for _, question in decided:
        if question.matter == "membership":
            step = question.content["step"]
            if _takes(model, question.about, step, question.changed):
                yield partial(_set_organization, model, question.about, step, question.content.get("key_id"))
    for _, dispute in sorted(model.disputes.items()):
        remedy = (dispute.status, dispute.remedy, dispute.kind)
        if remedy == ("upheld", "suspend", "participant") and _takes(
            model, dispute.about, "suspend", dispute.changed
        ):
            yield partial(_set_organization, model, dispute.about, "suspend")
    for _, question in decided:
        if question.matter == "exception" and question.about not in model.exceptions:
            end = datetime.fromisoformat(question.content["expires_at"])
            yield partial(_grant, model, question.about, end)
    for name, dispute in sorted(model.disputes.items()):
        if dispute.status == "raised" and model.questions[name].status != "pending":
            upheld = model.questions[name].status == "approved"
            yield partial(_resolve, model, name, "upheld" if upheld else "dismissed")
    for _, dispute in sorted(model.disputes.items()):
        if (dispute.status, dispute.remedy) == ("upheld", "recall"):
            for name, release in sorted(model.releases.items()):
                if not release.recalled and (dispute.kind, dispute.about) in (
                    ("release", name),
                    ("request", release.request),
                ):
                    yield partial(_recall, release)


def _takes(model: Facts, organization: str, step: str, decided: int) -> bool:
    known = model.organizations.get(organization)
    return known is not None and starts(model, organization, step) and known.changed < decided


def _set_phase(model: Facts, phase: str) -> None:
    model.phase, model.phase_changed = phase, model.number


def _set_organization(model: Facts, organization: str, step: str, key: str | None = None) -> None:
    status = {"suspend": "suspended", "reinstate": "invited", "remove": "removed"}[step]
    model.organizations[organization] = Organization(status, model.number)
    if step != "reinstate":
        return
    model.agreed_keys.pop(organization, None)
    if key is not None:  # it comes back with this one, and all others of its stewards end
        model.agreed_keys[organization] = key
        for grant in model.grants.values():
            old = model.keys.get(grant.member) != key
            if old and grant.role == "steward" and home(grant.member) == organization:
                model.keys.pop(grant.member, None)


def _grant(model: Facts, name: str, end: datetime) -> None:
    model.exceptions[name] = ["granted", end]


def _lapse(exception: list[object]) -> None:
    exception[0] = "lapsed"


def _recall(release: Release) -> None:
    release.recalled = True


def _resolve(model: Facts, name: str, status: str) -> None:
    model.disputes[name].status, model.disputes[name].changed = status, model.number


def _activation(model: Facts) -> Iterator[Step]:
    waiting = [(digest, text) for digest, text in model.texts.items() if text.status == "proposed"]
    for digest, text in sorted(waiting, key=lambda each: each[1].changed):
        wanted = model.stays(text.document) | model.stays(model.charter)
        roster = model.roster(text.document)
        complete = wanted and all(text.signatures.get(each) == roster for each in wanted)
        if complete and text.supersedes == model.active:
            yield partial(_activate, model, digest)
            return


def _activate(model: Facts, digest: str) -> None:
    if model.active:
        model.texts[model.active].status = "superseded"
        model.texts[model.active].changed = model.number
    text = model.texts[digest]
    text.status, text.activated, text.changed = "active", model.now, model.number
    model.active = digest
    if model.phase != "frozen":  # a new charter ends no freeze
        _set_phase(model, "active")


def _decisions(model: Facts) -> Iterator[Step]:
    pending = sorted((q for q in model.questions.values() if q.status == "pending"), key=lambda q: q.changed)
    for question in pending:
        result = outcome(model, question)
        if result is not None:
            yield partial(_conclude, model, question, result)
    for question in pending:
        right = right_of(model, question)
        if "escalate_hours" in right and not question.escalated:
            waited = model.now - question.opened
            if timedelta(hours=right["escalate_hours"]) <= waited < timedelta(hours=right["expires_hours"]):
                yield partial(_escalate, model, question)


def _conclude(model: Facts, question: Question, status: str) -> None:
    question.status, question.changed = status, model.number


def _escalate(model: Facts, question: Question) -> None:
    question.escalated, question.changed = True, model.number


def _new_reviews(model: Facts) -> Iterator[Step]:
    """Of each emergency once it is over; of all roles every 45 days."""
    name = f"review-{len(model.reviews) + 1}"
    seen = {each for review in model.reviews.values() if review.kind == "emergency" for each in review.asked}
    over = [
        each
        for each, grant in sorted(model.grants.items())
        if grant.emergency and each not in seen and (grant.revoked or grant.end <= model.now)
    ]
    if over:
        yield partial(_review, model, name, "emergency", 7, [over[0]])
        return
    if model.active is None:
        return
    opened = [review.opened for review in model.reviews.values() if review.kind == "access"]
    last = max(opened, default=model.texts[model.active].activated)
    if last is not None and model.now >= last + timedelta(days=45):
        asked = [
            each for each, grant in model.grants.items() if not grant.emergency and _stands(model, grant)
        ]
        yield partial(_review, model, name, "access", 14, asked)


def _review(model: Facts, name: str, kind: str, days: int, asked: list[str]) -> None:
    due = model.now + timedelta(days=days)
    model.reviews[name] = Review(kind, model.now, due, dict.fromkeys(asked))


def _stands(model: Facts, grant: Grant) -> bool:
    return not grant.revoked and model.now < grant.end


def _ended_reviews(model: Facts) -> Iterator[Step]:
    for _, review in sorted(model.reviews.items()):
        answered = all(keep is not None for keep in review.asked.values())
        over = model.now >= review.due and review.kind == "access"
        if review.status == "open" and (answered or over):
            yield partial(_close, model, review)


def _close(model: Facts, review: Review) -> None:
    """What nobody wants to keep ends, but no organization loses its last steward this way."""
    review.status = "closed"
    if review.kind == "emergency":
        return
    standing = {name: grant for name, grant in model.grants.items() if _stands(model, grant)}
    ending = {name for name, keep in review.asked.items() if not keep} & set(standing)
    stewards = {
        name: home(grant.member)
        for name, grant in standing.items()
        if grant.role == "steward"
        and not grant.emergency
        and model.members.get(grant.member) == "active"
        and "steward" in people(model.charter or {"participants": []}).get(grant.member, [])
    }
    kept = {organization for name, organization in stewards.items() if name not in ending}
    spared = {
        name
        for name, organization in stewards.items()
        if organization not in kept and name == f"{standing[name].member}/steward"
    }
    for name in ending - spared:
        model.grants[name].revoked = True
