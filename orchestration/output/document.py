"""What every document of a release has in common: closed, frozen, and the same again after JSON.

Must not be here: any single document (`protect`, `findings`).
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue


class ReleasedDocument(BaseModel):
    """Base of everything a release publishes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> JsonValue:
        """JSON with money as text, so that every figure survives exactly; see `from_json`."""
        document: JsonValue = self.model_dump(mode="json")
        return document

    @classmethod
    def from_json(cls, document: JsonValue) -> Self:
        """Inverse of `to_json`.

        Raises:
            pydantic.ValidationError: it is another kind of document.
        """
        return cls.model_validate(document)
