"""The reference for decisions: who may vote on a question, and what the votes come to.

Belongs here: decision rights in plain sets. Must not be here: imports of the package.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from tests.promises.governance_cast import SENSITIVE
from tests.promises.governance_facts import Facts, Question, home, parties, people
from tests.promises.governance_model import STEWARDS, Model

Circle = tuple[int, dict[str, set[str]]]
"""How many voices are needed, and of whom: voice → the members who speak for it."""

EVERYBODY = {"rule": "unanimity", "expires_hours": 336}
STEPS = {"suspend": {"active"}, "reinstate": {"suspended"}, "remove": {"invited", "active", "suspended"}}


def right_of(model: Facts, question: Question) -> dict[str, Any]:
    rights = (model.charter or {})["decision_rights"]
    matching = [each for each in rights if question.matter in each.get("matters", [])]
    named = [each for each in rights if each["id"] == question.right]
    return next(iter([*named, *matching]), EVERYBODY)


def starts(model: Facts, organization: str, step: str) -> bool:
    """Whether the step can be taken now. Who was to come back can be asked back again, with another key."""
    again = step == "reinstate" and organization in parties(model.charter or {})
    return model.status(organization) in STEPS[step] | ({"invited"} if again else set())


def is_pointless(model: Facts, question: Question) -> bool:
    """Nothing is left to decide."""
    match question.matter:
        case "request":
            return model.requests[question.about].status == "denied"
        case "thaw":
            return model.phase != "frozen"
        case "membership":
            return not starts(model, question.about, question.content["step"])
        case "exception":
            return question.about in model.exceptions
    return False


def circles(model: Facts, question: Question) -> list[Circle]:
    """The groups that must all agree."""
    charter, right = model.charter or {}, right_of(model, question)
    request = model.requests[question.about] if question.matter == "request" else None
    out = {question.asked_by}
    silent_homes = set()
    if question.matter == "membership":
        silent_homes.add(question.about)
    if question.matter == "dispute" and model.disputes[question.about].kind == "participant":
        silent_homes.add(model.disputes[question.about].about)
    if request is not None and right.get("beneficiaries_abstain"):
        agreed = next(each for each in charter["computations"] if each["template"] == request.template)
        if set(agreed["receivers"]) == {home(question.asked_by)}:
            silent_homes.add(home(question.asked_by))

    def panel(clause: dict[str, Any]) -> Circle:
        ended = "term_until" in clause and model.now.date() > date.fromisoformat(clause["term_until"])
        seats = set() if ended else set(clause["members"]) - out
        voices = {each: {each} for each in seats if model.roles(each) and home(each) not in silent_homes}
        return clause["quorum"], voices

    found: list[Circle] = []
    if right.get("body") == "review_body":
        found.append(panel(charter["review_body"]))
    else:
        owners = {each["id"]: each["participant"] for each in charter["datasets"]}
        affected = (
            {owners[each] for each in request.datasets} if request and right["rule"] == "affected" else set()
        )
        deciders = set(right.get("deciders") or parties(charter)) | affected
        voters = {
            member
            for member in model.members
            if home(member) in deciders and model.roles(member) & (STEWARDS | {"reviewer"})
        }
        voices = {}
        for each in deciders:
            if each in silent_homes or (model.status(each) != "active" and each not in affected):
                continue
            speakers = {member for member in voters if home(member) == each}
            if speakers == out:
                continue  # only the asker could speak
            voices[each] = speakers - out
        if right.get("rule") == "unanimity":
            found.append((max(1, len(voices)), voices))
        else:
            found.append((right.get("quorum", 1), voices))
        concerned = {each: voices[each] for each in affected & set(voices)}
        found.append((len(concerned), concerned))
    if (
        request is not None
        and set(request.datasets) & SENSITIVE
        and "sensitive" in right.get("ethics_for", [])
    ):
        found.append(panel(charter["ethics_panel"]))
    return found


def voters(model: Facts, question: Question) -> set[str]:
    return {member for _, voices in circles(model, question) for each in voices.values() for member in each}


def outcome(model: Facts, question: Question) -> str | None:
    """approved, rejected, expired; None: not yet."""
    if is_pointless(model, question):
        return "rejected"
    groups = circles(model, question)
    if question.matter == "dispute" and any(needed > len(voices) for needed, voices in groups):
        return None  # too few are left, which is nobody's gain, however long it takes
    hours = right_of(model, question).get("expires_hours", 336)
    if model.now >= question.opened + timedelta(hours=hours):
        return "expired"
    if question.matter != "dispute" and not voters(model, question):
        return "rejected"
    verdicts = []
    for needed, voices in groups:
        said = {name: _voice(speakers, _counting(model, question)) for name, speakers in voices.items()}
        yes = sum(each == "approve" for each in said.values())
        silent = sum(each is None for each in said.values())
        verdicts.append("yes" if yes >= needed else "no" if yes + silent < needed else "open")
    if "no" in verdicts:
        return "rejected"
    return None if "open" in verdicts else "approved"


def _counting(model: Facts, question: Question) -> dict[str, str]:
    """Votes; those cast before the freeze, or the standing, that they would end are void."""
    since = -1
    if question.matter == "thaw":
        since = model.phase_changed
    if question.matter == "membership":
        since = model.organizations[question.about].changed
    return {member: vote for member, vote in question.votes.items() if question.voted[member] > since}


def _voice(speakers: set[str], votes: dict[str, str]) -> str | None:
    said = [votes[each] for each in speakers if each in votes]
    for verdict in ("reject", "approve"):
        if verdict in said:
            return verdict
    return "abstain" if said and len(said) == len(speakers) else None


class Reference(Model):
    """The model with the acts that need to know who decides."""

    def may_ask(
        self, actor: str, question: str, matter: str, about: str, content: dict[str, Any], here: str
    ) -> bool:
        """Open a question; requests and disputes open their own."""
        roles = self.roles(actor)
        if self.phase == "forming" or question in self.questions or matter in ("request", "dispute"):
            return False
        if not (roles & (STEWARDS | {"reviewer"}) or (matter == "exception" and roles)):
            return False
        if question.startswith("r-"):
            return False
        if matter in ("thaw", "closing"):
            return about == here and not content
        fields = {
            "membership": {"step"},
            "exception": {"what", "owner", "residual_risk", "expires_at"},
            "purpose": {"title", "description"},
        }[matter]
        named_key = content.get("key_id")
        if matter == "membership" and content.get("step") == "reinstate":
            content = {each: content[each] for each in content if each != "key_id"}
        if set(content) != fields:
            return False
        if matter == "membership":
            if content["step"] == "reinstate" and not named_key and not self._has_a_key(about):
                return False
            return content["step"] in STEPS and about in self.organizations
        if matter == "exception":
            owner = content["owner"]
            answers = self.members.get(owner) == "active" and self.status(home(owner)) == "active"
            return answers and datetime.fromisoformat(content["expires_at"]) > self.now
        return True

    def _has_a_key(self, organization: str) -> bool:
        """Whether one of its stewards can come back with the key it had; newcomers bring a new one."""
        if organization not in parties(self.charter or {}):
            return True
        named = people(self.charter or {})
        return any(
            "steward" in named[each] for each in named if home(each) == organization and each in self.keys
        )

    def do_ask(
        self, actor: str, question: str, matter: str, about: str, content: dict[str, Any], here: str
    ) -> None:
        self.questions[question] = Question(matter, about, actor, self.now, self.number, content=content)

    def may_vote(self, actor: str, question: str, vote: str) -> bool:
        known = self.questions.get(question)
        if self.phase == "forming" or known is None or known.status != "pending":
            return False
        return actor in voters(self, known)

    def do_vote(self, actor: str, question: str, vote: str) -> None:
        self.questions[question].votes[actor] = vote
        self.questions[question].voted[actor] = self.number
