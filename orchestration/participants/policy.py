"""May this member do this, here and now? Default: no. The only place that asks Cedar.

Belongs here: loading the policies of `policies/`, asking them, and giving the answer in words. Must not be
here: any rule of who may what (`policies/`), where facts come from (`facts`), or the search for the smallest
change that would pass (`explanation`). A policy that fails to evaluate might have been the one that forbids:
then the answer is no.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cedarpy

from orchestration.participants import denials, explanation
from orchestration.participants.case import Case, entities_json, request_json
from orchestration.participants.decision import Decision
from orchestration.participants.explanation import DEFAULT, Answer
from orchestration.participants.facts import UnknownSubject, case_of, is_known
from orchestration.participants.permissions import ACTIONS
from orchestration.participants.question import Question
from orchestration.participants.state import Grant, State

FOLDER = Path(__file__).parent / "policies"
_NO_RULE = "Nothing is allowed unless a rule allows it."


@dataclass(frozen=True)
class Policy:
    """One rule: `code` is the reason it gives when it forbids; `says` is the rule in words."""

    id: str
    effect: str
    code: str
    says: str
    actions: frozenset[str]


@dataclass(frozen=True)
class _Engine:
    """Policies and schema, parsed once."""

    rules: cedarpy.PolicySet
    schema: cedarpy.Schema
    policies: Mapping[str, Policy]


def decide(state: State, question: Question) -> Decision:
    """Answer a question; every denial names the rules that deny, and the smallest change that would pass."""
    refusal = _refuse_unknown(state, question)
    if refusal is not None:
        return refusal
    try:
        case = case_of(state, question)
    except UnknownSubject as unknown:
        known = f"there is: {', '.join(sorted(unknown.known)[:10])}" if unknown.known else "none has this one"
        return Decision.deny(
            denials.UNKNOWN_SUBJECT,
            collaboration=state.collaboration,
            kind=unknown.kind,
            subject=_printable(question.subject),
            known=known,
        )
    answer = ask(case)
    if answer.failed:
        does = ACTIONS[question.action].says
        return Decision.deny(denials.ERROR, member=question.member, does=does)
    rules = _engine().policies
    told = tuple(rules[each].says for each in answer.policies)
    if answer.allowed:
        return Decision.permit(
            f"{question.member} may {ACTIONS[question.action].says} ({_printable(question.subject)}).",
            policies=told,
        )
    codes = {rules[each].code for each in answer.policies}
    denial = explanation.explain(state, question, case, codes, ask)
    return Decision.deny(
        denial.reason,
        policies=told or (_NO_RULE, *_permits(question.action)),
        explained=denial.next_step,
        **denial.facts,
    )


def allows(state: State, question: Question) -> bool:
    """The bare answer of `decide`, for whoever asks many questions and tells no reasons."""
    if _refuse_unknown(state, question) is not None:
        return False
    try:
        return ask(case_of(state, question)).allowed
    except UnknownSubject:
        return False


def emergency_grant(state: State, question: Question) -> Grant | None:
    """The emergency grant without which the answer would be no; None when it is not needed, or does not help.

    Each use of one is logged twice, so whoever records an act asks this too.
    """
    lent = [each for each in state.grants(question.member) if each.emergency and each.in_force(state.at)]
    if not lent:
        return None
    try:
        case = case_of(state, question)
    except UnknownSubject:
        return None
    if not case.of(case.member)["lent"] or ask(case.but(case.member, lent=frozenset())).allowed:
        return None
    return next(
        (each for each in lent if ask(case.but(case.member, lent=frozenset({each.role}))).allowed), None
    )


def ask(case: Case) -> Answer:
    """Cedar's answer, with request and entities checked against the schema."""
    engine = _engine()
    result = cedarpy.is_authorized(request_json(case), engine.rules, entities_json(case), engine.schema)
    diagnostics = result.diagnostics
    names = diagnostics.id_annotations_by_reason
    decided = tuple(sorted(names[each] for each in diagnostics.reasons))
    failed = bool(diagnostics.errors) or result.decision is cedarpy.Decision.NoDecision
    return Answer(result.allowed and not failed, decided, failed)


def policies() -> Mapping[str, Policy]:
    """All rules, by id."""
    return _engine().policies


@cache
def _engine() -> _Engine:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.cedar")))
    schema = (FOLDER / "glasshouse.cedarschema").read_text(encoding="utf-8")
    parsed = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"].values()
    known = {
        policy.id: policy
        for each in parsed
        for policy in [
            Policy(
                each["annotations"]["id"],
                each["effect"],
                each["annotations"].get("code", DEFAULT),
                each["annotations"]["says"],
                _actions(each["action"]),
            )
        ]
    }
    return _Engine(cedarpy.PolicySet.from_str(text), cedarpy.Schema.from_str(schema), known)


def _actions(scope: Mapping[str, object]) -> frozenset[str]:
    """The actions a rule names; a group counts by its own name."""
    entities = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    return frozenset(each["id"] for each in entities)  # type: ignore[attr-defined]  # Cedar's own JSON


def _permits(action: str) -> list[str]:
    return [
        each.says
        for each in _engine().policies.values()
        if each.effect == "permit" and action in each.actions
    ]


def _refuse_unknown(state: State, question: Question) -> Decision | None:
    if question.action not in ACTIONS:
        return Decision.deny(
            denials.UNKNOWN_ACTION, action=_printable(question.action), known=", ".join(ACTIONS)
        )
    anybody = question.action == "propose_charter" and state.phase == "forming"
    if not anybody and not is_known(state, question.member):
        return Decision.deny(
            denials.UNKNOWN_MEMBER,
            collaboration=state.collaboration,
            member=_printable(question.member),
        )
    return None


def _printable(text: str) -> str:
    """What somebody typed, fit for a message."""
    return text if text.isprintable() and len(text) <= 128 else ascii(text[:128])
