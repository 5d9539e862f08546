"""What leaves a desk, shown before it does: columns, and ten rows of which only the shapes can be seen.

Every character is replaced by its kind: `X` and `x` for letters, `9` for digits, a blank, `·` for any other.
Where the shape would tell the value, or single it out, all values look alike: a pseudonym is 64 `#`, one of a
closed set of texts is `one of 6`, a truth is `yes or no`. The stars of a masked text are the technique's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.charter.entities import ENTITIES
from orchestration.charter.fields import Field
from orchestration.charter.techniques import Mask
from orchestration.engine.duck import quote_name
from orchestration.scope.preparation import TABLE, Preparation
from orchestration.scope.ranges import Labels, Pseudonyms, ranges

ROWS = 10
_OTHER = r"[^\p{L}\p{M}\p{N}\s]"
_OTHER_THAN_STARS = r"[^\p{L}\p{M}\p{N}\s*]"
_KINDS = (
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
    fields = {field.attribute: field for field in preparation.dataset.fields}
    types = ENTITIES[preparation.dataset.entity].attributes
    names = preparation.compiled.columns
    columns = tuple(PreviewColumn(name, types[name], fields[name].technique.kind) for name in names)
    selected = ", ".join(_masked(quote_name(name), fields[name]) for name in names)
    rows = preparation.connection.execute(f"SELECT {selected} FROM {TABLE} LIMIT {ROWS}").fetchall()
    return Preview(columns, tuple(tuple(row) for row in rows))


def _masked(column: str, field: Field) -> str:
    """The SQL expression of the masked value; missing stays missing."""
    if field.deidentified_type == "BOOLEAN":
        return _alike(column, "yes or no")
    for each in ranges(field):
        if isinstance(each, Pseudonyms):
            return _alike(column, "#" * 64)
        if isinstance(each, Labels):
            return _alike(column, f"one of {len(each.labels)}")
    other = _OTHER_THAN_STARS if isinstance(field.technique, Mask) else _OTHER
    text = f"CAST({column} AS VARCHAR)"
    for pattern, kind in ((other, "·"), *_KINDS):
        text = f"regexp_replace({text}, '{pattern}', '{kind}', 'g')"
    return text


def _alike(column: str, shown: str) -> str:
    return f"CASE WHEN {column} IS NOT NULL THEN '{shown}' END"
