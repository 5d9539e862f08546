"""A release stays where its data stays: by the charter it was asked under, and by the one in force."""

from __future__ import annotations

from typing import Any

from orchestration.participants.facts import case_of
from orchestration.participants.policy import allows, decide
from orchestration.participants.question import Question
from tests.unit.participants.facts import charter, facts, located

OPENS = Question("brand.steward", "open_insight", "i-r-1", {"justification": "To read it."})
FRENCH = {"brand": "FR"}


def _clauses(*countries: str) -> dict[str, Any]:
    return located(FRENCH, {"sales": list(countries)} if countries else {})


def test_an_amendment_frees_no_release_and_binds_one_that_was_free() -> None:
    free, strict, wide = charter(), charter(**_clauses("DE")), charter(**_clauses("DE", "FR"))
    for before, after, opens in (
        (wide, wide, True),
        (strict, wide, False),
        (wide, strict, False),
        (strict, charter(**located(FRENCH, {})), False),
        (free, wide, True),
        (free, strict, False),
    ):
        with facts(after) as f:
            if before.digest != after.digest:
                f.proposed(before, status="superseded")
            f.request("r-1", charter_digest=before.digest)
            f.release("r-1")
            assert allows(f.state, OPENS) is opens, (before.document, after.document)


def test_a_dataset_that_left_the_charter_keeps_what_it_gave_in_place() -> None:
    before = charter(**_clauses("DE"))
    smaller: Any = located(FRENCH, {})
    smaller["datasets"] = [each for each in smaller["datasets"] if each["id"] != "sales"]
    with facts(charter(**smaller)) as f:
        f.proposed(before, status="superseded")
        f.request("r-1", charter_digest=before.digest)
        f.release("r-1")
        assert decide(f.state, OPENS).code == "policy.jurisdiction"


def test_a_release_of_an_unknown_request_may_be_nowhere() -> None:
    with facts() as f:
        f.release("r-1")
        assert decide(f.state, OPENS).code == "policy.jurisdiction"


def test_the_denial_names_the_countries_and_where_the_asker_is() -> None:
    with facts(charter(**located({"brand": "US"}, {"sales": ["FR", "DE"]}))) as f:
        f.request("r-1")
        f.release("r-1")
        denied = decide(f.state, OPENS)
        assert denied.message == "Data behind i-r-1 stays in DE, FR, and brand is in US."
        assert denied.policies == (
            "Data bound to countries is asked of, and what it gave is opened, only from within them.",
        )
    with facts(charter(**located({}, {"sales": ["FR"], "health": ["DE"]}))) as f:
        f.request("r-1", datasets=("sales", "health"))
        f.release("r-1")
        message = decide(f.state, OPENS).message
        assert (
            "stays in no country that all of it allows, and brand is in no country the charter names"
            in message
        )
        assert case_of(f.state, OPENS).of(case_of(f.state, OPENS).subject)["places"] == frozenset()
