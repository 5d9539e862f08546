"""What the room asks of each row that a contributor prepared: could the technique have given this value?

A prepared row is kept when every attribute lies in its technique's range (`ranges`): a pseudonym looks like
one, a band is one of the charter's, a date is cut where the charter cuts it. Otherwise it goes to
quarantine. Whether the table as a whole is good enough is the gate's question. Reasons are those of
`coercion`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from orchestration.charter.fields import Field
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_name, quote_text
from orchestration.scope.coercion import Intake
from orchestration.scope.deidentification import compile_preparation
from orchestration.scope.ranges import (
    AtMostLong,
    Between,
    FirstDays,
    Labels,
    Multiples,
    Pseudonyms,
    Range,
    Redacted,
    Shaped,
    ranges,
)
from orchestration.scope.tabular import Source
from orchestration.scope.techniques.duck import redacted

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
    return [*required, *(test for each in ranges(field) for test in _outside(each, column))]


def _outside(range_: Range, column: str) -> Iterator[tuple[str, str]]:
    match range_:
        case Pseudonyms():
            yield f"NOT regexp_full_match({column}, '[0-9a-f]{{64}}')", "type"
        case Labels(labels=labels):
            yield f"{column} NOT IN ({', '.join(map(quote_text, labels))})", "not_allowed"
        case Between(low=low, high=high):
            if low is not None:
                yield f"{column} < {_literal(low)}", "out_of_range"
            if high is not None:
                yield f"{column} > {_literal(high)}", "out_of_range"
        case Shaped(pattern=pattern):
            yield f"NOT regexp_full_match({column}, {quote_text(pattern)})", "not_allowed"
        case AtMostLong(longest=longest):
            yield f"length({column}) > {longest:d}", "too_long"
        case Multiples(of=step):
            yield f"{column} % {step:f} <> 0", "out_of_range"
        case FirstDays(of=unit):
            yield f"date_trunc('{unit}', {column}) <> {column}", "out_of_range"
        case Redacted():
            yield f"{redacted(column)} <> {column}", "not_allowed"


def _literal(bound: Decimal | date) -> str:
    return f"{bound:f}" if isinstance(bound, Decimal) else quote_text(str(bound))
