"""From a contributor's own desk into the room: what is prepared joins what came raw, nothing raw leaves."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from orchestration.audit.stage_events import ContributionAccepted
from orchestration.engine.duck import connect, quote_name
from orchestration.errors import ConfigError, ContributionError, GlasshouseError, IntegrityError
from orchestration.participants.handovers import table_name
from orchestration.participants.invitation import open_invitation
from orchestration.scope.manifest import claimed_manifest, read_envelope
from orchestration.scope.preparation import prepared
from orchestration.settings import load_settings
from orchestration.signing import SigningKey
from tests.prepared import invitation, opened, package
from tests.support import CHARTER, TinyHouse, csv_bytes, household, make_house, people_rows

CANARY = "H-canary-77f1"
AT_SOURCE = CHARTER.replace(
    "max_bytes: 100000\n    deidentify: in_room\n    unique_key: [unit]",
    "max_bytes: 100000\n    unique_key: [unit]",
)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(csv_bytes(people_rows()))
    return path


def pack(house: TinyHouse, source: Path, folder: Path, **options: object) -> Path:
    key = house.keys["panel.steward"]
    return package(house.house, "tiny", "people", source, key, folder, **options)  # type: ignore[arg-type]


def take(house: TinyHouse, delivery: Path) -> ContributionAccepted:
    payload = house.accept("people", delivery.name).event.payload
    assert isinstance(payload, ContributionAccepted)
    return payload


def refused(house: TinyHouse, delivery: Path) -> str:
    with pytest.raises(ContributionError) as caught:
        house.accept("people", delivery.name)
    return caught.value.code.removeprefix("contribution.")


def room_rows(house: TinyHouse, contribution: str) -> list[tuple[object, ...]]:
    with house.house.room("tiny").open() as connection:
        table = quote_name(table_name(contribution))
        return connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


def test_prepared_and_raw_rows_are_the_same_rows_in_the_room(
    house: TinyHouse, people: Path, tmp_path: Path
) -> None:
    raw = house.contribute("people")
    accepted = take(house, pack(house, people, tmp_path))
    contribution = accepted.receipt.subject
    assert contribution != raw
    house.deidentify("people", contribution)
    assert house.gate("people", contribution).passed
    assert room_rows(house, contribution) == room_rows(house, raw)
    assert len(room_rows(house, contribution)) == 120


def test_the_vault_has_desk_pseudonyms_and_the_room_has_others(
    house: TinyHouse, people: Path, tmp_path: Path
) -> None:
    contribution = take(house, pack(house, people, tmp_path)).receipt.subject
    house.deidentify("people", contribution)
    key = house.house.pseudonym_key("tiny")
    desk = hmac.new(key, b"household\0" + household(1).encode(), hashlib.sha256).hexdigest()
    with connect(house.house.settings) as connection:
        relation = house.house.vault.reader(contribution).relation(connection)
        in_vault = {row[0] for row in connection.execute(f"SELECT unit FROM {relation}").fetchall()}
    assert desk in in_vault
    assert desk not in {row[0] for row in room_rows(house, contribution)}


def test_nothing_raw_leaves_the_desk(house: TinyHouse, tmp_path: Path) -> None:
    source = tmp_path / "raw" / "people.csv"
    source.parent.mkdir()
    rows = [*people_rows(), {"household_id": CANARY, "age": "old", "income": "low"}]
    rows = [{**row, "mail": f"{CANARY}@example.org"} for row in rows]
    rows.append({"household_id": f"{CANARY}-2", "age": f"{CANARY}", "income": "low", "mail": ""})
    source.write_bytes(csv_bytes(rows))
    delivery = pack(house, source, tmp_path, out=tmp_path / "out")
    everything = b"".join(path.read_bytes() for path in delivery.rglob("*") if path.is_file())
    plain = opened(delivery, house.house, "tiny")
    inner = tmp_path / "inner.parquet"
    inner.write_bytes(plain[32:])
    with duckdb.connect() as connection:
        values = connection.execute(
            "SELECT * FROM read_parquet(?, encryption_config = {footer_key_value: ?})",
            [str(inner), plain[:32]],
        ).fetchall()
    manifest = claimed_manifest(read_envelope(delivery))
    said = everything + plain + repr(values).encode() + manifest.model_dump_json().encode()
    for raw in (CANARY, household(1), household(77)):
        assert raw.encode() not in said
    assert len(values) == 121
    assert manifest.prepared is not None
    assert manifest.prepared.quality.rejected == {"not_allowed": 1}
    left = [path for path in (tmp_path / "desk").rglob("*") if path.is_file()]
    assert left == []


def test_the_manifest_says_where_it_comes_from_and_how_good_it_is(
    house: TinyHouse, people: Path, tmp_path: Path
) -> None:
    manifest = claimed_manifest(read_envelope(pack(house, people, tmp_path)))
    said = manifest.prepared
    assert said is not None
    assert (said.charter, said.lawful_basis, said.license) == (
        house.charter.digest, "consent", "LicenseRef-test",
    )  # fmt: skip
    document = said.provenance.model_dump(mode="json", exclude_none=True)
    assert document["source"]["version"] == "1.0.0"
    assert document["provenance"]["origin-geography"] == [{"country": "US"}]
    assert document["provenance"]["generation-period"] == {"start": "2024-01-01", "end": "2024-12-31"}
    assert document["use"]["consents"] == ["https://example.org/consent"]
    assert document["use"]["privacy-indicators"] == [{"tool": {"code": "pseudonymize"}, "parameters": "unit"}]
    assert (said.quality.rows, said.quality.k, said.quality.unique) == (120, 40, 0.0)


def test_the_same_rows_count_once_whatever_the_file_and_its_order(
    house: TinyHouse, people: Path, tmp_path: Path
) -> None:
    first = pack(house, people, tmp_path)
    take(house, first)
    again = tmp_path / "people.tsv"
    again.write_bytes(csv_bytes(list(reversed(people_rows()))).replace(b",", b"\t"))
    second = pack(house, again, tmp_path)
    digests = {claimed_manifest(json.loads((second / "manifest.json").read_bytes())).sha256}
    assert digests.isdisjoint({payload.source_digest for payload in house.payloads("contribution.accepted")})  # type: ignore[attr-defined]
    assert refused(house, second) == "duplicate"


def test_raw_rows_of_a_dataset_prepared_at_its_source_are_refused(tmp_path: Path) -> None:
    house = make_house(tmp_path, charter=AT_SOURCE)
    assert not house.dataset("people").takes_raw
    name = house.deliver("people")
    assert refused(house, house.landing("panel") / name) == "raw_not_accepted"
    source = tmp_path / "people.csv"
    source.write_bytes(csv_bytes(people_rows()))
    assert take(house, pack(house, source, tmp_path)).rows == 120
    house.house.log.close()


def sql(statement: str) -> dict[str, object]:
    return {"change": lambda made: made.connection.execute(statement)}


@pytest.mark.parametrize(
    ("options", "quarantined"),
    [
        (sql("UPDATE prepared SET unit = 'H000001' WHERE rowid = 0"), {"type": 1}),
        (sql("UPDATE prepared SET unit = upper(unit)"), None),
        (sql("UPDATE prepared SET unit = NULL WHERE rowid < 2"), {"required": 2}),
        (sql("UPDATE prepared SET age = 'ancient' WHERE rowid = 3"), {"not_allowed": 1}),
    ],
)
def test_rows_that_no_desk_can_have_made_go_to_quarantine(
    house: TinyHouse,
    people: Path,
    tmp_path: Path,
    options: dict[str, object],
    quarantined: dict[str, int] | None,
) -> None:
    delivery = pack(house, people, tmp_path, **options)
    if quarantined is None:
        assert refused(house, delivery) == "no_valid_rows"
        return
    accepted = take(house, delivery)
    assert accepted.quarantined_rows == quarantined
    assert accepted.rows == 120 - sum(quarantined.values())


def test_a_package_that_is_not_what_was_signed(house: TinyHouse, people: Path, tmp_path: Path) -> None:
    changed = pack(house, people, tmp_path, resign=False, **sql("UPDATE prepared SET age = 'old'"))
    assert refused(house, changed) == "wrong_digest"
    dropped = pack(house, people, tmp_path, **sql("ALTER TABLE prepared ALTER age TYPE BIGINT USING 1"))
    assert refused(house, dropped) == "package_columns"
    cut = pack(house, people, tmp_path)
    (cut / "people.parquet.age").write_bytes((cut / "people.parquet.age").read_bytes()[:-1])
    assert refused(house, cut) == "wrong_digest"


def test_a_package_for_another_room_key_or_charter(house: TinyHouse, people: Path, tmp_path: Path) -> None:
    other = make_house(tmp_path / "other")
    theirs = pack(other, people, tmp_path, out=house.landing("panel"))
    assert refused(house, theirs) == "other_key"
    key = house.keys["panel.steward"]
    desk = open_invitation(invitation(house.house, "tiny", "panel.steward"), key)
    foreign = open_invitation(invitation(other.house, "tiny", "panel.steward"), key)
    sealed_away = pack(house, people, tmp_path, desk=replace(desk, recipient=foreign.recipient))
    assert refused(house, sealed_away) == "other_room"
    before = pack(house, people, tmp_path)
    house.amend("title: People", "title: The people")
    assert refused(house, before) == "other_charter"
    other.house.log.close()


def test_an_invitation_is_for_one_member_of_one_house(house: TinyHouse) -> None:
    envelope = invitation(house.house, "tiny", "panel.steward")
    key = house.keys["panel.steward"]
    desk = open_invitation(envelope, key, house_key_id=house.house.operator.key_id)
    assert desk.key == house.house.pseudonym_key("tiny")
    assert desk.charter.digest == house.charter.digest
    assert house.house.pseudonym_key("tiny").hex() not in json.dumps(envelope)
    for bad in (
        None,
        [],
        {},
        {**envelope, "payload": envelope["payload"][:-4]},
        {**envelope, "signatures": []},
    ):
        with pytest.raises(ConfigError) as caught:
            open_invitation(bad, key)
        assert caught.value.code == "prepare.bad_invitation"
    with pytest.raises(ConfigError) as caught:
        open_invitation(envelope, key, house_key_id="0" * 64)
    assert caught.value.code == "prepare.other_house"
    with pytest.raises(IntegrityError) as stolen:
        open_invitation(envelope, SigningKey.generate())
    assert stolen.value.code == "sealed.other_key"


@pytest.mark.parametrize("member", ["panel.executive", "shop.analyst", "panel.nobody"])
def test_the_key_is_shared_with_those_who_give_data_only(house: TinyHouse, member: str) -> None:
    with pytest.raises(GlasshouseError) as caught:
        invitation(house.house, "tiny", member)
    assert caught.value.code == "room.not_invited"


def test_a_desk_refuses_what_the_room_would(house: TinyHouse, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "desk")
    source = tmp_path / "people.csv"
    for data, code in (
        (csv_bytes(people_rows()[:1] * 2), "prepare.not_good_enough"),  # the key is not unique
        (b"household_id,age,income\n,old,low\n", "prepare.no_row_fits"),
        (b"household_id,age\n", "contribution.empty"),
        (b"income\nlow\n", "contribution.missing_column"),
        (csv_bytes(people_rows() * 10), "prepare.too_many_rows"),
        (b'household_id,age,income\n"H1,old,low\n', "contribution.malformed"),
    ):
        source.write_bytes(data)
        with (
            pytest.raises(GlasshouseError) as caught,
            prepared(settings, house.dataset("people"), str(source), b"k" * 32),
        ):
            pass
        assert caught.value.code == code
