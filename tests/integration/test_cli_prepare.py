"""`glasshouse room invite` and `glasshouse prepare` as a steward uses them, on real answers of households."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from orchestration.scope.manifest import claimed_manifest, read_envelope
from tests.integration.command import Result, glasshouse
from tests.integration.conftest import completejourney

AGES = ("19-24", "25-34", "35-44", "45-54", "55-64", "65+")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A trial house of the grocery collaboration, and a desk with an invitation of it."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSHOUSE_HOME", str(folder / "house"))
        patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
        patch.setenv("HOME", str(folder / "home"))
        patch.chdir(folder)
        assert glasshouse("init", "--trial").code == 0
        invited = glasshouse("room", "invite", "--for", "data_provider.steward", "--json")
        assert invited.code == 0, invited.err
        yield folder


def prepare(desk: Path, source: object, *options: object) -> Result:
    key = desk / "house" / "members" / "grocery" / "data_provider.steward.pem"
    return glasshouse(
        *("prepare", source, "--dataset", "demographics", "--key", key),
        *("--invitation", desk / "data_provider.steward.invitation.json"),
        *("--provenance", "Survey of 2017", "--from", "2017-01-01", "--until", "2017-12-31"),
        *options,
    )


@pytest.fixture(scope="module")
def demographics() -> Path:
    return completejourney() / "demographics.parquet"


def test_what_would_leave_is_shown_masked_and_nothing_is_written(desk: Path, demographics: Path) -> None:
    before = {path for path in desk.rglob("*") if path.is_file()}
    shown = prepare(desk, demographics, "--dry-run")
    assert shown.code == 0, shown.err
    assert shown.too_wide == []
    assert "one of 6" in shown.out  # the shape of an age group would tell which one it is
    assert "99·99" not in shown.out
    assert not any(age in shown.out for age in AGES)
    assert "k = 1;" in shown.out
    document = prepare(desk, demographics, "--dry-run", "--json").document
    assert document["quality"]["rows"] == 801
    assert document["masked_rows"][0][0] == "#" * 64
    assert {path for path in desk.rglob("*") if path.is_file()} == before


def test_nobody_there_to_agree_means_no(desk: Path, demographics: Path) -> None:
    assert prepare(desk, demographics, "--out", desk / "unsent").err.count("prepare.not_confirmed") == 1
    assert not (desk / "unsent").exists()


def load_answers(url: str, demographics: Path, csv: Path) -> None:
    """The answers as a table of PostgreSQL."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM '{demographics}') TO '{csv}' (FORMAT csv)")
    header, *_ = csv.read_text().splitlines()
    with psycopg.connect(url) as server, server.cursor() as cursor:
        cursor.execute(f"CREATE TABLE answers ({', '.join(f'{name} text' for name in header.split(','))})")  # type: ignore[arg-type]
        with cursor.copy("COPY answers FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write(csv.read_bytes())


def test_every_kind_of_source_has_the_same_content(
    desk: Path, demographics: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = desk / "sources"
    (sources / "folder").mkdir(parents=True)
    rows = f"FROM '{demographics}'"
    with duckdb.connect() as connection:
        for query, file, kind in (
            (rows, "rows.csv", "csv"),
            (rows, "rows.tsv", "csv, DELIMITER '\t'"),
            (rows, "rows.ndjson", "json"),
            (f"{rows} WHERE household_id::BIGINT % 2 = 0", "folder/even.csv", "csv"),
            (f"{rows} WHERE household_id::BIGINT % 2 = 1", "folder/odd.csv", "csv"),
        ):
            connection.execute(f"COPY (SELECT * {query}) TO '{sources / file}' (FORMAT {kind})")
    load_answers(postgres_url, demographics, sources / "rows.csv")
    monkeypatch.setenv("GLASSHOUSE_SOURCE_DSN", postgres_url)
    contents = set()
    names = ("rows.csv", "rows.tsv", "rows.ndjson", "folder")
    for source in (demographics, *(sources / name for name in names), "postgres:answers"):
        made = prepare(desk, source, "--yes", "--json", "--out", desk / "out")
        assert made.code == 0, made.err
        manifest = claimed_manifest(read_envelope(Path(made.document["delivery"])))
        assert manifest.rows == 801
        assert manifest.prepared is not None
        contents.add(manifest.prepared.content)
    assert len(contents) == 1


def test_rows_left_out_are_listed_by_number_and_reason(desk: Path, demographics: Path) -> None:
    source = desk / "two-bad.csv"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM '{demographics}') TO '{source}' (FORMAT csv)")
    lines = source.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[1], "secret age")
    lines[7] = "," + lines[7].partition(",")[2]
    source.write_text("\n".join(lines) + "\n")
    made = prepare(desk, source, "--yes", "--json", "--out", desk / "rejects")
    assert made.code == 0, made.err
    listed = Path(made.document["rejected_rows"])
    assert listed.read_text().splitlines() == ["row,reason", "3,not_allowed", "7,required"]
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    assert made.document["quality"]["rejected"] == {"not_allowed": 1, "required": 1}


