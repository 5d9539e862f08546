"""Opening a sealed package: its limit, its key, and what is no package at all."""

from __future__ import annotations

import io
from pathlib import Path

import pyrage
import pytest

from orchestration.engine import sealing
from orchestration.errors import ContributionError
from orchestration.scope.package import unseal

KEY, ROWS = b"k" * 32, bytes(range(256)) * 1000
IDENTITY = pyrage.x25519.Identity.generate()


def sealed(folder: Path, data: bytes, identity: pyrage.x25519.Identity = IDENTITY) -> Path:
    path, target = folder / "package.age", io.BytesIO()
    sealing.seal(sealing.Streamed(iter([data])), target, [identity.to_public()])
    path.write_bytes(target.getvalue())
    return path


def refused(package: Path, folder: Path, limit: int = len(ROWS)) -> str:
    with pytest.raises(ContributionError) as caught:
        unseal(package, folder / "rows", IDENTITY, limit=limit, dataset="people")
    return caught.value.code.removeprefix("contribution.")


def test_the_key_stays_in_memory_and_only_the_rest_is_written(tmp_path: Path) -> None:
    package = sealed(tmp_path, KEY + ROWS)
    assert unseal(package, tmp_path / "rows", IDENTITY, limit=len(ROWS), dataset="people") == KEY
    assert (tmp_path / "rows").read_bytes() == ROWS


def test_a_stream_that_grows_beyond_the_limit_is_cut_there(tmp_path: Path) -> None:
    assert refused(sealed(tmp_path, KEY + ROWS), tmp_path, len(ROWS) - 1) == "expands"
    assert (tmp_path / "rows").stat().st_size < len(ROWS)


def test_what_is_no_package_of_this_room(tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    for number, (data, identity, code) in enumerate(
        ((KEY + ROWS, other, "other_room"), (KEY[:-1], IDENTITY, "malformed"), (b"", IDENTITY, "malformed"))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert refused(sealed(folder, data, identity), folder) == code
    cut = sealed(tmp_path, KEY + ROWS)
    cut.write_bytes(cut.read_bytes()[:-9])
    assert refused(cut, tmp_path) == "other_room"
