"""What is wrong with a charter file: one `Mistake` each, and the error that carries them all.

Must not be here: how mistakes are found (`yaml_reader`, `loader`, `checks`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from orchestration.errors import CharterError, Reason

INVALID = Reason(
    "charter.invalid",
    "{file} has {count}:\n{listing}",
    "Correct each line, then run `glasshouse charter check {file}` again.",
)
UNREADABLE = Reason(
    "charter.unreadable",
    "The charter {file} cannot be read.",
    "Check the path and the permissions; `glasshouse charter new` writes a starter.",
)
UNENFORCED = Reason(
    "charter.unenforced",
    "Nothing enforces {count} clauses: {clauses}.",
    "Name each in `human_duties` with an owner, or leave it out.",
)

MAX_ECHO = 80
MAX_LISTED = 200


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing to correct: 1-based line, path of the clause by names, what is wrong, what is allowed."""

    line: int
    path: str
    message: str
    allowed: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", {self.path}" if self.path else "")
        return f"{where}: {self.message}" + (f" Allowed: {', '.join(self.allowed)}." if self.allowed else "")


class CharterMistakesError(CharterError):
    """The file is not a charter; `mistakes` lists everything at once, in the order of its lines."""

    def __init__(self, file: str, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        listing = "\n".join(f"  {mistake}" for mistake in self.mistakes[:MAX_LISTED])
        super().__init__(INVALID, file=file, count=count, listing=listing)


def quoted(text: object, *, marks: bool = True) -> str:
    """Text of a hostile file, safe to print: shortened, and without control characters."""
    shown = str(text) if len(str(text)) <= MAX_ECHO else f"{str(text)[:MAX_ECHO]}…"
    safe = "".join(character if character.isprintable() else "?" for character in shown)
    return f"'{safe}'" if marks else safe


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with a leading blank, or nothing."""
    close = difflib.get_close_matches(word[:MAX_ECHO], list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
