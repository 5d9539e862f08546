"""CSV that no spreadsheet executes, JSON that says the same."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from orchestration.portal.exports import csv_response, formula_safe, json_response


@given(st.text(max_size=30))
def test_no_text_starts_a_formula_and_none_is_lost(text: str) -> None:
    safe = formula_safe(text)
    assert isinstance(safe, str)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert safe.endswith(text)


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert [formula_safe(value) for value in (-5, 2.5, True, False, None)] == [-5, 2.5, "yes", "no", ""]


@given(
    st.lists(
        st.fixed_dictionaries({"a": st.text(st.characters(exclude_categories=["Cs"])), "b": st.integers()})
    )
)
def test_a_csv_reads_back_row_by_row(rows: list[dict[str, object]]) -> None:
    answer = csv_response(("a", "b", "c"), rows, "x.csv")
    body = bytes(answer.body).decode()
    found = list(csv.DictReader(io.StringIO(body, newline="")))
    assert [(row["a"], row["b"], row["c"]) for row in found] == [
        (formula_safe(row["a"]), str(row["b"]), "") for row in rows
    ]
    assert answer.headers["content-disposition"] == 'attachment; filename="x.csv"'


def test_json_keeps_text_as_it_is() -> None:
    answer = json_response({"name": "Müller </script>"})
    assert json.loads(bytes(answer.body)) == {"name": "Müller </script>"}
    assert answer.media_type == "application/json"
