"""YAML read as hostile input: plain values, the line of each, and nothing that YAML can do besides.

Belongs here: text to values. Refused: anchors, aliases, tags, several documents, deep nesting, large files;
every duplicate key is reported. Scalars follow the YAML 1.2 core schema, so `no` is text and not False, and
dates written 2026-01-31 are dates. Must not be here: what the values mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from orchestration.charter.mistakes import Mistake, quoted

MAX_BYTES = 1_000_000
MAX_DEPTH = 16
MAX_NODES = 20_000

Scalar = str | int | float | bool | date | None
Value = Scalar | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True)
class YamlDocument:
    """What was read, and what was not.

    `value` is the document and `lines` the 1-based line of each path in it. `refused`: why nothing was read.
    `doubles` are (path, line) of keys written again, whose second value was left out.
    """

    value: Value
    lines: dict[Path, int] = field(default_factory=dict)
    doubles: tuple[tuple[Path, int], ...] = ()
    refused: Mistake | None = None


class _RefusedError(Exception):
    """Stops the reading: what follows cannot be trusted to mean anything."""

    def __init__(self, line: int, message: str) -> None:
        self.mistake = Mistake(line, "", message)
        super().__init__(message)


def read_yaml(data: bytes) -> YamlDocument:
    """Never raises for what the bytes hold: whatever is refused stands in the document."""
    if len(data) > MAX_BYTES:
        return _refused(1, f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(data.count(b"\n", 0, error.start) + 1, "The file is not UTF-8 text.")
    reader = _Reader(text)
    try:
        value = reader.read()
    except _RefusedError as refused:
        return YamlDocument(None, refused=refused.mistake)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = str(getattr(error, "problem", None) or "it holds characters that YAML does not allow")
        line = mark.line + 1 if mark is not None else 1
        return _refused(line, f"This is not YAML: {quoted(problem, marks=False)}.")
    return YamlDocument(value, reader.lines, tuple(reader.doubles))


def _refused(line: int, message: str) -> YamlDocument:
    return YamlDocument(None, refused=Mistake(line, "", message))


class _Reader:
    """Builds values from parser events: no constructor runs, so no tag can do anything."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self.doubles: list[tuple[Path, int]] = []
        self._events: Iterator[Event] = YAML(typ="rt", pure=True).parse(text)
        self._nodes = 0

    def read(self) -> Value:
        value: Value = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _RefusedError(_line(event), "Only one YAML document per file is read.")
                value = self._value(self._next(), ())
        return value

    def _next(self) -> Event:
        event = next(self._events)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _RefusedError(_line(event), f"More than {MAX_NODES:,} values are not read.")
        return event

    def _value(self, event: Event, path: Path) -> Value:
        line = _line(event)
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError(line, "Anchors and aliases are not read; write the value out.")
        if getattr(event, "ctag", None) is not None:
            raise _RefusedError(line, "Tags are not read; write a plain value.")
        if len(path) > MAX_DEPTH:
            raise _RefusedError(line, f"Nesting deeper than {MAX_DEPTH} levels is not read.")
        self.lines.setdefault(path, line)
        match event:
            case MappingStartEvent():
                return self._mapping(path)
            case SequenceStartEvent():
                return self._sequence(path)
            case ScalarEvent():
                return _scalar(event)
        raise _RefusedError(line, "This is not a value.")

    def _mapping(self, path: Path) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event)
            double = key in mapping
            self.lines.setdefault((*path, key), _line(event))
            value = self._value(self._next(), (*path, key))
            if double:
                self.doubles.append(((*path, key), _line(event)))
            else:
                mapping[key] = value
        return mapping

    def _key(self, event: Event) -> str:
        if not isinstance(event, ScalarEvent) or event.anchor or event.ctag is not None:
            raise _RefusedError(_line(event), "A key must be a plain word.")
        return str(event.value)

    def _sequence(self, path: Path) -> list[Value]:
        items: list[Value] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: ScalarEvent) -> Scalar:
    """YAML 1.2 core schema plus ISO dates; what is quoted stays text."""
    text = str(event.value)
    if event.style == ">":
        return text.replace("\a", "")  # the parser's own marks of where it folded; YAML has no raw BEL
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:  # such as 2026-02-30: stays text, and the model asks for a date
            return text
    return float(text) if _FLOAT.fullmatch(text) else text
