"""Fields of a dataset: what is admitted, and the technique that de-identifies it.

Belongs here: the shape of a field and the SQL type before and after its technique.
Must not be here: SQL that applies a technique (that is `scope/`), rules across fields (`checks`).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic import Field as Spec
from pydantic_core import PydanticCustomError

from orchestration.charter.entities import SqlType
from orchestration.charter.taxonomy import FieldClassification as FieldClassification
from orchestration.charter.taxonomy import default_technique


class Clause(BaseModel):
    """Base of every part of the charter: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


# Slugs become SQL names, folder names and asset keys, so they can hold nothing that needs quoting.
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
MemberId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}\.[a-z][a-z0-9_]{0,47}$")]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_ ]{0,62}$")]


def _printable(text: str) -> str:
    """The text is printed on terminals, so it may hold no control characters."""
    if not text.replace("\n", " ").isprintable():
        raise PydanticCustomError("control_characters", "must hold no control characters")
    return text


Text = Annotated[
    str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True), AfterValidator(_printable)
]
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\n\r]*$"), AfterValidator(_printable)
]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Day = Annotated[date, Strict()]
Days = Annotated[Whole, Spec(ge=1, le=36_500)]


def _exact(value: object, info: ValidationInfo) -> object:
    """Numbers become exact decimals, dates stay dates; text is read only from JSON, which has no decimals."""
    if isinstance(value, (bool, datetime)) or (isinstance(value, str) and info.mode == "python"):
        raise PydanticCustomError("bound_type", "must be a number or a date")
    if isinstance(value, (int, float)):
        value = Decimal(str(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value) > 10**18 or round(value, 6) != value:
            raise PydanticCustomError("bound_size", "must be a number of at most 18 digits and 6 decimals")
        value = Decimal(f"{value:f}")  # never 1E+3: compiled SQL would read a float
    return value


Bound = Annotated[Decimal | date, BeforeValidator(_exact, json_schema_input_type=float | date)]
Number = Annotated[Decimal, BeforeValidator(_exact, json_schema_input_type=float)]

FieldType = Literal["string", "integer", "decimal", "date", "timestamp", "boolean"]
SQL_TYPES: dict[FieldType, SqlType] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "DECIMAL(12,2)",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
}


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
    normalize: Literal["identifier", "email"] = Spec(
        "identifier", description="identifier: trimmed; email: trimmed and lower case."
    )


class Band(Clause):
    """Numbers from `low` (included) up to `high` (excluded) become `label`; an open end is left out."""

    label: Label
    low: Number | None = Spec(None, alias="from")
    high: Number | None = Spec(None, alias="until")


class Generalize(Clause):
    """A date keeps only its day, week, month or year; a number becomes the label of its band."""

    kind: Literal["generalize"] = "generalize"
    to: Literal["day", "week", "month", "year"] | None = None
    bands: Annotated[tuple[Band, ...], Spec(max_length=200)] = ()


class Clamp(Clause):
    """A number outside the public bounds becomes the nearer bound, so no row stands out."""

    kind: Literal["clamp"] = "clamp"
    low: Number
    high: Number


def _named(value: object) -> object:
    """`technique: pass` is short for `technique: {kind: pass}`."""
    return {"kind": value} if isinstance(value, str) else value


AnyTechnique = Pass | Drop | Pseudonymize | Generalize | Clamp
TechniqueKind = Literal["pass", "drop", "pseudonymize", "generalize", "clamp"]
Technique = Annotated[
    Annotated[AnyTechnique, Spec(discriminator="kind")],
    BeforeValidator(_named, json_schema_input_type=Literal["pass", "drop"] | AnyTechnique),
]


def _technique_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"].remove("technique")


class Field(Clause):
    """One permitted column. A value outside its type or limits sends the row to quarantine."""

    model_config = ConfigDict(json_schema_extra=_technique_may_be_left_out)

    name: ColumnName = Spec(description="Column in the contributed file.")
    attribute: Slug | None = Spec(None, alias="as", description="Attribute of the entity it becomes.")
    type: FieldType = Spec(description="Type it must be readable as; decimal has two places.")
    required: Flag = Spec(False, description="A row without this value goes to quarantine.")
    classification: FieldClassification
    technique: Technique = Spec(description="May be left out where the taxonomy has a safe default.")
    max_length: Annotated[Whole, Spec(ge=1, le=10_000)] | None = Spec(None, description="Strings only.")
    minimum: Bound | None = Spec(None, description="Numbers, dates and timestamps.")
    maximum: Bound | None = Spec(None, description="Numbers, dates and timestamps.")
    values: Annotated[tuple[Label, ...], Spec(max_length=500)] = Spec(
        (), description="Closed set of strings."
    )

    @model_validator(mode="before")
    @classmethod
    def _safe_by_default(cls, value: Any) -> Any:
        """The class's own technique where none is named: it stands in the model, so the digest covers it."""
        if isinstance(value, dict) and "technique" not in value:
            default = default_technique(value.get("classification"))
            return {**value, "technique": default} if default else value
        return value

    @property
    def sql_type(self) -> SqlType:
        """Type in the vault, before the technique."""
        return SQL_TYPES[self.type]

    @property
    def deidentified_type(self) -> SqlType | None:
        """Type in the room, after the technique; None when the value is dropped."""
        match self.technique:
            case Drop():
                return None
            case Pseudonymize():
                return "VARCHAR"
            case Generalize(to=None):
                return "VARCHAR"
            case Generalize():
                return "DATE"
            case _:
                return self.sql_type