def test_rows_are_given_for_fewer_purposes_than_the_charter_permits(desk: Path, demographics: Path) -> None:
    options = ("--yes", "--json", "--out", desk / "purposes")
    made = prepare(desk, demographics, "--purpose", "customer_insight", *options)
    assert made.code == 0, made.err
    manifest = claimed_manifest(read_envelope(Path(made.document["delivery"])))
    assert manifest.purposes == ("customer_insight",)
    assert manifest.prepared is not None
    said = manifest.prepared.provenance.use.intended_purpose
    assert [each.code for each in said] == ["customer_insight"]
    assert prepare(desk, demographics, "--purpose", "fun", "--yes").refusal == "contribution.purpose"


def test_row_numbers_of_a_server_are_said_to_count_one_reading(
    desk: Path, demographics: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_SOURCE_DSN", postgres_url)
    load_answers(postgres_url, demographics, desk / "answers.csv")
    with psycopg.connect(postgres_url) as server:
        server.execute("UPDATE answers SET age = 'secret' WHERE household_id = '1'")
    made = prepare(desk, "postgres:answers", "--yes", "--out", desk / "server")
    assert made.code == 0, made.err
    assert "count this one reading" in " ".join(made.out.split())


def test_raw_rows_do_not_even_leave_the_desk(desk: Path, demographics: Path) -> None:
    refused = glasshouse("contribute", demographics, "--dataset", "demographics", "--provenance", "x")
    assert refused.refusal == "contribution.raw_not_accepted"
    assert list((desk / "house" / "landing" / "grocery" / "data_provider").iterdir()) == []


def test_what_is_not_for_this_desk_is_refused(desk: Path, demographics: Path) -> None:
    assert glasshouse("room", "invite", "--for", "retailer.analyst").refusal == "room.not_invited"
    again = glasshouse("room", "invite", "--for", "data_provider.steward")
    assert again.refusal == "room.not_written"
    assert prepare(desk, demographics, "--dry-run", "--house-key", "0").refusal == "prepare.other_house"
    assert prepare(desk, desk / "nothing.csv", "--dry-run").refusal == "prepare.no_file"
    bad = desk / "bad.json"
    bad.write_text(json.dumps([1]))
    assert prepare(desk, demographics, "--invitation", bad).refusal == "prepare.bad_invitation"
    others = prepare(desk, demographics, "--dataset", "transactions")
    assert others.refusal == "prepare.not_your_dataset"


def test_a_delivered_package_is_accepted(desk: Path, demographics: Path) -> None:
    made = prepare(desk, demographics, "--yes", "--deliver")
    assert made.code == 0, made.err
    assert "Next: glasshouse run" in made.out
    (waiting,) = (desk / "house" / "landing" / "grocery" / "data_provider").iterdir()
    assert sorted(path.name for path in waiting.iterdir()) == ["demographics.parquet.age", "manifest.json"]
