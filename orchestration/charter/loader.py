"""From a file to a `Charter`, or to every mistake at once, each with its line, path and allowed values.

Belongs here: the order of reading (YAML, shape, rules, enforcement) and how paths become lines. Must not be
here: the rules themselves, or the wording of mistakes of shape (`shape_mistakes`).

A mistake of shape does not hide the others: what cannot be read is left out (or, for a whole section,
replaced by the starter's), the rules run over the rest, and findings that rest on what was lost are dropped.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from orchestration.charter.checks import check
from orchestration.charter.enforcement import unenforced
from orchestration.charter.findings import Finding, Names
from orchestration.charter.mistakes import UNREADABLE, CharterMistakesError, Mistake, quoted
from orchestration.charter.model import Charter
from orchestration.charter.naming import name_of, names_of, value_at
from orchestration.charter.shape_mistakes import KEYS, ShapeMistake, shape_mistakes
from orchestration.charter.yaml_reader import MAX_BYTES, Path, Value, YamlDocument, read_yaml
from orchestration.errors import CharterError

STARTER = FilePath(__file__).with_name("starter.yaml")
_MAX_REPAIRS = 6


def load_charter(path: FilePath, *, templates: Collection[str] | None = None) -> Charter:
    """Read and check a charter file; with `templates`, also that the house has every template it names.

    Raises: CharterError: `charter.unreadable`, or `charter.invalid` (a `CharterMistakesError`).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CharterError(UNREADABLE, file=quoted(path.name, marks=False)) from error
    return parse_charter(data, quoted(path.name, marks=False), templates=templates)


def parse_charter(data: bytes, file: str = "charter", *, templates: Collection[str] | None = None) -> Charter:
    """Check the bytes of a charter; `file` is what messages call it.

    Raises: CharterMistakesError, with every mistake.
    """
    document = read_yaml(data)
    if document.refused is not None:
        raise CharterMistakesError(file, [document.refused])
    if not isinstance(document.value, dict):
        mistake = Mistake(1, "", "A charter is a mapping of sections.", KEYS)
        raise CharterMistakesError(file, [mistake])
    charter, shape = _validated(document.value)
    mistakes = [*_doubles(document), *_same_names(document), *(_placed(document, each) for each in shape)]
    if charter is not None:
        findings = _findings(charter, templates)
    else:
        findings = _findings_despite(document.value, shape, templates)
    mistakes += [_located(document, finding) for finding in findings]
    if charter is None or mistakes:
        raise CharterMistakesError(file, mistakes)
    return charter


def _validated(value: Value) -> tuple[Charter | None, tuple[ShapeMistake, ...]]:
    try:
        return Charter.model_validate(value, by_alias=True, by_name=False), ()
    except ValidationError as error:
        return None, shape_mistakes(error, value)


def _findings(charter: Charter, templates: Collection[str] | None) -> list[Finding]:
    return [*check(charter, templates), *unenforced(charter)]


def _findings_despite(
    value: Value, shape: tuple[ShapeMistake, ...], templates: Collection[str] | None
) -> list[Finding]:
    """What the rules find in the readable part, without what may follow from the unreadable part."""
    value = copy.deepcopy(value)
    lost: set[Names] = set()
    replaced: set[str] = set()
    for _ in range(_MAX_REPAIRS):
        _repair(value, shape, lost, replaced)
        charter, shape = _validated(value)
        if charter is not None:
            return [finding for finding in _findings(charter, templates) if _stands(finding, lost, replaced)]
    return []


def _stands(finding: Finding, lost: set[Names], replaced: set[str]) -> bool:
    """Whether a finding is the charter's own, not a consequence of what was left out."""
    if finding.path[0] in replaced:
        return False
    needs = finding.needs
    return not any(needs and needs[: len(part)] == part[: len(needs)] for part in lost)


def _repair(value: Any, shape: Iterable[ShapeMistake], lost: set[Names], replaced: set[str]) -> None:
    """Leave out, in place, what could not be read.

    `lost` gets the names of the lists that lost an item (or of the whole section), `replaced` the sections
    that were taken from the starter.
    """
    for mistake in shape:
        path = mistake.path
        items = [
            position
            for position, step in enumerate(path)
            if isinstance(step, int) and isinstance(value_at(value, path[: position + 1]), dict)
        ]
        if mistake.unknown_key:
            continue
        if items:
            part = path[: items[-1]]
            lost.add(names_of(value, part))
            value_at(value, part)[path[items[-1]]] = None  # positions must not move before all are marked
        else:
            section = str(path[0])
            lost.add((section,))
            replaced.add(section)
            value.pop(section, None)  # an optional one may simply be absent
            if section in _starter():
                value[section] = copy.deepcopy(_starter()[section])
    for mistake in shape:
        if mistake.unknown_key:
            holder = value_at(value, mistake.path[:-1])
            if isinstance(holder, dict):
                holder.pop(str(mistake.path[-1]), None)
    _drop_marked(value)


def _drop_marked(value: Any) -> None:
    if isinstance(value, list):
        value[:] = [each for each in value if each is not None]
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _drop_marked(each)


@cache
def _starter() -> dict[str, Any]:
    value = read_yaml(STARTER.read_bytes()).value
    return value if isinstance(value, dict) else {}


def _doubles(document: YamlDocument) -> Iterator[Mistake]:
    for path, line in document.doubles:
        message = f"{quoted(path[-1])} is written twice; first on line {document.lines[path]}."
        yield Mistake(line, _shown(names_of(document.value, path)), message)


def _same_names(document: YamlDocument, path: Path = ()) -> Iterator[Mistake]:
    """Two items of one list under the same name."""
    value = value_at(document.value, path)
    steps: list[str | int] = []
    if isinstance(value, dict):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
        first: dict[str, int] = {}
        for index, item in enumerate(value):
            name, key = name_of(item)
            if name is not None and first.setdefault(name, index) != index:
                line = document.lines[(*path, first[name], key)]
                message = f"{quoted(name)} is named twice; first on line {line}."
                here = (*path, index, key)
                yield Mistake(document.lines[here], _shown(names_of(document.value, here)), message)
    for step in steps:
        yield from _same_names(document, (*path, step))


def _placed(document: YamlDocument, mistake: ShapeMistake) -> Mistake:
    path = mistake.path
    while path not in document.lines:  # a missing key has the line of what it is missing from
        path = path[:-1]
    names = _shown(names_of(document.value, mistake.path))
    return Mistake(document.lines[path], names, mistake.message, mistake.allowed)


def _located(document: YamlDocument, finding: Finding) -> Mistake:
    line = document.lines[()]
    value = document.value
    path: Path = ()
    for name in finding.path:
        step = _step(value, name)
        if step is None:
            break
        path = (*path, step)
        value, line = value_at(value, (step,)), document.lines[path]
    return Mistake(line, _shown(finding.path), finding.message, finding.allowed)


def _step(value: Value, name: str) -> str | int | None:
    if isinstance(value, dict):
        return name if name in value else None
    if isinstance(value, list):
        return next((index for index, item in enumerate(value) if name_of(item)[0] == name), None)
    return None


def _shown(names: Names) -> str:
    return ".".join(quoted(name, marks=False) for name in names)
