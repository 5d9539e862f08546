"""What is published of anonymity never flatters, and tells no small count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.scope.anonymity import Anonymity, Diversity
from orchestration.scope.anonymity_figures import numbers, published

THRESHOLD = 10


def figures(units: int, unique: int, k: int = 1, **more: float) -> Anonymity:
    sensitive = (Diversity("income", 3, more.get("entropy", 2.57), more.get("t", 0.312)),)
    return Anonymity(units, units, max(1, units // 3), k, unique, more.get("risk", 0.123), sensitive)


def test_figures_are_rounded_to_the_bad_side() -> None:
    found = published(figures(5_000, 7, 13), THRESHOLD, suppressed=3)
    assert found is not None
    assert (found.k, found.uniqueness, found.average_risk, found.suppressed) == (10, 0.01, 0.13, 0.01)
    assert (found.l_distinct, found.l_entropy, found.t) == ({"income": 3}, {"income": 2.5}, {"income": 0.35})
    assert numbers(found)["anonymity/t/income"] == 0.35
    assert numbers(None) == {}


def test_one_of_few_looks_like_nine_of_few() -> None:
    assert len({str(published(figures(120, unique), THRESHOLD)) for unique in range(1, 13)}) == 1


def test_of_very_few_nothing_is_told() -> None:
    assert published(figures(19, 3), THRESHOLD) is None
    assert published(figures(0, 0), THRESHOLD) is None
    assert published(figures(20, 3), THRESHOLD) is not None


@pytest.mark.parametrize(
    ("k", "told"), [(0, 1), (1, 1), (2, 2), (4, 2), (5, 5), (9, 5), (49, 20), (1234, 1000)]
)
def test_k_is_told_in_steps(k: int, told: int) -> None:
    found = published(figures(1_000, 0, k), THRESHOLD)
    assert found is not None
    assert found.k == told


@given(units=st.integers(1, 10**6), share=st.floats(0, 1), threshold=st.integers(2, 100))
def test_no_share_flatters_and_every_step_is_worth_the_threshold(
    units: int, share: float, threshold: int
) -> None:
    unique = int(share * units)
    found = published(figures(units, unique), threshold)
    if found is None:
        assert units < 2 * threshold
        return
    assert found.uniqueness >= unique / units - 1e-6
    below = published(figures(units, max(0, unique - threshold)), threshold)
    assert below is not None
    assert found.uniqueness - below.uniqueness <= 0.5
    assert (found.uniqueness == 0) == (unique == 0)
