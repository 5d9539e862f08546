"""Terms of use: an ODRL agreement of nothing but terms of the vocabulary and our own prefix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.audit.catalog import odrl
from orchestration.charter.model import Charter, Dataset
from tests.unit.charter.charter_text import GROCERY, STARTED, changed_grocery, named

# ODRL Vocabulary & Expression 2.2, https://www.w3.org/TR/odrl-vocab/: the terms this project could use.
ACTIONS = {
    *("acceptTracking", "aggregate", "annotate", "anonymize", "archive", "attribute", "compensate"),
    *("concurrentUse", "delete", "derive", "digitize", "display", "distribute", "ensureExclusivity"),
    *("execute", "extract", "give", "grantUse", "include", "index", "inform", "install", "modify", "move"),
    *("nextPolicy", "obtainConsent", "play", "present", "print", "read", "reproduce", "reviewPolicy"),
    *("sell", "stream", "synchronize", "textToSpeech", "transfer", "transform", "translate", "uninstall"),
    *("use", "watermark"),
}
LEFT_OPERANDS = {
    *("absolutePosition", "absoluteSize", "absoluteSpatialPosition", "absoluteTemporalPosition", "count"),
    *("dateTime", "delayPeriod", "deliveryChannel", "elapsedTime", "event", "fileFormat", "industry"),
    *("language", "media", "meteredTime", "payAmount", "percentage", "product", "purpose", "recipient"),
    *("relativePosition", "relativeSize", "relativeSpatialPosition", "relativeTemporalPosition"),
    *("resolution", "spatial", "systemDevice", "timeInterval", "unitOfCount", "version", "virtualLocation"),
}
OPERATORS = {
    *(
        "eq",
        "gt",
        "gteq",
        "hasPart",
        "isA",
        "isAllOf",
        "isAnyOf",
        "isNoneOf",
        "isPartOf",
        "lt",
        "lteq",
        "neq",
    ),
}
EVERY = [(charter, each) for charter in (GROCERY, STARTED) for each in charter.datasets]


def rules(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("permission", "prohibition", "obligation"):
        yield from document[kind]


def constraints(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "leftOperand" in value:
            yield value
        for each in value.values():
            yield from constraints(each)
    elif isinstance(value, list):
        for each in value:
            yield from constraints(each)


def actions(rule: dict[str, Any]) -> Iterator[str]:
    for holder in (rule, *rule.get("duty", ())):
        action = holder["action"]
        yield from (
            [action] if isinstance(action, str) else [each["rdf:value"]["@id"][5:] for each in action]
        )


def test_only_terms_of_the_vocabulary_are_declared() -> None:
    assert odrl.ACTIONS <= ACTIONS
    assert odrl.LEFT_OPERANDS <= LEFT_OPERANDS
    assert odrl.OPERATORS <= OPERATORS


@pytest.mark.parametrize(("charter", "dataset"), EVERY, ids=[each.id for _, each in EVERY])
def test_an_agreement_is_made_of_atomic_rules_in_that_vocabulary(charter: Charter, dataset: Dataset) -> None:
    document: Any = odrl.agreement(charter, dataset)
    assert document["@type"] == "Agreement"
    assert document["uid"].startswith("urn:")
    for rule in rules(document):
        for name in ("target", "assigner", "assignee"):
            assert isinstance(rule[name], str)
            assert rule[name].startswith("urn:glasshouse:")
        assert set(actions(rule)) <= odrl.ACTIONS
    for each in constraints(document):
        assert each.keys() == {"leftOperand", "operator", "rightOperand"}
        assert each["leftOperand"] in odrl.LEFT_OPERANDS or each["leftOperand"].startswith("glasshouse:")
        assert each["operator"] in odrl.OPERATORS


def test_every_requester_and_receiver_is_permitted_and_nobody_else() -> None:
    document: Any = odrl.agreement(GROCERY, GROCERY.dataset("demographics"))
    found = {
        (rule["action"], rule["assignee"].rpartition(":")[2], template["rightOperand"])
        for rule in document["permission"]
        for template in rule["constraint"]
        if template["leftOperand"] == "glasshouse:template"
    }
    agreed = [GROCERY.computation(name) for name in ("audience_overlap", "joint_segmentation")]
    asking = {("aggregate", party, each.template) for each in agreed for party in each.requesters}
    reading = {("display", party, each.template) for each in agreed for party in each.receivers}
    assert found == asking | reading


def test_consent_approval_and_threshold_are_terms() -> None:
    document: Any = odrl.agreement(GROCERY, GROCERY.dataset("demographics"))
    duties = [each["action"] for rule in document["permission"] for each in rule.get("duty", ())]
    assert {"obtainConsent", "reviewPolicy"} == set(duties)
    units = {
        each["rightOperand"]
        for each in constraints(document)
        if each["leftOperand"] == "glasshouse:unitsPerCell"
    }
    assert units == {10}


def test_a_licence_without_redistribution_prohibits_it() -> None:
    def change(value: Any) -> None:
        named(value["datasets"], "demographics")["license"]["redistribution"] = False

    def distributing(charter: Charter) -> set[str]:
        document: Any = odrl.agreement(charter, charter.dataset("demographics"))
        return {each["assignee"] for each in document["prohibition"] if each["action"] == "distribute"}

    assert distributing(GROCERY) == set()
    assert {each.rpartition(":")[2] for each in distributing(changed_grocery(change))} == {
        "retailer",
        "brand_agency",
        "media_owner",
    }


def test_residency_is_a_spatial_constraint_of_every_permission() -> None:
    def change(value: Any) -> None:
        for each in value["participants"]:
            each["jurisdiction"] = "DE"
        named(value["datasets"], "demographics")["residency"] = ["DE", "FR"]

    charter = changed_grocery(change)
    document: Any = odrl.agreement(charter, charter.dataset("demographics"))
    spatial = {"leftOperand": "spatial", "operator": "isAnyOf", "rightOperand": ["DE", "FR"]}
    assert document["permission"]
    assert all(spatial in rule["constraint"] for rule in document["permission"])
    assert "spatial" not in str(odrl.agreement(charter, charter.dataset("coupons")))
