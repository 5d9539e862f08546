"""YAML is hostile input: plain values come out, and everything else YAML can do is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.charter import CharterMistakesError, parse_charter
from orchestration.charter.yaml_reader import MAX_BYTES, read_yaml
from tests.unit.charter.charter_text import written

REFUSED = {
    "alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
    "anchor": b"title: &title x",
    "merge key": b"a: {<<: *b}",
    "python tag": b"a: !!python/object/apply:os.system [true]",
    "core tag": b"a: !!str 1",
    "local tag": b"a: !include /etc/passwd",
    "tag on a key": b"!!str a: 1",
    "key that is a list": b"? [a]\n: b",
    "two documents": b"a: 1\n---\nb: 2",
    "deep nesting": b"[" * 2000,
    "deep block nesting": b"".join(b" " * depth + b"a:\n" for depth in range(40)),
    "many values": b"[" + b"x," * 60_000 + b"]",
    "too large": b"#" * (MAX_BYTES + 1),
    "not UTF-8": b"a: b\nc: \xff\xfe",
    "UTF-16": "a: b".encode("utf-16"),
    "NUL byte": b"a: \x00",
    "escape sequence": b"a: \x1b[2J",
    "broken flow": b"a: [1, 2",
    "tab indent": b"a:\n\tb: 1",
    "undefined alias": b"a: *nowhere",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_hostile_yaml_is_refused_with_one_reason(data: bytes) -> None:
    document = read_yaml(data)
    assert document.refused is not None
    assert document.value is None
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(data)
    assert len(caught.value.mistakes) == 1
    assert caught.value.message.isprintable() or "\n" in caught.value.message
    assert "\x1b" not in caught.value.message


def test_scalars_hold_no_surprises() -> None:
    text = b"""
    words: [no, off, yes, on, NO, 1:30, 0x10, 0o7, 1_000, .nan, 12e]
    quoted: ["1", '2026-01-31', "true"]
    typed: [1, -2, 2.5, 2026-01-31, true, ~]
    """
    assert read_yaml(text).value == {
        "words": ["no", "off", "yes", "on", "NO", "1:30", "0x10", "0o7", "1_000", ".nan", "12e"],
        "quoted": ["1", "2026-01-31", "true"],
        "typed": [1, -2, 2.5, date(2026, 1, 31), True, None],
    }


def test_folded_and_literal_text_hold_only_what_is_written() -> None:
    text = b"folded: >-\n  one\n  two\n\n  three\nliteral: |\n  one\n  two\n"
    assert read_yaml(text).value == {"folded": "one two\nthree", "literal": "one\ntwo\n"}
    assert read_yaml(b'quoted: "\\a"').value == {"quoted": "\a"}  # as written: the model refuses it


def test_every_duplicate_key_is_reported_with_its_line() -> None:
    document = read_yaml(b"a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert document.doubles == ((("b", "c"), 2), (("a",), 3))


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter() -> None:
    document = read_yaml(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.value == {"a": 1, "b": 2}
    assert document.lines[("b",)] == 2


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    document = read_yaml(data)
    assert document.refused is None or document.value is None


@settings(deadline=None)
@given(st.text(alphabet="ab:-{}[]&*!#|>'\"%@` \n,?~0.\t\\", max_size=200))
def test_no_text_in_yaml_letters_makes_a_charter_or_an_unexpected_error(text: str) -> None:
    with pytest.raises(CharterMistakesError):
        parse_charter(text.encode())


_TEXT = st.text("abc019: #'\"-\n\\{}[],&*!|>%@`~é", max_size=12)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.dates() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(_TEXT, _PLAIN, max_size=4))
def test_plain_values_come_back_as_they_werewritten(value: dict[str, object]) -> None:
    assert read_yaml(written(value).encode()).value == value
