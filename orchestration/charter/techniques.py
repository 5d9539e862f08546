"""The techniques that de-identify a field, each with its parameters, as a charter states them.

Belongs here: the shape of a technique, which types it takes and what type it leaves behind. Must not be
here: the SQL that applies one (that is `scope/techniques`), rules between parameters (`technique_checks`).
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, StringConstraints
from pydantic import Field as Spec

from orchestration.charter.clause import Clause, Label, Number, Slug, Whole
from orchestration.charter.entities import SqlType

FieldType = Literal["string", "integer", "decimal", "date", "timestamp", "boolean"]
SQL_TYPES: dict[FieldType, SqlType] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "DECIMAL(12,2)",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
}
Normalization = Literal["identifier", "email", "phone", "name", "postal_address"]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Pass(Clause):
    """The value goes into the room as it is."""

    kind: Literal["pass"] = "pass"


class Drop(Clause):
    """The value is checked at intake and never reaches the room."""

    kind: Literal["drop"] = "drop"


class Pseudonymize(Clause):
    """HMAC-SHA256 of the normalized identifier; one domain, one pseudonym, in every dataset."""

    kind: Literal["pseudonymize"] = "pseudonymize"
    domain: Slug = Spec(description="Identifiers of one domain join: the same household, the same pseudonym.")
    normalize: Normalization = Spec(
        "identifier", description="How spellings of one identifier are made one: see docs/techniques.md."
    )
    region: Region | None = Spec(
        None, description="Country (ISO 3166) of telephone numbers without a country code."
    )


class Band(Clause):
    """Numbers from `low` (included) up to `high` (excluded) become `label`; an open end is left out."""

    label: Label
    low: Number | None = Spec(None, alias="from")
    high: Number | None = Spec(None, alias="until")


class Rung(Clause):
    """A value, with what it becomes at each level of its hierarchy, from the finest to the coarsest."""

    name: Label = Spec(description="The value as it is contributed.")
    becomes: Annotated[tuple[Label, ...], Spec(min_length=1, max_length=20)]


class Generalize(Clause):
    """A date keeps its day, week, month or year; a number its band; a text its start or hierarchy level."""

    kind: Literal["generalize"] = "generalize"
    to: Literal["day", "week", "month", "year"] | None = None
    bands: Annotated[tuple[Band, ...], Spec(max_length=200)] = ()
    prefix: Annotated[Whole, Spec(ge=1, le=20)] | None = Spec(
        None, description="Letters and digits that are kept from the start: of a postcode, for example."
    )
    hierarchy: Annotated[tuple[Rung, ...], Spec(min_length=1, max_length=5000)] | None = Spec(
        None, description="Every allowed value with its coarser forms; another value goes to quarantine."
    )
    level: Annotated[Whole, Spec(ge=1, le=20)] | None = Spec(
        None, description="Which form of the hierarchy is used; 1 is the finest."
    )

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Every value there can be afterwards, where that is a closed set of texts."""
        if self.bands:
            return tuple(dict.fromkeys(band.label for band in self.bands))
        if self.hierarchy is not None and self.level is not None:
            return tuple(dict.fromkeys(rung.becomes[self.level - 1] for rung in self.hierarchy))
        return None


class Clamp(Clause):
    """A number outside the public bounds becomes the nearer bound, so no row stands out."""

    kind: Literal["clamp"] = "clamp"
    low: Number
    high: Number


class TopCode(Clause):
    """A number above the public bound becomes that bound: 112 years become 90."""

    kind: Literal["top_code"] = "top_code"
    at: Number


class BottomCode(Clause):
    """A number below the public bound becomes that bound."""

    kind: Literal["bottom_code"] = "bottom_code"
    at: Number


class Round(Clause):
    """A number becomes the nearest multiple, halves away from zero."""

    kind: Literal["round"] = "round"
    multiple: Annotated[Number, Spec(gt=0)]


class Mask(Clause):
    """A text keeps its first or last characters; the rest becomes stars, as many for any length.

    A text that is no longer than what would be kept becomes stars altogether.
    """

    kind: Literal["mask"] = "mask"
    keep_first: Annotated[Whole, Spec(ge=0, le=10)] = 0
    keep_last: Annotated[Whole, Spec(ge=0, le=10)] = 0
    stars: Annotated[Whole, Spec(ge=1, le=20)] = 4

    @property
    def length(self) -> int:
        """Characters of every masked value."""
        return self.keep_first + self.stars + self.keep_last


class Bucket(Clause):
    """A number becomes the part (q1, q2, …) of a published distribution that it falls into.

    The boundaries are the distribution's quantiles; computed from the contribution, they would tell of it.
    """

    kind: Literal["bucket"] = "bucket"
    boundaries: Annotated[tuple[Number, ...], Spec(min_length=1, max_length=99)] = Spec(
        description="Rising; a value at a boundary belongs to the part above it."
    )
    source: Label = Spec(description="Where the boundaries were published.")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"q{number}" for number in range(1, len(self.boundaries) + 2))


class DateShift(Clause):
    """A date moves by up to so many days to either side, all dates of one privacy unit by the same number.

    Days between two events stay true, the days themselves do not. The time of day is dropped.
    """

    kind: Literal["date_shift"] = "date_shift"
    days: Annotated[Whole, Spec(ge=1, le=3650)]


class Redact(Clause):
    """Whatever looks like an e-mail address, an IBAN or a long number in a text becomes a fixed mark."""

    kind: Literal["redact"] = "redact"


AnyTechnique = (
    Pass
    | Drop
    | Pseudonymize
    | Generalize
    | Clamp
    | TopCode
    | BottomCode
    | Round
    | Mask
    | Bucket
    | DateShift
    | Redact
)
TechniqueKind = Literal[
    "pass",
    "drop",
    "pseudonymize",
    "generalize",
    "clamp",
    "top_code",
    "bottom_code",
    "round",
    "mask",
    "bucket",
    "date_shift",
    "redact",
]


def _named(value: object) -> object:
    """`technique: pass` is short for `technique: {kind: pass}`."""
    return {"kind": value} if isinstance(value, str) else value


Technique = Annotated[
    Annotated[AnyTechnique, Spec(discriminator="kind")],
    BeforeValidator(_named, json_schema_input_type=Literal["pass", "drop", "redact"] | AnyTechnique),
]

_NUMBERS: tuple[TechniqueKind, ...] = (
    *("pass", "drop", "clamp", "generalize"),
    *("top_code", "bottom_code", "round", "bucket"),
)
_DATES: tuple[TechniqueKind, ...] = ("pass", "drop", "generalize", "date_shift")
TECHNIQUES: dict[FieldType, tuple[TechniqueKind, ...]] = {
    "string": ("pass", "drop", "pseudonymize", "generalize", "mask", "redact"),
    "integer": _NUMBERS,
    "decimal": _NUMBERS,
    "date": _DATES,
    "timestamp": _DATES,
    "boolean": ("pass", "drop"),
}
"""Which techniques each type of field can take."""


def result_type(technique: AnyTechnique, given: SqlType) -> SqlType | None:
    """SQL type of a value of type `given` after the technique; None when nothing is left."""
    match technique:
        case Drop():
            return None
        case Pseudonymize() | Bucket() | Generalize(to=None):
            return "VARCHAR"
        case Generalize() | DateShift():
            return "DATE"
        case _:
            return given


_KINDS = tuple(each.model_fields["kind"].default for each in get_args(AnyTechnique))
if get_args(TechniqueKind) != _KINDS:  # the Literal is what mistakes show
    raise RuntimeError("AnyTechnique and TechniqueKind have drifted apart")
