"""What a change of each clause means: the table behind `charter diff`.

Belongs here: for every value a charter can hold, what it is called and which way it can move. A test holds
the table against the model. Must not be here: walking two charters (`diff`), comparing values
(`diff_directions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from orchestration.charter import enforcement_rules as sections
from orchestration.charter.diff_directions import (
    Compare,
    Direction,
    absent_is,
    closed_set,
    less,
    maturity,
    more,
    neutral,
    optional_set,
    ranked,
    technique,
    unknown,
    where,
)
from orchestration.charter.enforcement_wording import (
    anonymity,
    checklist_item,
    computation,
    consent,
    decision,
    field,
    giver,
    listed,
    member,
    panel,
    prohibition,
    purpose,
    quality_part,
    responsibility,
    sensitive_floor,
    term,
    withdrawal,
    witnesses,
)
from orchestration.charter.model import Role
from orchestration.charter.taxonomy import CLASS_NAMES


@dataclass(frozen=True)
class Value:
    """One value: what it is called, and how two of it compare."""

    called: str
    compare: Compare


@dataclass(frozen=True)
class Names:
    """A list of names that is a set: which way it moves when one is added; None: not known."""

    called: str
    added: Direction | None


@dataclass(frozen=True)
class Part:
    """A clause that may come and go as a whole: which way when it comes, and what it says."""

    called: str
    added: Callable[[Any], Direction | None]
    says: Callable[[Any], str]


def _always(direction: Direction | None) -> Callable[[Any], Direction | None]:
    return lambda _: direction


def _required(item: Mapping[str, Any]) -> Direction:
    return "stricter" if item["required"] else "neutral"


def _title(item: Mapping[str, Any]) -> str:
    return f"{str(item.get('description') or item.get('name') or item.get('title', '')).rstrip('.')}."


def _period(item: Mapping[str, Any]) -> str:
    return f"{item['from']} to {item['until']}."


_CHECKLIST: dict[str, Value | Names | Part] = {
    "text": Value("What is to be shown", unknown),
    "required": Value("Required", ranked(False, True)),
}
_PANEL: dict[str, Value | Names | Part] = {
    "members": Names("Members", None),
    "quorum": Value("Quorum", less),
    "term_until": Value("Term ends", more),
}
_FLOOR: dict[str, Value | Names | Part] = {
    "": Part("Floor of anonymity", _always("stricter"), anonymity),
    "k": Value("Fewest units that look alike", less),
    "uniqueness": Value("Largest share of unique units", more),
    "average_risk": Value("Largest average risk", more),
}
_SENSITIVE_FLOOR: dict[str, Value | Names | Part] = {
    "": Part("Floor of the sensitive", _always("stricter"), sensitive_floor),
    "attribute": Value("Attribute", unknown),
    "distinct_l": Value("Fewest values in a class", less),
    "entropy_l": Value("Smallest effective number of values in a class", less),
    "t": Value("Largest distance of a class", more),
}

_SEVERITY = ranked("warning", "critical")

_BY_SECTION: dict[str, dict[str, Value | Names | Part]] = {
    "": {
        "collaboration": Value("Collaboration", unknown),
        "title": Value("Title", neutral),
        "version": Value("Version", neutral),
        "effective_from": Value("In force from", less),
        "effective_until": Value("In force until", more),
        "privacy_unit": Value("Whose privacy is protected", unknown),
        "maturity": Value("Maturity", maturity),
        "objectives": Names("Objectives", "neutral"),
        "intended_outcomes": Names("Intended outcomes", "neutral"),
        "remedies": Names("Remedies", "stricter"),
    },
    "eligibility.*": {
        "": Part("Eligibility item", _required, checklist_item),
        **_CHECKLIST,
    },
    "participants.*": {
        "": Part("Participant", _always("looser"), _title),
        "name": Value("Name", neutral),
        "description": Value("Description", neutral),
        "jurisdiction": Value("Jurisdiction", unknown),
        "responsibilities": Names("Responsibilities", "stricter"),
    },
    "participants.*.members.*": {
        "": Part("Member", _always("looser"), member),
        "name": Value("Name", neutral),
        "roles": Names("Roles", "looser"),
    },
    "responsibilities.*": {
        "": Part("Responsibility", _always("stricter"), responsibility),
        "duty": Value("Duty", unknown),
        "accountable": Value("Accountable", unknown),
        "responsible": Names("Responsible", "neutral"),
        "consulted": Names("Consulted", "neutral"),
        "informed": Names("Informed", "neutral"),
    },
    "terms.*": {
        "": Part("Term", _always("stricter"), term),
        "title": Value("Title", neutral),
        "text": Value("Text", unknown),
    },
    "datasets.*": {
        "": Part("Dataset", _always("looser"), giver),
        "participant": Value("Given by", unknown),
        "entity": Value("Entity", unknown),
        "title": Value("Title", neutral),
        "description": Value("Description", neutral),
        "classification": Value("Classification", ranked("public", "commercial", "personal")),
        "purposes": Names("Purposes", "looser"),
        "lawful_basis": Value("Lawful basis", unknown),
        "license.id": Value("Licence", unknown),
        "license.terms": Value("Terms of the licence", unknown),
        "license.redistribution": Value("May be passed on", ranked(True, False)),
        "period": Part("Period", _always("stricter"), _period),
        "period.from": Value("Data from", less),
        "period.until": Value("Data until", more),
        "residency": Value("Countries it stays in", optional_set),
        "max_rows": Value("Most rows", more),
        "max_bytes": Value("Most bytes", more),
        "deidentify": Value("De-identified", where),
        "threshold": Value("Fewest units of a shown cell", less),
        "unique_key": Value("Unique key", closed_set),
        "attestation_days": Value("Days until attested anew", more),
        "consent": Part("Consent", _always("stricter"), consent),
        "consent.dataset": Value("Decisions stand in", unknown),
        "consent.mode": Value("Consent", ranked("opt_out", "opt_in")),
    },
    # What is suppressed to reach a floor takes from use, not from protection.
    "datasets.*.anonymity": {**_FLOOR, "suppress": Value("Rows that may be suppressed", neutral)},
    "datasets.*.anonymity.sensitive.*": _SENSITIVE_FLOOR,
    "joined_anonymity": _FLOOR,
    "joined_anonymity.sensitive.*": _SENSITIVE_FLOOR,
    "datasets.*.onboarding.*": {
        "": Part("Onboarding item", _required, checklist_item),
        **_CHECKLIST,
    },
    "datasets.*.fields.*": {
        "": Part("Field", _always("looser"), field),
        "as": Value("Becomes", unknown),
        "type": Value("Type", unknown),
        "required": Value("Required", ranked(False, True)),
        "classification": Value("Classification", ranked(*CLASS_NAMES)),
        "technique": Value("Technique", technique),
        "max_length": Value("Longest text", more),
        "minimum": Value("Smallest value", less),
        "maximum": Value("Largest value", more),
        "values": Value("Allowed values", closed_set),
        "deprecated": Value("Given until", more),
    },
    "datasets.*.quality": {
        "freshness": Part("Freshness", _always("stricter"), quality_part("freshness")),
        "freshness.days": Value("Days old at most", more),
        "freshness.severity": Value("Freshness", _SEVERITY),
        "volume": Part("Steady volume", _always("stricter"), quality_part("volume")),
        "volume.change": Value("Change of volume", more),
        "volume.severity": Value("Steady volume", _SEVERITY),
        "drift": Part("Drift", _always("stricter"), quality_part("drift")),
        "drift.limit": Value("Limit of drift", more),
        "drift.attributes": Value("Attributes watched for drift", closed_set),
        "drift.severity": Value("Drift", _SEVERITY),
        "keyspace": Part("Keyspace", _always("stricter"), quality_part("keyspace")),
        "keyspace.population": Value("Units at most", more),
        "keyspace.reach": Value("Share of others' units", more),
        "keyspace.severity": Value("Keyspace", _SEVERITY),
        "identifiers": Part("Natural units", _always("stricter"), quality_part("identifiers")),
        "identifiers.largest_share": Value("Share of one unit", more),
        "identifiers.dispersion": Value("Dispersion of rows", less),
        "identifiers.severity": Value("Natural units", _SEVERITY),
    },
    "datasets.*.quality.references.*": {
        "": Part("Reference", _always("stricter"), quality_part("references.*")),
        "attribute": Value("Attribute that refers", unknown),
        "dataset": Value("Dataset referred to", unknown),
        "missing": Value("Share that may refer to nothing", more),
        "severity": Value("Reference", _SEVERITY),
    },
    "datasets.*.quality.bias.*": {
        "": Part("Segments", _always("stricter"), quality_part("bias.*")),
        "attribute": Value("Segmented by", unknown),
        "tolerance": Value("Tolerance of segments", more),
        "severity": Value("Segments", _SEVERITY),
    },
    "datasets.*.quality.bias.*.segments.*": {
        "": Part("Segment", _always(None), lambda item: f"{item['label']}: {item['share']}."),
        "label": Value("Segment", unknown),
        "share": Value("Share of the segment", unknown),
    },
    "datasets.*.quality.overlap.*": {
        "": Part("Overlap", _always("stricter"), quality_part("overlap.*")),
        "dataset": Value("Overlap with", unknown),
        "at_least": Value("Overlap at least", less),
        "at_most": Value("Overlap at most", more),
        "severity": Value("Overlap", _SEVERITY),
    },
    "purposes.*": {
        "": Part("Purpose", _always("looser"), purpose),
        "title": Value("Title", neutral),
        "description": Value("What it means", unknown),
    },
    "prohibited_uses.*": {
        "": Part("Prohibited use", _always("stricter"), prohibition),
        "description": Value("What it means", unknown),
        "templates": Names("Templates ruled out", "stricter"),
    },
    "computations.*": {
        "": Part("Computation", _always("looser"), computation),
        "purposes": Names("Purposes", "looser"),
        "requesters": Names("Requesters", "looser"),
        "receivers": Names("Receivers", "looser"),
        "threshold": Value("Fewest units of a shown cell", less),
        "approval": Value("Waits for the approval", absent_is("looser")),
    },
    "decision_rights.*": {
        "": Part("Decision right", _always(None), decision),
        "decision": Value("What is decided", unknown),
        "matters": Names("Matters", None),
        "deciders": Names("Deciders", None),
        "quorum": Value("Quorum", less),
        "rule": Value("Rule", ranked("quorum", "unanimity")),
        "body": Value("Decided by", unknown),
        "beneficiaries_abstain": Value("Who alone gains abstains", ranked(False, True)),
        "ethics_for": Names("Ethics panel for", "stricter"),
        "expires_hours": Value("Hours until it expires", more),
        "escalate_hours": Value("Hours until it is escalated", neutral),
        "escalate_to": Value("Escalated to", neutral),
    },
    "review_body": {"": Part("Review body", _always(None), panel), **_PANEL},
    "ethics_panel": {"": Part("Ethics panel", _always("stricter"), panel), **_PANEL},
    "access": {
        **{
            f"detail.{role}": Value(f"What {role} sees", ranked("full", "summary", None))
            for role in get_args(Role)
        },
        "release_valid_days": Value("Days a release opens", more),
        "grant_days": Value("Longest grant in days", more),
        "emergency_hours": Value("Longest emergency in hours", more),
    },
    "retention": {
        "contributions_days": Value("Days contributions are kept", more),
        "superseded_days": Value("Days a replaced contribution is kept", more),
        "quarantine_days": Value("Days quarantine is kept", more),
        "releases_days": Value("Days releases are kept", more),
    },
    "withdrawal": {
        "": Part("Withdrawal", _always("stricter"), withdrawal),
        "releases": Value("What becomes of releases", ranked("mark_stale", "recall")),
        "people": Value("Fewest people who leave together", neutral),
        "days": Value("Days until people are out", more),
    },
    "output": {
        "aggregation_threshold": Value("Fewest units of a shown cell", less),
        "max_cells": Value("Most cells of an insight", more),
        "formats": Names("Formats", "looser"),
    },
    "audit": {
        "checkpoint_minutes": Value("Minutes between checkpoints", more),
        "justification_required": Value("Opening needs a reason", ranked(False, True)),
        "lineage": Value("Lineage", ranked(False, True)),
        "review_days": Value("Days between reviews", more),
        "access_review_days": Value("Days between access reviews", more),
        "witnesses": Part("Witnesses", _always("stricter"), witnesses),
        "witnesses.participants": Names("Witnesses", None),
        "witnesses.quorum": Value("Quorum of the witnesses", less),
    },
    "human_duties.*": {
        "": Part("Human duty", _always("stricter"), lambda item: listed([item["duty"]])),
        "owner": Value("Owner", neutral),
        "duty": Value("Duty", unknown),
        "clauses": Names("Clauses", "neutral"),
    },
}

TABLE: dict[str, Value | Names | Part] = {
    ".".join(part for part in (place, key) if part): rule
    for place, rules in _BY_SECTION.items()
    for key, rule in rules.items()
}

SECTIONS = {
    "participants": sections.PARTICIPANTS,
    "eligibility": sections.PARTICIPANTS,
    "responsibilities": sections.PARTICIPANTS,
    "terms": sections.PARTICIPANTS,
    "datasets": sections.DATA,
    "joined_anonymity": sections.DATA,
    "purposes": sections.PURPOSES,
    "prohibited_uses": sections.PURPOSES,
    "computations": sections.COMPUTATIONS,
    "decision_rights": sections.DECISIONS,
    "review_body": sections.DECISIONS,
    "ethics_panel": sections.DECISIONS,
    "remedies": sections.DECISIONS,
    "access": sections.ACCESS,
    "retention": sections.RETENTION,
    "withdrawal": sections.RETENTION,
    "output": sections.OUTPUT,
    "audit": sections.AUDIT,
    "human_duties": "Human duties",
}
"""Heading of each section of the document; what is not here stands under the term."""
