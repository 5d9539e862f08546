"""Every difference between two charters is said, and never as stricter when it might be looser."""

from __future__ import annotations

import copy
import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.charter import Charter
from orchestration.charter.diff import Change, diff, signers
from orchestration.charter.diff_directions import OPPOSITE
from orchestration.charter.diff_rules import SECTIONS, TABLE, Names, Part, Value
from orchestration.charter.naming import name_of
from orchestration.digests import canonical_json
from tests.unit.charter.charter_text import GROCERY, STARTED, changed_grocery, named
from tests.unit.charter.test_enforcement import _patterns

_IDENTITIES = ("id", "template", "name")


def _dataset(value: Any, name: str) -> Any:
    return named(value["datasets"], name)


def _field(value: Any, dataset: str, name: str) -> Any:
    return named(_dataset(value, dataset)["fields"], name)


def _computation(value: Any, name: str) -> Any:
    return named(value["computations"], name)


def _without(items: list[Any], name: str) -> None:
    items.remove(named(items, name))


def _right(value: Any, name: str) -> Any:
    return named(value["decision_rights"], name)


# change, path, direction, whether it was assumed, part of the words, who is affected
_CHANGES: list[tuple[Callable[[Any], object], str, str, bool, str, tuple[str, ...]]] = [
    (lambda v: v["output"].update(aggregation_threshold=5), "output.aggregation_threshold", "looser", False,
     "10 becomes 5", ()),
    (lambda v: v["output"].update(max_cells=400), "output.max_cells", "stricter", False, "500 becomes 400",
     ()),
    (lambda v: v["output"]["formats"].remove("png"), "output.formats", "stricter", False, "png is removed",
     ()),
    (lambda v: v["retention"].update(contributions_days=731), "retention.contributions_days", "looser", False,
     "730 becomes 731", ()),
    (lambda v: v.update(version=2), "version", "neutral", False, "1 becomes 2", ()),
    (lambda v: v.update(title="Other"), "title", "neutral", False, "Other", ()),
    (lambda v: v["objectives"].pop(), "objectives", "neutral", False, "is removed", ()),
    (lambda v: v.update(effective_until=date(2028, 1, 1)), "effective_until", "looser", False, "2028-01-01",
     ()),
    (lambda v: v.update(maturity="automatic_checks"), "maturity", "looser", False, "automatic_checks", ()),
    (lambda v: v["remedies"].remove("delete"), "remedies", "looser", False, "delete is removed", ()),
    (lambda v: _computation(v, "campaign_response")["receivers"].append("data_provider"),
     "computations.campaign_response.receivers", "looser", False, "data_provider is added",
     ("data_provider",)),
    (lambda v: _computation(v, "campaign_response").update(threshold=20),
     "computations.campaign_response.threshold", "stricter", False, "nothing becomes 20",
     ("retailer", "brand_agency", "media_owner")),
    (lambda v: _computation(v, "audience_overlap").update(approval="request_review"),
     "computations.audience_overlap.approval", "stricter", False, "nothing becomes request_review",
     ("retailer", "brand_agency", "media_owner", "data_provider")),
    (lambda v: _without(v["computations"], "audience_overlap"), "computations.audience_overlap", "stricter",
     False,
     "Computation audience_overlap is removed", ("retailer", "brand_agency", "media_owner", "data_provider")),
    (lambda v: _without(_dataset(v, "demographics")["fields"], "kids_count"),
     "datasets.demographics.fields.kids_count", "stricter", False, "Field kids_count is removed",
     ("data_provider",)),
    (lambda v: _dataset(v, "promotions").pop("period"), "datasets.promotions.period", "looser", False,
     "Period is removed", ("media_owner",)),
    (lambda v: _dataset(v, "promotions")["period"].update({"until": date(2018, 1, 31)}),
     "datasets.promotions.period.until", "looser", False, "2018-01-31", ("media_owner",)),
    (lambda v: _dataset(v, "products").pop("unique_key"), "datasets.products.unique_key", "looser", False,
     "product becomes anything", ("retailer",)),
    (lambda v: _dataset(v, "demographics")["onboarding"].pop(2), "datasets.demographics.onboarding.accuracy",
     "neutral", False, "Onboarding item accuracy is removed", ("data_provider",)),
    (lambda v: _dataset(v, "demographics")["onboarding"].pop(0), "datasets.demographics.onboarding.consent",
     "looser", False, "Onboarding item consent is removed", ("data_provider",)),
    (lambda v: _dataset(v, "demographics").update(lawful_basis="contract"),
     "datasets.demographics.lawful_basis",
     "looser", True, "consent becomes contract", ("data_provider",)),
    (lambda v: _field(v, "demographics", "marital_status").update(classification="quasi_identifier"),
     "datasets.demographics.fields.marital_status.classification", "looser", False, "sensitive becomes",
     ("data_provider",)),
    (lambda v: _field(v, "demographics", "marital_status").update(values=["Married", "Unmarried", "Widowed"]),
     "datasets.demographics.fields.marital_status.values", "looser", False, "Widowed", ("data_provider",)),
    (lambda v: _field(v, "transactions", "quantity")["technique"].update(high=50),
     "datasets.transactions.fields.quantity.technique", "stricter", False, "0..50", ("retailer",)),
    (lambda v: _field(v, "transactions", "quantity").update(technique="pass"),
     "datasets.transactions.fields.quantity.technique", "looser", False, "becomes passed", ("retailer",)),
    (lambda v: _field(v, "transactions", "quantity").update(minimum=1),
     "datasets.transactions.fields.quantity.minimum", "stricter", False, "0 becomes 1", ("retailer",)),
    (lambda v: _field(v, "transactions", "quantity").pop("maximum"),
     "datasets.transactions.fields.quantity.maximum", "looser", False, "becomes nothing", ("retailer",)),
    (lambda v: _right(v, "thaw").update(quorum=2), "decision_rights.thaw.quorum", "looser", False,
     "3 becomes 2",
     ("retailer", "brand_agency", "media_owner", "data_provider")),
    (lambda v: _right(v, "thaw").update(rule="unanimity"), "decision_rights.thaw.rule", "stricter", False,
     "quorum becomes unanimity", ("retailer", "brand_agency", "media_owner", "data_provider")),
    (lambda v: _right(v, "request_review").update(rule="quorum"), "decision_rights.request_review.rule",
     "looser",
     True, "affected becomes quorum", ("retailer", "brand_agency", "media_owner", "data_provider")),
    (lambda v: _right(v, "thaw")["deciders"].remove("retailer"), "decision_rights.thaw.deciders", "looser",
     True,
     "retailer is removed", ("retailer",)),
    (lambda v: _without(v["decision_rights"], "closing"), "decision_rights.closing", "looser", True,
     "Decision right closing is removed", ("retailer", "brand_agency", "media_owner", "data_provider")),
    (lambda v: v["review_body"].update(term_until=date(2027, 6, 30)), "review_body.term_until", "stricter",
     False,
     "2027-06-30", ("brand_agency", "media_owner", "data_provider")),
    (lambda v: v["audit"].update(witnesses={"participants": ["data_provider", "media_owner"], "quorum": 1}),
     "audit.witnesses.quorum", "looser", False, "2 becomes 1", ()),
    (lambda v: v["access"]["detail"].update(executive="full"), "access.detail.executive", "looser", False,
     "summary becomes full", ()),
    (lambda v: v["access"]["detail"].pop("auditor"), "access.detail.auditor", "stricter", False,
     "summary becomes nothing", ()),
    (lambda v: v["purposes"][0].update(description="Anything."),
     "purposes.campaign_effectiveness.description",
     "looser", True, "Anything.", ()),
    (lambda v: _without(v["terms"], "non_solicitation"), "terms.non_solicitation", "looser", False,
     "Term non_solicitation is removed", ()),
    (lambda v: v["prohibited_uses"].append({"id": "resale", "description": "Nobody sells an insight."}),
     "prohibited_uses.resale", "stricter", False, "Nobody sells an insight.", ()),
    (lambda v: v["participants"][0]["members"][1]["roles"].append("executive"),
     "participants.retailer.members.retailer.analyst.roles", "looser", False, "executive is added",
     ("retailer",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "path", "direction", "assumed", "words", "affects"),
    _CHANGES,
    ids=[f"{row[1]}-{row[2]}" for row in _CHANGES],
)
def test_a_change_in_words(
    change: Callable[[Any], object],
    path: str,
    direction: str,
    assumed: bool,
    words: str,
    affects: tuple[str, ...],
) -> None:
    [found] = diff(GROCERY, changed_grocery(change))
    assert (found.path, found.direction, found.assumed, found.affects) == (path, direction, assumed, affects)
    assert words in found.words


def test_a_new_participant_signs_and_so_does_everybody_else() -> None:
    joined = {
        "id": "bank", "name": "Bank", "description": "Pays.", "responsibilities": ["Pays."],
        "members": [{"id": "bank.steward", "name": "Steward", "roles": ["steward"]}],
    }  # fmt: skip
    charter = changed_grocery(lambda value: value["participants"].append(joined))
    [found] = diff(GROCERY, charter)
    assert (found.direction, found.affects) == ("looser", ("bank",))
    everybody = ("retailer", "brand_agency", "media_owner", "data_provider", "bank")
    assert signers(GROCERY, charter) == everybody
    assert signers(charter, GROCERY) == (
        *everybody[:4],
        "bank",
    )  # nobody is left out by a text it never signed
    [left] = diff(charter, GROCERY)
    assert (left.direction, left.affects) == ("stricter", ("bank",))


def test_manual_approvals_show_in_what_each_request_waits_for() -> None:
    found = diff(GROCERY, changed_grocery(lambda value: value.update(maturity="manual_approvals")))
    assert [(each.path, each.direction) for each in found] == [
        ("maturity", "looser"),
        ("computations.audience_overlap.approval", "stricter"),
        ("computations.campaign_response.approval", "stricter"),
    ]


def test_the_order_of_lists_changes_nothing() -> None:
    def shuffled(value: Any) -> None:
        for key in ("participants", "datasets", "computations", "decision_rights", "objectives"):
            value[key].reverse()

    assert diff(GROCERY, changed_grocery(shuffled)) == ()


def test_everything_a_charter_could_hold_has_a_rule_and_no_rule_is_stale() -> None:
    leaves = {pattern for pattern in _patterns(Charter) if pattern.rpartition(".")[2] not in _IDENTITIES}
    leaves = {pattern for pattern in leaves if ".technique." not in pattern}
    labels = {"participants.*.name", "participants.*.members.*.name"}  # beside an id
    ruled = {pattern for pattern, rule in TABLE.items() if isinstance(rule, (Value, Names))}
    assert ruled - {"datasets.*.fields.*.technique", "datasets.*.license.id"} == leaves | labels
    parts = {pattern for pattern, rule in TABLE.items() if isinstance(rule, Part)}
    stars = {part for leaf in leaves for part in _lists(leaf)}
    assert {part for part in parts if part.endswith("*")} == stars
    assert {pattern.partition(".")[0] for pattern in TABLE if "." in pattern} <= set(SECTIONS)


def _lists(pattern: str) -> list[str]:
    parts = pattern.split(".")
    return [".".join(parts[: place + 1]) for place, part in enumerate(parts) if part == "*"]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(value, key) for key, _ in pairs]
    for holder, key in tuple(found):
        if isinstance(holder[key], (dict, list)):
            found += _places(holder[key])
    return found


