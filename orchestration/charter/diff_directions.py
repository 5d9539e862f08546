"""Which way a value moved: looser, stricter, neither, or not known.

Belongs here: comparing two values of one clause, and nothing about where it stands. None means that no rule
can tell; whoever asks then counts it as looser. Must not be here: the table of clauses (`diff_rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Direction = Literal["looser", "stricter", "neutral"]
Compare = Callable[[Any, Any], Direction | None]

OPPOSITE: dict[Direction, Direction] = {"looser": "stricter", "stricter": "looser", "neutral": "neutral"}


def neutral(_old: Any, _new: Any) -> Direction | None:
    return "neutral"


def unknown(_old: Any, _new: Any) -> Direction | None:
    return None


def less(old: Any, new: Any) -> Direction | None:
    """A lower value is looser, and no value at all is loosest."""
    if old is None or new is None:
        return "looser" if new is None else "stricter"
    before, after = _value(old), _value(new)
    if type(before) is not type(after):  # a number became a date
        return None
    if before == after:
        return "neutral"
    return "stricter" if after > before else "looser"


def more(old: Any, new: Any) -> Direction | None:
    """A higher value is looser, and no value at all is loosest."""
    if old is None or new is None:
        return "looser" if new is None else "stricter"
    direction = less(old, new)
    return None if direction is None else OPPOSITE[direction]


def ranked(*looser_first: Any) -> Compare:
    """Values from the loosest to the strictest; one that is not listed cannot be compared."""

    def compare(old: Any, new: Any) -> Direction | None:
        if old not in looser_first or new not in looser_first:
            return None
        return "stricter" if looser_first.index(new) > looser_first.index(old) else "looser"

    return compare


def absent_is(direction: Direction) -> Compare:
    """To leave the clause out moves this way, to put it in the other; another value cannot be compared."""

    def compare(old: Any, new: Any) -> Direction | None:
        if new is None:
            return direction
        return OPPOSITE[direction] if old is None else None

    return compare


def where(old: Any, new: Any) -> Direction | None:
    """De-identification in the room is looser than at the source, which is what leaving it out means."""
    before, after = ("at_source" if each is None else each for each in (old, new))
    return "neutral" if before == after else ranked("in_room", "at_source")(before, after)


def maturity(old: Any, new: Any) -> Direction | None:
    """From people to machines, or back, is another way to decide: neither looser nor stricter by itself."""
    return ranked("automatic_checks", "formal_audit", "private_computation")(old, new)


def technique(old: Any, new: Any) -> Direction | None:
    """By how much of the value is left in the room."""
    if old["kind"] == new["kind"]:
        return _same_technique(old, new)
    # Of two in the middle nobody can tell which leaves more.
    strength = {"pass": 0, "pseudonymize": 2, "drop": 3}
    before, after = strength.get(old["kind"], 1), strength.get(new["kind"], 1)
    if before == after:
        return None
    return "stricter" if after > before else "looser"


def _same_technique(old: Any, new: Any) -> Direction | None:
    """One technique with other parameters."""
    match old["kind"]:
        case "generalize":
            return _generalized(old, new)
        case "clamp":
            return _wider((old["low"], old["high"]), (new["low"], new["high"]))
        case "top_code":
            return more(old["at"], new["at"])
        case "bottom_code":
            return less(old["at"], new["at"])
        case "round":
            return _multiple(Decimal(old["multiple"]), Decimal(new["multiple"]))
        case "mask":
            sides = ("keep_first", "keep_last")
            return _together(more(old[side], new[side]) for side in sides)
        case "bucket":
            return _finer({Decimal(each) for each in old["boundaries"]}, new)
        case "date_shift":
            return less(old["days"], new["days"])
        case _:
            return None


def _generalized(old: Any, new: Any) -> Direction | None:
    """Comparable when only the depth changed."""
    depth = ("to", "prefix", "level")
    if {key: value for key, value in old.items() if key not in depth} != {
        key: value for key, value in new.items() if key not in depth
    }:
        return None
    match (old, new):
        case ({"to": before}, {"to": after}):
            return ranked("day", "week", "month", "year")(before, after)
        case ({"prefix": before}, {"prefix": after}):
            return more(before, after)
        case ({"level": before}, {"level": after}):
            return less(before, after)
        case _:
            return None


def _multiple(old: Decimal, new: Decimal) -> Direction | None:
    """Multiples of 10 say less than multiples of 5; than multiples of 7, nobody can tell."""
    if old == new:
        return "neutral"
    return "stricter" if new % old == 0 else "looser" if old % new == 0 else None


def _finer(before: set[Decimal], new: Any) -> Direction | None:
    """More boundaries among the same ones say more."""
    after = {Decimal(each) for each in new["boundaries"]}
    if before == after:
        return "neutral"
    return "looser" if before < after else "stricter" if after < before else None


def _together(directions: Iterable[Direction | None]) -> Direction | None:
    """The one way that all moved; None when they disagree."""
    moved = set(directions) - {"neutral"}
    return moved.pop() if len(moved) == 1 else "neutral" if not moved else None


def closed_set(old: Sequence[str], new: Sequence[str]) -> Direction | None:
    """A set that limits (allowed values, attributes that are unique together): a larger one limits less.

    An empty one limits nothing.
    """
    before, after = set(old), set(new)
    if not before or (after and after < before):
        return "stricter"
    return "looser" if not after or before < after else None


def optional_set(old: Any, new: Any) -> Direction | None:
    """A set that limits, and that may be left out: then it limits nothing."""
    return closed_set(old or (), new or ())


def _wider(old: tuple[Any, Any], new: tuple[Any, Any]) -> Direction | None:
    """An interval that grows on no side is stricter, one that shrinks on no side is looser."""
    low, high = Decimal(new[0]) - Decimal(old[0]), Decimal(new[1]) - Decimal(old[1])
    if low == high == 0:
        return "neutral"
    if low <= 0 <= high:
        return "looser"
    return "stricter" if high <= 0 <= low else None


def _value(stated: Any) -> Any:
    """Numbers, dates and decimals as the canonical form spells them."""
    if not isinstance(stated, str):
        return stated
    try:
        return Decimal(stated)
    except InvalidOperation:
        return date.fromisoformat(stated)
