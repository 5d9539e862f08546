"""The terms of use of a dataset as an ODRL 2.2 agreement, in JSON-LD.

Source: W3C ODRL Information Model 2.2 and ODRL Vocabulary & Expression 2.2. Belongs here: which clause is a
permission, a prohibition or a duty. Terms of ours that the vocabulary lacks have the prefix `glasshouse:`.
Must not be here: terms that no clause states, since an agreement that promises more than the house keeps is
worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import JsonValue

from orchestration.audit.catalog.usage import computations_of
from orchestration.charter.model import Charter, Computation, Dataset

CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
TERMS = "urn:glasshouse:odrl:"
# Everything of the vocabulary that is used here; a test holds the output against it.
ACTIONS = frozenset({"aggregate", "display", "use", "distribute", "delete", "obtainConsent", "reviewPolicy"})
LEFT_OPERANDS = frozenset({"purpose", "dateTime", "elapsedTime", "spatial"})
OPERATORS = frozenset({"eq", "gteq", "lteq", "isAnyOf"})

_Rule = dict[str, JsonValue]


def agreement(charter: Charter, dataset: Dataset) -> dict[str, JsonValue]:
    """The agreement under which the owner gives the dataset; one atomic rule for each pair of parties."""
    names = _Names(charter, dataset)
    return {
        "@context": [CONTEXT, {"glasshouse": TERMS}],
        "@type": "Agreement",
        "uid": names.policy,
        "profile": TERMS,
        "conflict": "prohibit",
        "glasshouse:charter": charter.digest,
        "glasshouse:licence": dataset.license.id,
        "permission": [
            rule
            for each in computations_of(charter, dataset)
            for rule in _permissions(charter, dataset, each, names)
        ],
        "prohibition": list(_prohibitions(charter, dataset, names)),
        "obligation": list(_obligations(charter, names)),
    }


class _Names:
    """URNs of the parties, the dataset and the policy."""

    def __init__(self, charter: Charter, dataset: Dataset) -> None:
        self._base = f"urn:glasshouse:{charter.collaboration}"
        self.policy = f"{self._base}:policy:{dataset.id}:{charter.version}"
        self.target = f"{self._base}:dataset:{dataset.id}"
        self.owner = self.party(dataset.participant)

    def party(self, participant: str) -> str:
        return f"{self._base}:participant:{participant}"

    def purpose(self, purpose: str) -> str:
        return f"{self._base}:purpose:{purpose}"

    def use(self, use: str) -> str:
        return f"{self._base}:prohibited-use:{use}"

    def between(self, assignee: str) -> dict[str, JsonValue]:
        return {"target": self.target, "assigner": self.owner, "assignee": assignee}


def _permissions(
    charter: Charter, dataset: Dataset, computation: Computation, names: _Names
) -> Iterator[_Rule]:
    """Who may have the dataset counted in aggregate, and who may see the answer."""
    purposes = [names.purpose(each) for each in computation.purposes if each in dataset.purposes]
    for_purpose = _constraint("purpose", "isAnyOf", list[JsonValue](purposes))
    ends = _constraint("dateTime", "lteq", _typed(str(charter.effective_until), "date"))
    units = _constraint(
        "glasshouse:unitsPerCell", "gteq", charter.threshold_for(computation.template, [dataset.id])
    )
    template = _constraint("glasshouse:template", "eq", computation.template)
    # ODRL's own term for where an action may happen, with countries as ISO 3166 writes them.
    where = (
        [_constraint("spatial", "isAnyOf", list[JsonValue](dataset.residency))] if dataset.residency else []
    )
    before: list[JsonValue] = []
    if dataset.lawful_basis == "consent":
        before.append({"action": "obtainConsent"})
    if (right := charter.approval_for(computation.template)) is not None:
        before.append({"action": "reviewPolicy", "glasshouse:decisionRight": right})
    for requester in computation.requesters:
        rule: _Rule = {**names.between(names.party(requester)), "action": "aggregate"}
        rule["constraint"] = [for_purpose, template, ends, *where]
        yield {**rule, "duty": before} if before else rule
    for receiver in computation.receivers:
        rule = {**names.between(names.party(receiver)), "action": "display"}
        yield {**rule, "constraint": [for_purpose, template, units, ends, *where]}


def _prohibitions(charter: Charter, dataset: Dataset, names: _Names) -> Iterator[_Rule]:
    """What nobody may do; the license of the dataset may forbid to pass it on."""
    for participant in charter.participants:
        party = names.party(participant.id)
        if participant.id != dataset.participant and not dataset.license.redistribution:
            yield {**names.between(party), "action": "distribute"}
        for use in charter.prohibited_uses:
            rule: _Rule = {**names.between(party), "action": "use"}
            yield {
                **rule,
                "constraint": [_constraint("purpose", "eq", names.use(use.id))],
                "glasshouse:description": use.description,
            }


def _obligations(charter: Charter, names: _Names) -> Iterator[_Rule]:
    """Who runs the house deletes contributions on their day."""
    kept = _typed(f"P{charter.retention.contributions_days}D", "duration")
    for operator in dict.fromkeys(
        charter.participant_of(each.id).id for each in charter.members if "operator" in each.roles
    ):
        delete: JsonValue = {
            "rdf:value": {"@id": "odrl:delete"},
            "refinement": [_constraint("elapsedTime", "lteq", kept)],
        }
        yield {**names.between(names.party(operator)), "action": [delete]}


def _constraint(left: str, operator: str, right: Any) -> dict[str, JsonValue]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def _typed(value: str, kind: str) -> JsonValue:
    return {"@value": value, "@type": f"xsd:{kind}"}
