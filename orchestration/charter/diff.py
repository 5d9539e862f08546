"""What a new version of a charter changes, in words, and whether it got looser or stricter.

Belongs here: walking two charters side by side, things with the same name together. Must not be here: which
way a clause can move (`diff_rules`), printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from orchestration.charter import enforcement_rules as sections
from orchestration.charter.diff_directions import OPPOSITE, Direction
from orchestration.charter.diff_rules import SECTIONS, TABLE, Names, Part, Value
from orchestration.charter.enforcement_wording import technique
from orchestration.charter.model import Charter
from orchestration.charter.naming import name_of

_LONG = 60
_HEADINGS = tuple(dict.fromkeys((sections.TERM, *SECTIONS.values())))


@dataclass(frozen=True)
class Change:
    """One difference. `assumed`: no rule can tell which way, so it counts as looser.

    `affects` are the participants it touches most; empty: all alike. Every participant signs a new version,
    whatever it changes.
    """

    section: str
    path: str
    words: str
    direction: Direction
    assumed: bool = False
    affects: tuple[str, ...] = ()


def diff(old: Charter, new: Charter) -> tuple[Change, ...]:
    """Every change from `old` to `new`, by section; the order of lists means nothing."""
    walk = _Walk(old, new)
    changes = walk.mapping(_document(old), _document(new), (), "")
    return tuple(sorted(changes, key=lambda change: _HEADINGS.index(change.section)))


def signers(old: Charter, new: Charter) -> tuple[str, ...]:
    """Who must sign a new version: each participant of it and of the old, by one of its stewards.

    Who has left or was removed signs nothing; two texts alone do not tell.
    """
    return tuple(dict.fromkeys(each.id for charter in (old, new) for each in charter.participants))


def _document(charter: Charter) -> dict[str, Any]:
    """The canonical form, with the approval that each request really waits for."""
    document: Any = charter.document
    for computation in document["computations"]:
        approval = charter.approval_for(computation["template"])
        if approval is not None:
            computation["approval"] = approval
    return dict(document)


class _Walk:
    def __init__(self, old: Charter, new: Charter) -> None:
        self._charters = (old, new)

    def mapping(
        self, old: Mapping[str, Any], new: Mapping[str, Any], names: tuple[str, ...], pattern: str
    ) -> Iterator[Change]:
        for key in dict.fromkeys(chain(old, new)):
            before, after = old.get(key), new.get(key)
            if before != after:
                yield from self._clause(before, after, (*names, key), f"{pattern}.{key}".lstrip("."))

    def _clause(self, old: Any, new: Any, names: tuple[str, ...], pattern: str) -> Iterator[Change]:
        rule = TABLE.get(pattern)
        item = TABLE.get(f"{pattern}.*")
        if isinstance(item, Part):
            yield from self._items(old or [], new or [], names, f"{pattern}.*", item)
        elif isinstance(rule, Names):
            yield from self._names(rule, old or [], new or [], names)
        elif isinstance(rule, Value):
            words = _becomes(rule.called, old, new)
            yield self._change(names, words, rule.compare(old, new))
        elif isinstance(rule, Part) and (old is None or new is None):
            yield self._part(rule, old, new, names, named=False)
        else:
            yield from self.mapping(old or {}, new or {}, names, pattern)

    def _items(
        self, old: list[Any], new: list[Any], names: tuple[str, ...], pattern: str, rule: Part
    ) -> Iterator[Change]:
        before = {name_of(item)[0] or "": item for item in old}
        after = {name_of(item)[0] or "": item for item in new}
        for name in dict.fromkeys(chain(before, after)):
            here = (*names, name)
            if name in before and name in after:
                yield from self.mapping(before[name], after[name], here, pattern)
            else:
                yield self._part(rule, before.get(name), after.get(name), here, named=True)

    def _part(self, rule: Part, old: Any, new: Any, names: tuple[str, ...], *, named: bool) -> Change:
        direction = rule.added(new if old is None else old)
        called = f"{rule.called} {names[-1]}" if named else rule.called
        if old is None:
            return self._change(names, f"{called} is added: {rule.says(new)}", direction)
        return self._change(names, f"{called} is removed: {rule.says(old)}", _reverse(direction))

    def _names(self, rule: Names, old: list[str], new: list[str], names: tuple[str, ...]) -> Iterator[Change]:
        for each in dict.fromkeys(chain(old, new)):
            if each in old and each in new:
                continue
            direction = rule.added if each in new else _reverse(rule.added)
            verb = "is added" if each in new else "is removed"
            yield self._change(names, f"{rule.called}: {_shown(each).rstrip('.')} {verb}.", direction, each)

    def _change(
        self, names: tuple[str, ...], words: str, direction: Direction | None, element: str = ""
    ) -> Change:
        return Change(
            section=SECTIONS.get(names[0], sections.TERM),
            path=".".join(names),
            words=words,
            direction=direction or "looser",
            assumed=direction is None,
            affects=self._affected(names, element),
        )

    def _affected(self, names: tuple[str, ...], element: str) -> tuple[str, ...]:
        """Those whose data, members, questions or votes it is about, in the order of the charters."""
        known = dict.fromkeys(each.id for charter in self._charters for each in charter.participants)
        organization = element.partition(".")[0]
        if organization in known:
            return (organization,)
        touched: set[str] = set()
        for charter in self._charters:
            match names:
                case ("participants", participant, *_):
                    touched.add(participant)
                case ("datasets", dataset, *_):
                    touched |= {each.participant for each in charter.datasets if each.id == dataset}
                case ("computations", template, *_):
                    for each in charter.computations:
                        if each.template == template:
                            touched |= {*each.requesters, *each.receivers}
                case ("decision_rights", right, *_):
                    for decision in charter.decision_rights:
                        touched |= set(decision.deciders) if decision.id == right else set()
                case ("review_body" | "ethics_panel" as panel, *_):
                    seats = getattr(charter, panel)
                    touched |= {each.partition(".")[0] for each in seats.members} if seats else set()
                case ("human_duties", duty, *_):
                    owners = (each.owner for each in charter.human_duties if each.id == duty)
                    touched |= {owner.partition(".")[0] for owner in owners}
        return tuple(each for each in known if each in touched)


def _reverse(direction: Direction | None) -> Direction | None:
    return None if direction is None else OPPOSITE[direction]


def _becomes(called: str, old: Any, new: Any) -> str:
    before, after = _shown(old), _shown(new)
    if max(len(before), len(after)) > _LONG and isinstance(new, str):
        return f"{called} is reworded: {after}"
    return f"{called}: {before} becomes {after}."


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(str, value)) or "anything"
        case {"kind": str()}:
            return technique(value)
        case _:
            return str(value)
