"""Pseudonyms in two layers of HMAC-SHA256 (RFC 2104), as SQL over the distinct identifiers of a relation.

A desk pseudonym is HMAC(collaboration's key, `domain NUL normalized identifier`), so that equal identifiers
of different kinds never meet. The room keeps HMAC(blinding key, `domain NUL desk pseudonym`): whoever holds
the collaboration's key recognizes nobody there. Both are 64 hex digits. Keys enter as bound variables (the
inner and outer pads), never as text. Must not be here: which fields are pseudonymized.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from orchestration.charter.fields import Pseudonymize
from orchestration.engine.duck import quote_name, quote_text
from orchestration.scope.normalization import normalized, register_normalizers

Layer = Literal["collaboration", "blinding"]

_BLOCK = 64  # bytes of a SHA-256 block, RFC 2104's B


def bind_keys(
    connection: duckdb.DuckDBPyConnection,
    *,
    collaboration: bytes | None = None,
    blinding: bytes | None = None,
) -> None:
    """Make keys and normalizers usable by compiled statements on this connection.

    A statement needs the keys of its layers; without one its pseudonyms are NULL.
    """
    register_normalizers(connection)
    for layer, key in (("collaboration", collaboration), ("blinding", blinding)):
        if key is not None:
            padded = key.ljust(_BLOCK, b"\0")
            connection.execute(f"SET VARIABLE {layer}_inner = ?", [bytes(b ^ 0x36 for b in padded)])
            connection.execute(f"SET VARIABLE {layer}_outer = ?", [bytes(b ^ 0x5C for b in padded)])


@dataclass(frozen=True)
class Lookup:
    """A common table expression from each distinct spelling in `column` of `source` to its pseudonym.

    Normalizing and hashing happen once per spelling and not once per row. `prepared`: the column holds desk
    pseudonyms, which are hashed as they are. `shift_days`: and by how many days, at most, the dates of
    whoever it names are shifted.
    """

    attribute: str
    column: str
    technique: Pseudonymize
    layers: tuple[Layer, ...]
    prepared: bool = False
    shift_days: int | None = None

    @property
    def name(self) -> str:
        return quote_name(f"pseudonym {self.attribute}")

    @property
    def pseudonym(self) -> str:
        """The pseudonym of a row, once `join` is in its FROM clause; NULL where there is no identifier."""
        return f"{self.name}.pseudonym"

    @property
    def shift(self) -> str:
        """The number of days by which the dates of a row are shifted."""
        return f"{self.name}.shift"

    @property
    def join(self) -> str:
        return f"LEFT JOIN {self.name} ON {self.name}.spelling = source.{quote_name(self.column)}"

    @property
    def table(self) -> str:
        """Layer by layer: spelling, identifier, desk pseudonym, blinded pseudonym."""
        domain = self.technique.domain
        spellings = (
            f"SELECT DISTINCT source.{quote_name(self.column)} AS spelling FROM source"
            f" WHERE source.{quote_name(self.column)} IS NOT NULL"
        )
        first = "spelling" if self.prepared else normalized(self.technique, "CAST(spelling AS VARCHAR)")
        query = (
            f"SELECT spelling, {keyed_hash(self.layers[0], domain, first)} AS pseudonym FROM ({spellings})"
        )
        shift = "" if self.shift_days is None else f", {_shift('pseudonym', self.shift_days)} AS shift"
        then = "pseudonym"
        for layer in self.layers[1:]:
            then = keyed_hash(layer, domain, then)
        if shift or len(self.layers) > 1:
            query = f"SELECT spelling, {then} AS pseudonym{shift} FROM ({query})"
        return f"{self.name} AS ({query})"


def _shift(desk_pseudonym: str, days: int) -> str:
    """A number of days from -`days` to `days`, as good as evenly spread; always the same for one pseudonym.

    Fifteen hex digits of a keyed hash; no domain has a blank, so no pseudonym is hashed like this.
    """
    drawn = f"CAST('0x' || left({keyed_hash('collaboration', 'date shift', desk_pseudonym)}, 15) AS BIGINT)"
    return f"CAST({drawn} % {2 * days + 1:d} - {days:d} AS INTEGER)"


def keyed_hash(layer: Layer, domain: str, text: str) -> str:
    """SQL of HMAC-SHA256 over `domain NUL text`, 64 hex digits; `text` is a SQL expression."""
    message = f"encode({quote_text(domain)}) || '\\x00'::BLOB || encode({text})"
    inner = f"unhex(sha256(getvariable('{layer}_inner') || {message}))"
    return f"sha256(getvariable('{layer}_outer') || {inner})"
