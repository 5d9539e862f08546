"""Clauses in plain words, from their canonical JSON. Must not be here: who enforces them (`enforcement`)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
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


def consent(clause: dict[str, Any]) -> str:
    whom = "who agreed" if clause["mode"] == "opt_in" else "everybody but who objected"
    return f"Only rows of {whom} enter the room, by the newest decision in {clause['dataset']}."


def withdrawal(clause: dict[str, Any]) -> str:
    effect = "are recalled" if clause["releases"] == "recall" else "are marked stale"
    people = f"{clause['people']} people or more" if "people" in clause else "as many people as a cell needs"
    return (
        f"What is taken back is destroyed, {people} at a time, after {clause['days']} days at the latest; "
        f"releases that rest on it {effect}."
    )


def residency(places: list[str]) -> str:
    return (
        f"A house outside {_words(places)} refuses it, and nobody outside asks of it or opens what it gave."
    )


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


def deidentify(where: str) -> str:
    """Whether raw rows reach the room."""
    if where == "in_room":
        return "Raw rows may be delivered; they are encrypted on arrival and de-identified in the room."
    return "Only what the contributor prepared at its own desk is taken; raw rows are refused."


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
        case {"kind": "pseudonymize", "domain": domain, "normalize": "identifier"}:
            return f"pseudonymized ({domain})"
        case {"kind": "pseudonymize", "domain": domain, "normalize": form}:
            region = f" of {clause['region']}" if "region" in clause else ""
            return f"pseudonymized ({domain}, as {form.replace('_', ' ')}{region})"
        case {"kind": "generalize", "to": unit}:
            return f"generalized to {unit}"
        case {"kind": "generalize", "prefix": kept}:
            return f"generalized to its first {kept}"
        case {"kind": "generalize", "hierarchy": rungs, "level": level}:
            return f"generalized to level {level} of a hierarchy of {len(rungs)} values"
        case {"kind": "generalize", "bands": bands}:
            return f"generalized to {len(bands)} bands"
        case {"kind": "clamp", "low": low, "high": high}:
            return f"clamped to {low}..{high}"
        case {"kind": "top_code", "at": bound}:
            return f"top-coded at {bound}"
        case {"kind": "bottom_code", "at": bound}:
            return f"bottom-coded at {bound}"
        case {"kind": "round", "multiple": multiple}:
            return f"rounded to multiples of {multiple}"
        case {"kind": "mask", "keep_first": first, "keep_last": last}:
            return f"masked but for {first} first and {last} last characters"
        case {"kind": "bucket", "boundaries": boundaries, "source": source}:
            return f"put into {len(boundaries) + 1} parts of {source}"
        case {"kind": "date_shift", "days": days}:
            return f"shifted by up to {days} days, alike for all dates of a unit"
        case {"kind": "redact"}:
            return "redacted (e-mail addresses, IBANs, long numbers)"
        case {"kind": "drop"}:
            return "checked, then dropped"
        case _:
            return "passed"


def anonymity(clause: dict[str, Any]) -> str:
    """Such as "Refused unless at least 5 units look alike; at most 2 % of rows are suppressed for it."."""
    limits = []
    if "k" in clause:
        limits.append(f"at least {clause['k']} units look alike")
    if "uniqueness" in clause:
        limits.append(f"at most {_percent(clause['uniqueness'])} of units are unique")
    if "average_risk" in clause:
        limits.append(f"the average risk is at most {_percent(clause['average_risk'])}")
    limits += [sensitive_floor(each).rstrip(".") for each in clause["sensitive"]]
    allowed = clause.get("suppress")
    suppressed = f"; at most {_percent(allowed)} of rows are suppressed for it" if allowed else ""
    return f"Refused unless {', '.join(limits)}{suppressed}."


def sensitive_floor(clause: dict[str, Any]) -> str:
    """Such as "income has at least 2 values in each class, at a distance of at most 0.3."."""
    limits = []
    if "distinct_l" in clause:
        limits.append(f"at least {clause['distinct_l']} values in each class")
    if "entropy_l" in clause:
        limits.append(f"at least {clause['entropy_l']} effective values in each class")
    if "t" in clause:
        limits.append(f"classes at a distance of at most {clause['t']}")
    return f"{clause['attribute']} has {' and '.join(limits)}."


def _percent(share: str) -> str:
    return f"{(Decimal(share) * 100).normalize():f} %"
