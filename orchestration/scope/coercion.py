"""The charter's fields compiled to SQL that types, limits and sorts the rows of one delivery.

A row is kept when every permitted field has its type and stays inside its limits; otherwise it goes to
quarantine with the first reason that applies: its number and the reason, no value of it. Columns that the
charter does not name are not selected, so they never reach the disk. Reasons: `required`, `type`, `too_long`,
`out_of_range`, `not_allowed`. An e-mail address, telephone number, name or postal address that cannot be read
as one has the wrong `type`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from orchestration.charter.fields import Field, Pseudonymize
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_name, quote_text
from orchestration.errors import ContributionError, Reason
from orchestration.scope.normalization import needs_function, normalized
from orchestration.scope.source import Source

MISSING_COLUMNS = Reason(
    "contribution.missing_column",
    "The file lacks columns that the charter requires: {columns}.",
    "Deliver every required column under the name the charter gives it.",
)
COLUMN_TYPE = Reason(
    "contribution.column_type",
    "These columns hold lists, structures or bytes instead of single values: {columns}.",
    "Export them as text, numbers or dates.",
)

_NUMBER = "row: number"  # no field of a charter can have this name, nor "typed:…"
_EXACT = {"DOUBLE": "1e-15", "FLOAT": "1e-7"}  # relative error of a number that was written with two places

_DAY = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
_ZONE = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_PATTERNS = {
    "integer": "[+-]?[0-9]{1,19}",
    "decimal": "[+-]?[0-9]{1,10}([.][0-9]{1,20})?(e-[0-9]{1,3})?",
    "date": _DAY,
    "timestamp": f"{_DAY}([T ]{_CLOCK}{_ZONE}?)?",
}

_INTEGERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT")
_LONGEST_INTEGER = 20  # characters of the smallest BIGINT

_DATES = ("date", "timestamp")
_FIRST_DAY, _LAST_DAY = "'0001-01-01'", "'9999-12-31'"


@dataclass(frozen=True)
class Intake:
    """SQL of one delivery: `kept` are typed rows, `rejected` (number, reason) of the others.

    Numbers count the file's rows from 1, without a header; they are right only on a connection that keeps
    rows in order. `rows` counts all rows, `reasons` the rejected by reason. `dropped` is how many undeclared
    columns the file had; their names are not kept, because a file without a header shows its first customer
    there.
    """

    rows: str
    kept: str
    rejected: str
    reasons: str
    dropped: int


def compile_intake(dataset: Dataset, source: Source) -> Intake:
    """Compile what the charter says of `dataset` for this source.

    Raises: ContributionError (`missing_column`, `column_type`), naming charter fields only.
    """
    missing = [f.name for f in dataset.fields if f.name not in source.columns and f.required]
    if missing:
        raise ContributionError(MISSING_COLUMNS, columns=", ".join(missing))
    present = [f for f in dataset.fields if f.name in source.columns]
    nested = [f.name for f in present if not source.scalar(f.name)]
    if nested:
        raise ContributionError(COLUMN_TYPE, columns=", ".join(nested))

    raw = ", ".join(f"{_raw(source, f)} AS {quote_name(f.name)}" for f in present)
    typed = ", ".join(f"{_typed(f, source.types[f.name])} AS {quote_name(_typed_name(f))}" for f in present)
    given = f"SELECT {raw} FROM {source.relation}"
    readings = _readings(present, source.types, given)
    checked = f"SELECT *, {typed} FROM ({given}){readings}"
    number = quote_name(_NUMBER)
    counted = f"SELECT {raw}, row_number() OVER () AS {number} FROM {source.relation}"
    numbered = f"SELECT *, {typed} FROM ({counted}){readings}"
    reason = _reason(present, source.types)
    kept_columns = ", ".join(
        f"{quote_name(_typed_name(f))} AS {quote_name(f.name)}"
        if f.name in source.columns
        else f"NULL::{f.sql_type} AS {quote_name(f.name)}"
        for f in dataset.fields
    )
    return Intake(
        rows=f"SELECT count(*) FROM {source.relation}",
        kept=f"SELECT {kept_columns} FROM ({checked}) WHERE {reason} IS NULL",
        rejected=f"SELECT {number}, {reason} FROM ({numbered}) WHERE {reason} IS NOT NULL",
        reasons=f"SELECT reason, count(*) FROM (SELECT {reason} AS reason FROM ({checked}))"
        " WHERE reason IS NOT NULL GROUP BY reason",
        dropped=len(source.columns) - len(present),
    )


def _typed_name(field: Field) -> str:
    return f"typed:{field.name}"


def _raw(source: Source, field: Field) -> str:
    """The column as it came; an empty text is no value, in Parquet as in CSV."""
    column = source.columns[field.name]
    return f"nullif({column}, '')" if source.types[field.name] == "VARCHAR" else column


def _typed(field: Field, source_type: str) -> str:
    """The field's value in the charter's type, or NULL when it does not have it exactly."""
    name = quote_name(field.name)
    if field.type == "string":
        text = _text(name, source_type)
        if isinstance(field.technique, Pseudonymize):
            # Normalizing stops at a NUL, so that two identifiers would become one.
            wanted = [f"NOT contains({name}, chr(0))"] if source_type == "VARCHAR" else []
            if _is_read(field):
                wanted.append(f"{_identifier(field, field.technique, text)} IS NOT NULL")
            if wanted:
                return f"CASE WHEN {' AND '.join(wanted)} THEN {text} END"
        return text
    cast = f"TRY_CAST({name} AS {field.sql_type})"
    if source_type == "VARCHAR" and field.type in _PATTERNS:
        plain, readable = _plain(field, name, cast), _readable_text(field, name)
        return f"CASE WHEN {plain} THEN {cast} WHEN {readable} THEN {cast} END"
    condition = _readable(field, name, source_type)
    return f"CASE WHEN {condition} THEN {cast} END" if condition else cast


def _is_read(field: Field) -> bool:
    """Whether the field holds identifiers of a form that not every text has."""
    return isinstance(field.technique, Pseudonymize) and field.technique.normalize != "identifier"


def _text(name: str, source_type: str) -> str:
    """The value as text; a float identifier would print as '1029.0' in one file and '1029' in the next."""
    if source_type in _EXACT:
        return f"CASE WHEN {name} = trunc({name}) THEN CAST(TRY_CAST({name} AS HUGEINT) AS VARCHAR) END"
    return f"CAST({name} AS VARCHAR)"


def _identifier(field: Field, technique: Pseudonymize, text: str) -> str:
    """The normalized identifier of a row."""
    return (
        quote_name(f"normalized:{field.name}") if needs_function(technique) else normalized(technique, text)
    )


def _readings(fields: list[Field], types: Mapping[str, str], given: str) -> str:
    """Joins with the normalized forms that are dear to find: each distinct spelling is read once."""
    joins = ""
    for field in fields:
        if isinstance(field.technique, Pseudonymize) and needs_function(field.technique):
            name, spelling = quote_name(field.name), quote_name(f"spelling:{field.name}")
            read = normalized(field.technique, _text(spelling, types[field.name]))
            joins += (
                f" LEFT JOIN (SELECT {spelling}, {read} AS {quote_name(f'normalized:{field.name}')}"
                f" FROM (SELECT DISTINCT {name} AS {spelling} FROM ({given})))"
                f" ON {spelling} = {name}"
            )
    return joins


def _plain(field: Field, name: str, cast: str) -> str:
    """Whether the text is how the engine itself writes the value: true of most rows, and quickly told."""
    same = f"CAST({cast} AS VARCHAR) = {name}"
    return f"{same} AND {cast} BETWEEN {_FIRST_DAY} AND {_LAST_DAY}" if field.type in _DATES else same


def _readable_text(field: Field, name: str) -> str:
    """What a bare cast gets wrong: it rounds '1.5', and reads '0x10', 'epoch', '24-01-02', '2024-01-02x'."""
    readable = f"regexp_full_match(trim({name}), '{_PATTERNS[field.type]}')"
    if field.type != "decimal":
        return readable
    # '0.30000000000000004' is how programs write the 0.30 of a float.
    return f"{readable} AND {_is_exact(f'TRY_CAST({name} AS DOUBLE)', 'DOUBLE')}"


def _is_exact(number: str, float_type: str) -> str:
    """Whether a float was meant to have two places."""
    return f"abs({number} - round({number}, 2)) <= 1e-5 + abs({number}) * {_EXACT[float_type]}"


def _readable(field: Field, name: str, source_type: str) -> str | None:
    """The same for values that have a type already; None where a cast cannot go wrong."""
    if source_type.startswith(("DATE", "TIMESTAMP")):
        return f"isfinite({name})"
    if field.type == "integer" and source_type.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return f"{name} = trunc({name})"
    if field.type == "decimal" and source_type in _EXACT:
        return _is_exact(name, source_type)
    if field.type == "decimal" and source_type.startswith("DECIMAL"):
        return f"{name} = round({name}, 2)"
    if field.type == "boolean" and source_type not in ("BOOLEAN", "UUID", "VARCHAR"):
        return f"{name} IN (0, 1)"
    return None


def _reason(fields: list[Field], types: Mapping[str, str]) -> str:
    """An expression that is NULL for a row in order, else the code of the first thing wrong with it."""
    tests: list[tuple[str, str]] = []
    for field in fields:
        raw, typed = quote_name(field.name), quote_name(_typed_name(field))
        # An integer given for a text field is neither blank nor long; not asking saves half the time.
        texts = field.type == "string" and types[field.name] not in _INTEGERS
        if field.required:
            # Only what starts with a blank can be blank; looking at the start is much cheaper than trimming.
            blank = f" OR ({typed} < '!' AND trim({typed}) = '')" if texts else ""
            tests.append((f"{raw} IS NULL{blank}", "required"))
        if field.type != "string" or texts or _is_read(field):
            tests.append((f"{raw} IS NOT NULL AND {typed} IS NULL", "type"))
        if field.max_length is not None and (texts or field.max_length < _LONGEST_INTEGER):
            # No text has more characters than bytes, and bytes need no counting.
            limit = f"{field.max_length:d}"
            tests.append((f"strlen({typed}) > {limit} AND length({typed}) > {limit}", "too_long"))
        if field.minimum is not None:
            tests.append((f"{typed} < {_literal(field.minimum)}", "out_of_range"))
        if field.maximum is not None:
            tests.append((f"{typed} > {_literal(field.maximum)}", "out_of_range"))
        if field.closed_set:
            allowed = ", ".join(quote_text(value) for value in field.closed_set)
            tests.append((f"{typed} NOT IN ({allowed})", "not_allowed"))
    # One WHEN per reason, in the order a steward would look: one CASE with dozens of arms is slower.
    arms = []
    for code in ("required", "type", "too_long", "out_of_range", "not_allowed"):
        conditions = [condition for condition, its_code in tests if its_code == code]
        if conditions:
            arms.append(f"WHEN {' OR '.join(f'({c})' for c in conditions)} THEN '{code}'")
    return f"CASE {' '.join(arms)} END" if arms else "NULL::VARCHAR"


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int | Decimal) else quote_text(str(value))
