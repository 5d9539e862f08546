"""The record of processing, made from the charter: what GDPR article 30 asks of a controller, by purpose.

Source: Regulation (EU) 2016/679, art. 30 (1) (a) to (g). Belongs here: joining clauses to that record. Must
not be here: layout (`processing_text`), legal judgement. What the charter does not say is said to be missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestration.audit.catalog.usage import computations_of, roles_of
from orchestration.charter.enforcement_wording import technique as in_words
from orchestration.charter.model import Charter, Dataset, Purpose
from orchestration.charter.taxonomy import CLASSES


@dataclass(frozen=True)
class DataCategory:
    """Fields of one class in one dataset. `techniques`: what is done to them before they meet other data."""

    dataset: str
    controller: str
    class_title: str
    special_category: bool
    fields: tuple[str, ...]
    used: tuple[str, ...]
    techniques: tuple[str, ...]


@dataclass(frozen=True)
class Activity:
    """One purpose. `people`: categories of data subjects; empty when nothing personal is read for it."""

    purpose: str
    title: str
    description: str
    controllers: tuple[str, ...]
    contacts: tuple[str, ...]
    people: tuple[str, ...]
    data: tuple[DataCategory, ...]
    lawful_bases: tuple[tuple[str, str], ...]
    computations: tuple[str, ...]
    recipients: tuple[str, ...]
    retention: tuple[str, ...]
    transfers: str
    safeguards: tuple[str, ...]


@dataclass(frozen=True)
class RecordOfProcessing:
    """All purposes of one charter."""

    collaboration: str
    title: str
    charter_version: int
    charter_digest: str
    in_force: tuple[str, str]
    operator: str
    activities: tuple[Activity, ...]


def record_of_processing(charter: Charter) -> RecordOfProcessing:
    """One activity for each purpose, in the order of the charter."""
    operators = [each for each in charter.members if "operator" in each.roles]
    return RecordOfProcessing(
        charter.collaboration,
        charter.title,
        charter.version,
        charter.digest,
        (str(charter.effective_from), str(charter.effective_until)),
        ", ".join(f"{each.name} ({each.id})" for each in operators),
        tuple(_activity(charter, each) for each in charter.purposes),
    )


def _activity(charter: Charter, purpose: Purpose) -> Activity:
    datasets = [each for each in charter.datasets if purpose.id in each.purposes]
    agreed = [each for each in charter.computations if purpose.id in each.purposes]
    parties = list(dict.fromkeys(each.participant for each in datasets))
    personal = [each for each in datasets if each.classification == "personal"]
    receivers = dict.fromkeys(party for each in agreed for party in each.receivers)
    return Activity(
        purpose=purpose.id,
        title=purpose.title,
        description=purpose.description,
        controllers=tuple(charter.participant(each).name for each in parties),
        contacts=tuple(
            member.id
            for party in parties
            for member in charter.participant(party).members
            if "steward" in member.roles
        ),
        people=(f"{charter.privacy_unit}s of {_names(charter, personal)}",) if personal else (),
        data=tuple(found for each in datasets for found in _categories(charter, each, purpose)),
        lawful_bases=tuple((each.id, each.lawful_basis) for each in datasets),
        computations=tuple(each.template for each in agreed),
        recipients=tuple(charter.participant(each).name for each in receivers),
        retention=(
            f"contributions {charter.retention.contributions_days} days",
            f"quarantined rows {charter.retention.quarantine_days} days",
            f"releases {charter.retention.releases_days} days, opened for at most "
            f"{charter.access.release_valid_days} days",
        ),
        transfers=_transfers(charter, datasets, (*parties, *receivers)),
        safeguards=_safeguards(charter, datasets, [each.template for each in agreed]),
    )


def _transfers(charter: Charter, datasets: list[Dataset], parties: Iterable[str]) -> str:
    """What the charter says of countries, and what it does not. Source: art. 30 (1) (e)."""
    said = ["None between houses: data is joined in one house, and only protected results are opened"]
    named = [charter.participant(each) for each in dict.fromkeys(parties)]
    countries: dict[str, list[str]] = {}
    for each in named:
        countries.setdefault(each.jurisdiction or "", []).append(each.name)
    unsaid = countries.pop("", [])
    said += [f"In {country}: {', '.join(names)}" for country, names in sorted(countries.items())]
    bound = [each for each in datasets if each.residency]
    said += [f"Stays in {', '.join(each.residency or ())}, results included: {each.id}" for each in bound]
    if free := [each.id for each in datasets if not each.residency]:
        said.append(f"Bound to no country: {', '.join(free)}")
    if unsaid:
        said.append(f"Where these are the charter does not say: {', '.join(unsaid)}")
    if free:
        said.append("Add where the house is")
    return ". ".join(said) + "."


def _categories(charter: Charter, dataset: Dataset, purpose: Purpose) -> list[DataCategory]:
    """The fields of a dataset by class, most protected first."""
    serving = {each.template for each in computations_of(charter, dataset) if purpose.id in each.purposes}
    found = []
    for name in reversed(list(CLASSES)):
        fields = [each for each in dataset.fields if each.classification == name]
        if not fields:
            continue
        techniques = (in_words(each.technique.model_dump(mode="json", by_alias=True)) for each in fields)
        used = [each.name for each in fields if serving & roles_of(charter, dataset, each).keys()]
        found.append(
            DataCategory(
                dataset.id,
                charter.participant(dataset.participant).name,
                CLASSES[name].title,
                CLASSES[name].special_category,
                tuple(each.name for each in fields),
                tuple(used),
                tuple(dict.fromkeys(techniques)),
            )
        )
    return found


def _safeguards(charter: Charter, datasets: list[Dataset], templates: list[str]) -> tuple[str, ...]:
    """Technical and organizational measures that code keeps, art. 30 (1) (g)."""
    names = [each.id for each in datasets]
    thresholds = [charter.threshold_for(each, names) for each in templates]
    least = min(thresholds, default=charter.output.aggregation_threshold)
    rights = dict.fromkeys(right for each in templates if (right := charter.approval_for(each)))
    said = [
        f"No cell of fewer than {least} {charter.privacy_unit}s is shown, nor what would reveal one.",
        "Identifiers are replaced by keyed pseudonyms before any join.",
        "Contributions and room are encrypted at rest; each contribution has a key of its own.",
        "Every act is signed by a member and stands in a tamper-evident log.",
    ]
    if rights:
        said.append(f"Requests wait for a decision of people: {', '.join(rights)}.")
    if charter.ethics_panel is not None:
        said.append("An ethics panel agrees where the charter names a class for it.")
    if charter.audit.justification_required:
        said.append("Nobody opens a result without a written reason.")
    said += [f"Prohibited: {each.description}" for each in charter.prohibited_uses]
    return tuple(said)


def _names(charter: Charter, datasets: list[Dataset]) -> str:
    parties = dict.fromkeys(charter.participant(each.participant).name for each in datasets)
    return ", ".join(parties)
