"""What the room asks of each row that a contributor prepared: could the technique have given this value?

A prepared row is kept when every attribute lies in its technique's range: a pseudonym looks like one, a band
is one of the charter's, a date is cut where the charter cuts it. Otherwise it goes to quarantine. Whether the
table as a whole is good enough is the gate's question. Reasons are those of `coercion`.
"""

from __future__ import annotations

from orchestration.charter.fields import Clamp, Field, Generalize, Pass, Pseudonymize
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_name, quote_text
from orchestration.scope.coercion import Intake
from orchestration.scope.deidentification import compile_preparation
from orchestration.scope.tabular import Source

_PSEUDONYM = "[0-9a-f]{64}"
_ORDER = ("required", "type", "too_long", "out_of_range", "not_allowed")


def compile_prepared_intake(dataset: Dataset, source: Source) -> Intake:
    """Compile what the charter says of prepared rows of `dataset`; `source` has exactly its attributes."""
    names = compile_preparation(dataset, source.relation).columns
    fields = {field.attribute: field for field in dataset.fields}
    tests = [test for name in names for test in _tests(fields[name], quote_name(name))]
    arms = []
    for code in _ORDER:
        conditions = [condition for condition, its_code in tests if its_code == code]
        if conditions:
            arms.append(f"WHEN {' OR '.join(f'({each})' for each in conditions)} THEN '{code}'")
    reason = f"CASE {' '.join(arms)} END" if arms else "NULL::VARCHAR"
    columns = ", ".join(map(quote_name, names))
    numbered = f"SELECT *, row_number() OVER () AS number FROM {source.relation}"
    return Intake(
        rows=f"SELECT count(*) FROM {source.relation}",
        kept=f"SELECT {columns} FROM {source.relation} WHERE {reason} IS NULL",
        rejected=f"SELECT number, {reason} FROM ({numbered}) WHERE {reason} IS NOT NULL",
        reasons=f"SELECT reason, count(*) FROM (SELECT {reason} AS reason FROM {source.relation})"
        " WHERE reason IS NOT NULL GROUP BY reason",
        dropped=0,
    )


def _tests(field: Field, column: str) -> list[tuple[str, str]]:
    """SQL conditions of a value that cannot have come out, each with its reason."""
    required = [(f"{column} IS NULL", "required")] if field.required else []
    match field.technique:
        case Pseudonymize():
            return [*required, (f"NOT regexp_full_match({column}, '{_PSEUDONYM}')", "type")]
        case Clamp(low=low, high=high):
            return [*required, (f"{column} < {low} OR {column} > {high}", "out_of_range")]
        case Generalize(to=unit) if unit is not None:
            bounds = [
                (f"{column} {sign} date_trunc('{unit}', DATE '{bound}')", "out_of_range")
                for sign, bound in (("<", field.minimum), (">", field.maximum))
                if bound is not None
            ]
            return [*required, (f"date_trunc('{unit}', {column}) <> {column}", "out_of_range"), *bounds]
        case Generalize(bands=bands):
            return [*required, (_not_in(column, tuple(band.label for band in bands)), "not_allowed")]
        case Pass():
            return [*required, *_limits(field, column)]
        case _:
            return required


def _limits(field: Field, column: str) -> list[tuple[str, str]]:
    """The field's own limits, where the value comes out as it went in."""
    tests = []
    if field.max_length is not None:
        tests.append((f"length({column}) > {field.max_length:d}", "too_long"))
    for sign, bound in (("<", field.minimum), (">", field.maximum)):
        if bound is not None:
            literal = str(bound) if field.type in ("integer", "decimal") else quote_text(str(bound))
            tests.append((f"{column} {sign} {literal}", "out_of_range"))
    if field.values:
        tests.append((_not_in(column, field.values), "not_allowed"))
    return tests


def _not_in(column: str, values: tuple[str, ...]) -> str:
    return f"{column} NOT IN ({', '.join(map(quote_text, values))})"
