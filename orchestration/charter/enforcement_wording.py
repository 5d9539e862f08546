"""Clauses in plain words, from their canonical JSON. Must not be here: who enforces them (`enforcement`)."""

from __future__ import annotations

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
    return f"{clause['decision'].rstrip('.')}: {clause['quorum']} of {_words(clause['deciders'])} must agree."


def access_detail(clause: dict[str, str]) -> str:
    shown = ", ".join(f"{role} {detail}" for role, detail in clause.items())
    return f"{shown}; every other role sees nothing."


def formats(names: list[str]) -> str:
    return f"An insight is handed on as {_words(names)} and as nothing else."


def field(clause: dict[str, Any]) -> str:
    """Such as "string of at most 40, required; pseudonymized (household) as unit"."""
    becomes = f" as {clause['as']}" if "as" in clause else ""
    return f"{clause['type']}{_limits(clause)}; {_technique(clause['technique'])}{becomes}."


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
    return "".join(parts)


def _technique(clause: dict[str, Any]) -> str:
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
