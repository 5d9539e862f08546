"""Four organizations and a guest, their charter as a plain document, and the versions they may propose.

Belongs here: the document. Must not be here: rules, or anything of `orchestration`: both the model and the
house read this very document.
"""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]

MEMBERS: dict[str, dict[str, list[str]]] = {
    "shop": {"shop.steward": ["steward"], "shop.reviewer": ["reviewer"], "shop.analyst": ["analyst"]},
    "brand": {
        "brand.steward": ["steward"],
        "brand.owner": ["owner"],
        "brand.analyst": ["analyst", "operator"],
    },
    "media": {"media.steward": ["steward"], "media.auditor": ["auditor"]},
    "panel": {"panel.steward": ["steward"], "panel.reviewer": ["reviewer"], "panel.executive": ["executive"]},
}
GUEST = {"guest.steward": ["steward"], "guest.analyst": ["analyst"]}
STRANGER = "stranger.steward"
EVERYBODY = [*(each for members in MEMBERS.values() for each in members), *GUEST, STRANGER]
ORGANIZATIONS = [*MEMBERS, "guest", "stranger"]
ROLES = ["steward", "owner", "reviewer", "auditor", "analyst", "executive"]
DATASETS = {"sales": "shop", "campaigns": "media", "baskets": "panel"}
AUDIENCES = {"shoppers": "sales", "mailed": "campaigns", "profiled": "baskets"}
SENSITIVE = {"baskets"}
TEMPLATES = ["audience_overlap", "joint_segmentation", "lookalike"]
PURPOSES = ["insight", "planning", "resale"]
VERSIONS = ["same", "guest", "promotion", "demotion", "purpose"]


def _party(name: str, members: dict[str, list[str]]) -> Document:
    return {
        "id": name,
        "name": name,
        "description": "Takes part.",
        "responsibilities": ["Something."],
        "members": [{"id": each, "name": each, "roles": roles} for each, roles in members.items()],
    }


def _dataset(name: str, owner: str) -> Document:
    household = {"kind": "pseudonymize", "domain": "household"}
    unit = {"name": "household_id", "as": "unit", "type": "string", "required": True, "max_length": 20}
    fields = [unit | {"classification": "direct_identifier", "technique": household}]
    for attribute, classification in _FIELDS[name].items():
        column = {"name": f"its_{attribute}", "as": attribute, "type": "string", "required": True}
        fields.append(column | {"max_length": 20, "classification": classification, "technique": "pass"})
    checklist = [{"id": "consent", "text": "Everybody agreed.", "required": True}]
    return {
        "id": name,
        "onboarding": checklist if name in SENSITIVE else [],
        "attestation_days": 90,
        "participant": owner,
        "entity": _ENTITIES[name],
        "title": name,
        "description": name,
        "classification": "personal",
        "purposes": ["insight", "planning"] if name != "campaigns" else ["insight"],
        "lawful_basis": "consent",
        "license": {"id": "LicenseRef-test", "terms": "Test only", "redistribution": False},
        "max_rows": 100,
        "max_bytes": 1000,
        "fields": fields,
    }


_ENTITIES = {"sales": "transaction", "campaigns": "assignment", "baskets": "profile"}
_FIELDS = {
    "sales": {"product": "behavioural"},
    "campaigns": {"campaign": "behavioural"},
    "baskets": {"age": "sensitive"},
}


def document(collaboration: str, version: int = 1, kind: str = "same", term: str = "2026-12-31") -> Document:
    """The charter of a collaboration; `kind` is what a version changes, `term` the ethics panel's."""
    parties = copy.deepcopy(MEMBERS)
    purposes = ["insight", "planning"]
    if kind == "guest":
        parties["guest"] = copy.deepcopy(GUEST)
    if kind == "promotion":
        parties["shop"]["shop.reviewer"] = ["reviewer", "steward"]
        parties["media"]["media.auditor"] = ["auditor", "steward"]
    if kind == "demotion":
        parties["panel"]["panel.reviewer"] = ["auditor"]
    if kind == "purpose":
        purposes = [*purposes, "resale"]
    return {
        "collaboration": collaboration,
        "title": f"Four, {kind}",
        "version": version,
        "effective_from": "2020-01-01",
        "effective_until": "2099-12-31",
        "privacy_unit": "household",
        "objectives": ["Learn."],
        "eligibility": [{"id": "contract", "text": "Signed.", "required": True}],
        "terms": [{"id": "confidential", "title": "Confidential", "text": "Nobody tells."}],
        "participants": [_party(name, members) for name, members in parties.items()],
        "datasets": [_dataset(name, owner) for name, owner in DATASETS.items()],
        "purposes": [{"id": each, "title": each, "description": each} for each in purposes],
        "prohibited_uses": [{"id": "re_identification", "description": "Nobody tries."}],
        "computations": [
            {
                "template": "audience_overlap",
                "purposes": ["insight", "planning"],
                "requesters": ["shop", "brand"],
                "receivers": ["brand"],
                "approval": "questions",
            },
            {
                "template": "joint_segmentation",
                "purposes": ["insight"],
                "requesters": ["brand", "panel"],
                "receivers": ["brand", "media"],
            },
        ],
        "decision_rights": [
            {
                "id": "questions",
                "decision": "A question.",
                "matters": ["request"],
                "deciders": ["shop", "media", "panel"],
                "quorum": 2,
                "rule": "affected",
                "beneficiaries_abstain": True,
                "ethics_for": ["sensitive"],
                "expires_hours": 72,
                "escalate_hours": 24,
                "escalate_to": "media.auditor",
            },
            {"id": "people", "decision": "Who takes part.", "matters": ["membership", "thaw"], "quorum": 2},
            {
                "id": "panel",
                "decision": "Disputes and deviations.",
                "matters": ["dispute", "exception"],
                "body": "review_body",
                "expires_hours": 240,
            },
            {
                "id": "aims",
                "decision": "What for.",
                "matters": ["purpose"],
                "deciders": ["shop", "brand"],
                "rule": "unanimity",
            },
        ],
        "review_body": {"members": ["shop.reviewer", "panel.reviewer", "media.auditor"], "quorum": 2},
        "ethics_panel": {"members": ["media.auditor"], "quorum": 1, "term_until": term},
        "remedies": ["warn", "recall", "suspend", "revoke"],
        "access": {
            "detail": {"steward": "full", "analyst": "full", "executive": "summary"},
            "release_valid_days": 30,
            "grant_days": 200,
            "emergency_hours": 4,
        },
        "retention": {"contributions_days": 60, "quarantine_days": 30, "releases_days": 60},
        "output": {"aggregation_threshold": 5, "max_cells": 100, "formats": ["csv"]},
        "audit": {
            "checkpoint_minutes": 60,
            "justification_required": True,
            "lineage": True,
            "review_days": 90,
            "access_review_days": 45,
        },
    }
