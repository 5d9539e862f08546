"""`glasshouse terms` and `dataset`: what every member acknowledges, and what every contributor shows.

Must not be here: what happens without either (`participants/`, `stages/`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.governance_events import DatasetAttested, TermsAcknowledged
from orchestration.audit.vocabulary import now
from orchestration.charter.model import Charter
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import (
    NO_CHARTER,
    CollaborationOption,
    EvidenceOption,
    LongestOption,
    current_state,
    end_of,
    evidence_digests,
)
from orchestration.cli.signing_options import Signing, signed
from orchestration.cli.told import day
from orchestration.errors import ConfigError, Reason

NO_TERMS = Reason(
    "terms.none",
    "The charter of {collaboration} has no terms.",
    "Nothing has to be acknowledged.",
)

terms = typer.Typer(help="The clauses every member acknowledges.", no_args_is_help=True)
datasets = typer.Typer(help="What a contributor shows for a dataset.", no_args_is_help=True)


@terms.command("show")
def show_terms(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """The terms as they stand, and who acknowledged them."""
    with current_state(collaboration) as state:
        charter = state.agreement
        if charter is None:
            raise ConfigError(NO_CHARTER, collaboration=state.collaboration)
        digest = _terms_of(charter)
        members = {
            row.member: state.acknowledged(row.member, digest)
            for row in state.rows(g.members, status="active")
        }
    document: JsonValue = {
        "digest": digest,
        "terms": [{"id": each.id, "title": each.title, "text": each.text} for each in charter.terms],
        "acknowledged": [member for member, done in members.items() if done],
        "missing": [member for member, done in members.items() if not done],
    }
    emit(document, lambda: _terms(charter, digest, members), as_json=as_json)


@terms.command()
@signed("Has read the terms.")
def acknowledge(
    signing: Signing,
    *,
    digest: Annotated[str | None, typer.Option(help="Of the terms you read; default: the charter's.")] = None,
) -> None:
    """Say that you read the terms; without it nobody asks for or opens an insight."""
    with signing.opened() as signatory:
        if digest is None:
            digest = _terms_of(signatory.agreement("the terms", "--digest"))
        signatory.records(signatory.event(TermsAcknowledged(terms=digest), signing.member))


@datasets.command()
@signed("The checklist is fulfilled.")
def attest(
    signing: Signing,
    dataset: Annotated[str, typer.Argument(help="Dataset of the charter.")],
    *,
    evidence: EvidenceOption = None,
    until: LongestOption = None,
) -> None:
    """Give the evidence that the dataset's onboarding checklist asks for, by digest."""
    with signing.opened() as signatory:
        if until is not None:
            expires = end_of(until)
        else:
            charter = signatory.agreement("how long it may hold", "--until")
            expires = now() + timedelta(days=charter.dataset(dataset).attestation_days)
        payload = DatasetAttested(
            dataset=dataset, evidence=evidence_digests(evidence or []), expires_at=expires
        )
        signatory.records(signatory.event(payload, dataset))


@datasets.command("list")
def list_datasets(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every dataset of the charter, its checklist, and until when that is attested."""
    with current_state(collaboration) as state:
        charter = state.agreement
        if charter is None:
            raise ConfigError(NO_CHARTER, collaboration=state.collaboration)
        found: list[dict[str, JsonValue]] = []
        for each in charter.datasets:
            row = state.attested_dataset(each.id)
            found.append(
                {
                    "dataset": each.id,
                    "participant": each.participant,
                    "checklist": [{"id": item.id, "required": item.required} for item in each.onboarding],
                    "attested_until": row.expires_at if row else None,
                }
            )
    rows = [[str(d["dataset"]), str(d["participant"]), _items(d["checklist"]), _until(d)] for d in found]
    emit(list(found), lambda: table(["Dataset", "From", "Checklist", "Attested"], rows), as_json=as_json)


def _terms_of(charter: Charter) -> str:
    """Raises: ConfigError (`terms.none`)."""
    if charter.terms_digest is None:
        raise ConfigError(NO_TERMS, collaboration=charter.collaboration)
    return charter.terms_digest


def _terms(charter: Charter, digest: str, members: dict[str, bool]) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"Terms of {charter.title}", style="bold"),
        Text(digest, style="dim"),
    ]
    for each in charter.terms:
        parts += [Text(f"\n{each.title}"), Padding(Text(each.text), (0, 0, 0, 2))]
    rows = [[member, "acknowledged" if done else "not yet"] for member, done in members.items()]
    return Group(*parts, Text(""), table(["Member", "Terms"], rows))


def _items(checklist: JsonValue) -> str:
    items = checklist if isinstance(checklist, list) else []
    names = [str(item["id"]) for item in items if isinstance(item, dict)]
    return "\n".join(names) or "-"


def _until(found: dict[str, JsonValue]) -> str:
    until = found["attested_until"]
    if until is not None:
        return f"until {day(str(until))}"
    return "waits for it" if found["checklist"] else "not needed"
