"""The disk is full while a stage writes: a clear code, nothing of the step kept, and a rerun does it."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT
from tests.integration.stages_to_run import STAGES, check_everywhere
from tests.support import TinyHouse, csv_bytes, make_house, open_house, people_rows, sales_rows

LIMIT = 1_500_000  # bytes of the largest file: more than the log needs, less than these rows do
BULK = 30_000


def bulky_rows() -> bytes:
    """Rows that no compression makes small."""
    row = sales_rows(1)[0]
    names = [*row, "reason"]
    values = ",".join(str(row[name]) for name in list(row)[2:])
    lines = [
        f"{secrets.token_hex(8)},{secrets.token_hex(8)},{values},{secrets.token_hex(60)}" for _ in range(BULK)
    ]
    return "\n".join([",".join(names), *lines, ""]).encode()


def run(home: Path, stage: str, subject: str, limit: int = LIMIT) -> str:
    arguments = [
        sys.executable,
        "-m",
        "tests.integration.full_disk_driver",
        str(home),
        stage,
        subject,
        str(limit),
    ]
    done = subprocess.run(arguments, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    house = make_house(tmp_path)
    house.house.log.close()
    return tmp_path


def leftovers(house: TinyHouse) -> list[Path]:
    return [path for path in house.root.rglob("*") if path.name.endswith(".partial")]


def test_intake(home: Path) -> None:
    house = open_house(home)
    delivery = house.deliver("sales", bulky_rows())
    before = {path.name for path in house.landing("shop").rglob("*")}
    house.house.log.close()
    assert run(home, "intake", delivery) == "storage.full"
    house = open_house(home)
    assert {path.name for path in house.landing("shop").rglob("*")} == before, "the delivery is still there"
    assert list(house.house.vault.folder.glob("*.parquet")) == []
    assert leftovers(house) == []
    assert house.payloads("contribution.refused") == []
    assert [failed.code for failed in house.payloads("stage.failed")] == ["storage.full"]  # type: ignore[attr-defined]
    STAGES["intake"][1](house, delivery)
    (accepted,) = house.payloads("contribution.accepted")
    assert accepted.rows == BULK  # type: ignore[attr-defined]
    check_everywhere(house)
    house.house.log.close()


def test_refusal(home: Path) -> None:
    house = open_house(home)
    delivery = house.deliver("sales", bulky_rows(), sha256="sha256:" + "0" * 64)
    folder = house.landing("shop") / delivery
    content = (folder / "sales.csv").read_bytes()
    house.house.log.close()
    assert run(home, "refusal", delivery) == "storage.full"
    house = open_house(home)
    assert (folder / "sales.csv").read_bytes() == content
    assert leftovers(house) == []
    assert house.payloads("contribution.refused") == []
    assert run(home, "refusal", delivery, limit=1 << 30) == "contribution.wrong_digest"
    (refused,) = house.payloads("contribution.refused")
    assert house.unsealed(refused.sealed)["sales.csv"] == content  # type: ignore[attr-defined]
    assert not folder.exists()
    house.house.log.close()


def test_deidentification(home: Path) -> None:
    house = open_house(home)
    accepted = house.accept("sales", house.deliver("sales", bulky_rows()))
    contribution = accepted.event.payload.receipt.subject  # type: ignore[attr-defined]
    house.house.log.close()
    assert run(home, "deidentified", contribution) == "storage.full"
    house = open_house(home)
    assert house.payloads("dataset.deidentified") == []
    house.deidentify("sales", contribution)
    (made,) = house.payloads("dataset.deidentified")
    assert made.contribution == contribution  # type: ignore[attr-defined]
    check_everywhere(house)
    house.house.log.close()


def test_the_log_itself(home: Path) -> None:
    house = open_house(home)
    delivery = house.deliver("people")
    house.house.log.close()
    assert run(home, "intake", delivery, limit=40_000) == "storage.full"
    house = open_house(home)
    assert house.payloads("contribution.accepted") == []
    assert (house.landing("panel") / delivery / "people.csv").read_bytes() == csv_bytes(people_rows())
    STAGES["intake"][1](house, delivery)
    assert len(house.payloads("contribution.accepted")) == 1
    check_everywhere(house)
    house.house.log.close()
