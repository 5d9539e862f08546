"""What each clause enforces: the stage and package that keep it, or the person who answers for it.

Belongs here: the proof that no clause is outside the table of rules (`enforcement_rules`). A leaf of a
charter that no rule covers is a mistake, and so is a clause for people that no human duty names. Must not be
here: the code that enforces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestration.charter.enforcement_rules import LABELS, PACKAGES, RULES, Rule
from orchestration.charter.findings import Finding, Names
from orchestration.charter.mistakes import UNENFORCED
from orchestration.charter.model import Charter
from orchestration.charter.naming import name_of
from orchestration.errors import CharterError


@dataclass(frozen=True)
class Enforcement:
    """One clause: where it stands, what it means, and who keeps it.

    `stages` name the code, as (stage, package); for a clause that people keep they are empty, and `owner`
    and `duty` say who does and how.
    """

    section: str
    path: str
    states: str
    stages: tuple[tuple[str, str], ...]
    owner: str = ""
    duty: str = ""


def enforcement(charter: Charter) -> tuple[Enforcement, ...]:
    """For every clause, in the order of the document, what keeps it.

    Raises: CharterError (`charter.unenforced`), naming the clauses that nothing keeps.
    """
    missing = [".".join(finding.path) for finding in unenforced(charter)]
    if missing:
        raise CharterError(UNENFORCED, count=len(missing), clauses=", ".join(missing))
    return tuple(_enforcements(charter))


def _enforcements(charter: Charter) -> Iterator[Enforcement]:
    for rule in RULES:
        for names, value in _clauses(charter, rule):
            duty = None if rule.stages else _duty(charter, names)
            yield Enforcement(
                section=rule.section,
                path=".".join(names),
                states=rule.states(value),
                stages=tuple((stage, PACKAGES[stage]) for stage in rule.stages),
                owner=duty.owner if duty else "",
                duty=duty.duty if duty else "",
            )


def unenforced(charter: Charter) -> Iterator[Finding]:
    """Leaves that no rule covers, clauses for people without a duty, duties that name no clause."""
    covered = {
        tuple(f"{rule.clause}.{leaf}".rstrip(".").split(".")) for rule in RULES for leaf in rule.leaves
    } | {tuple(label.split(".")) for label in LABELS}
    for names, pattern in _leaves(charter.document):
        if pattern not in covered:
            yield Finding(names, "No code and nobody enforces this clause.", _AS_DUTY)
    for rule in RULES:
        if not rule.stages:
            for names, _ in _clauses(charter, rule):
                if _duty(charter, names) is None:
                    message = "No code enforces this clause: name it in a human duty, with an owner."
                    yield Finding(names, message, _AS_DUTY, needs=("human_duties",))
    clauses = {names for rule in RULES for names, _ in _clauses(charter, rule)}
    for duty in charter.human_duties:
        for path in duty.clauses:
            wanted = tuple(path.split("."))
            if not any(_covers(wanted, names) for names in clauses):
                message = f"'{path}' matches no clause that needs a person."
                allowed = tuple(rule.clause for rule in RULES if not rule.stages)
                yield Finding(("human_duties", duty.id, "clauses"), message, allowed, needs=wanted[:1])


_AS_DUTY = ("human_duties: [{id, owner, duty, clauses: [this path]}]",)


def _duty(charter: Charter, names: Names) -> Any:
    """The first human duty that covers the clause."""
    return next(
        (
            duty
            for duty in charter.human_duties
            for path in duty.clauses
            if _covers(tuple(path.split(".")), names)
        ),
        None,
    )


def _covers(wanted: Names, names: Names) -> bool:
    """`wanted` names the clause or something it stands in; `*` is any one name."""
    return len(wanted) <= len(names) and all(
        each in ("*", name) for each, name in zip(wanted, names, strict=False)
    )


def _clauses(charter: Charter, rule: Rule) -> Iterator[tuple[Names, Any]]:
    """The clauses of the charter that the rule is about, with their values."""
    pattern = tuple(rule.clause.split("."))
    return (found for found in _matching(charter.document, pattern) if rule.when(found[1]))


def _matching(value: Any, pattern: Names, names: Names = ()) -> Iterator[tuple[Names, Any]]:
    """Clauses of the document that the pattern names, with their values; what is not stated is no clause."""
    if not pattern:
        if value != []:
            yield names, value
    elif pattern[0] == "*" and isinstance(value, list):
        for item in value:
            yield from _matching(item, pattern[1:], (*names, name_of(item)[0] or ""))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _matching(value[pattern[0]], pattern[1:], (*names, pattern[0]))


def _leaves(value: Any, names: Names = (), pattern: Names = ()) -> Iterator[tuple[Names, Names]]:
    """(path by names, pattern) of every stated value; a list of plain values is one leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*names, key), (*pattern, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from _leaves(item, (*names, name_of(item)[0] or ""), (*pattern, "*"))
    elif value != []:
        yield names, pattern
