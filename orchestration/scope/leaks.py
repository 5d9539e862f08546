"""What looks like somebody's identifier in files that are about to be shared: code, notebooks, exports.

Belongs here: recognizing, file by file and line by line. Must not be here: the value that was found, which
goes nowhere, not even into an error; only its kind and its place leave this module. The gate of a dataset
looks at data (`gate`); this looks at everything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestration.scope.recognizers import is_card, is_iban, is_phone, national_id

Kind = Literal["e-mail", "telephone", "card", "iban", "national id", "pseudonym"]

MAX_BYTES = 64 * 2**20
_LONGEST_LINE = 2**20
_IGNORED = frozenset({".git", ".venv", ".tools", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache"})


@dataclass(frozen=True, order=True)
class Leak:
    """`count` things of a kind on one line of a file."""

    path: str
    line: int
    kind: Kind
    count: int


@dataclass(frozen=True)
class Scan:
    """What was found; `skipped` are files that are no text, or larger than the limit, or cannot be read."""

    files: int
    leaks: tuple[Leak, ...]
    skipped: tuple[str, ...]


def scan(paths: Iterable[Path]) -> Scan:
    """Look through files and folders; links are not followed."""
    files, leaks, skipped = 0, list[Leak](), list[str]()
    for path in _files(paths):
        found = _scan_file(path)
        if found is None:
            skipped.append(str(path))
        else:
            files += 1
            leaks += found
    return Scan(files, tuple(leaks), tuple(skipped))


def kinds_in(text: str) -> dict[Kind, int]:
    """How many of each kind stand in one line of text."""
    found = {kind: sum(1 for _ in finder(text)) for kind, finder in _FINDERS.items()}
    return {kind: count for kind, count in found.items() if count}


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(each for each in sorted(path.iterdir()) if each.name not in _IGNORED)
        else:
            yield path


def _scan_file(path: Path) -> list[Leak] | None:
    """None when the file cannot be looked through."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        with path.open("rb") as file:
            if b"\0" in file.read(8192):
                return None
            file.seek(0)
            leaks = []
            for number, line in enumerate(file, 1):
                text = line[:_LONGEST_LINE].decode("utf-8", errors="replace")
                leaks += [Leak(str(path), number, kind, count) for kind, count in kinds_in(text).items()]
            return leaks
    except OSError:
        return None


# --- one finder for each kind: it yields once for each thing it recognizes

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})\b")
# RFC 2606 and RFC 6761 keep these names for examples: they belong to nobody.
_NOBODYS = ("example", "test", "invalid", "localhost", "example.com", "example.org", "example.net")
_CARD = re.compile(r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-]|\.\d)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_PHONE = re.compile(r"\+\d[\d ().-]{6,20}\d")
_PSEUDONYM = re.compile(r"(?<![0-9A-Za-z:/+])[0-9a-f]{64}(?![0-9A-Za-z])")
_NATIONAL: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), "us.ssn"),
    (re.compile(r"(?<!\w)\d{8}-?[A-Z](?!\w)"), "es.dni"),
    (re.compile(r"(?<!\w)[XYZ]-?\d{7}-?[A-Z](?!\w)"), "es.nie"),
    (re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z](?!\w)"), "it.codicefiscale"),
    (re.compile(r"(?<!\w)[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}(?!\w|\.\d)"), "fr.nir"),
    (re.compile(r"(?<!\w)\d{6}[-+A]\d{3}[0-9A-Z](?!\w)"), "fi.hetu"),
)


def _emails(text: str) -> Iterator[None]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            domain = match.group(1).lower()
            if not any(domain == each or domain.endswith(f".{each}") for each in _NOBODYS):
                yield None


def _phones(text: str) -> Iterator[None]:
    """Numbers in international form: without a country no number can be told from any other digits."""
    return _those(_PHONE, is_phone, text)


def _cards(text: str) -> Iterator[None]:
    return _those(_CARD, is_card, text)


def _ibans(text: str) -> Iterator[None]:
    return _those(_IBAN, is_iban, text)


def _national_ids(text: str) -> Iterator[None]:
    for pattern, module in _NATIONAL:
        yield from _those(pattern, national_id(module), text)


def _pseudonyms(text: str) -> Iterator[None]:
    """64 hex digits; a digest says which one it is (`sha256:…`), a pseudonym does not."""
    for _ in _PSEUDONYM.finditer(text):
        yield None


def _those(pattern: re.Pattern[str], holds: Callable[[str], bool], text: str) -> Iterator[None]:
    return (None for match in pattern.finditer(text) if holds(match.group()))


_FINDERS: dict[Kind, Callable[[str], Iterator[None]]] = {
    "e-mail": _emails,
    "telephone": _phones,
    "card": _cards,
    "iban": _ibans,
    "national id": _national_ids,
    "pseudonym": _pseudonyms,
}
