"""The document: frozen, exact, and named by one digest."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.charter import Charter, Clamp, Field, Generalize, load_charter, parse_charter
from orchestration.charter.loader import STARTER
from orchestration.digests import canonical_json
from orchestration.errors import CharterError

GOOD = STARTER.read_text(encoding="utf-8")
STARTED = load_charter(STARTER)


def test_a_charter_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(STARTED, "version", 2)  # noqa: B010  # the type checker forbids it already


def test_dates_are_dates_and_bounds_are_exact() -> None:
    assert STARTED.effective_from == date(2026, 1, 1)
    price = STARTED.dataset("receipts").field("price")
    assert price is not None
    assert price.maximum == Decimal(10000)
    assert isinstance(price.maximum, Decimal)


def test_comments_and_layout_do_not_change_the_digest_but_clauses_do() -> None:
    without = "\n".join(line for line in GOOD.splitlines() if not line.lstrip().startswith("#"))
    assert parse_charter(without.encode()).digest == STARTED.digest
    assert STARTED.digest.startswith("sha256:")
    changed = parse_charter(GOOD.replace("max_cells: 500", "max_cells: 501").encode())
    assert changed.digest != STARTED.digest


def test_the_canonical_document_reads_back_as_the_same_charter() -> None:
    again = Charter.model_validate_json(canonical_json(STARTED.document))
    assert again == STARTED
    assert again.digest == STARTED.digest


@pytest.mark.parametrize("kind", ["participant", "member", "dataset", "purpose", "computation"])
def test_an_unknown_name_is_a_coded_error_that_lists_the_known(kind: str) -> None:
    with pytest.raises(CharterError) as caught:
        getattr(STARTED, kind)("nobody\x1b[2J")
    assert caught.value.code == "charter.unknown_name"
    assert kind in caught.value.message
    assert "\x1b" not in caught.value.message
    assert caught.value.next_step.startswith("Use one it names: ")


def test_lookups_find_what_is_named() -> None:
    assert STARTED.member("brand.auditor").roles == ("auditor",)
    assert STARTED.participant_of("brand.auditor").id == "brand"
    assert STARTED.dataset("receipts").participant == "shop"
    assert STARTED.dataset("receipts").field("colour") is None


@given(st.integers(2, 100), st.none() | st.integers(2, 300), st.none() | st.integers(2, 300))
def test_the_strictest_threshold_wins(floor: int, computation: int | None, dataset: int | None) -> None:
    output = STARTED.output.model_copy(update={"aggregation_threshold": floor})
    computations = tuple(each.model_copy(update={"threshold": computation}) for each in STARTED.computations)
    receipts, mailings = STARTED.datasets
    datasets = (receipts, mailings.model_copy(update={"threshold": dataset}))
    charter = STARTED.model_copy(
        update={"output": output, "computations": computations, "datasets": datasets}
    )
    stated = [limit for limit in (floor, computation, dataset) if limit is not None]
    assert charter.threshold_for("audience_overlap", ["receipts", "mailings"]) == max(stated)
    assert charter.threshold_for("audience_overlap", ["receipts"]) == max(floor, computation or 0)


def test_a_role_left_out_sees_nothing_and_the_most_of_several_roles_counts() -> None:
    assert STARTED.access.detail_for(["operator", "executive"]) is None
    assert STARTED.access.detail_for(["operator", "auditor"]) == "summary"
    assert STARTED.access.detail_for(["auditor", "analyst"]) == "full"
    assert STARTED.access.detail_for([]) is None


@pytest.mark.parametrize(
    ("field_type", "technique", "expected"),
    [
        ("string", "pass", "VARCHAR"),
        ("string", "drop", None),
        ("string", {"kind": "pseudonymize", "domain": "basket"}, "VARCHAR"),
        ("timestamp", {"kind": "generalize", "to": "day"}, "DATE"),
        ("timestamp", "pass", "TIMESTAMP"),
        ("integer", {"kind": "generalize", "bands": [{"label": "all"}]}, "VARCHAR"),
        ("integer", {"kind": "clamp", "low": 0, "high": 9}, "BIGINT"),
        ("decimal", {"kind": "clamp", "low": 0, "high": 9}, "DECIMAL(12,2)"),
    ],
)
def test_a_technique_decides_the_type_in_the_room(
    field_type: str, technique: object, expected: str | None
) -> None:
    field = Field.model_validate(
        {"name": "x", "as": "x", "type": field_type, "classification": "reference", "technique": technique}
    )
    assert field.deidentified_type == expected


@given(st.integers(-(10**15), 10**15))
def test_bounds_are_never_written_in_scientific_notation(number: int) -> None:
    clamp = Clamp.model_validate(
        {"low": number, "high": float(f"{number}e3") if abs(number) < 100 else number}
    )
    assert "E" not in f"{clamp.low}{clamp.high}".upper()


@pytest.mark.parametrize("bound", [True, "5", float("nan"), float("inf"), 10**19, 0.0000001])
def test_a_bound_is_never_guessed(bound: object) -> None:
    with pytest.raises(ValidationError):
        Clamp.model_validate({"low": bound, "high": 1})


def test_bands_read_from_and_until() -> None:
    technique = Generalize.model_validate(
        {"bands": [{"label": "low", "until": 5}, {"label": "high", "from": 5}]}
    )
    assert [(band.low, band.high) for band in technique.bands] == [(None, Decimal(5)), (Decimal(5), None)]
