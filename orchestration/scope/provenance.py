"""What a prepared package says about its own origin: the Data Provenance Standards of the D&TA.

The Data & Trust Alliance's Data Provenance Standards, version 1.0.0 (https://dataandtrustalliance.org), name
22 fields in three groups: source, provenance, use. The names here are those of its JSON schema. Belongs here:
that document, and filling it from charter and command line. Must not be here: who signs it (`manifest`).
"""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as Spec

STANDARD = "1.0.0"

Day = datetime.date
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]  # ISO 3166-1


class Entry(BaseModel):
    """Base of every part: frozen, unknown keys refused, names as in the standard."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class Party(Entry):
    """A legal entity."""

    name: Text


class Place(Entry):
    """A country, ISO 3166-1 alpha-2."""

    country: Country


class Code(Entry):
    """A word of some vocabulary, explained."""

    code: Text
    description: Text | None = None


class Span(Entry):
    """The days the data speak of, both included."""

    start: Day
    end: Day


class Evaluated(Entry):
    """A class of confidentiality, and whether the data fall into it."""

    regulation: Code
    evaluated: bool


class Tool(Entry):
    """A privacy enhancing technology: which, with what parameters, with what result."""

    tool: Code
    parameters: Text | None = None
    result: Text | None = None


class SourceGroup(Entry):
    """Which dataset this is, and who answers for it."""

    version: str = STANDARD
    title: Text
    id: Text
    location: Text | None = None
    issuer: tuple[Party, ...] = Spec(min_length=1)
    description: Text


class ProvenanceGroup(Entry):
    """Where the data come from and how they were made."""

    source: Text
    origin: tuple[Party, ...] = ()
    origin_geography: tuple[Place, ...] = ()
    date: Day
    previous_date: Day | None = None
    generation_period: Span
    generation_method: tuple[Code, ...] = Spec(min_length=1)
    format: tuple[Text, ...] = ()


class UseGroup(Entry):
    """What the law and the contributor allow to be done with the data."""

    classification: tuple[Evaluated, ...] = ()
    consents: tuple[Text, ...] = ()
    privacy_indicators: tuple[Tool, ...] = Spec((), max_length=500)
    processing_included: tuple[Place, ...] = ()
    storage_allowed: tuple[Place, ...] = ()
    license: Text
    intended_purpose: tuple[Code, ...] = Spec(min_length=1)


class Provenance(Entry):
    """The whole statement."""

    source: SourceGroup
    provenance: ProvenanceGroup
    use: UseGroup
