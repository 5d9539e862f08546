"""Data stays in the countries of its charter: where a house stores it, and from where answers are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.errors import ContributionError, PolicyDeniedError
from orchestration.stages import compute, protect, refresh, release
from tests.integration.command import glasshouse
from tests.support import CALLER, TinyHouse, csv_bytes, make_house, people_rows
from tests.unit.charter.test_residency import text_with

BOUND = text_with(shop="DE", panel="US", people="[DE, FR]")
OVERLAP = ("audience_overlap", {"left": "profiled", "right": "shoppers"}, "planning")


@pytest.mark.parametrize(("region", "named"), [(None, "no country that it names"), ("US", "US")])
def test_a_house_elsewhere_refuses_and_keeps_nothing(tmp_path: Path, region: str | None, named: str) -> None:
    tiny = make_house(tmp_path, charter=BOUND, region=region)
    delivery = tiny.deliver("people")
    with pytest.raises(ContributionError) as caught:
        tiny.accept("people", delivery)
    assert caught.value.code == "contribution.residency"
    assert caught.value.message == (f"The charter keeps people in DE, FR; this house stores data in {named}.")
    [refused] = tiny.payloads("contribution.refused")
    assert (refused.code, refused.sealed) == ("contribution.residency", None)  # type: ignore[attr-defined]
    kept = [path for folder in ("vault", "quarantine") for path in (tiny.root / folder).rglob("*")]
    assert [path.name for path in kept] == [".lock"]
    assert list(tiny.landing("panel").iterdir()) == []
    assert tiny.accept("products", tiny.deliver("products"))  # what is bound to no country comes in
    tiny.house.log.close()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyHouse]:
    """A house in France, with an answer that the German shop asked for and the American panel may receive."""
    tiny = make_house(tmp_path_factory.mktemp("there"), charter=BOUND, region="FR")
    for dataset in ("sales", "products", "people"):
        tiny.contribute(dataset)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    asked = tiny.request(*OVERLAP).request.id
    compute.compute(tiny.house, tiny.charter, asked, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, asked, CALLER)
    release.release(tiny.house, tiny.charter, asked, CALLER)
    yield tiny
    tiny.house.log.close()


def test_a_house_there_takes_it_in_and_answers_who_is_there(there: TinyHouse) -> None:
    [released] = there.payloads("output.released")
    assert there.open(released.release, "shop.analyst").table is not None  # type: ignore[attr-defined]


def test_a_receiver_elsewhere_opens_nothing(there: TinyHouse) -> None:
    [released] = there.payloads("output.released")
    with pytest.raises(PolicyDeniedError) as caught:
        there.open(released.release, "panel.executive")  # type: ignore[attr-defined]
    assert caught.value.code == "policy.jurisdiction"
    assert there.payloads("access.denied")[-1].code == "policy.jurisdiction"  # type: ignore[attr-defined]


def test_who_asks_from_elsewhere_is_denied_on_record(there: TinyHouse) -> None:
    """By the template alone a question names no data, so the guard is told what the answer reads."""
    there.amend(
        "{template: joint_segmentation, purposes: [insight], requesters: [shop]",
        "{template: joint_segmentation, purposes: [insight], requesters: [shop, panel]",
    )
    there.amend(
        "{id: panel.executive, name: Executive, roles: [executive]}",
        "{id: panel.executive, name: Executive, roles: [executive, analyst]}",
    )
    with pytest.raises(PolicyDeniedError) as caught:
        there.request(requester="panel.executive")
    assert caught.value.code == "policy.jurisdiction"


def test_a_file_does_not_even_leave_its_desk_for_a_house_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = make_house(tmp_path, charter=BOUND)
    tiny.house.log.close()
    (tmp_path / "people.csv").write_bytes(csv_bytes(people_rows()))
    key = tmp_path / "steward.pem"
    tiny.key("panel.steward").save(key)
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "house"))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(tmp_path / "charters"))
    giving = (
        *("contribute", tmp_path / "people.csv", "--dataset", "people", "--provenance", "Survey"),
        *("--from", "2024-01-01", "--until", "2024-12-31", "--key", key),
    )
    assert glasshouse(*giving).refusal == "contribution.residency"
    assert (
        "House: in no country that it names; attestation: none (no hardware enclave)"
        in glasshouse("status").out
    )
    assert list(tiny.landing("panel").iterdir()) == []
    monkeypatch.setenv("GLASSHOUSE_REGION", "DE")
    assert glasshouse(*giving).code == 0
    state = glasshouse("status", "--json").document
    assert (state["region"], state["attestation"]) == ("DE", "none (no hardware enclave)")
    assert len(list(tiny.landing("panel").iterdir())) == 1
