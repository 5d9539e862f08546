"""Bad input, case by case: a stable code on record, nothing lost, nothing shown, the neighbours unharmed.

Every case delivers something wrong for `people` next to a good delivery of `products`, runs what waits, and
looks at the log, the quarantine, the landing folder, the vault and every byte on disk.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.audit.stage_events import ContributionAccepted, ContributionRefused
from orchestration.audit.verify import verify_log
from orchestration.engine.duck import connect
from orchestration.engine.vault import VaultWriter
from orchestration.errors import ContributionError, GlasshouseError, IntegrityError
from orchestration.participants.enrollment import rotate_key
from orchestration.signing import SigningKey
from orchestration.stages import landing
from orchestration.stages.rejected import unseal_rejected
from tests.support import (
    CALLER,
    CHARTER,
    TinyHouse,
    csv_bytes,
    household,
    make_house,
    parquet_bytes,
    people_rows,
    product_rows,
    tampered,
)

CANARY = "canary-5d2e@example.org"
HEADER = b"household_id,age,income\n"
GOOD = HEADER + b"H1,young,low\n"
SECRET = HEADER + f"{CANARY},young,low\n".encode()

DEEP = {"payload": "W1tb" * 12_000, "payloadType": "x", "signatures": []}  # "[[[…" in base64

Deliver = Callable[[TinyHouse, Path], str | None]


def run_what_waits(house: TinyHouse) -> dict[str, str]:
    """Stage 1 of every waiting delivery, as a sensor would: delivery → "accepted" or the code of the no."""
    ends: dict[str, str] = {}
    said: list[str] = []
    for waiting in landing.sort(house.house, house.charter, CALLER):
        try:
            house.accept(waiting.dataset.id, waiting.delivery)
            ends[waiting.delivery] = "accepted"
        except GlasshouseError as error:
            ends[waiting.delivery] = error.code
            said.append("".join(traceback.format_exception(error)))
    assert CANARY not in "".join(said)
    return ends


def people(data: bytes = SECRET, **options: Any) -> Deliver:
    return lambda house, _: house.deliver("people", data, name="bad", **options)


def parquet(query: str, **options: Any) -> Deliver:
    return lambda house, folder: house.deliver(
        "people", parquet_bytes(query, folder), name="bad", format_="parquet", **{"rows": 1} | options
    )


def truncated_parquet(house: TinyHouse, folder: Path) -> str:
    data = parquet_bytes(f"SELECT '{CANARY}' || range AS household_id FROM range(9000)", folder)
    return house.deliver("people", data[: len(data) // 2], name="bad", format_="parquet", rows=9000)


def unsigned(house: TinyHouse, _: Path) -> str:
    signed = house.keys["panel.steward"].sign(
        house.claims("people", SECRET, "csv", 1), "application/vnd.glasshouse.manifest+json"
    )
    return house.deliver("people", SECRET, name="bad", envelope={**signed, "signatures": []})


def said_beside_the_signature(house: TinyHouse, _: Path) -> str:
    signed = house.keys["panel.steward"].sign(
        house.claims("people", SECRET, "csv", 1), "application/vnd.glasshouse.manifest+json"
    )
    return house.deliver("people", SECRET, name="bad", envelope={**signed, "note": CANARY})


def changed_after_signing(house: TinyHouse, _: Path) -> str:
    signed = house.keys["panel.steward"].sign(
        house.claims("people", SECRET, "csv", 2), "application/vnd.glasshouse.manifest+json"
    )
    return house.deliver("people", SECRET, name="bad", envelope=tampered(signed, rows=1))


def linked_file(house: TinyHouse, folder: Path) -> str:
    name = house.deliver("people", SECRET, name="bad")
    data = house.landing("panel") / name / "people.csv"
    shutil.move(data, folder / "elsewhere.csv")
    data.symlink_to(folder / "elsewhere.csv")
    return name


def linked_folder(house: TinyHouse, folder: Path) -> str:
    name = house.deliver("people", SECRET, name="bad")
    delivery = house.landing("panel") / name
    shutil.move(delivery, folder / "elsewhere")
    delivery.symlink_to(folder / "elsewhere")
    return name


def manifest_pipe(house: TinyHouse, _: Path) -> str:
    name = house.deliver("people", SECRET, name="bad")
    manifest = house.landing("panel") / name / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    return name


def no_file(house: TinyHouse, _: Path) -> str:
    name = house.deliver("people", SECRET, name="bad")
    folder = house.landing("panel") / name
    (folder / "people.csv").rename(folder / "other.csv")
    return name


def nested_files(house: TinyHouse, _: Path) -> str:
    name = house.deliver("people", SECRET, name="bad", sha256="sha256:" + "0" * 64)
    extra = house.landing("panel") / name / "more" / f"{CANARY}.txt"
    extra.parent.mkdir()
    extra.write_text(CANARY)
    return name


def second_file(house: TinyHouse, _: Path) -> str:
    name = house.deliver("people", SECRET, name="bad")
    (house.landing("panel") / name / "people-2.csv").write_bytes(SECRET)
    return name


def beyond(shape: Callable[[Path], object]) -> Deliver:
    """A delivery of which the house could not even keep a copy."""

    def deliver(house: TinyHouse, _: Path) -> str:
        name = house.deliver("people", SECRET, name="bad")
        shape(house.landing("panel") / name)
        return name

    return deliver


def many_files(folder: Path) -> None:
    for number in range(1_000):
        (folder / f"part-{number}").touch()


def deep_folders(folder: Path) -> None:
    for _ in range(1_500):
        folder = folder / "d"
        folder.mkdir()


def hole(folder: Path) -> None:
    os.truncate(folder / "people.csv", 1 << 40)


REFUSED: dict[str, tuple[str, Deliver]] = {
    "wrong digest": ("wrong_digest", people(sha256="sha256:" + "0" * 64)),
    "wrong digest, more files": ("wrong_digest", nested_files),
    "a second file": ("more_files", second_file),
    "unsigned": ("unsigned", unsigned),
    "something beside the signature": ("unsigned", said_beside_the_signature),
    "changed after signing": ("unsigned", changed_after_signing),
    "signed by an unregistered key": ("unsigned", people(key=SigningKey.from_seed(b"u" * 32))),
    "signed by another participant's steward": ("wrong_signer", people(signer="shop.steward")),
    "signed by a member who is no steward": ("wrong_signer", people(signer="panel.executive")),
    "signed by nobody we know": (
        "wrong_signer",
        people(signer="panel.nobody", key=SigningKey.from_seed(b"u" * 32)),
    ),
    "manifest of another collaboration": ("other_collaboration", people(collaboration="other")),
    "manifest of another participant": ("other_collaboration", people(participant="shop")),
    "undeclared dataset": ("undeclared_dataset", people(dataset=CANARY)),
    "dataset of another participant": ("undeclared_dataset", people(dataset="sales")),
    "traversal in the dataset": ("undeclared_dataset", people(dataset="../../../people")),
    "undeclared purpose": ("purpose", people(purposes=["insight", "resale"])),
    "created before the charter": ("outside_charter_dates", people(created="2019-12-31T23:59:59Z")),
    "created after the charter": ("outside_charter_dates", people(created="2100-01-01T00:00:00Z")),
    "period turned round": ("bad_manifest", people(period={"first": "2024-02-01", "last": "2024-01-01"})),
    "unknown field in the manifest": ("bad_manifest", people(**{CANARY: 1})),
    "wrong type in the manifest": ("bad_manifest", people(provenance=[CANARY])),
    "traversal in the file name": ("bad_manifest", people(file="../../bad/people.csv")),
    "manifest is text": ("no_manifest", people(envelope=CANARY.encode())),
    "manifest is a list": ("no_manifest", people(envelope=[CANARY])),
    "manifest is huge": ("no_manifest", people(envelope=b'{"a": "' + b"x" * 100_000 + b'"}')),
    "manifest is deep": ("no_manifest", people(envelope=b'{"a":' * 10_000)),
    "manifest is a pipe": ("no_manifest", manifest_pipe),
    "payload is deep": ("unsigned", people(envelope=DEEP)),
    "no file": ("no_file", no_file),
    "file is a link": ("link", linked_file),
    "folder is a link": ("link", linked_folder),
    "larger than allowed": ("too_large", people(HEADER + b"x" * 100_001)),
    "more rows than allowed": ("too_many_rows", people(HEADER + b"H1,old,low\n" * 1001)),
    "fewer rows than declared": ("row_count", people(SECRET, rows=2)),
    "more rows than declared": ("row_count", people(SECRET + b"H2,old,low\n", rows=1)),
    "more rows than declared, the others bad": ("row_count", people(SECRET + b"H2,ancient,low\n", rows=1)),
    "empty file": ("empty", people(b"", rows=0)),
    "only blank lines": ("empty", people(b"\n\n\n", rows=0)),
    "header only": ("empty", people(HEADER)),
    "parquet without rows": (
        "empty",
        parquet("SELECT '' AS household_id, '' AS age, '' AS income WHERE false", rows=0),
    ),
    "missing column": ("missing_column", people(f"household_id,income\n{CANARY},low\n".encode())),
    "no header": ("missing_column", people(f"{CANARY},young,low\nH2,old,low\n".encode())),
    "duplicate header": ("duplicate_columns", people(b"household_id,age,age\nH1,young,old\n")),
    "duplicate but for blanks": ("duplicate_columns", people(b"household_id,age, age\nH1,young,old\n")),
    "no row fits": ("no_valid_rows", people(HEADER + f"{CANARY},{CANARY},low\n".encode())),
    "identifiers are lists": (
        "column_type",
        parquet(f"SELECT ['{CANARY}'] AS household_id, 'old' AS age, 'low' AS income"),
    ),
    "truncated parquet": ("malformed", truncated_parquet),
    "csv called parquet": ("malformed", people(SECRET, format_="parquet")),
    "parquet called csv": (
        "nul_bytes",
        lambda house, folder: house.deliver("people", parquet_bytes("SELECT 1", folder), name="bad", rows=1),
    ),
    "open quote": ("malformed", people(SECRET + b'"H2,old,low\nH3,old,low\n')),
    "text after a closing quote": ("malformed", people(SECRET + b'"H2"x,old,low\n')),
    "open quote in the header": ("malformed", people(b'household_id,age,"income\n' + SECRET)),
    "too few fields": ("malformed", people(SECRET + b"H2,old\n")),
    "too many fields": ("malformed", people(SECRET + b"H2,old,low,x\n")),
    "UTF-16": ("encoding", people(SECRET.decode().encode("utf-16"), rows=1)),
    "UTF-16 without a mark": ("nul_bytes", people(SECRET.decode().encode("utf-16-le"), rows=1)),
    "latin-1": ("encoding", people(SECRET + "Hé,old,low\n".encode("latin-1"))),
    "NUL bytes": ("nul_bytes", people(SECRET + b"H\0,old,low\n")),
}  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    """Regular files of a delivery by relative name; nothing behind a link."""
    if folder.is_symlink():
        return {}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_delivery_is_refused_on_record_and_sealed(case: str, house: TinyHouse, tmp_path: Path) -> None:
    code, deliver = REFUSED[case]
    name = deliver(house, tmp_path)
    good = house.deliver("products")
    folder = house.landing("panel") / str(name)
    delivered = contents(folder)

    ends = run_what_waits(house)

    assert ends[good] == "accepted"
    assert ends.get("bad", f"contribution.{code}") == f"contribution.{code}"
    (refused,) = house.payloads("contribution.refused")
    assert isinstance(refused, ContributionRefused)
    assert (refused.code, refused.participant, refused.delivery) == (f"contribution.{code}", "panel", "bad")
    assert refused.message
    assert refused.next_step
    assert house.payloads("stage.failed") == []
    if refused.sealed is None:
        assert delivered == {}
    else:
        assert house.unsealed(refused.sealed) == delivered
    assert list(house.landing("panel").iterdir()) == []
    assert [path.name.split("-")[0] for path in house.house.vault.folder.glob("*.parquet")] == ["products"]
    assert [path.name.split("-")[0] for path in (house.root / "keys" / "vault").iterdir()] == ["products"]
    assert CANARY.encode() not in house.everything_on_disk()
    assert not list(house.root.rglob("*.partial"))
    assert run_what_waits(house).keys() <= {good}, "nothing is left to do for the refused one"
    assert len(house.payloads("contribution.refused")) == 1


@pytest.mark.parametrize("shape", [many_files, deep_folders, hole])
def test_a_delivery_beyond_keeping_is_refused_on_record_and_removed(
    house: TinyHouse, shape: Callable[[Path], object]
) -> None:
    for _ in range(2):
        name = beyond(shape)(house, Path())
        good = house.deliver("products", csv_bytes(product_rows()[: 3 + house.count]))
        assert run_what_waits(house)[good] == "accepted"
        assert not (house.landing("panel") / name).exists()
    refusals = house.payloads("contribution.refused")
    assert [(each.code, each.sealed) for each in refusals] == [("contribution.beyond_keeping", None)] * 2  # type: ignore[attr-defined]
    assert list(house.house.quarantine.iterdir()) == []
    assert list(house.landing("panel").iterdir()) == []
    assert CANARY.encode() not in house.everything_on_disk()
    verify_log(house.house.log, house.house.checkpoints, house.house.operator.public).require()


def test_what_lies_behind_a_link_is_neither_read_nor_removed(house: TinyHouse, tmp_path: Path) -> None:
    linked_folder(house, tmp_path)
    before = contents(tmp_path / "elsewhere")
    run_what_waits(house)
    assert contents(tmp_path / "elsewhere") == before != {}


@pytest.mark.parametrize("name", [f"{CANARY} may", "käse", "a b", "x" * 90, "\udcff\udcfe"])
def test_a_name_that_a_sender_may_not_choose_is_refused_and_not_repeated(house: TinyHouse, name: str) -> None:
    good = house.deliver("products")
    house.deliver("people", SECRET, name=name)
    assert run_what_waits(house) == {good: "accepted"}
    (refused,) = house.payloads("contribution.refused")
    assert isinstance(refused, ContributionRefused)
    assert refused.code == "contribution.delivery_name"
    assert refused.delivery.startswith("unnamed-")
    assert house.unsealed(str(refused.sealed))["people.csv"] == SECRET
    assert list(house.landing("panel").iterdir()) == []
    assert CANARY.encode() not in house.everything_on_disk()


@pytest.mark.parametrize("name", ["../panel/bad", "..", "/etc", "bad/../bad", "", ".bad"])
def test_a_name_cannot_lead_out_of_the_landing_folder(house: TinyHouse, name: str) -> None:
    house.deliver("people", SECRET, name="bad")
    with pytest.raises(ContributionError) as caught:
        house.accept("people", name)
    assert caught.value.code == "contribution.delivery_name"
    assert (house.landing("panel") / "bad" / "people.csv").read_bytes() == SECRET


@dataclass(frozen=True)
class Taken:
    """What a delivery became."""

    rows: int
    quarantined: dict[str, int]
    dropped: int
    identifiers: list[str | None]


def take(house: TinyHouse, delivery: str) -> Taken:
    logged = house.accept("people", delivery)
    payload = logged.event.payload
    assert isinstance(payload, ContributionAccepted)
    with connect(house.house.settings) as connection:
        relation = house.house.vault.reader(payload.receipt.subject).relation(connection)
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        assert [row[0] for row in described] == ["household_id", "age", "income"], "only what is permitted"
        rows = connection.execute(f"SELECT household_id FROM {relation} ORDER BY 1").fetchall()
    assert CANARY.encode() not in house.everything_on_disk()
    return Taken(payload.rows, payload.quarantined_rows, payload.dropped_columns, [row[0] for row in rows])


@pytest.mark.parametrize(
    ("data", "dropped", "identifiers"),
    [
        (GOOD, 0, ["H1"]),
        (b"\xef\xbb\xbf" + GOOD, 0, ["H1"]),
        (GOOD.replace(b"\n", b"\r\n"), 0, ["H1"]),
        (GOOD.rstrip(b"\n"), 0, ["H1"]),
        (b"income,household_id,age\nlow,007,old\n", 0, ["007"]),
        (f"household_id,age,income,mail\nH1,old,low,{CANARY}\n".encode(), 1, ["H1"]),
        (f'household_id,age,income,"{CANARY}"\nH1,old,low,x\n'.encode(), 1, ["H1"]),
        (b'household_id,age,income,"x""); DROP TABLE t; --",\'\nH1,old,low,1,2\n', 2, ["H1"]),
        (b'household_id,age,income,"two\nlines"\nH1,old,low,1\n', 1, ["H1"]),
        (b'household_id,age\n"H,1",old\n', 0, ["H,1"]),
        ("household_id,age,income\nHé,old,low\n".encode(), 0, ["Hé"]),
    ],
)
def test_what_is_only_unusual_is_taken(
    house: TinyHouse, data: bytes, dropped: int, identifiers: list[str]
) -> None:
    found = take(house, house.deliver("people", data, rows=1))
    assert found == Taken(1, {}, dropped, list(identifiers))


def test_rows_that_do_not_fit_are_counted_and_numbered_for_their_steward(house: TinyHouse) -> None:
    bad = [f"{'x' * 41},old,low", ",old,low", f"{CANARY},ancient,low", "H2,old,rich"]
    found = take(house, house.deliver("people", GOOD + "\n".join(bad).encode() + b"\n"))
    assert found == Taken(1, {"too_long": 1, "required": 1, "not_allowed": 2}, 0, ["H1"])
    (accepted,) = house.payloads("contribution.accepted")
    assert isinstance(accepted, ContributionAccepted)
    contribution = accepted.receipt.subject
    rows = unseal_rejected(house.house, contribution, house.key("panel.steward"))
    assert rows == [(2, "too_long"), (3, "required"), (4, "not_allowed"), (5, "not_allowed")]
    with pytest.raises(IntegrityError, match=r"sealed\.other_key"):
        unseal_rejected(house.house, contribution, house.key("shop.steward"))
    house.house.log.close()
    assert CANARY.encode() not in house.everything_on_disk()
    assert [path.name for path in house.house.vault.folder.glob("*.parquet")] == [f"{contribution}.parquet"]


def test_the_same_file_counts_once_and_a_rerun_gets_the_same_receipt(house: TinyHouse) -> None:
    first = house.deliver("people")
    accepted = house.accept("people", first)
    assert house.accept("people", first) == accepted
    second = house.deliver("people")
    with pytest.raises(ContributionError) as caught:
        house.accept("people", second)
    assert caught.value.code == "contribution.duplicate"
    assert caught.value.facts["delivery"] == first
    assert len(house.payloads("contribution.accepted")) == 1
    (refused,) = house.payloads("contribution.refused")
    assert isinstance(refused, ContributionRefused)
    assert refused.sealed is None, "the vault has it already"
    assert list(house.landing("panel").iterdir()) == []
    house.deidentify("people", accepted.event.payload.receipt.subject)  # type: ignore[attr-defined]


def test_a_file_that_only_claims_to_be_a_duplicate_is_kept(house: TinyHouse) -> None:
    data = csv_bytes(people_rows())
    house.accept("people", house.deliver("people", data))
    name = house.deliver("people", data, name="bad")
    (house.landing("panel") / name / "people.csv").write_bytes(SECRET)
    with pytest.raises(ContributionError) as caught:
        house.accept("people", name)
    assert caught.value.code == "contribution.wrong_digest"
    (refused,) = house.payloads("contribution.refused")
    assert isinstance(refused, ContributionRefused)
    assert house.unsealed(str(refused.sealed))["people.csv"] == SECRET


def test_a_name_may_come_back_with_another_file(house: TinyHouse) -> None:
    first = house.accept("people", house.deliver("people", GOOD, name="monthly"))
    second = house.accept("people", house.deliver("people", GOOD + b"H2,old,low\n", name="monthly"))
    assert (first.seq, second.event.payload.rows) == (second.seq - 1, 2)  # type: ignore[attr-defined]
    assert house.accept("people", "monthly") == second, "the newest counts"


def test_two_refusals_under_one_name_are_two_and_both_are_kept(house: TinyHouse) -> None:
    for household_id in ("H1", "H2"):
        house.deliver("people", HEADER + f"{household_id},ancient,low\n".encode(), name="monthly")
        run_what_waits(house)
    refusals = [
        each for each in house.payloads("contribution.refused") if isinstance(each, ContributionRefused)
    ]
    kept = [house.unsealed(str(each.sealed))["people.csv"] for each in refusals]
    assert [data.split(b"\n")[1][:2] for data in kept] == [b"H1", b"H2"]


def test_what_is_not_there_is_not_put_on_record(house: TinyHouse) -> None:
    size = house.house.log.size
    with pytest.raises(ContributionError) as caught:
        house.accept("people", "never-delivered")
    assert caught.value.code == "contribution.not_waiting"
    assert house.house.log.size == size


def test_an_unfinished_delivery_is_left_alone(house: TinyHouse) -> None:
    name = house.deliver("people")
    manifest = house.landing("panel") / name / "manifest.json"
    later = manifest.read_bytes()
    manifest.unlink()
    assert run_what_waits(house) == {}
    manifest.write_bytes(later)
    assert run_what_waits(house) == {name: "accepted"}


@pytest.mark.parametrize(
    ("period", "code"),
    [
        ({"first": "2023-12-31", "last": "2024-06-30"}, "contribution.outside_period"),
        ({"first": "2024-06-01", "last": "2025-01-01"}, "contribution.outside_period"),
        ({"first": "2024-12-31", "last": "2024-12-31"}, None),
    ],
)
def test_a_delivery_stays_inside_the_charters_period(
    house: TinyHouse, period: dict[str, str], code: str | None
) -> None:
    name = house.deliver("sales", period=period)
    assert run_what_waits(house) == {name: code or "accepted"}


def test_nothing_enters_after_the_charter_has_ended(house: TinyHouse) -> None:
    name = house.deliver("people")
    log = house.house.log
    with log.read() as connection:
        present = log.present(connection)
    log.clock = lambda: present.replace(year=2100)
    assert run_what_waits(house) == {name: "contribution.outside_charter_dates"}


def test_a_steward_whom_the_charter_no_longer_names_signs_nothing(tmp_path: Path) -> None:
    member = "      - {id: panel.former, name: Former, roles: [steward]}\n"
    auditor = "      - {id: panel.auditor, name: Auditor, roles: [auditor]}\n"
    house = make_house(tmp_path, charter=CHARTER.replace(auditor, auditor + member))
    house.amend(member, "")
    name = house.deliver("people", signer="panel.former")
    assert run_what_waits(house) == {name: "contribution.wrong_signer"}
    house.house.log.close()


def test_a_replaced_key_signs_nothing_any_more(house: TinyHouse) -> None:
    old = house.keys["panel.steward"]
    new = SigningKey.from_seed(b"n" * 32)
    rotation = rotate_key("tiny", "panel.steward", new, "test")
    house.act("panel.steward", rotation.subject, rotation.payload)
    first, second = house.deliver("people", GOOD, key=old), house.deliver("people", GOOD, key=new)
    assert run_what_waits(house) == {first: "contribution.unsigned", second: "accepted"}


def test_a_parquet_with_a_column_twice_is_refused(house: TinyHouse, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as writer

    path = tmp_path / "twice.parquet"
    columns = [pyarrow.array([value]) for value in ("H1", "H2", "old")]
    writer.write_table(pyarrow.table(columns, names=["household_id", "household_id", "age"]), path)
    name = house.deliver("people", path.read_bytes(), format_="parquet", rows=1)
    assert run_what_waits(house) == {name: "contribution.duplicate_columns"}


def test_a_fault_of_the_house_refuses_nobody(house: TinyHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    name = house.deliver("people")

    def no_memory(*_: object, **__: object) -> int:
        raise duckdb.OutOfMemoryException(f"could not allocate for {CANARY}")

    with monkeypatch.context() as patch:
        patch.setattr(VaultWriter, "write", no_memory)
        with pytest.raises(duckdb.OutOfMemoryException):
            house.accept("people", name)
    (failed,) = house.payloads("stage.failed")
    assert failed.code == "internal.unexpected"  # type: ignore[attr-defined]
    assert CANARY.encode() not in house.everything_on_disk()
    assert house.payloads("contribution.refused") == []
    assert run_what_waits(house) == {name: "accepted"}


def test_the_log_verifies_and_lineage_has_no_value_after_all_this(house: TinyHouse, tmp_path: Path) -> None:
    for number, case in enumerate(("wrong digest", "no row fits", "UTF-16", "undeclared dataset")):
        REFUSED[case][1](house, tmp_path)
        (house.landing("panel") / "bad").rename(house.landing("panel") / f"bad-{number}")
    run_what_waits(house)
    assert len(house.payloads("contribution.refused")) == 4
    verify_log(house.house.log, house.house.checkpoints, house.house.operator.public).require()
    said = json.dumps(house.house.log.lineage())
    assert '"FAIL"' in said
    assert CANARY not in said
    assert household(1) not in said
    assert product_rows()[0]["department"] not in said


def test_a_file_that_takes_too_long_is_refused_and_sealed(tmp_path: Path) -> None:
    tiny = make_house(tmp_path, intake_seconds=1e-4)
    delivery = tiny.deliver("sales")
    with pytest.raises(ContributionError, match=r"^contribution\.too_slow: "):
        tiny.accept("sales", delivery)
    (refused,) = tiny.payloads("contribution.refused")
    assert refused.code == "contribution.too_slow"  # type: ignore[attr-defined]
    assert not list(tiny.landing("shop").iterdir())
    tiny.house.log.close()
