"""The table of what each clause compiles to: which stage keeps it, or that people must.

Belongs here: one `Rule` per kind of clause. A clause is listed under code only when code keeps it today; when
a stage begins to keep another, its rule moves here from people to that stage. Must not be here: the code that
enforces, or who answers for a clause (that is in the charter).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from orchestration.charter.enforcement_wording import (
    access_detail,
    anonymity,
    checklist_item,
    computation,
    consent,
    decision,
    deidentify,
    field,
    formats,
    giver,
    lawful_basis,
    licence,
    listed,
    maturity,
    member,
    onboarding_item,
    panel,
    prohibition,
    purpose,
    quality_part,
    remedies,
    residency,
    responsibility,
    term,
    withdrawal,
    witnesses,
)
from orchestration.charter.model import Role


def _always(_: Any) -> bool:
    return True


def _asked_by_the_house(right: dict[str, Any]) -> bool:
    return bool(right["matters"])


def _left_to_people(right: dict[str, Any]) -> bool:
    return not right["matters"]


@dataclass(frozen=True)
class Rule:
    """`leaves` of every clause that matches `clause` are kept by `stages`; no stage: by people.

    `when` tells two kinds of one clause apart: of its rules, exactly one holds for any value.
    """

    section: str
    clause: str
    leaves: tuple[str, ...]
    stages: tuple[str, ...]
    states: Callable[[Any], str]
    when: Callable[[Any], bool] = _always


# Where each stage lives. A test holds the packages against the tree.
PACKAGES = {
    "charter check": "orchestration/charter",
    "contribution": "orchestration/scope",
    "deidentified": "orchestration/scope",
    "gate": "orchestration/scope",
    "request": "orchestration/computation",
    "protected": "orchestration/output",
    "insight": "orchestration/output",
    "opening": "orchestration/participants",
    "members": "orchestration/participants",
    "approvals": "orchestration/participants",
    "room": "orchestration/engine",
    "log": "orchestration/audit",
    "lineage": "orchestration/audit",
    "destruction": "orchestration/stages",
}

TERM = "Term"
PARTICIPANTS = "Participants and responsibilities"
DATA = "Permitted data"
PURPOSES = "Purposes and prohibited uses"
COMPUTATIONS = "Computations"
DECISIONS = "Decision rights"
ACCESS = "Access rules"
RETENTION = "Retention"
OUTPUT = "Output limits"
AUDIT = "Audit procedures"

_OWN = ("",)  # the clause is itself the leaf
_ITEM = ("id", "text", "required")
_PANEL = ("members", "quorum", "term_until")
_FLOOR = (
    *("k", "uniqueness", "average_risk"),
    *(f"sensitive.*.{leaf}" for leaf in ("attribute", "distinct_l", "entropy_l", "t")),
)
_RIGHT = (
    *("id", "decision", "matters", "deciders", "quorum", "rule", "body", "beneficiaries_abstain"),
    *("ethics_for", "expires_hours", "escalate_hours", "escalate_to"),
)

RULES: tuple[Rule, ...] = (
    Rule(
        TERM,
        "collaboration",
        _OWN,
        ("room", "log"),
        lambda name: f"Room, keys and log entries of '{name}' only.",
    ),
    Rule(TERM, "version", _OWN, ("log",), lambda n: f"Version {n} is registered with its digest."),
    Rule(
        TERM,
        "effective_from",
        _OWN,
        ("contribution", "request"),
        lambda d: f"Nothing enters or runs before {d}.",
    ),
    Rule(
        TERM,
        "effective_until",
        _OWN,
        ("contribution", "request"),
        lambda d: f"Nothing enters or runs after {d}.",
    ),
    Rule(
        TERM,
        "privacy_unit",
        _OWN,
        ("charter check", "protected"),
        lambda unit: f"Thresholds count each {unit} once; its pseudonym has one domain.",
    ),
    Rule(TERM, "maturity", _OWN, ("charter check", "approvals", "opening"), maturity),
    Rule(PARTICIPANTS, "eligibility.*", _ITEM, ("members",), checklist_item),
    Rule(
        PARTICIPANTS,
        "participants.*.members.*",
        ("id", "roles"),
        ("members", "opening"),
        member,
    ),
    Rule(
        PARTICIPANTS,
        "participants.*.jurisdiction",
        _OWN,
        ("request", "opening"),
        lambda place: f"Its members ask of, and open, only what may be in {place}.",
    ),
    Rule(PARTICIPANTS, "participants.*.responsibilities", _OWN, (), listed),
    Rule(
        PARTICIPANTS,
        "responsibilities.*",
        ("id", "duty", "accountable", "responsible", "consulted", "informed"),
        (),
        responsibility,
    ),
    Rule(PARTICIPANTS, "terms.*", ("id", "title"), ("request", "opening"), term),
    Rule(PARTICIPANTS, "terms.*.text", _OWN, (), str),
    Rule(
        DATA,
        "datasets.*",
        ("id", "participant", "entity", "classification"),
        ("contribution", "charter check"),
        giver,
    ),
    Rule(
        DATA,
        "datasets.*.purposes",
        _OWN,
        ("contribution",),
        lambda ids: f"A delivery for anything but {', '.join(ids)} is refused.",
    ),
    Rule(
        DATA,
        "datasets.*.period",
        ("from", "until"),
        ("contribution",),
        lambda period: f"Only data about {period['from']} to {period['until']}.",
    ),
    Rule(DATA, "datasets.*.residency", _OWN, ("contribution", "request", "opening"), residency),
    Rule(DATA, "datasets.*.max_rows", _OWN, ("contribution", "gate"), lambda n: f"At most {n:,} rows."),
    Rule(DATA, "datasets.*.max_bytes", _OWN, ("contribution",), lambda n: f"At most {n:,} bytes."),
    Rule(DATA, "datasets.*.deidentify", _OWN, ("contribution", "deidentified"), deidentify),
    Rule(
        DATA,
        "datasets.*.unique_key",
        _OWN,
        ("gate",),
        lambda names: f"No two rows with the same {' and '.join(names)}.",
    ),
    Rule(
        DATA, "datasets.*.threshold", _OWN, ("protected",), lambda n: f"Cells from this data need {n} units."
    ),
    Rule(
        DATA,
        "datasets.*.fields.*",
        (
            *(
                "name",
                "as",
                "type",
                "required",
                "classification",
                "max_length",
                "minimum",
                "maximum",
                "values",
                "deprecated",
            ),
            *("technique.kind", "technique.domain", "technique.normalize", "technique.to"),
            *("technique.low", "technique.high", "technique.bands.*.label"),
            *("technique.bands.*.from", "technique.bands.*.until"),
            *("technique.region", "technique.prefix", "technique.hierarchy.*.name"),
            *("technique.hierarchy.*.becomes", "technique.level", "technique.at", "technique.multiple"),
            *("technique.keep_first", "technique.keep_last", "technique.stars"),
            *("technique.boundaries", "technique.source", "technique.days"),
        ),
        ("contribution", "deidentified"),
        field,
    ),
    Rule(DATA, "datasets.*.anonymity", (*_FLOOR, "suppress"), ("deidentified",), anonymity),
    Rule(DATA, "joined_anonymity", _FLOOR, ("room",), anonymity),
    *(
        Rule(DATA, f"datasets.*.quality.{part}", leaves, ("gate",), quality_part(part))
        for part, leaves in {
            "freshness": ("days", "severity"),
            "volume": ("change", "severity"),
            "drift": ("limit", "attributes", "severity"),
            "references.*": ("id", "attribute", "dataset", "missing", "severity"),
            "bias.*": (
                *("id", "attribute", "tolerance", "severity"),
                *("segments.*.label", "segments.*.share"),
            ),
            "overlap.*": ("id", "dataset", "at_least", "at_most", "severity"),
            "keyspace": ("population", "reach", "severity"),
            "identifiers": ("largest_share", "dispersion", "severity"),
        }.items()
    ),
    Rule(DATA, "datasets.*.onboarding.*", _ITEM, ("contribution",), onboarding_item),
    Rule(
        DATA,
        "datasets.*.attestation_days",
        _OWN,
        ("contribution",),
        lambda n: f"What its checklist asks for, if there is one, is attested anew after {n} days.",
    ),
    Rule(DATA, "datasets.*.consent", ("dataset", "mode"), ("room",), consent),
    Rule(
        DATA,
        "datasets.*.lawful_basis",
        _OWN,
        (),
        lawful_basis,
    ),
    Rule(DATA, "datasets.*.license", ("id", "terms", "redistribution"), (), licence),
    Rule(PURPOSES, "purposes.*", ("id",), ("request",), purpose),
    Rule(PURPOSES, "prohibited_uses.*", ("id", "description"), (), prohibition),
    Rule(
        PURPOSES,
        "prohibited_uses.*.templates",
        _OWN,
        ("charter check",),
        lambda names: f"A charter that allows {' or '.join(names)} is refused.",
    ),
    Rule(
        COMPUTATIONS,
        "computations.*",
        ("template", "purposes", "requesters", "receivers"),
        ("request", "opening"),
        computation,
    ),
    Rule(
        COMPUTATIONS, "computations.*.threshold", _OWN, ("protected",), lambda n: f"Its cells need {n} units."
    ),
    Rule(
        COMPUTATIONS,
        "computations.*.approval",
        _OWN,
        ("approvals",),
        lambda right: f"Each request waits until it is approved under '{right}'.",
    ),
    Rule(DECISIONS, "decision_rights.*", _RIGHT, ("approvals",), decision, when=_asked_by_the_house),
    Rule(DECISIONS, "decision_rights.*", _RIGHT, (), decision, when=_left_to_people),
    Rule(DECISIONS, "review_body", _PANEL, ("approvals",), panel),
    Rule(DECISIONS, "ethics_panel", _PANEL, ("approvals",), panel),
    Rule(DECISIONS, "remedies", _OWN, ("approvals",), remedies),
    Rule(
        ACCESS,
        "access.detail",
        get_args(Role),
        ("opening",),
        access_detail,
    ),
    Rule(
        ACCESS,
        "access.release_valid_days",
        _OWN,
        ("insight", "opening"),
        lambda n: f"A release opens for {n} days, then never again.",
    ),
    Rule(
        ACCESS,
        "access.grant_days",
        _OWN,
        ("members",),
        lambda n: f"A role is given for at most {n} days; then it is renewed or ends.",
    ),
    Rule(
        ACCESS,
        "access.emergency_hours",
        _OWN,
        ("members",),
        lambda n: f"An emergency grant lasts at most {n} hours and is reviewed after.",
    ),
    Rule(
        RETENTION,
        "retention.contributions_days",
        _OWN,
        ("destruction",),
        lambda n: f"Contributions are gone after {n} days.",
    ),
    Rule(
        RETENTION,
        "retention.superseded_days",
        _OWN,
        ("destruction",),
        lambda n: f"A contribution that a newer one replaced is gone {n} days later.",
    ),
    Rule(
        RETENTION,
        "retention.quarantine_days",
        _OWN,
        ("destruction",),
        lambda n: f"Deliveries that were refused, and numbers of rejected rows, are gone after {n} days.",
    ),
    Rule(
        RETENTION,
        "retention.releases_days",
        _OWN,
        ("destruction",),
        lambda n: f"Releases are gone after {n} days.",
    ),
    Rule(RETENTION, "withdrawal", ("releases", "people", "days"), ("contribution", "opening"), withdrawal),
    Rule(
        OUTPUT,
        "output.aggregation_threshold",
        _OWN,
        ("protected",),
        lambda n: f"A cell of fewer than {n} units is hidden, and so is what would reveal it.",
    ),
    Rule(
        OUTPUT,
        "output.max_cells",
        _OWN,
        ("protected",),
        lambda n: f"An answer of more than {n} cells is withheld.",
    ),
    Rule(OUTPUT, "output.formats", _OWN, (), formats),
    Rule(
        AUDIT, "audit.checkpoint_minutes", _OWN, ("log",), lambda n: f"The log is signed every {n} minutes."
    ),
    Rule(
        AUDIT,
        "audit.justification_required",
        _OWN,
        ("opening",),
        lambda on: "Opening needs a written reason." if on else "Opening needs no written reason.",
    ),
    Rule(AUDIT, "audit.lineage", _OWN, ("lineage",), lambda _: "Every stage writes lineage events."),
    Rule(
        AUDIT,
        "audit.access_review_days",
        _OWN,
        ("members",),
        lambda n: f"Every {n} days each grant is attested anew, or it ends.",
    ),
    Rule(AUDIT, "audit.witnesses", ("participants", "quorum"), ("log",), witnesses),
    Rule(AUDIT, "audit.review_days", _OWN, (), lambda n: f"Log and accesses are reviewed every {n} days."),
)

# Words for people, which promise nothing; and the duties, which are the enforcement of other clauses.
LABELS = (
    *("title", "objectives", "intended_outcomes"),
    *(
        "participants.*.id",
        "participants.*.name",
        "participants.*.description",
        "participants.*.members.*.name",
    ),
    *("datasets.*.title", "datasets.*.description", "purposes.*.title", "purposes.*.description"),
    *("human_duties.*.id", "human_duties.*.owner", "human_duties.*.duty", "human_duties.*.clauses"),
)
