"""No raw identifier and no key outside its encrypted file: every byte a whole run leaves is searched."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import duckdb
import pytest

from orchestration.engine.duck import quote_text
from orchestration.engine.extension import load_httpfs
from tests.promises.canary_run import Hit, Run, decrypted_vault, forms, reopened, search
from tests.support import TinyHouse


def test_the_run_had_every_kind_of_ending(canary_run: Run) -> None:
    """The search means something only if everything that can go wrong did."""
    endings = {(step.kind, step.succeeded) for step in canary_run.steps}
    assert endings == {
        ("intake", True), ("intake", False), ("refresh", True), ("refresh", False), ("request", True),
        ("engine", False),
    }  # fmt: skip
    tiny = reopened(canary_run)
    codes = {getattr(payload, "code", None) for payload in tiny.payloads("contribution.refused")}
    assert codes == {
        "contribution.wrong_digest",
        "contribution.malformed",
        "contribution.missing_column",
        "contribution.column_type",
        "contribution.no_valid_rows",
        "contribution.undeclared_dataset",
        "contribution.no_manifest",
    }
    failed = {getattr(payload, "code", None) for payload in tiny.payloads("stage.failed")}
    assert failed == {"transform.model_failed", "internal.unexpected", "request.purpose_not_agreed"}
    assert tiny.payloads("gate.failed")
    assert set(canary_run.releases) == {"overlap", "segments"}
    tiny.house.log.close()


def test_the_landing_folders_are_empty(canary_run: Run) -> None:
    assert not [path for path in (canary_run.root / "landing").rglob("*") if path.is_file()]


def test_no_canary_is_anywhere(canary_run: Run) -> None:
    needles = {place: stem.encode() for place, stem in canary_run.canaries.stems.items()}
    # What the steward says of an accepted delivery is evidence: the signed manifest stands in the log, and
    # is shown with it.
    allowed = {"provenance": r"control\.db(-wal)?|stdout|pages/.*"}
    assert search([canary_run.root, *canary_run.outside], needles, allowed=allowed) == []


def test_the_search_looked_at_everything_a_house_has(canary_run: Run) -> None:
    """A folder that is not there cannot be searched; an empty log says nothing."""
    there = {
        path.relative_to(canary_run.root).parts[0] for path in canary_run.root.rglob("*") if path.is_file()
    }
    assert there >= {
        "vault", "room", "quarantine", "shelf", "protected", "checkpoints", "lineage", "dagster", "dbt",
        "keys", "control.db", "master.key",
    }  # fmt: skip
    said = canary_run.outside[3]
    assert (said / "log").stat().st_size > 10_000
    assert (said / "stderr").stat().st_size > 1_000  # Dagster's own console logger spoke
    assert (said / "stdout").stat().st_size > 100_000  # exports, the log and an insight were printed
    assert len(list((canary_run.outside[2] / "pages").iterdir())) > 40


def test_no_key_is_anywhere_but_in_its_file(canary_run: Run) -> None:
    tiny = reopened(canary_run)
    root = canary_run.root
    master = base64.b64decode((root / "master.key").read_text())
    names = [
        path.relative_to(root / "keys").with_suffix("").as_posix() for path in (root / "keys").rglob("*.key")
    ]
    needles = {f"key {name}": tiny.house.keys.secret(name) for name in names} | {"master key": master}
    needles |= {f"signing key of {member}": member.encode().ljust(32, b".") for member in tiny.keys}
    tiny.house.log.close()
    assert {
        "key operator",
        "key quarantine",
        "key pseudonym/tiny",
        "key blinding/tiny",
        "key room/tiny",
    } <= needles.keys()
    assert sum(name.startswith("key vault/") for name in needles) >= 3
    pads = {
        f"{pad} pad of {name}": bytes(byte ^ mask for byte in key)
        for name, key in needles.items()
        if "pseudonym" in name or "blinding" in name
        for pad, mask in (("inner", 0x36), ("outer", 0x5C))
    }
    hits = search([root, *canary_run.outside], needles | pads, allowed={"master key": r"master\.key"})
    assert hits == []


def test_key_files_are_for_their_owner_only(canary_run: Run) -> None:
    for path in [canary_run.root / "master.key", *(canary_run.root / "keys").rglob("*.key")]:
        assert path.stat().st_mode & 0o777 == 0o600, path.name


# --- the search can fail


@pytest.mark.parametrize("form", sorted(forms(b"x" * 30)))
def test_the_search_finds_what_was_planted_on_purpose(tmp_path: Path, canary_run: Run, form: str) -> None:
    stem = canary_run.canaries.stems["household"]
    token = canary_run.canaries("household", 7).encode()
    leaked = {
        "raw": token, "hex": token.hex().encode(), "HEX": token.hex().upper().encode(),
        "utf-16-le": token.decode().encode("utf-16-le"), "reversed": token[::-1],
    }  # fmt: skip
    for shift in range(3):
        leaked[f"base64 +{shift}"] = base64.b64encode(b"user=:"[:shift] + token)
        leaked[f"base64url +{shift}"] = base64.urlsafe_b64encode(b"user=:"[:shift] + token)
    (tmp_path / "leak").write_bytes(b"before " + leaked[form] + b" after")
    assert form in {hit.form for hit in search([tmp_path], {"household": stem.encode()})}


def test_the_search_reads_databases_parquet_and_file_names(tmp_path: Path, canary_run: Run) -> None:
    stem, token = canary_run.canaries.stems["household"], canary_run.canaries("household", 7)
    with duckdb.connect() as connection:
        query = f"SELECT '{token}' || (i // 100) AS h FROM range(1000) AS t(i)"
        connection.execute(f"COPY ({query}) TO '{tmp_path}/leak.parquet' (FORMAT parquet, COMPRESSION zstd)")
    (tmp_path / token).touch()
    assert {hit.file for hit in search([tmp_path], {"household": stem.encode()})} >= {
        "leak.parquet (rows)",
        f"{token} (name)",
    }


def test_the_vault_holds_the_canaries_under_its_keys(canary_run: Run) -> None:
    """They did go in; and what nobody declared did not, not even encrypted."""
    tiny, plant = reopened(canary_run), canary_run.canaries
    rows = decrypted_vault(tiny)
    tiny.house.log.close()
    kept = {
        "household", "basket", "product", "department", "dropped_column", "failed_gate", "failed_engine",
    }  # fmt: skip
    assert {place for place, stem in plant.stems.items() if stem.encode() in rows} == kept


def test_the_quarantine_holds_refused_files_for_their_steward(canary_run: Run) -> None:
    tiny, plant = reopened(canary_run), canary_run.canaries
    sealed = [path.name for path in (canary_run.root / "quarantine").glob("refused-*")]
    files = b"".join(data for name in sealed for data in tiny.unsealed(name).values())
    tiny.house.log.close()
    for place in (
        "refused_file",
        "broken_quoting",
        "truncated_parquet",
        "first_customer_as_header",
        "bad_manifest",
    ):
        assert plant.stems[place].encode() in files, place


def test_nothing_encrypted_opens_without_its_key(canary_run: Run) -> None:
    vault = sorted((canary_run.root / "vault").glob("*.parquet"))
    assert vault
    with duckdb.connect() as connection:
        load_httpfs(connection)
        for path in vault:
            with pytest.raises(duckdb.Error, match="encrypt"):
                connection.execute(f"SELECT * FROM read_parquet({quote_text(str(path))})")
        room = canary_run.root / "room" / "tiny.duckdb"
        with pytest.raises(duckdb.Error, match="encrypt"):
            connection.execute(f"ATTACH {quote_text(str(room))} AS room")


def test_the_room_knows_pseudonyms_only(canary_run: Run, tmp_path: Path) -> None:
    """Inside the room, with its key: products pass by agreement, households and baskets never."""
    shutil.copytree(canary_run.home, tmp_path / "copy")
    tiny = _opened(tmp_path / "copy")
    with tiny.house.room("tiny").open() as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'room'"
        ).fetchall()
        rows = repr(
            [connection.execute(f'SELECT * FROM room."{s}"."{t}"').fetchall() for s, t in tables]
        ).encode()
    tiny.house.log.close()
    plant = canary_run.canaries
    found = {place for place, stem in plant.stems.items() if stem.encode() in rows}
    assert found == {"product", "department"}


def test_a_hit_names_its_place() -> None:
    assert str(Hit("household", "dagster/runs.db (rows)", "raw")).count("household") == 1


def _opened(home: Path) -> TinyHouse:
    from tests.support import open_house

    return open_house(home)
