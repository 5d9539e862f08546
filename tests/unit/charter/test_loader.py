"""Whatever stands in the file, the answer is a charter or a list of mistakes, never anything else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter import Charter, CharterMistakesError, enforcement, load_charter, parse_charter
from orchestration.charter.loader import STARTER
from orchestration.charter.yaml_reader import MAX_BYTES, read_yaml
from orchestration.errors import CharterError
from tests.unit.charter.charter_text import written

_STARTER = read_yaml(STARTER.read_bytes()).value
_ODD = st.sampled_from(
    [None, 1, -1, 1.5, True, "x", "", date(2026, 1, 1), "pass", [], {}, [1], [[]], [None], [{}], [{"id": 1}],
     {"a": 1}, {"kind": []}, {"kind": "clamp"}, {"kind": "generalize", "bands": [{"label": "a"}] * 2}]
)  # fmt: skip


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


@st.composite
def _spoiled(draw: st.DrawFn) -> Any:
    """The starter with some values removed, repeated, added or replaced."""
    value: Any = copy.deepcopy(_STARTER)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(value))
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["remove", "repeat", "add", "replace", "replace"])):
            case "remove":
                del holder[key]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["id", "kind", "label", "name", "as", "zz"]))] = draw(_ODD)
            case _:
                holder[key] = copy.deepcopy(draw(_ODD))
        if not value:
            break
    return value


@settings(deadline=None, max_examples=150)
@given(_spoiled())
def test_a_spoiled_charter_is_a_charter_or_a_list_of_mistakes(value: Any) -> None:
    outcome = _outcome(written(value).encode())
    if isinstance(outcome, Charter):
        assert enforcement(outcome)
    else:
        assert outcome.mistakes
        assert all(mistake.line == 1 for mistake in outcome.mistakes)  # it was written on one line
        assert "spoiled.yaml has" in outcome.message


def _outcome(data: bytes) -> Charter | CharterMistakesError:
    try:
        return parse_charter(data, "spoiled.yaml")
    except CharterMistakesError as error:
        return error


def test_the_starter_passes() -> None:
    assert load_charter(STARTER).collaboration == "example"


def test_an_unreadable_file_is_a_coded_refusal(tmp_path: Path) -> None:
    with pytest.raises(CharterError) as caught:
        load_charter(tmp_path)
    assert caught.value.code == "charter.unreadable"


def test_a_huge_file_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(100 * MAX_BYTES)
    with pytest.raises(CharterMistakesError) as caught:
        load_charter(huge)
    assert f"at most {MAX_BYTES:,}" in caught.value.mistakes[0].message