_DOCUMENTS: tuple[Any, ...] = (GROCERY.document, STARTED.document)
_WORDS = ("retailer", "shop", "full", "summary", "text", "unanimity", "quorum", "request", "pass", "json",
          "sensitive", "personal", "steward", "integer", "consent", "2026-06-30")  # fmt: skip


class Pair:
    """Two versions of a charter; a failure shows only the lines that differ, not two whole charters."""

    def __init__(self, old: Charter, new: Charter) -> None:
        self.old, self.new = old, new

    def __repr__(self) -> str:
        texts = [json.dumps(each.document, indent=1).splitlines() for each in (self.old, self.new)]
        return "\n".join(difflib.unified_diff(*texts, n=2))


def _readable(value: Any) -> bool:
    """Whether the shape is right and no list holds two things of one name, as in any checked charter."""
    try:
        Charter.model_validate_json(canonical_json(value))
    except ValidationError:
        return False
    return all(len(set(names)) == len(names) for names in _names(value))


def _names(value: Any) -> Iterator[list[str]]:
    if isinstance(value, list):
        yield [name for name in (name_of(item)[0] for item in value) if name is not None]
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(item)


@st.composite
def _varied(draw: st.DrawFn, document: Any) -> Pair:
    """The charter, and itself with a few values changed or left out; only its shape must still be right."""
    value = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 6))):
        before = copy.deepcopy(value)
        holder, key = draw(st.sampled_from(_places(value)))
        old = holder[key]
        match old:
            case bool():
                holder[key] = not old
            case int():
                holder[key] = draw(st.integers(1, 1000))
            case str() if draw(st.booleans()):
                holder[key] = draw(st.sampled_from(_WORDS))
            case _:
                del holder[key]
        if not _readable(value):
            value = before
    return Pair(*(Charter.model_validate_json(canonical_json(each)) for each in (document, value)))


def _reversed(change: Change) -> tuple[str, str, bool]:
    back = change.direction if change.assumed else OPPOSITE[change.direction]
    return change.path, back, change.assumed


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(_DOCUMENTS).flatmap(_varied))
def test_what_is_looser_one_way_is_stricter_the_other(pair: Pair) -> None:
    old, new = pair.old, pair.new
    assert diff(old, old) == diff(new, new) == ()
    there = diff(old, new)
    back = Counter((change.path, change.direction, change.assumed) for change in diff(new, old))
    assert Counter(map(_reversed, there)) == back
    assert all(change.direction == "looser" for change in there if change.assumed)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(_DOCUMENTS).flatmap(_varied))
def test_no_difference_is_passed_over(pair: Pair) -> None:
    """Without a change, the two say the same in any order."""
    old, new = pair.old, pair.new
    assert diff(old, new) or _sorted(old.document) == _sorted(new.document)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_sorted(item), sort_keys=True) for item in value})
    return value
