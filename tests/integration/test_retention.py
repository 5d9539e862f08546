"""Data goes when its days are over, not before; and what replaced what is on record."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyrage
import pytest
from typer.testing import CliRunner

from orchestration.audit import tables as t
from orchestration.audit.certificate import make_certificate, verify_certificate
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    CollaborationFrozen,
    DataDestroyed,
    DisputeRaised,
)
from orchestration.audit.passport import PAYLOAD_TYPE
from orchestration.audit.replay import replay
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import Payload, now
from orchestration.cli import app
from orchestration.engine.extension import load_httpfs
from orchestration.errors import ContributionError, GlasshouseError, IntegrityError, PolicyDeniedError
from orchestration.stages import compute, destruction, governance, protect, quarantine, refresh, release
from orchestration.stages.rejected import unseal_rejected
from tests.governed_charter import governed
from tests.support import CALLER, TinyHouse, csv_bytes, make_house, people_rows, tampered

SECRET = b"household_id,age,income\nH777777,ancient,low\n"
MIXED = csv_bytes(people_rows(100)) + b"H777777,ancient,low\n"
OVERLAP = ("audience_overlap", {"left": "shoppers", "right": "profiled"}, "planning")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyHouse]:
    text = governed().replace("{contributions_days: 60,", "{contributions_days: 60, superseded_days: 10,")
    made = make_house(tmp_path, charter=text)
    yield made
    assert replay(made.house.log).first is None
    made.house.log.close()


def after(tiny: TinyHouse, days: float) -> list[str]:
    """So many days from now, settle; the rules or clauses by which anything was destroyed."""
    tiny.house.log.clock = lambda: now() + timedelta(days=days)
    logged = governance.settle(tiny.house, "tiny")
    payloads = [each.event.payload for each in logged]
    return [str(each.clause or each.rule) for each in payloads if isinstance(each, DataDestroyed)]


def refuse(tiny: TinyHouse, data: bytes = SECRET, **claims: Any) -> str:
    """The name of a refused delivery."""
    with pytest.raises(ContributionError):
        tiny.accept("people", tiny.deliver("people", data, **claims))
    return str(tiny.payloads("contribution.refused")[-1].sealed)  # type: ignore[attr-defined]


def row(tiny: TinyHouse, contribution: str) -> Any:
    with tiny.house.state("tiny") as state:
        (found,) = state.rows(t.contributions, contribution=contribution)
    return found


def opens(tiny: TinyHouse, contribution: str) -> bool:
    try:
        tiny.house.keys.secret(tiny.house.vault.key_id(contribution))
    except GlasshouseError:
        return False
    return tiny.house.vault.path(contribution).exists()


# --- quarantine for its steward


def test_a_refused_delivery_opens_for_its_signer_and_for_nobody_else(tiny: TinyHouse, tmp_path: Path) -> None:
    sealed = refuse(tiny)
    (refused,) = tiny.payloads("contribution.refused")
    assert refused.sealed_for == ("panel.steward",)  # type: ignore[attr-defined]
    copy = quarantine.sealed_copy(tiny.house, sealed)
    assert refused.quarantine_digest == quarantine.digest_of(copy)  # type: ignore[attr-defined]
    names = quarantine.unseal(copy, tiny.key("panel.steward"), tmp_path / "back")
    assert sorted(names) == ["manifest.json", "people.csv"]
    assert (tmp_path / "back" / "people.csv").read_bytes() == SECRET
    for other in ("shop.steward", "panel.auditor"):
        with pytest.raises(GlasshouseError, match=r"^sealed\.other_key"):
            quarantine.unseal(copy, tiny.key(other), tmp_path / other)
    with pytest.raises(GlasshouseError, match=r"^sealed\.other_key"):
        quarantine.unseal(copy, tiny.house.operator, tmp_path / "operator")


def test_without_a_known_signer_it_opens_for_the_stewards(tiny: TinyHouse) -> None:
    refuse(tiny, envelope=b"no manifest")
    refuse(tiny, key=tiny.key("shop.steward"))  # signed in the name of another
    assert [each.sealed_for for each in tiny.payloads("contribution.refused")] == [("panel.steward",)] * 2  # type: ignore[attr-defined]


def test_row_numbers_are_those_of_the_file_whatever_reads_it(tiny: TinyHouse, tmp_path: Path) -> None:
    """Many row groups, several threads: numbers must not depend on who reads what first."""
    rows = people_rows(900)
    for number in (0, 499, 899):
        rows[number]["age"] = "ancient"
    text = csv_bytes(rows)
    for data, format_ in ((text, "csv"), (_parquet(text, tmp_path), "parquet")):
        logged = tiny.accept("people", tiny.deliver("people", data, rows=900, format_=format_))
        contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
        found = unseal_rejected(tiny.house, contribution, tiny.key("panel.steward"))
        assert found == [(1, "not_allowed"), (500, "not_allowed"), (900, "not_allowed")]


def _parquet(text: bytes, folder: Path) -> bytes:
    (folder / "rows.csv").write_bytes(text)
    path = folder / "groups.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_csv('{folder}/rows.csv', all_varchar = true)) TO '{path}' (ROW_GROUP_SIZE 100)"
        )
    return path.read_bytes()


# --- repair


def test_a_corrected_delivery_repairs_the_refused_one(tiny: TinyHouse) -> None:
    same = {"name": "monthly", "created": "2026-01-01T00:00:00Z"}
    sealed = refuse(tiny, **same)
    logged = tiny.accept("people", tiny.deliver("people", supersedes=sealed))
    contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
    assert (row(tiny, sealed).status, row(tiny, sealed).superseded_by) == ("repaired", contribution)
    assert quarantine.sealed_copy(tiny.house, sealed).exists()
    assert after(tiny, 0) == ["repaired"]
    assert not quarantine.sealed_copy(tiny.house, sealed).exists()
    assert after(tiny, 0) == []
    assert refuse(tiny, **same) == sealed  # the very same mistake again is a refusal of its own
    assert row(tiny, sealed).status == "refused"
    digest = row(tiny, sealed).sealed_digest
    assert refuse(tiny, **same) == sealed  # and stands once
    assert len(tiny.payloads("contribution.refused")) == 2
    assert digest == quarantine.digest_of(quarantine.sealed_copy(tiny.house, sealed))


def test_only_an_own_delivery_of_this_dataset_is_corrected(tiny: TinyHouse) -> None:
    products = tiny.contribute("products")
    for other in (products, "people-000000000000"):
        with pytest.raises(ContributionError, match=r"^contribution\.nothing_to_supersede"):
            tiny.accept("people", tiny.deliver("people", supersedes=other))


def test_a_newer_contribution_takes_the_place_of_older_ones_when_its_gate_passes(tiny: TinyHouse) -> None:
    first = tiny.contribute("people")
    logged = tiny.accept("people", tiny.deliver("people", csv_bytes(people_rows(110)), supersedes=first))
    second = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
    assert row(tiny, first).superseded_by is None
    tiny.deidentify("people", second)
    assert tiny.gate("people", second).passed
    assert (row(tiny, first).superseded_by, row(tiny, second).supersedes) == (second, first)
    assert after(tiny, 9.9) == []
    assert after(tiny, 10.1) == ["retention.superseded_days"]
    assert (opens(tiny, first), opens(tiny, second)) == (False, True)


# --- retention


def test_everything_goes_on_its_day_and_nothing_before(tiny: TinyHouse) -> None:
    for dataset in ("sales", "products"):
        tiny.contribute(dataset)
    people = tiny.contribute("people", MIXED)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    request = tiny.request(*OVERLAP).request.id
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    release.release(tiny.house, tiny.charter, request, CALLER)
    (released,) = tiny.payloads("output.released")
    sealed = refuse(tiny)
    assert after(tiny, 29.9) == []
    assert after(tiny, 30.1) == ["retention.quarantine_days"]
    assert not list(tiny.house.quarantine.iterdir())
    (gone,) = tiny.payloads("data.destroyed")
    assert gone.quarantined == tuple(sorted((people, sealed)))  # type: ignore[attr-defined]
    assert set(gone.files) == {f"quarantine/{people}", f"quarantine/{sealed}"}  # type: ignore[attr-defined]
    assert opens(tiny, people)
    assert after(tiny, 59.9) == []
    assert sorted(after(tiny, 60.1)) == [
        "retention.contributions_days", "retention.contributions_days", "retention.releases_days",
    ]  # fmt: skip
    assert not opens(tiny, people)
    assert not list(tiny.house.vault.folder.glob("*.parquet"))
    assert not list(tiny.house.shelf.iterdir())
    assert not list(tiny.house.protected.iterdir())
    told = {name: digest for each in tiny.payloads("data.destroyed") for name, digest in each.files.items()}  # type: ignore[attr-defined]
    for name, digest in released.files.items():  # type: ignore[attr-defined]
        assert told[f"shelf/{released.release}/{name}"] == digest  # type: ignore[attr-defined]
    accepted = {each.receipt.subject: each.vault_digest for each in tiny.payloads("contribution.accepted")}  # type: ignore[attr-defined]
    assert {f"vault/{name}.parquet": digest for name, digest in accepted.items()}.items() <= told.items()
    assert release.release(tiny.house, tiny.charter, request, CALLER)  # a rerun does not bring it back
    assert not list(tiny.house.shelf.iterdir())


def test_deleting_goes_on_in_a_freeze_and_a_dispute_holds_what_it_is_about(tiny: TinyHouse) -> None:
    people, sales = tiny.contribute("people", MIXED), tiny.contribute("sales")
    raised = DisputeRaised(about_kind="dataset", about="people", remedy="warn")
    act_after(tiny, 59, "shop.steward", "d-1", raised)
    act_after(tiny, 59, "panel.steward", "tiny", CollaborationFrozen())
    tiny.house.log.clock = lambda: now() + timedelta(days=61)
    destruction.destroy_due(tiny.house, "tiny")
    (gone,) = tiny.payloads("data.destroyed")
    assert gone.contributions == (sales,)  # type: ignore[attr-defined]
    assert (opens(tiny, people), opens(tiny, sales)) == (True, False)
    assert quarantine.sealed_copy(tiny.house, people).exists()


def test_a_hold_ends_with_its_dispute(tiny: TinyHouse) -> None:
    people = tiny.contribute("people")
    raised = DisputeRaised(about_kind="dataset", about="people", remedy="warn")
    tiny.act("shop.steward", "d-1", raised)
    assert after(tiny, 61) == ["retention.contributions_days"]  # nobody decided: it was dismissed long ago
    assert not opens(tiny, people)


def act_after(tiny: TinyHouse, days: float, member: str, subject: str, payload: Payload) -> None:
    """An act so many days from now."""
    at = now() + timedelta(days=days)
    tiny.house.log.clock = lambda: at
    event = Event(collaboration="tiny", subject=subject, actor=member, time=at, payload=payload)
    governance.record(tiny.house, sign(event, tiny.key(member), issued=at))


def test_destroying_early_or_more_than_is_due_is_refused(tiny: TinyHouse) -> None:
    people, sealed = tiny.contribute("people", MIXED), refuse(tiny)
    early = {"rule": "retention", "clause": "retention.contributions_days"}

    def record(subject: str = "panel", **said: Any) -> None:
        with tiny.house.state("tiny") as state:
            at = state.at
        payload = DataDestroyed(**said)
        tiny.house.log.append(
            Event(collaboration="tiny", subject=subject, actor="operator", time=at, payload=payload)
        )

    wrong: list[dict[str, Any]] = [
        early | {"contributions": (people,)},
        {"rule": "retention", "clause": "retention.quarantine_days", "quarantined": (sealed,)},
        {"rule": "retention", "contributions": (people,)},
        {"rule": "repaired", "quarantined": (sealed,)},
        {"rule": "retention", "clause": "retention.releases_days", "releases": ("i-1",), "subject": "tiny"},
        {"rule": "left", "quarantined": (sealed,)},
    ]
    for each in wrong:
        with pytest.raises(PolicyDeniedError, match=r"^destruction\.not_due"):
            record(**each)
    tiny.house.log.clock = lambda: now() + timedelta(days=61)
    for each in (
        early | {"contributions": (people,), "subject": "shop"},
        early | {"contributions": (people,), "clause": "retention.superseded_days"},
        early | {"contributions": ()},
    ):
        with pytest.raises(PolicyDeniedError, match=r"^destruction\.not_due"):
            record(**each)
    with pytest.raises(PolicyDeniedError, match=r"^destruction\.other_digests"):
        record(**early, contributions=(people,), files={f"vault/{people}.parquet": "sha256:" + "0" * 64})
    assert sorted(after(tiny, 61)) == ["retention.contributions_days", "retention.quarantine_days"]


@pytest.mark.parametrize("killed_at", ["discard", "keep_only", "append"])
def test_killed_between_shredding_and_recording_a_rerun_says_it_once(
    tiny: TinyHouse, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    people = tiny.contribute("people", MIXED)
    done: list[str] = []

    class Killed(BaseException):
        pass

    def killing(*_: object, **__: object) -> None:
        done.append(killed_at)
        raise Killed

    where = {"discard": quarantine, "keep_only": type(tiny.house.room("tiny")), "append": tiny.house.log}
    with monkeypatch.context() as patch:
        patch.setattr(where[killed_at], killed_at, killing)
        tiny.house.log.clock = lambda: now() + timedelta(days=61)
        with pytest.raises(Killed):
            destruction.destroy_due(tiny.house, "tiny")
    assert done
    assert not tiny.payloads("data.destroyed")
    assert after(tiny, 61) == ["retention.contributions_days"]
    (gone,) = tiny.payloads("data.destroyed")
    assert gone.files.keys() == {f"vault/{people}.parquet", f"quarantine/{people}"}  # type: ignore[attr-defined]
    assert after(tiny, 62) == []


# --- certificates, and what is left


def test_a_certificate_holds_offline_and_a_forged_one_does_not(tiny: TinyHouse) -> None:
    people = tiny.contribute("people", MIXED)
    after(tiny, 61)
    log, operator, checkpoints = tiny.house.log, tiny.house.operator, tiny.house.checkpoints
    (logged,) = log.events("data.destroyed")
    envelope = make_certificate(log, operator, checkpoints, logged.seq)
    said = verify_certificate(envelope, operator.public)
    assert said.destruction.contributions == (people,)
    assert said.destruction.key_ids == (f"vault/{people}",)
    assert said.destruction.clause == "retention.contributions_days"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    (accepted,) = tiny.payloads("contribution.accepted")
    named = {each["name"]: f"sha256:{each['digest']['sha256']}" for each in statement["subject"]}
    assert named == said.destruction.files
    assert named[f"vault/{people}.parquet"] == accepted.vault_digest  # type: ignore[attr-defined]
    for part in ("about", "why", "destroyed_at", "collaboration"):
        forged = deepcopy(statement)
        forged["predicate"][part] = "2026-01-01T00:00:00.000Z" if part == "destroyed_at" else "another"
        with pytest.raises(IntegrityError, match=r"^certificate\.contradiction"):
            verify_certificate(operator.sign(forged, PAYLOAD_TYPE), operator.public)
        with pytest.raises(IntegrityError, match=r"^signature\.invalid"):
            verify_certificate(tampered(envelope, predicate=forged["predicate"]), operator.public)
    fewer = {**statement, "subject": statement["subject"][:1]}
    with pytest.raises(IntegrityError, match=r"^certificate\.contradiction"):
        verify_certificate(operator.sign(fewer, PAYLOAD_TYPE), operator.public)
    with pytest.raises(IntegrityError, match=r"^signature\.invalid"):
        verify_certificate(tiny.key("shop.steward").sign(statement, PAYLOAD_TYPE), operator.public)
    with pytest.raises(GlasshouseError, match=r"^certificate\.not_a_destruction"):
        make_certificate(log, operator, checkpoints, logged.seq - 1)


def test_after_it_no_byte_on_disk_and_no_backup_decrypts(tiny: TinyHouse, tmp_path: Path) -> None:
    """A backup of every file but the keys, made before: no key that is left opens any of it."""
    people = tiny.contribute("people", MIXED)
    tiny.contribute("products")
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    sealed = refuse(tiny)
    backup = tmp_path / "backup"
    for store in ("vault", "room", "quarantine"):
        shutil.copytree(tiny.root / store, backup / store)
    files = [path for path in sorted(backup.rglob("*")) if path.is_file() and path.stat().st_size]
    assert {path.relative_to(backup).parts[0] for path in files} == {"vault", "room", "quarantine"}
    for path in files:  # a backup holds ciphertext only
        data = path.read_bytes()
        assert b"H000001" not in data, path
        assert b"H777777" not in data, path
        assert not data.startswith(b"PAR1"), path
    assert after(tiny, 61)
    left = [
        path.relative_to(tiny.root / "keys").with_suffix("").as_posix()
        for path in (tiny.root / "keys").rglob("*.key")
    ]
    assert f"vault/{people}" not in left
    keys = {name: tiny.house.keys.secret(name) for name in left}
    vault = backup / "vault" / f"{people}.parquet"
    with duckdb.connect() as connection:
        load_httpfs(connection)
        for key in keys.values():
            with pytest.raises(duckdb.Error):
                connection.execute(
                    f"FROM read_parquet('{vault}', encryption_config = {{footer_key_value: ?}})", [key]
                )
            with pytest.raises(duckdb.Error):
                connection.execute(
                    f"ATTACH '{backup / 'room' / 'tiny.duckdb'}' AS old (ENCRYPTION_KEY ?)", [key.hex()]
                )
    identity = pyrage.x25519.Identity.from_str(keys["quarantine"].decode())
    for path in (*(backup / "quarantine" / sealed).iterdir(), *(backup / "quarantine" / people).iterdir()):
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(path.read_bytes(), [identity])
    # Nor is there anything unfinished, spilled, or waiting in a write-ahead log.
    slack = [path for path in tiny.root.rglob("*") if path.name.endswith((".partial", ".wal", ".destroyed"))]
    assert [path for path in slack if path.parent.name in ("vault", "room", "keys", "quarantine")] == []
    assert [path for path in (tiny.root / "tmp").rglob("*") if path.is_file()] == []
    assert not [path for path in tiny.root.rglob("*") if people in path.name]


def test_the_commands_give_back_list_certify_and_verify(
    tiny: TinyHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, sealed = tiny.contribute("people", MIXED), refuse(tiny)
    tiny.key("panel.steward").save(tmp_path / "panel.pem")
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tiny.root))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(tiny.house.settings.charters))

    def told(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == 0, result.output or result.exception
        return str(result.stdout)

    key = ("--key", tmp_path / "panel.pem")
    assert told("contribution", "rejected", people, *key, "--csv") == "row,reason\n101,not_allowed\n"
    assert "not_allowed" in told("contribution", "rejected", people, *key)
    assert "people.csv" in told("contribution", "unseal", sealed, *key, "--out", tmp_path / "back")
    assert (tmp_path / "back" / "people.csv").read_bytes() == SECRET
    assert after(tiny, 61)
    listed = json.loads(told("destruction", "list", "--json"))
    seq = next(each["seq"] for each in listed if each["contributions"] == [people])
    assert "retention.contributions" in told("destruction", "list")
    (tmp_path / "operator.json").write_text(json.dumps(tiny.house.operator.public))
    told("destruction", "certificate", seq, "--out", tmp_path / "gone.json")
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "nowhere"))
    shown = told("destruction", "verify", tmp_path / "gone.json", "--key", tmp_path / "operator.json")
    assert "The certificate holds" in shown
