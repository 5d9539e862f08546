"""The base of every clause of the charter, with the plain values that clauses are made of.

Belongs here: shapes that more than one section uses. Must not be here: any section.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    StringConstraints,
    ValidationInfo,
)
from pydantic import Field as Spec
from pydantic_core import PydanticCustomError


class Clause(BaseModel):
    """Base of every part of the charter: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


# Slugs become SQL names, folder names and asset keys, so they can hold nothing that needs quoting.
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
MemberId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}\.[a-z][a-z0-9_]{0,47}$")]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_ -]{0,62}$")]


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

# Written often, but no country: ISO 3166-1 reserves them for others.
_NO_COUNTRIES = {"EU": "the countries themselves, such as DE, FR", "UK": "GB"}


def _country(code: str) -> str:
    if code in _NO_COUNTRIES:
        raise PydanticCustomError(
            "no_country", "is no country; write {instead}", {"instead": _NO_COUNTRIES[code]}
        )
    return code


Place = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), AfterValidator(_country)]
"""A country or territory by its two letters (ISO 3166-1 alpha-2), such as `DE`."""

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
