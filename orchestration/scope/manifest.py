"""The manifest of a delivery: what a steward says about a file, signed with the steward's key.

A delivery is a folder with the data file and `manifest.json`, a DSSE envelope over a `Manifest`. The
manifest is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orchestration.errors import ContributionError, GlasshouseError, Reason
from orchestration.scope.provenance import Provenance
from orchestration.signing import SigningKey, unsafe_payload, verify

MANIFEST_FILE = "manifest.json"
PAYLOAD_TYPE = "application/vnd.glasshouse.manifest+json"
_LARGEST_MANIFEST = 64 * 1024

NO_MANIFEST = Reason(
    "contribution.no_manifest",
    "The delivery has no readable manifest.",
    "Make the delivery with `glasshouse contribute`, which writes and signs the manifest.",
)
BAD_MANIFEST = Reason(
    "contribution.bad_manifest",
    "The manifest is signed but does not say what a manifest must: {problems}.",
    "Make the delivery again with `glasshouse contribute`.",
)
UNSIGNED = Reason(
    "contribution.unsigned",
    "The manifest carries no valid signature of a steward.",
    "Sign the delivery with the steward's key: `glasshouse contribute --key FILE`.",
)
IS_LINK = Reason(
    "contribution.link",
    "The delivery, or a file in it, is a symbolic link; what it points to was not read.",
    "Deliver the files themselves.",
)
BAD_DELIVERY_NAME = Reason(
    "contribution.delivery_name",
    "A delivery is a folder named with letters, digits, '.', '_' and '-', at most 80 of them.",
    "Rename the folder, or let `glasshouse contribute` name it.",
)

Format = Literal["csv", "tsv", "ndjson", "parquet"]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")]  # whether it is known is asked later
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")]
_DELIVERY_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")


class Period(BaseModel):
    """The days the rows speak of, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: date
    last: date


class Quality(BaseModel):
    """Figures of a prepared package; about all of its rows, never about one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=0)
    rejected: dict[str, int] = Field(default={}, description="Reason → rows left out at the desk.")
    dropped_columns: int = Field(0, ge=0)
    checks: int = Field(ge=0, description="Rules of the gate that were asked.")
    warnings: tuple[Name, ...] = Field((), description="Rules that do not hold, none of them critical.")
    k: int | None = Field(None, description="Smallest class of equal quasi-identifiers.")
    unique: float | None = Field(None, ge=0, le=1, description="Share of rows alone in their class.")


class Prepared(BaseModel):
    """What was done at the contributor's desk: under which charter, with which key, with what result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    charter: Digest
    key_id: Name = Field(description="Collaboration key of the pseudonyms.")
    content: Digest = Field(description="Keyed fingerprint of the rows, whatever their order.")
    transfer: Literal["sealed_package"] = "sealed_package"
    lawful_basis: str = Field(min_length=1, max_length=100)
    license: str = Field(min_length=1, max_length=100)
    quality: Quality
    provenance: Provenance


class Manifest(BaseModel):
    """What the steward declares; every field is checked against the charter or the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collaboration: Name
    dataset: Name
    participant: Name
    signer: Name = Field(description="Member id of the steward.")
    purposes: tuple[str, ...] = Field(min_length=1)
    provenance: str = Field(min_length=1, max_length=2000, description="Where the rows come from.")
    period: Period
    file: FileName
    format: Format
    rows: int = Field(ge=0)
    sha256: Digest
    created: datetime
    supersedes: Name | None = Field(
        default=None, description="The contribution, or refused delivery, that this one corrects."
    )
    prepared: Prepared | None = Field(None, description="Of a package made by `glasshouse prepare`.")

    @property
    def content(self) -> str:
        """The digest that names the rows: sealing the same rows twice gives two files, and one content."""
        return self.sha256 if self.prepared is None else self.prepared.content

    def signed(self, key: SigningKey) -> dict[str, Any]:
        return key.sign(self.model_dump(mode="json", exclude_none=True), PAYLOAD_TYPE)


def check_delivery_name(name: str) -> str:
    """`name`, if a delivery may be called so: it becomes a partition key and part of a path."""
    if not _DELIVERY_NAME.fullmatch(name):
        raise ContributionError(BAD_DELIVERY_NAME)
    return name


def read_envelope(delivery: Path) -> dict[str, Any]:
    """The envelope in the delivery folder, unchecked.

    Raises: ContributionError (`contribution.no_manifest`, `contribution.link`).
    """
    path = delivery / MANIFEST_FILE
    if delivery.is_symlink() or path.is_symlink():
        raise ContributionError(IS_LINK)
    try:
        # Anything but a regular file, a pipe for one, could keep the reader waiting for ever.
        if not path.is_file() or path.stat().st_size > _LARGEST_MANIFEST:
            raise ContributionError(NO_MANIFEST)
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise ContributionError(NO_MANIFEST) from None
    if not isinstance(document, dict):
        raise ContributionError(NO_MANIFEST)
    return document


def claimed_manifest(envelope: dict[str, Any]) -> Manifest:
    """What the manifest claims, before its signature was checked: only to know whose key must fit."""
    try:
        claims = unsafe_payload(envelope, kind="manifest")
    except (GlasshouseError, RecursionError):
        raise ContributionError(UNSIGNED) from None
    try:
        return Manifest.model_validate(claims)
    except ValidationError as error:
        # Only our own field names and pydantic's rule names: an input value must not travel.
        problems = sorted(
            {
                f"{'.'.join(map(str, e['loc'][:1])) or 'document'} ({e['type']})"
                for e in error.errors()
                if not e["loc"] or e["loc"][0] in Manifest.model_fields
            }
        ) or ["unknown fields"]
        raise ContributionError(BAD_MANIFEST, problems=", ".join(problems)) from None


def verified_manifest(envelope: dict[str, Any], public_key: dict[str, Any]) -> Manifest:
    """The manifest, after its signature was checked with the steward's registered key.

    Raises: ContributionError (`contribution.unsigned`).
    """
    try:
        payload = verify(envelope, public_key, PAYLOAD_TYPE, kind="manifest")
    except GlasshouseError:
        raise ContributionError(UNSIGNED) from None
    return Manifest.model_validate(payload)
