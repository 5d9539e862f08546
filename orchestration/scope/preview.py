"""What leaves a desk, shown before it does: columns, and ten rows of which only the shapes can be seen.

Every character is replaced by its kind: `X` and `x` for letters, `9` for digits, a blank, `·` for any other.
The kinds of a pseudonym's 64 characters would single it out, so each of them is `#`.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.charter.entities import ENTITIES
from orchestration.engine.duck import quote_name
from orchestration.scope.preparation import TABLE, Preparation

ROWS = 10
_PSEUDONYM = "#" * 64
_KINDS = (
    (r"[^\p{L}\p{M}\p{N}\s]", "·"),
    (r"\s", " "),
    (r"\p{N}", "9"),
    (r"\p{Lu}", "X"),
    (r"[\p{Ll}\p{Lt}\p{Lm}\p{Lo}\p{M}]", "x"),
)


@dataclass(frozen=True)
class PreviewColumn:
    """An attribute of the entity, its type in the room, and the technique it went through."""

    name: str
    type: str
    technique: str


@dataclass(frozen=True)
class Preview:
    """Columns, and masked rows in their order; None where there is no value."""

    columns: tuple[PreviewColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]


def preview(preparation: Preparation) -> Preview:
    """The first rows of the package, masked."""
    types = ENTITIES[preparation.dataset.entity].attributes
    columns = tuple(
        PreviewColumn(name, types[name], preparation.compiled.techniques[name])
        for name in preparation.compiled.columns
    )
    selected = ", ".join(_masked(column) for column in columns)
    rows = preparation.connection.execute(f"SELECT {selected} FROM {TABLE} LIMIT {ROWS}").fetchall()
    return Preview(columns, tuple(tuple(row) for row in rows))


def _masked(column: PreviewColumn) -> str:
    name = quote_name(column.name)
    if column.technique == "pseudonymize":
        return f"CASE WHEN {name} IS NOT NULL THEN '{_PSEUDONYM}' END"
    text = f"CAST({name} AS VARCHAR)"
    for pattern, kind in _KINDS:
        text = f"regexp_replace({text}, '{pattern}', '{kind}', 'g')"
    return text
