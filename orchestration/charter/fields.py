"""Fields of a dataset: what is admitted, and the technique that de-identifies it.

Belongs here: the shape of a field and the SQL type before and after its technique.
Must not be here: the techniques (`techniques`), SQL that applies one (`scope/`), rules across fields
(`checks`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, model_validator
from pydantic import Field as Spec

from orchestration.charter.clause import Bound as Bound
from orchestration.charter.clause import Clause as Clause
from orchestration.charter.clause import ColumnName as ColumnName
from orchestration.charter.clause import Day as Day
from orchestration.charter.clause import Days as Days
from orchestration.charter.clause import Flag as Flag
from orchestration.charter.clause import Label as Label
from orchestration.charter.clause import MemberId as MemberId
from orchestration.charter.clause import Number as Number
from orchestration.charter.clause import Slug as Slug
from orchestration.charter.clause import Text as Text
from orchestration.charter.clause import Whole as Whole
from orchestration.charter.entities import SqlType
from orchestration.charter.taxonomy import FieldClassification as FieldClassification
from orchestration.charter.taxonomy import default_technique
from orchestration.charter.techniques import SQL_TYPES as SQL_TYPES
from orchestration.charter.techniques import Band as Band
from orchestration.charter.techniques import Clamp as Clamp
from orchestration.charter.techniques import Drop as Drop
from orchestration.charter.techniques import FieldType as FieldType
from orchestration.charter.techniques import Generalize as Generalize
from orchestration.charter.techniques import Pass as Pass
from orchestration.charter.techniques import Pseudonymize as Pseudonymize
from orchestration.charter.techniques import Technique as Technique
from orchestration.charter.techniques import TechniqueKind as TechniqueKind
from orchestration.charter.techniques import result_type


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
    deprecated: Day | None = Spec(None, description="Last day on which it may still be given.")

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
        return result_type(self.technique, self.sql_type)

    @property
    def closed_set(self) -> tuple[str, ...]:
        """The only values that are admitted: those stated, else those of its hierarchy; empty for any."""
        if isinstance(self.technique, Generalize) and self.technique.hierarchy is not None:
            return self.values or tuple(rung.name for rung in self.technique.hierarchy)
        return self.values
