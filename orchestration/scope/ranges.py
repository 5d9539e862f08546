"""What a technique may leave behind: the range of a field's values after it, told once for all who ask.

Intake asks it of each prepared row (`prepared_rows`), the gate of each de-identified table (`expectations`),
and the preview hides by it. Belongs here: ranges as plain values. Must not be here: SQL, rules of GX.
A missing value is in every range; whether it may be missing is the field's `required`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from orchestration.charter.fields import Clamp, Field, Generalize, Pass, Pseudonymize
from orchestration.charter.techniques import BottomCode, Bucket, DateShift, Mask, Redact, Round, TopCode

Bound = Decimal | date


@dataclass(frozen=True)
class Pseudonyms:
    """64 hexadecimal digits."""

    name: str = "pseudonymous"
    because: str = "a raw identifier must not survive"


@dataclass(frozen=True)
class Labels:
    """One of these texts; `name` and `because` say of which technique."""

    name: str
    because: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Between:
    """A number or date within bounds, both included; at least one is there."""

    name: str
    because: str
    low: Bound | None
    high: Bound | None


@dataclass(frozen=True)
class Shaped:
    """A text that the pattern (RE2) matches in full; so it has `shortest` to `longest` characters."""

    name: str
    because: str
    pattern: str
    shortest: int
    longest: int


@dataclass(frozen=True)
class AtMostLong:
    """A text of so many characters, at most."""

    longest: int


@dataclass(frozen=True)
class Multiples:
    """A number without remainder."""

    of: Decimal


@dataclass(frozen=True)
class FirstDays:
    """The first day of a week, month or year."""

    of: str


@dataclass(frozen=True)
class Redacted:
    """A text in which nothing is left that redaction takes out."""


Range = Pseudonyms | Labels | Between | Shaped | AtMostLong | Multiples | FirstDays | Redacted


def ranges(field: Field) -> tuple[Range, ...]:
    """What holds of every value of `field` after its technique; all of them."""
    return tuple(_ranges(field))


def _ranges(field: Field) -> Iterator[Range]:
    match field.technique:
        case Pseudonymize():
            yield Pseudonyms()
        case Clamp(low=low, high=high):
            yield Between("clamped", "clamping bounds", low, high)
        case Generalize(to=unit) if unit is not None:
            yield from _dates(*(_first_day(each, unit) for each in _days(field)))
            if unit != "day":
                yield FirstDays(unit)
        case Generalize(prefix=kept) if kept is not None:
            yield Shaped("shortened", "only its start may be kept", rf"[\p{{L}}\p{{N}}]{{0,{kept}}}", 0, kept)
        case Generalize(bands=bands, labels=labels) if labels is not None:
            name = ("in_bands", "generalization bands") if bands else ("at_level", "a level of the hierarchy")
            yield Labels(*name, labels)
        case Mask(keep_first=kept_first, keep_last=kept_last, stars=stars, length=length):
            pattern = f"(?s).{{{kept_first}}}{re.escape('*' * stars)}.{{{kept_last}}}"
            yield Shaped("masked", "a masked text has one length", pattern, length, length)
        case Bucket(labels=labels):
            yield Labels("in_parts", "parts of a published distribution", labels)
        case TopCode() | BottomCode() | Round():
            yield from _coded(field)
        case DateShift(days=days):
            first, last = _days(field)
            yield from _dates(_moved(first, -days), _moved(last, days))
        case Redact():
            yield Redacted()
        case Pass():
            yield from _unchanged(field)


def _unchanged(field: Field) -> Iterator[Range]:
    """The field's own limits, where the value comes out as it went in."""
    if field.values:
        yield Labels("in_set", "the charter closes this set", field.values)
    if field.max_length is not None:
        yield AtMostLong(field.max_length)
    if field.minimum is not None or field.maximum is not None:
        yield Between("in_range", "the charter's limits", field.minimum, field.maximum)


def _coded(field: Field) -> Iterator[Range]:
    """The field's own limits, as far as the technique leaves them."""
    low, high = (each if isinstance(each, Decimal) else None for each in (field.minimum, field.maximum))
    match field.technique:
        case TopCode(at=bound):
            high = bound if high is None else min(high, bound)
            low = None if low is None else min(low, bound)
        case BottomCode(at=bound):
            low = bound if low is None else max(low, bound)
            high = None if high is None else max(high, bound)
        case Round(multiple=step):
            low = None if low is None else (low / step).to_integral_value(ROUND_FLOOR) * step
            high = None if high is None else (high / step).to_integral_value(ROUND_CEILING) * step
            yield Multiples(step)
    if low is not None or high is not None:
        yield Between("coded", "the technique's public bounds", low, high)


def _days(field: Field) -> tuple[date | None, date | None]:
    low, high = (each if isinstance(each, date) else None for each in (field.minimum, field.maximum))
    return low, high


def _dates(low: date | None, high: date | None) -> Iterator[Between]:
    if low is not None or high is not None:
        yield Between("in_time", "the charter's limits, after the technique", low, high)


def _first_day(day: date | None, unit: str) -> date | None:
    if day is None or unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _moved(day: date | None, days: int) -> date | None:
    """None, which is no bound, where the calendar ends."""
    try:
        return None if day is None else day + timedelta(days=days)
    except OverflowError:
        return None
