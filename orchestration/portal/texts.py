"""Small things said the same way on every page: short names, times, numbers, coloured JSON.

Pure functions, used as filters in the templates. Whatever returns `Markup` escapes its input itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from orchestration.audit.withdrawal_events import OutdatedBy
from orchestration.participants.outdated import WHY

_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>-?\d[\d.eE+-]*|true|false|null)'
)


def short(digest: str, length: int = 8) -> str:
    """The first characters of a digest or receipt id, without its `sha256:`."""
    return digest.removeprefix("sha256:")[:length]


def number(value: int) -> str:
    """1,469,307"""
    return f"{value:,}"


def amount(value: int) -> str:
    """A count for a card: 950, 93.7 k, 20.9 M."""
    for limit, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if value >= limit:
            scale = 1_000 if unit == "k" else limit
            return f"{value / scale:.1f} {unit}".replace(".0 ", " ")
    return f"{value:,}"


def words(name: str) -> str:
    """`joint_segmentation` → `Joint segmentation`"""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def day(value: date | datetime | str) -> str:
    """2 January 2026"""
    moment = value if isinstance(value, date) else datetime.fromisoformat(value)
    return f"{moment.day} {moment:%B %Y}"


def tone(event_type: str) -> str:
    """Which of the tones an event's name is set in: what went wrong stands out, receipts are calm."""
    verb = event_type.rpartition(".")[2]
    if verb in ("refused", "failed", "denied", "withheld"):
        return "bad"
    return "good" if verb in ("accepted", "passed", "released", "refreshed") else "plain"


def query(**pairs: str | int | None) -> str:
    """`?a=b`, without what is None; `?` alone when nothing is left, which drops an earlier query."""
    return f"?{urlencode({name: value for name, value in pairs.items() if value is not None})}"


def pretty_json(document: Any) -> Markup:
    """Indented JSON with a span around each key, text and literal."""
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    parts: list[Markup] = []
    at = 0
    for token in _TOKEN.finditer(text):
        parts.append(escape(text[at : token.start()]))
        parts.append(Markup('<span class="json-{}">{}</span>').format(token.lastgroup, token.group()))
        at = token.end()
    return Markup("").join([*parts, escape(text[at:])])


def why_outdated(by: OutdatedBy) -> str:
    """Why a release is stale, as a sentence."""
    return WHY[by]


FILTERS: dict[str, Callable[..., Any]] = {
    "short": short,
    "number": number,
    "amount": amount,
    "words": words,
    "day": day,
    "why_outdated": why_outdated,
    "tone": tone,
    "pretty_json": pretty_json,
}
