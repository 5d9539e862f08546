"""The catalog of a real small house: versions, owners, search and timeline say what the log says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestration.audit.catalog.entry import Catalog, DatasetEntry, document, read_catalog
from orchestration.audit.catalog.search import search
from orchestration.audit.catalog.timeline import Moment, timeline
from orchestration.audit.vocabulary import now
from orchestration.errors import ContributionError
from tests.support import (
    ROWS,
    TinyHouse,
    copy_home,
    csv_bytes,
    household,
    open_house,
    product_rows,
    sales_rows,
)


@pytest.fixture(scope="module")
def tiny(refreshed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyHouse]:
    """The refreshed house; then sales came again, twice, three products, and a delivery that is refused."""
    tiny = open_house(copy_home(refreshed_home, tmp_path_factory.mktemp("catalog") / "copy"))
    tiny.contribute("sales", csv_bytes(sales_rows(110)))
    few = tiny.accept("sales", tiny.deliver("sales", csv_bytes(sales_rows(60)))).event.subject
    tiny.deidentify("sales", few)
    assert not tiny.gate("sales", few).passed
    tiny.contribute("products", csv_bytes(product_rows()[:3]))
    with pytest.raises(ContributionError):
        tiny.accept("people", tiny.deliver("people", sha256=f"sha256:{'0' * 64}"))
    tiny.request()
    yield tiny
    tiny.house.log.close()


@pytest.fixture(scope="module")
def catalog(tiny: TinyHouse) -> Catalog:
    return catalog_of(tiny)


def catalog_of(tiny: TinyHouse, seen: set[int] | None = None) -> Catalog:
    with tiny.house.log.read() as connection:
        return read_catalog(connection, tiny.charter, tiny.house.log.lineage(), seen)


def entry_of(catalog: Catalog, dataset: str) -> DatasetEntry:
    found = catalog.find(dataset)
    assert found is not None
    return found


def moments_of(tiny: TinyHouse, dataset: str) -> tuple[Moment, ...]:
    versions = entry_of(catalog_of(tiny), dataset).versions
    with tiny.house.log.read() as connection:
        return timeline(connection, tiny.charter, tiny.dataset(dataset), versions, now())


def test_every_accepted_contribution_is_a_version_under_its_digest(tiny: TinyHouse, catalog: Catalog) -> None:
    first, second, third = entry_of(catalog, "sales").versions
    accepted = [
        each.event.payload
        for each in tiny.house.log.events("contribution.accepted")
        if each.event.payload.dataset == "sales"
    ]
    assert [first.digest, second.digest, third.digest] == [each.source_digest for each in accepted]
    assert (first.number, second.number, third.number) == (1, 2, 3)
    assert (first.status, second.status, third.status) == ("superseded", "in the room", "failed its gate")
    assert (first.superseded_by, second.superseded_by) == (second.contribution, None)
    assert (first.rows, second.rows, third.rows) == (240, 220, 120)
    assert third.gates[0].failed == ("many_units",)
    assert first.signer == "shop.steward"
    assert [gate.verdict for gate in second.gates] == ["passed"]
    assert dict(second.techniques)["unit"] == "pseudonymize"


def test_a_small_number_of_rows_is_not_told(catalog: Catalog) -> None:
    old, new = entry_of(catalog, "products").versions
    assert (old.rows, new.rows) == (7, None)


def test_a_refused_delivery_is_no_version(catalog: Catalog) -> None:
    assert len(entry_of(catalog, "people").versions) == 1


def test_who_sees_no_event_of_a_dataset_sees_its_terms_alone(tiny: TinyHouse) -> None:
    unseen = entry_of(catalog_of(tiny, set()), "sales")
    assert unseen.versions == ()
    assert unseen.fields == entry_of(catalog_of(tiny), "sales").fields


def test_what_is_made_belongs_to_all_whose_data_is_in_it(catalog: Catalog) -> None:
    made = {each.name: each for each in catalog.artefacts}
    assert made["deidentified.people"].owners == ("panel",)
    joined = made["intermediate.int_units__joined"]
    assert set(joined.owners) == {"shop", "panel"}
    assert set(joined.datasets) >= {"sales", "people"}
    assert not joined.redistribution
    assert joined in entry_of(catalog, "sales").made


def test_no_value_of_any_row_stands_in_the_catalog(tiny: TinyHouse, catalog: Catalog) -> None:
    text = json.dumps([document(each) for each in catalog.datasets])
    text += json.dumps([asdict(each) for name in ROWS for each in moments_of(tiny, name)])
    for value in (household(1), "middle", "Department 3", "Private", "B1-0"):
        assert value not in text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sales", ["sales"]),
        ("household", ["people", "sales"]),
        ("class:sensitive", ["people", "sales"]),
        ("class:sensitive entity:profile", ["people"]),
        ("party:panel", ["people"]),
        ("purpose:planning receipt", ["sales"]),
        ("field:income", ["people"]),
        ("field:amount", ["sales"]),
        ("joint_segmentation", ["people", "sales"]),
        ("class:nothing", []),
        ("middle", []),
        ("Private", []),
        ("", []),
    ],
)
def test_search_finds_by_word_tag_and_field(catalog: Catalog, words: str, found: list[str]) -> None:
    assert sorted(hit.dataset for hit in search(catalog, words)) == found


def test_a_name_counts_more_than_a_description(catalog: Catalog) -> None:
    hits = search(catalog, "product")
    assert [hit.dataset for hit in hits] == ["products", "sales"]
    assert hits[0].score > hits[1].score
    assert "name" in hits[0].places


def test_a_timeline_tells_terms_deliveries_use_and_what_is_to_come(tiny: TinyHouse) -> None:
    moments = moments_of(tiny, "sales")
    kinds = [each.what for each in moments if each.event is not None]
    assert kinds[0] == "charter.activated"
    assert kinds.count("contribution.accepted") == 3
    assert {"gate.passed", "room.refreshed", "request.submitted", "request.decided"} <= set(kinds)
    assert "consent" in moments[0].text
    assert "kept 60 days" in moments[0].text
    assert [each.what for each in moments if each.event is None] == [*3 * ["retention"], "charter"]
    assert [each.at for each in moments] == sorted(each.at for each in moments)


def test_a_timeline_holds_nothing_about_other_datasets(tiny: TinyHouse) -> None:
    of_products = moments_of(tiny, "products")
    assert not {each.what for each in of_products} & {"request.submitted", "contribution.refused"}
    assert "contribution.refused" in {each.what for each in moments_of(tiny, "people")}
