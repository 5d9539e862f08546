"""One question with everything the policies may look at, as values that can be changed one by one.

Belongs here: entities, their attributes, and their spelling in Cedar's JSON. Must not be here: where the
attributes come from (`facts`), or Cedar itself (`policy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from orchestration.audit.vocabulary import timestamp


class Ref(NamedTuple):
    """The name of an entity."""

    type: str
    id: str


@dataclass(frozen=True)
class Case:
    """One question with everything the policies may look at."""

    action: str
    member: Ref
    subject: Ref
    entities: Mapping[Ref, Mapping[str, Any]]
    context: Mapping[str, Any]

    def of(self, ref: Ref) -> Mapping[str, Any]:
        """The attributes of an entity; none for one that is only named."""
        return self.entities.get(ref, {})

    def but(self, ref: Ref, **attributes: object) -> Case:
        """The same case, if these attributes were different."""
        return replace(self, entities={**self.entities, ref: {**self.of(ref), **attributes}})

    def told(self, **context: object) -> Case:
        """The same case, if this was said besides."""
        return replace(self, context={**self.context, **context})


def request_json(case: Case) -> dict[str, Any]:
    return {
        "principal": case.member._asdict(),
        "action": {"type": "Action", "id": case.action},
        "resource": case.subject._asdict(),
        "context": {name: _json(value) for name, value in case.context.items()},
    }


def entities_json(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "uid": ref._asdict(),
            "attrs": {name: _json(value) for name, value in attributes.items()},
            "parents": [],
        }
        for ref, attributes in case.entities.items()
    ]


def _json(value: Any) -> Any:
    match value:
        case Ref():
            return {"__entity": value._asdict()}
        case frozenset():
            return [_json(each) for each in sorted(value)]
        case datetime():
            return {"__extn": {"fn": "datetime", "arg": timestamp(value)}}
    return value
