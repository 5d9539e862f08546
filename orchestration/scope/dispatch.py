"""A prepared package as a delivery: sealed rows and the signed manifest that goes with them.

Belongs here: what the manifest of a package says, and putting the folder in place in one step. Must not be
here: making the rows (`preparation`), the seal (`package`), or any check of the room's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from orchestration.charter.model import Charter, Dataset
from orchestration.engine.files import sync, write_durably
from orchestration.scope.manifest import MANIFEST_FILE, Manifest, Period, Prepared
from orchestration.scope.package import seal_rows
from orchestration.scope.preparation import Preparation, selected
from orchestration.scope.provenance import (
    Code,
    Evaluated,
    Party,
    Place,
    Provenance,
    ProvenanceGroup,
    SourceGroup,
    Span,
    Tool,
    UseGroup,
)
from orchestration.signing import SigningKey


@dataclass(frozen=True)
class Declared:
    """What only the contributor knows of the rows.

    `consents` says where the documents of consent are; `countries` are ISO 3166-1 codes of where the rows
    were collected; `method` is how. `purposes`: those of the dataset that the rows are given for; empty: all.
    """

    provenance: str
    period: Period
    method: str
    consents: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    supersedes: str | None = None
    purposes: tuple[str, ...] = ()


def dispatch(
    preparation: Preparation,
    declared: Declared,
    *,
    charter: Charter,
    signer: str,
    key: SigningKey,
    key_id: str,
    recipient: pyrage.x25519.Recipient,
    out: Path,
) -> Path:
    """Seal the rows, sign their manifest, and put both as one folder into `out`; returns that folder."""
    dataset, created = preparation.dataset, datetime.now(UTC).replace(microsecond=0)
    name = f"{dataset.id}-{created:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    staging = out / f".{name}.partial"
    staging.mkdir(parents=True, mode=0o700)
    try:
        file = f"{dataset.id}.parquet.age"
        rows = selected(preparation.compiled.columns)
        digest = seal_rows(preparation.connection, rows, preparation.folder, staging / file, recipient)
        manifest = Manifest(
            collaboration=charter.collaboration,
            dataset=dataset.id,
            participant=dataset.participant,
            signer=signer,
            purposes=declared.purposes or dataset.purposes,
            provenance=declared.provenance,
            period=declared.period,
            file=file,
            format="parquet",
            rows=preparation.rows,
            sha256=digest,
            created=created,
            supersedes=declared.supersedes,
            prepared=Prepared(
                charter=charter.digest,
                key_id=key_id,
                content=preparation.content,
                lawful_basis=dataset.lawful_basis,
                license=dataset.license.id,
                quality=preparation.quality,
                provenance=_provenance(preparation, declared, charter, name, created),
            ),
        )
        write_durably(staging / MANIFEST_FILE, json.dumps(manifest.signed(key), indent=1).encode())
        os.replace(staging, out / name)
        sync(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out / name


def _provenance(
    preparation: Preparation, declared: Declared, charter: Charter, name: str, created: datetime
) -> Provenance:
    """The D&TA's statement: the charter knows most of it, the contributor the rest."""
    dataset = preparation.dataset
    purposes = (charter.purpose(each) for each in declared.purposes or dataset.purposes)
    return Provenance(
        source=SourceGroup(
            title=dataset.title,
            id=f"{charter.collaboration}/{name}",
            issuer=(Party(name=charter.participant(dataset.participant).name),),
            description=dataset.description,
        ),
        provenance=ProvenanceGroup(
            source=declared.provenance,
            origin_geography=tuple(Place(country=each) for each in declared.countries),
            date=created.date(),
            generation_period=Span(start=declared.period.first, end=declared.period.last),
            generation_method=(Code(code=declared.method),),
            format=(preparation.origin,),
        ),
        use=UseGroup(
            classification=(_personal(dataset),),
            consents=declared.consents,
            privacy_indicators=tuple(
                Tool(tool=Code(code=technique), parameters=attribute)
                for attribute, technique in preparation.compiled.techniques.items()
                if technique != "pass"
            ),
            license=f"{dataset.license.id}: {dataset.license.terms}",
            intended_purpose=tuple(Code(code=each.id, description=each.description) for each in purposes),
        ),
    )


def _personal(dataset: Dataset) -> Evaluated:
    return Evaluated(
        regulation=Code(code="personal_data", description="About natural persons (GDPR, article 4)"),
        evaluated=dataset.classification == "personal",
    )
