"""Clauses in plain words, from their canonical JSON. Must not be here: who enforces them (`enforcement`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def listed(texts: list[str]) -> str:
    return " ".join(texts)


def _words(names: list[str]) -> str:
    return ", ".join(names)


def member(clause: dict[str, Any]) -> str:
    return f"Acts with a registered key, as {_words(clause['roles'])}."


def giver(clause: dict[str, Any]) -> str:
    return (
        f"Only {clause['participant']} may deliver it, only the columns below, as {clause['entity']} "
        f"({clause['classification']})."
    )


def lawful_basis(basis: str) -> str:
    if basis == "not_personal_data":
        return "Not personal data, so no lawful basis is needed."
    return f"Processed on the basis of {basis.replace('_', ' ')}."


def licence(clause: dict[str, Any]) -> str:
    redistribution = "may" if clause["redistribution"] else "may not"
    return f"{clause['id']}: {clause['terms'].rstrip('.')}; {redistribution} be passed on."


def purpose(clause: dict[str, Any]) -> str:
    return f"A request may state '{clause['id']}'; without a listed purpose it is denied."


def prohibition(clause: dict[str, Any]) -> str:
    return str(clause["description"])


def computation(clause: dict[str, Any]) -> str:
    return (
        f"{_words(clause['requesters'])} may ask, for {_words(clause['purposes'])}; "
        f"{_words(clause['receivers'])} may open the answer."
    )


def decision(clause: dict[str, Any]) -> str:
    parts = [f"{clause['decision'].rstrip('.')}: {voters(clause)}"]
    if clause["beneficiaries_abstain"]:
        parts.append("who alone receives the result abstains")
    if clause["ethics_for"]:
        parts.append(f"for {_words(clause['ethics_for'])} data the ethics panel too")
    if clause["matters"]:
        parts.append(f"expires after {clause['expires_hours']} hours")
    if clause["matters"] and "escalate_to" in clause:
        parts.append(f"after {clause['escalate_hours']} hours {clause['escalate_to']} is told")
    return "; ".join(parts) + "."


def voters(clause: dict[str, Any]) -> str:
    """Who must agree, of a decision right."""
    if clause["body"] == "review_body":
        return "the review body"
    named = _words(clause["deciders"]) or "all participants"
    if clause["rule"] == "unanimity":
        return f"{named}, all of them"
    if clause["rule"] == "affected":
        return f"everyone whose data is read, and at least {clause['quorum']} of {named}"
    return f"{clause['quorum']} of {named} must agree"


def panel(clause: dict[str, Any]) -> str:
    until = f", until {clause['term_until']}" if "term_until" in clause else ""
    return f"{clause['quorum']} of {_words(clause['members'])} must agree{until}."


def remedies(names: list[str]) -> str:
    return f"A dispute may ask for {_words(names)}, and for nothing else."


def maturity(level: str) -> str:
    return {
        "manual_approvals": "Manual approvals: people approve every request.",
        "automatic_checks": "Automatic checks: rules decide, and people only where a right says so.",
        "formal_audit": "Formal audit: a release opens for a written reason, once witnesses saw it logged.",
        "private_computation": "Private computation: every answer is protected by differential privacy.",
    }[level]


def checklist_item(clause: dict[str, Any]) -> str:
    needed = "Nobody joins without evidence" if clause["required"] else "Evidence may be given on joining"
    return f"{needed}: {clause['text']}"


def onboarding_item(clause: dict[str, Any]) -> str:
    needed = "No delivery without attested evidence" if clause["required"] else "Evidence may be attested"
    return f"{needed}: {clause['text']}"


def responsibility(clause: dict[str, Any]) -> str:
    return (
        f"{clause['duty'].rstrip('.')}: {clause['accountable']} answers, {_words(clause['responsible'])} "
        f"{'does' if len(clause['responsible']) == 1 else 'do'} it."
    )


def term(clause: dict[str, Any]) -> str:
    return f"'{clause['title']}': every member acknowledges it before it asks or opens."


def witnesses(clause: dict[str, Any]) -> str:
    return f"A checkpoint counts when {clause['quorum']} of {_words(clause['participants'])} signed it too."


def access_detail(clause: dict[str, str]) -> str:
    shown = ", ".join(f"{role} {detail}" for role, detail in clause.items())
    return f"{shown}; every other role sees nothing."


def formats(names: list[str]) -> str:
    return f"An insight is handed on as {_words(names)} and as nothing else."


def field(clause: dict[str, Any]) -> str:
    """Such as "string of at most 40, required; pseudonymized (household) as unit"."""
    becomes = f" as {clause['as']}" if "as" in clause else ""
    return f"{clause['type']}{_limits(clause)}; {technique(clause['technique'])}{becomes}."


def quality_part(part: str) -> Callable[[dict[str, Any]], str]:
    """One part of the quality clause in words, with what becomes of a dataset that breaks it."""
    says = {
        "freshness": "Its newest date is at most {days} days old.",
        "volume": "Its rows change by at most {change:.0%} from one delivery to the next.",
        "drift": "No distribution drifts beyond a stability index of {limit}.",
        "references.*": "Of its {attribute}, at most {missing:.0%} refer to nothing in {dataset}.",
        "bias.*": "The segments of {attribute} keep their shares within {tolerance:.0%}.",
        "overlap.*": "{dataset} knows {at_least:.0%} to {at_most:.0%} of its units.",
        "keyspace": "It has at most {population:,} units, and at most {reach:.0%} of what others gave.",
        "identifiers": "No unit has more than {largest_share:.0%} of its rows.",
    }[part]

    def words(clause: dict[str, Any]) -> str:
        numbers = ("change", "missing", "tolerance", "at_least", "at_most", "reach", "largest_share")
        facts = clause | {key: float(clause[key]) for key in numbers if key in clause}
        effect = "it stops" if clause["severity"] == "critical" else "its steward is warned"
        return f"{says.format(**facts).rstrip('.')}; otherwise {effect}."

    return words


def _limits(clause: dict[str, Any]) -> str:
    parts = []
    if "max_length" in clause:
        parts.append(f" of at most {clause['max_length']}")
    low, high = clause.get("minimum"), clause.get("maximum")
    if low is not None and high is not None:
        parts.append(f" {low} to {high}")
    elif low is not None or high is not None:
        parts.append(f" from {low}" if low is not None else f" up to {high}")
    if clause["values"]:
        parts.append(f", one of {len(clause['values'])} values")
    if clause["required"]:
        parts.append(", required")
    if "deprecated" in clause:
        parts.append(f", until {clause['deprecated']}")
    return "".join(parts)


def technique(clause: dict[str, Any]) -> str:
    match clause:
        case {"kind": "pseudonymize", "domain": domain}:
            return f"pseudonymized ({domain})"
        case {"kind": "generalize", "to": unit}:
            return f"generalized to {unit}"
        case {"kind": "generalize", "bands": bands}:
            return f"generalized to {len(bands)} bands"
        case {"kind": "clamp", "low": low, "high": high}:
            return f"clamped to {low}..{high}"
        case {"kind": "drop"}:
            return "checked, then dropped"
        case _:
            return "passed"
