"""One document, one spelling, one digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from orchestration.digests import canonical_json, digest_bytes, digest_file, digest_json

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_the_canonical_form_says_the_same_and_is_its_own(document: JsonValue) -> None:
    text = canonical_json(document)
    assert json.loads(text) == document
    assert canonical_json(json.loads(text)) == text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_the_short_way_writes_what_the_library_writes(document: JsonValue) -> None:
    try:
        expected = rfc8785.dumps(document)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  several subclasses, none of them ours
            canonical_json(document)
    else:
        assert canonical_json(document) == expected


@given(st.dictionaries(NAMES, st.integers(0, 9), max_size=6))
def test_the_order_of_names_does_not_matter(document: dict[str, int]) -> None:
    turned: JsonValue = dict(reversed(document.items()))
    assert digest_json(turned) == digest_json({**document})


def test_the_published_example() -> None:
    """RFC 8785, section 3.2.2, without its floats."""
    document: JsonValue = {
        "b": [56, {"d": True, "10": None}],
        "1": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
    }
    expected = '{"1":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[56,{"10":null,"d":true}]}'
    assert canonical_json(document).decode() == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  several subclasses, none of them ours
        canonical_json(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = b"x" * size
    (tmp_path / "file").write_bytes(data)
    expected = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert digest_file(tmp_path / "file") == digest_bytes(data) == expected
