"""The contributor's side: a delivery appears whole, with a manifest that the house accepts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestration.charter.loader import parse_charter
from orchestration.digests import digest_file
from orchestration.errors import ContributionError
from orchestration.scope.delivery import make_delivery
from orchestration.scope.manifest import Period, read_envelope, verified_manifest
from orchestration.signing import SigningKey
from tests.support import CHARTER, parquet_bytes

TINY = parse_charter(CHARTER.encode())
KEY = SigningKey.from_seed(b"k" * 32)


def deliver(file: Path, landing: Path, **options: object) -> str:
    return make_delivery(
        file,
        charter=TINY,
        dataset=TINY.dataset("people"),
        signer="panel.steward",
        key=KEY,
        landing=landing,
        period=Period(first=date(2024, 1, 1), last=date(2024, 1, 2)),
        provenance="test",
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_delivery_is_counted_hashed_signed_and_whole(tmp_path: Path, format_: str) -> None:
    file = tmp_path / f"rows.{format_}"
    file.write_bytes(
        b"a\n1\n2\n" if format_ == "csv" else parquet_bytes("SELECT 1 AS a UNION ALL SELECT 2", tmp_path)
    )
    copied: list[int] = []
    landing = tmp_path / "landing"
    name = deliver(file, landing, on_bytes=copied.append)
    manifest = verified_manifest(read_envelope(landing / name), KEY.public)
    assert (manifest.rows, manifest.format, manifest.sha256) == (2, format_, digest_file(file))
    assert manifest.purposes == TINY.dataset("people").purposes
    assert (landing / name / manifest.file).read_bytes() == file.read_bytes()
    assert sum(copied) == file.stat().st_size
    assert [path.name for path in landing.iterdir()] == [name]
    assert deliver(file, landing) != name, "two deliveries never share a name"


def test_what_cannot_be_counted_is_not_delivered(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b'a,b\n1,"2\n')
    with pytest.raises(ContributionError) as caught:
        deliver(file, tmp_path / "landing")
    assert caught.value.code == "contribution.malformed"
    assert not (tmp_path / "landing").exists()


def test_a_failed_copy_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a\n1\n")

    def full(_count: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        deliver(file, tmp_path / "landing", on_bytes=full)
    assert list((tmp_path / "landing").iterdir()) == []
