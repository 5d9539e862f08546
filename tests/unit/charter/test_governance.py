"""Decision rights, terms and the words that charters share with the log."""

from __future__ import annotations

from typing import get_args

import pytest

from orchestration.audit import governance_events
from orchestration.charter import Charter
from orchestration.charter.governance import DEFAULT_RIGHT, Matter, Remedy
from orchestration.charter.model import AccessRules, Detail, Role, RoleDetail
from orchestration.digests import canonical_json
from orchestration.errors import CharterError
from tests.unit.charter.charter_text import GROCERY, STARTED, changed_grocery, named


def test_charters_and_events_use_the_same_words() -> None:
    assert get_args(Matter) == get_args(governance_events.Matter)
    assert get_args(Remedy) == get_args(governance_events.Remedy)


def test_every_role_may_be_given_a_detail() -> None:
    assert tuple(RoleDetail.model_fields) == get_args(Role)
    for detail in get_args(Detail):
        rules = AccessRules(detail=RoleDetail.model_validate({"service": detail}), release_valid_days=1)
        assert rules.detail_for(["service"]) == detail


def test_the_first_right_with_the_matter_decides() -> None:
    assert GROCERY.right_for("thaw").id == "thaw"
    assert GROCERY.right_for("request", "request_review").ethics_for == ("sensitive",)


def test_a_matter_without_a_right_needs_every_participant() -> None:
    right = STARTED.right_for("closing")
    assert (right.id, right.rule, right.expires_hours) == (DEFAULT_RIGHT.id, "unanimity", 336)
    assert right.deciders == ("shop", "brand")
    assert STARTED.right_for("request", right.id) == right


def test_a_right_that_names_no_deciders_is_everyones_unless_a_panel_decides() -> None:
    charter = changed_grocery(lambda value: named(value["decision_rights"], "thaw").pop("deciders"))
    assert charter.right_for("thaw").deciders == tuple(each.id for each in charter.participants)
    assert charter.right_for("dispute").deciders == ()


def test_an_unknown_right_is_a_coded_error() -> None:
    with pytest.raises(CharterError) as caught:
        GROCERY.right_for("request", "nobody")
    assert caught.value.code == "charter.unknown_name"
    assert "request_review" in caught.value.next_step


def test_a_request_waits_where_the_charter_says_so() -> None:
    assert GROCERY.approval_for("joint_segmentation") == "request_review"
    assert GROCERY.approval_for("audience_overlap") is None


def test_under_manual_approvals_every_request_waits() -> None:
    manual = GROCERY.model_copy(update={"maturity": "manual_approvals"})
    assert manual.approval_for("audience_overlap") == "request_review"
    without = STARTED.model_copy(update={"maturity": "manual_approvals"})
    approval = without.approval_for("audience_overlap")
    assert without.right_for("request", approval).rule == "unanimity"


def test_the_digest_of_the_terms_changes_with_them_and_with_nothing_else() -> None:
    assert GROCERY.terms_digest is not None
    assert changed_grocery(lambda value: value.update(version=2)).terms_digest == GROCERY.terms_digest
    other = changed_grocery(lambda value: value["terms"][0].update(text="Something else."))
    assert other.terms_digest != GROCERY.terms_digest
    assert STARTED.model_copy(update={"terms": ()}).terms_digest is None


@pytest.mark.parametrize("charter", [GROCERY, STARTED], ids=["grocery", "starter"])
def test_governance_survives_the_canonical_document(charter: Charter) -> None:
    again = Charter.model_validate_json(canonical_json(charter.document))
    assert (again, again.digest, again.terms_digest) == (charter, charter.digest, charter.terms_digest)
