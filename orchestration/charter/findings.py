"""What a rule reports: one `Finding` each. Must not be here: rules, or lines in a file (`loader`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestration.charter.mistakes import did_you_mean

Names = tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """A rule that is broken at `path` (names, not positions).

    `needs` is a part of the document that must have been readable for this to be sure: when the loader had
    to leave something out there, the finding may be only a consequence, and is not reported.
    """

    path: Names
    message: str
    allowed: tuple[str, ...] = ()
    needs: Names = ()


def unknown_names(
    at: Names, kind: str, names: Iterable[str], known: Iterable[str], needs: Names
) -> Iterator[Finding]:
    """A finding for each of `names` that is not `known`."""
    known = tuple(known)
    for name in names:
        if name not in known:
            message = f"There is no {kind} '{name}'.{did_you_mean(name, known)}"
            yield Finding(at, message, known, needs)
