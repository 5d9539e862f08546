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

Layer = Literal["collaboration", "blinding"]

_BLOCK = 64  # bytes of a SHA-256 block, RFC 2104's B


def bind_keys(
    connection: duckdb.DuckDBPyConnection,
    *,
    collaboration: bytes | None = None,
    blinding: bytes | None = None,
) -> None:
    """Make keys usable by compiled statements on this connection; a statement needs those of its layers."""
    for layer, key in (("collaboration", collaboration), ("blinding", blinding)):
        if key is not None:
            padded = key.ljust(_BLOCK, b"\0")
            connection.execute(f"SET VARIABLE {layer}_inner = ?", [bytes(b ^ 0x36 for b in padded)])
            connection.execute(f"SET VARIABLE {layer}_outer = ?", [bytes(b ^ 0x5C for b in padded)])


@dataclass(frozen=True)
class Lookup:
    """A common table expression from each distinct spelling in `column` of `source` to its pseudonym.

    Normalizing and hashing happen once per spelling and not once per row. `prepared`: the column holds desk
    pseudonyms, which are hashed as they are.
    """

    attribute: str
    column: str
    technique: Pseudonymize
    layers: tuple[Layer, ...]
    prepared: bool = False

    @property
    def name(self) -> str:
        return quote_name(f"pseudonym {self.attribute}")

    @property
    def pseudonym(self) -> str:
        """The pseudonym of a row, once `join` is in its FROM clause; NULL where there is no identifier."""
        return f"{self.name}.pseudonym"

    @property
    def join(self) -> str:
        return f"LEFT JOIN {self.name} ON {self.name}.spelling = source.{quote_name(self.column)}"

    @property
    def table(self) -> str:
        value = "spelling" if self.prepared else _normalized(self.technique)
        for layer in self.layers:
            value = keyed_hash(layer, self.technique.domain, value)
        return (
            f"{self.name} AS (SELECT spelling, {value} AS pseudonym"
            f" FROM (SELECT DISTINCT source.{quote_name(self.column)} AS spelling FROM source)"
            " WHERE spelling IS NOT NULL)"
        )


def keyed_hash(layer: Layer, domain: str, text: str) -> str:
    """SQL of HMAC-SHA256 over `domain NUL text`, 64 hex digits; `text` is a SQL expression."""
    message = f"encode({quote_text(domain)}) || '\\x00'::BLOB || encode({text})"
    inner = f"unhex(sha256(getvariable('{layer}_inner') || {message}))"
    return f"sha256(getvariable('{layer}_outer') || {inner})"


def _normalized(technique: Pseudonymize) -> str:
    """Unicode NFC without surrounding blanks; e-mail addresses in lower case."""
    text = "nfc_normalize(trim(CAST(spelling AS VARCHAR)))"
    return f"lower({text})" if technique.normalize == "email" else text
