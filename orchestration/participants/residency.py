"""Where the data behind an answer may be: the countries that all its datasets allow.

Must not be here: who may ask or open (`policies/`), where a house stores data (`stages/intake`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from orchestration.charter.model import Charter, Dataset
from orchestration.participants.state import State


@dataclass(frozen=True)
class Places:
    """`anywhere`: no dataset is bound. Else `countries` (ISO 3166-1 alpha-2), perhaps none."""

    anywhere: bool
    countries: frozenset[str] = frozenset()


def places_of(datasets: Iterable[Dataset]) -> Places:
    """The countries that the residencies of all these datasets allow."""
    bound = [frozenset(each.residency) for each in datasets if each.residency]
    return Places(False, frozenset.intersection(*bound)) if bound else Places(True)


def places_behind(state: State, release: Row[Any]) -> Places:
    """Of a release: by the charter it was asked under, and by the one in force as well.

    So what left the room under a residency keeps it, and a residency that was agreed later counts too.
    """
    asked = state.request(release.request)
    if asked is None:  # nobody can tell what it rests on
        return Places(False)
    names = set(json.loads(asked.datasets))
    then = state.charter_version(asked.charter_digest) if asked.charter_digest else None
    return places_of(each for charter in (then, state.agreement) for each in _named(charter, names))


def _named(charter: Charter | None, names: set[str]) -> list[Dataset]:
    return [each for each in charter.datasets if each.id in names] if charter else []
