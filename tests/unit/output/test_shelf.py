"""A release stands on the shelf whole or not at all, and any change to it is found."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration.digests import digest_file
from orchestration.errors import IntegrityError
from orchestration.output import shelf
from orchestration.output.charts import Chart
from orchestration.output.findings import Finding, find
from orchestration.output.protect import ProtectedTable, protect
from orchestration.output.shelf import FILES, write_release
from tests.unit.output.output_tables import AMOUNT, counts

CHART = Chart({"mark": "bar"}, b"\x89PNG picture")


def release(first: int = 40) -> tuple[ProtectedTable, Finding, Chart]:
    sizes = {("=cmd()",): first, ("b",): 3, ("c",): 60, ("d",): 70}
    table = protect(counts(sizes, AMOUNT), 10, 10)
    return table, find("joint_segmentation", table), CHART


def digests_in(folder: Path) -> dict[str, str]:
    return {name: digest_file(folder / name) for name in FILES}


def test_every_file_is_there_with_its_digest(tmp_path: Path) -> None:
    folder = tmp_path / "shelf" / "r1"
    digests = write_release(folder, *release())
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert digests == digests_in(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["r1"]


def test_the_formats_tell_the_same_table(tmp_path: Path) -> None:
    table, finding, chart = release()
    write_release(tmp_path / "r1", table, finding, chart)
    document = json.loads((tmp_path / "r1" / "table.json").read_text())
    assert ProtectedTable.from_json(document) == table
    assert Finding.from_json(json.loads((tmp_path / "r1" / "finding.json").read_text())) == finding
    with duckdb.connect() as connection:
        rows = connection.execute(
            "from read_parquet($path)", {"path": str(tmp_path / "r1" / "table.parquet")}
        )
        found = {row[0]: row[1:] for row in rows.fetchall()}
    assert found["b"] == ("suppressed", "primary", None, None)
    assert found["c"] == ("shown", None, 60, Decimal("750.00"))


def test_the_csv_runs_no_formula_and_never_shows_a_hidden_figure_as_empty_or_zero(tmp_path: Path) -> None:
    write_release(tmp_path / "r1", *release(first=400))
    with (tmp_path / "r1" / "table.csv").open(newline="") as file:
        rows = {row["d0"]: row for row in csv.DictReader(file)}
    assert "'=cmd()" in rows
    assert (rows["b"]["status"], rows["b"]["units"], rows["b"]["amount"]) == (
        "suppressed",
        "hidden",
        "hidden",
    )
    assert not any(label.startswith("=") for label in rows)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", " =", "＝", "\r"])
def test_texts_that_spreadsheets_would_run_are_defused(sign: str) -> None:
    assert shelf._harmless(f"{sign}1+1").startswith("'")
    assert shelf._harmless("25-34") == "25-34"


@pytest.mark.parametrize("harm", ["flip", "remove", "link"])
def test_a_release_that_was_changed_is_not_taken_for_the_same(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "r1"
    write_release(folder, *release())
    name = "table.csv"
    data = bytearray((folder / name).read_bytes())
    (folder / name).unlink()
    if harm == "flip":
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match=r"shelf\.occupied.*table\.csv"):
        write_release(folder, *release())


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    first = write_release(tmp_path / "r1", *release())
    (tmp_path / "r1" / "passport.json").write_text("{}")
    assert write_release(tmp_path / "r1", *release()) == first
    assert (tmp_path / "r1" / "passport.json").exists()


def test_another_release_never_replaces_one(tmp_path: Path) -> None:
    first = write_release(tmp_path / "r1", *release())
    with pytest.raises(IntegrityError) as refusal:
        write_release(tmp_path / "r1", *release(first=41))
    assert refusal.value.code == "shelf.occupied"
    assert digests_in(tmp_path / "r1") == first
    assert [p.name for p in tmp_path.iterdir()] == ["r1"]


def test_a_kill_leaves_no_release_and_the_next_call_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, data: bytes) -> None:
        if path.name == "finding.json":
            raise KeyboardInterrupt
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(shelf, "write_durably", killed)
        patch.setattr(shelf.shutil, "rmtree", lambda *args, **kwargs: None)  # a real kill clears nothing
        with pytest.raises(KeyboardInterrupt):
            write_release(tmp_path / "r1", *release())
    assert not (tmp_path / "r1").exists()
    assert (tmp_path / ".r1.partial" / "table.csv").exists()
    assert write_release(tmp_path / "r1", *release()) == digests_in(tmp_path / "r1")
    assert [p.name for p in tmp_path.iterdir()] == ["r1"]
