"""The form of every technique in DuckDB's SQL.

Each form keeps NULL and, numbers between two bands apart, makes none: an unreadable value never gets so far.
Bounds and labels are the charter's, not a party's, and enter as literals.
"""

from __future__ import annotations

from decimal import Decimal

from orchestration.charter.entities import UNIT
from orchestration.charter.fields import Band, Clamp, Field, Generalize, Pass, Pseudonymize
from orchestration.charter.techniques import BottomCode, Bucket, DateShift, Mask, Redact, Round, TopCode
from orchestration.engine.duck import quote_name, quote_text
from orchestration.scope.pseudonymization import Lookup
from orchestration.scope.techniques.form import Form, Forms, Place

# In this order: what an earlier pattern took is no longer there for a later one. RE2 syntax.
_IBAN = (r"(?i)\b[a-z]{2}\p{Nd}{2}([ -]?[a-z0-9]{4}){2,7}([ -]?[a-z0-9]{1,3})?\b", "[iban]")
_REDACTIONS = (
    (r"[^\s\p{Z}]*@[^\s\p{Z}]*", "[email]"),
    _IBAN,
    (r"[+(]?\p{Nd}([\s\p{Z}\p{Pd}().,/]{0,3}\p{Nd}){6,}", "[number]"),
    _IBAN,  # again: a number that was part of a longer word has left its beginning or end behind
)
_LARGEST = {"BIGINT": 2**63 - 1, "DECIMAL(12,2)": 10**12 - 1}  # in units of the last place
_PLACES = {"BIGINT": 0, "DECIMAL(12,2)": 2}


def _pass(field: Field, _place: Place) -> Form:
    return Form(_column(field))


def _pseudonymize(field: Field, place: Place) -> Form:
    if field.attribute == UNIT and place.unit is not None:
        lookup = place.unit
    else:
        assert isinstance(field.technique, Pseudonymize) and field.attribute  # noqa: S101, PT018  narrows types
        lookup = Lookup(field.attribute, field.name, field.technique, place.layers)
    return Form(lookup.pseudonym, lookup.table, lookup.join)


def _generalize(field: Field, _place: Place) -> Form:
    technique, column = field.technique, _column(field)
    match technique:
        case Generalize(to=unit) if unit is not None:
            return Form(f"date_trunc('{unit}', {column})")
        case Generalize(prefix=kept) if kept is not None:
            bare = rf"upper(regexp_replace({column}, '[^\p{{L}}\p{{Nd}}]', '', 'g'))"
            return Form(f"left({bare}, {kept:d})")
        case Generalize(hierarchy=rungs, level=level) if rungs is not None and level is not None:
            table = quote_name(f"hierarchy {field.attribute}")
            rows = ", ".join(
                f"({quote_text(rung.name)}, {quote_text(rung.becomes[level - 1])})" for rung in rungs
            )
            return Form(
                f"{table}.label",
                f"{table} (name, label) AS (VALUES {rows})",
                f"LEFT JOIN {table} ON {table}.name = {column}",
            )
        case Generalize(bands=bands):
            arms = " ".join(f"WHEN {_within(column, band)} THEN {quote_text(band.label)}" for band in bands)
            return Form(f"CASE {arms} END")
    raise TypeError(field.name)


def _within(column: str, band: Band) -> str:
    tests = [f"{column} >= {band.low}"] if band.low is not None else []
    tests += [f"{column} < {band.high}"] if band.high is not None else []
    return " AND ".join(tests) or f"{column} IS NOT NULL"


def _clamp(field: Field, _place: Place) -> Form:
    """NULL stays NULL: `greatest` and `least` would turn it into a bound."""
    technique, column = field.technique, _column(field)
    arms = []
    if isinstance(technique, Clamp | BottomCode):
        low = technique.low if isinstance(technique, Clamp) else technique.at
        arms.append(f"WHEN {column} < {low} THEN {low}")
    if isinstance(technique, Clamp | TopCode):
        high = technique.high if isinstance(technique, Clamp) else technique.at
        arms.append(f"WHEN {column} > {high} THEN {high}")
    return Form(f"CASE {' '.join(arms)} ELSE {column} END")


def _round(field: Field, _place: Place) -> Form:
    """Counted in units of the last place, without a float; never beyond the largest multiple that fits."""
    technique, column = field.technique, _column(field)
    assert isinstance(technique, Round)  # noqa: S101  narrows the type
    places = _PLACES[field.sql_type]
    step = int(technique.multiple.scaleb(places))
    units = f"CAST({column} * {10**places} AS HUGEINT)"
    steps = f"least((2 * abs({units}) + {step}) // {2 * step}, {_LARGEST[field.sql_type] // step})"
    rounded = f"sign({column}) * {steps} * {step}"
    if places:
        # Exact: an integer of at most 12 digits becomes a decimal before the point moves.
        return Form(f"CAST({rounded} AS DECIMAL(18,0)) * {Decimal(1).scaleb(-places)}")
    return Form(f"CAST({rounded} AS BIGINT)")


def _mask(field: Field, _place: Place) -> Form:
    technique, column = field.technique, _column(field)
    assert isinstance(technique, Mask)  # noqa: S101  narrows the type
    kept = f"left({column}, {technique.keep_first:d}) || {quote_text('*' * technique.stars)}"
    if technique.keep_last:
        kept += f" || right({column}, {technique.keep_last:d})"
    shown = technique.keep_first + technique.keep_last
    return Form(
        f"CASE WHEN length({column}) > {shown:d} THEN {kept}"
        f" WHEN {column} IS NOT NULL THEN {quote_text('*' * technique.length)} END"
    )


def _bucket(field: Field, _place: Place) -> Form:
    technique, column = field.technique, _column(field)
    assert isinstance(technique, Bucket)  # noqa: S101  narrows the type
    *labels, last = technique.labels
    arms = " ".join(
        f"WHEN {column} < {boundary} THEN {quote_text(label)}"
        for boundary, label in zip(technique.boundaries, labels, strict=True)
    )
    return Form(f"CASE {arms} WHEN {column} IS NOT NULL THEN {quote_text(last)} END")


def _date_shift(field: Field, place: Place) -> Form:
    if place.unit is None:
        raise TypeError(field.name)  # the charter's checks ask for a privacy unit
    return Form(f"CAST({_column(field)} AS DATE) + {place.unit.shift}")


def _redact(field: Field, _place: Place) -> Form:
    return Form(redacted(_column(field)))


def redacted(expression: str) -> str:
    """The text `expression` without what redaction takes out; nothing is taken out a second time."""
    for pattern, mark in _REDACTIONS:
        expression = f"regexp_replace({expression}, {quote_text(pattern)}, {quote_text(mark)}, 'g')"
    return expression


def _column(field: Field) -> str:
    return f"source.{quote_name(field.name)}"


FORMS: Forms = {
    Pass: _pass,
    Pseudonymize: _pseudonymize,
    Generalize: _generalize,
    Clamp: _clamp,
    TopCode: _clamp,
    BottomCode: _clamp,
    Round: _round,
    Mask: _mask,
    Bucket: _bucket,
    DateShift: _date_shift,
    Redact: _redact,
}
