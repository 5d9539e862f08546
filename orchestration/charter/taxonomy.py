"""The taxonomy of classifications: what a field can be, and what each class demands and allows.

Belongs here: reading `taxonomy.yaml`, and look-ups in it. Must not be here: the rules that hold a charter
against it (`field_checks`, `safeguards`), SQL of any technique.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from orchestration.charter.yaml_reader import read_yaml
from orchestration.digests import digest_json

FILE = Path(__file__).with_name("taxonomy.yaml")

FieldClassification = Literal[
    "reference",
    "behavioural",
    "quasi_identifier",
    "sensitive",
    "free_text",
    "special_category",
    "direct_identifier",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Safeguards(_Part):
    """What a dataset with a field of the class has to have; nothing by default."""

    threshold_factor: int = Field(1, ge=1, description="Its cells need so many times the house's threshold.")
    ethics_panel: bool = Field(False, description="What reads it waits for the ethics panel too.")
    lawful_bases: tuple[str, ...] = Field((), description="Only on these grounds; none named: on any.")


class FieldClass(_Part):
    """One class; `techniques` and `default` name kinds of technique."""

    name: FieldClassification
    title: str
    meaning: str
    examples: tuple[str, ...] = Field(min_length=1)
    techniques: tuple[str, ...] = Field((), description="Only these are safe; none named: any.")
    default: str | None = Field(None, description="What is done when the charter names no technique.")
    quasi_identifier: bool = Field(False, description="Counts when anonymity is measured.")
    sensitive: bool = Field(False, description="Must stay diverse within a group of look-alikes.")
    special_category: bool = False
    safeguards: Safeguards = Safeguards()


class Taxonomy(_Part):
    """All classes, from the one that needs least protection to the one that needs most."""

    version: int = Field(ge=1)
    classes: tuple[FieldClass, ...] = Field(min_length=1)

    @property
    def document(self) -> JsonValue:
        document: JsonValue = self.model_dump(mode="json", exclude_defaults=True)
        return document

    @property
    def digest(self) -> str:
        """`sha256:…` of version and classes."""
        return digest_json(self.document)


TAXONOMY = Taxonomy.model_validate(read_yaml(FILE.read_bytes()).value)
CLASSES: Mapping[str, FieldClass] = MappingProxyType({each.name: each for each in TAXONOMY.classes})
CLASS_NAMES: tuple[FieldClassification, ...] = get_args(FieldClassification)

if tuple(CLASSES) != CLASS_NAMES:  # the Literal is what the charter's schema shows
    raise RuntimeError("taxonomy.yaml and FieldClassification have drifted apart")


def default_technique(classification: object) -> str | None:
    """The safe kind of technique of a class; None: the charter has to name one, or there is no such class."""
    found = CLASSES.get(classification) if isinstance(classification, str) else None
    return found.default if found else None
