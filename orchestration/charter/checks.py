"""Rules between clauses: every reference resolves, and no clause contradicts another.

Belongs here: rules over a document whose shape is already right, as a tuple of plain functions. Every rule
reports all it finds. Must not be here: shape (`model`), rules inside one dataset (`field_checks`), rules
about who governs (`governance_checks`), what enforces a clause (`enforcement`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import get_args

from orchestration.charter.anonymity_checks import check_anonymity
from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.field_checks import check_fields
from orchestration.charter.fields import Pseudonymize
from orchestration.charter.findings import Finding, Names, unknown_names
from orchestration.charter.governance_checks import GOVERNANCE_CHECKS
from orchestration.charter.model import Charter, LawfulBasis, Role
from orchestration.charter.quality_checks import check_quality
from orchestration.charter.residency_checks import check_residency
from orchestration.charter.safeguards import check_safeguards
from orchestration.charter.techniques import DateShift

# Roles one member may not hold together: nobody audits, reviews or operates upon their own work.
_APART: tuple[tuple[Role, Role, str], ...] = (
    ("operator", "auditor", "who runs the house may not audit it"),
    ("operator", "reviewer", "who runs the house may not approve what runs"),
    ("analyst", "reviewer", "nobody approves their own request"),
    ("analyst", "auditor", "nobody audits their own request"),
    ("service", "steward", "a machine signs nothing for its organization"),
    ("service", "reviewer", "a machine approves nothing"),
)


def _dates(charter: Charter) -> Iterator[Finding]:
    if charter.effective_from > charter.effective_until:
        message = "The charter would end before it begins."
        allowed = (f"{charter.effective_from} or later",)
        yield Finding(("effective_until",), message, allowed, needs=("effective_from",))
    for dataset in charter.datasets:
        if dataset.period and dataset.period.start > dataset.period.end:
            message = "The period would end before it begins."
            allowed = (f"{dataset.period.start} or later",)
            yield Finding(("datasets", dataset.id, "period", "until"), message, allowed)


def _participants(charter: Charter) -> Iterator[Finding]:
    for participant in charter.participants:
        at: Names = ("participants", participant.id, "members")
        if not any("steward" in member.roles for member in participant.members):
            message = f"'{participant.id}' has no steward; every participant appoints one."
            yield Finding(at, message, ("a member with roles: [steward]",), needs=at)
        for member in participant.members:
            if member.id.partition(".")[0] != participant.id:
                message = f"A member of '{participant.id}' is named after it."
                yield Finding((*at, member.id, "id"), message, (f"{participant.id}.<name>",))
            for one, other, why in _APART:
                if {one, other} <= set(member.roles):
                    message = f"One member may not be {one} and {other}: {why}."
                    yield Finding((*at, member.id, "roles"), message)
    for role, what in (("operator", "runs the house"), ("auditor", "keeps the audit procedures")):
        if not any(role in member.roles for member in charter.members):
            message = f"No member has the role {role}, so nobody {what}."
            yield Finding(("participants",), message, (f"a member with roles: [{role}]",), ("participants",))


def _datasets(charter: Charter) -> Iterator[Finding]:
    participants = [participant.id for participant in charter.participants]
    purposes = [purpose.id for purpose in charter.purposes]
    for dataset in charter.datasets:
        at: Names = ("datasets", dataset.id)
        yield from unknown_names(
            (*at, "participant"), "participant", [dataset.participant], participants, ("participants",)
        )
        yield from unknown_names((*at, "purposes"), "purpose", dataset.purposes, purposes, ("purposes",))
        yield from check_fields(charter, dataset, at)
        personal = ENTITIES[dataset.entity].privacy_unit
        if personal != (dataset.classification == "personal"):
            about = f"about a {charter.privacy_unit}" if personal else "about nobody"
            fitting = ("personal",) if personal else ("commercial", "public")
            yield Finding((*at, "classification"), f"A {dataset.entity} is {about}.", fitting)
        if personal and dataset.lawful_basis == "not_personal_data":
            message = f"Data about a {charter.privacy_unit} needs a lawful basis."
            bases = tuple(basis for basis in get_args(LawfulBasis) if basis != "not_personal_data")
            yield Finding((*at, "lawful_basis"), message, bases)


def _joins(charter: Charter) -> Iterator[Finding]:
    """A pseudonym joins only with the pseudonym of the same domain."""
    domains: dict[str, tuple[str, str]] = {}
    for dataset in charter.datasets:
        for field in dataset.fields:
            if field.attribute and isinstance(field.technique, Pseudonymize):
                domains.setdefault(field.attribute, (field.technique.domain, dataset.id))
    for dataset in charter.datasets:
        for field in dataset.fields:
            domain, first = domains.get(field.attribute or "", ("", ""))
            if not domain or field.attribute == UNIT:  # `field_checks` looks after the unit
                continue
            own = field.technique.domain if isinstance(field.technique, Pseudonymize) else None
            if own != domain:
                message = f"'{field.attribute}' has the domain '{domain}' in {first}; here it would not join."
                at = ("datasets", dataset.id, "fields", field.name, "technique")
                yield Finding(at, message, (f"{{kind: pseudonymize, domain: {domain}}}",))


def _consent(charter: Charter) -> Iterator[Finding]:
    """Decisions about consent stand in a dataset of their own, given by who gives what they are about."""
    for dataset in charter.datasets:
        if dataset.consent is None:
            continue
        at: Names = ("datasets", dataset.id, "consent", "dataset")
        fitting = [
            each.id
            for each in charter.datasets
            if each.entity == "consent" and each.participant == dataset.participant
        ]
        if dataset.classification != "personal" or dataset.entity == "consent":
            yield Finding(at[:-1], f"'{dataset.id}' holds nothing that somebody could consent to.")
        elif dataset.consent.dataset not in fitting:
            message = f"'{dataset.consent.dataset}' is no consent dataset of '{dataset.participant}'."
            yield Finding(at, message, tuple(fitting), needs=("datasets",))
        else:
            decisions = charter.dataset(dataset.consent.dataset)
            if "granted" not in {field.attribute for field in decisions.fields}:
                message = f"'{decisions.id}' does not say who agreed: no field becomes 'granted'."
                yield Finding(("datasets", decisions.id, "fields"), message, ("a boolean with as: granted",))


def _withdrawal(charter: Charter) -> Iterator[Finding]:
    floor = charter.output.aggregation_threshold
    people = charter.withdrawal.people if charter.withdrawal else None
    if people is not None and people < floor:
        message = f"{people} people leaving together would show in cells of {floor}."
        yield Finding(("withdrawal", "people"), message, (f"{floor} or more",), needs=("output",))


def _identifiers(charter: Charter) -> Iterator[Finding]:
    """Identifiers of one domain meet only when all are normalized alike, dates only when shifted alike."""
    forms: dict[str, tuple[str, str]] = {}
    shifts: dict[str, tuple[int, str]] = {}
    for dataset in charter.datasets:
        for field in dataset.fields:
            at = ("datasets", dataset.id, "fields", field.name, "technique")
            if isinstance(field.technique, Pseudonymize):
                mine = field.technique.normalize
                form, first = forms.setdefault(field.technique.domain, (mine, dataset.id))
                if form != mine:
                    message = f"The domain '{field.technique.domain}' is normalized as {form} in {first}."
                    yield Finding((*at, "normalize"), message, (form,))
            elif isinstance(field.technique, DateShift):
                days, first = shifts.setdefault("days", (field.technique.days, dataset.id))
                if days != field.technique.days:
                    message = f"Dates shift by up to {days} days in {first}; others would part from them."
                    yield Finding((*at, "days"), message, (str(days),))


def _computations(charter: Charter) -> Iterator[Finding]:
    participants = [participant.id for participant in charter.participants]
    purposes = [purpose.id for purpose in charter.purposes]
    for computation in charter.computations:
        at: Names = ("computations", computation.template)
        yield from unknown_names((*at, "purposes"), "purpose", computation.purposes, purposes, ("purposes",))
        for key, named in (("requesters", computation.requesters), ("receivers", computation.receivers)):
            yield from unknown_names((*at, key), "participant", named, participants, ("participants",))


def _thresholds(charter: Charter) -> Iterator[Finding]:
    floor = charter.output.aggregation_threshold
    stated: list[tuple[Names, int | None]] = [
        (("computations", each.template, "threshold"), each.threshold) for each in charter.computations
    ]
    stated += [(("datasets", each.id, "threshold"), each.threshold) for each in charter.datasets]
    for at, threshold in stated:
        if threshold is not None and threshold < floor:
            message = f"{threshold} would weaken the aggregation threshold; it may only be stricter."
            yield Finding(at, message, (f"{floor} or more",), needs=("output",))


def _prohibitions(charter: Charter) -> Iterator[Finding]:
    purposes = {purpose.id for purpose in charter.purposes}
    computations = {computation.template for computation in charter.computations}
    for use in charter.prohibited_uses:
        at: Names = ("prohibited_uses", use.id)
        if use.id in purposes:
            yield Finding((*at, "id"), f"'{use.id}' is also a purpose: it cannot be both.")
        for template in use.templates:
            if template in computations:
                message = f"'{template}' is ruled out here and allowed under computations."
                yield Finding((*at, "templates"), message)


def _retention(charter: Charter) -> Iterator[Finding]:
    valid, kept = charter.access.release_valid_days, charter.retention.releases_days
    if valid > kept:
        message = f"A release could be opened for {valid} days but is kept for {kept}."
        allowed = (f"1 to {kept}",)
        yield Finding(("access", "release_valid_days"), message, allowed, needs=("retention",))
    if not charter.access.detail_for(get_args(Role)):
        message = "No role may see an insight."
        yield Finding(("access", "detail"), message, ("<role>: full", "<role>: summary"))


def _duties(charter: Charter) -> Iterator[Finding]:
    owners = [
        name for each in charter.participants for name in (each.id, *(member.id for member in each.members))
    ]
    for duty in charter.human_duties:
        at: Names = ("human_duties", duty.id, "owner")
        yield from unknown_names(at, "participant or member", [duty.owner], owners, ("participants",))


CHECKS: tuple[Callable[[Charter], Iterator[Finding]], ...] = (
    _dates,
    _participants,
    _datasets,
    _joins,
    _consent,
    _withdrawal,
    _identifiers,
    _computations,
    _thresholds,
    _prohibitions,
    _retention,
    _duties,
    check_anonymity,
    check_quality,
    check_residency,
    check_safeguards,
    *GOVERNANCE_CHECKS,
)


def check(charter: Charter, templates: Collection[str] | None = None) -> tuple[Finding, ...]:
    """Everything wrong between the clauses of `charter`, and with the `templates` of the house, if given."""
    findings = [finding for rule in CHECKS for finding in rule(charter)]
    if templates is not None:
        for computation in charter.computations:
            at: Names = ("computations", computation.template, "template")
            findings += unknown_names(at, "template", [computation.template], templates, ())
    return tuple(findings)
