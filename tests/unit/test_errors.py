"""What may be said of an error to anybody: declared reasons, and of anything else only where it happened."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestration
from orchestration import errors
from orchestration.digests import digest_file
from orchestration.errors import STORAGE_FULL, GlasshouseError, Reason, declared_reasons, public

CANARY = "jane@example.org"


@pytest.fixture(autouse=True)
def _reasons_of_tests_are_forgotten() -> Iterator[None]:
    """Those alone: what a module declares that is imported meanwhile stays declared."""
    yield
    for code in [code for code in errors._REASONS if code.startswith("test.")]:
        del errors._REASONS[code]


def test_a_declared_reason_speaks_and_its_detail_does_not() -> None:
    reason = Reason("test.errors", "{count:,} rows.", "Mend {count:,}.")
    error = GlasshouseError(reason, detail=CANARY, count=1234)
    said = public(error)
    assert (said.code, said.message, said.next_step) == ("test.errors", "1,234 rows.", "Mend 1,234.")
    assert CANARY not in f"{error} {said}"


def test_a_code_has_one_meaning() -> None:
    Reason("test.twice", "One.", "Do.")
    Reason("test.twice", "One.", "Do.")
    with pytest.raises(ValueError, match="declared twice"):
        Reason("test.twice", "Other.", "Do.")


@given(st.sampled_from([ValueError, RuntimeError, OSError, KeyError, duckdb.ConversionException]), st.text())
def test_of_a_foreign_error_only_type_and_place_survive(kind: type[Exception], text: str) -> None:
    said = str(public(kind(f"{CANARY}{text}")))
    assert CANARY not in said
    assert kind.__name__ in said


def test_the_place_is_in_our_code(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as ours:
        digest_file(tmp_path / "missing")
    assert "FileNotFoundError stopped this step at digests.py:" in public(ours.value).message
    assert str(tmp_path) not in str(public(ours.value))
    with pytest.raises(KeyError) as foreign:
        {}["missing"]
    assert public(foreign.value).message.endswith("at outside Glasshouse.")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space"),
        OSError(errno.EFBIG, "Too big"),
        OSError(errno.EDQUOT, "Quota"),
        duckdb.IOException("Could not write file: No space left on device"),
        duckdb.OutOfMemoryException("failed to offload data block (max_temp_directory_size)"),
    ],
)
def test_a_full_disk_is_recognized(error: Exception) -> None:
    said = public(error)
    assert (said.code, said.exit_code) == (STORAGE_FULL.code, 3)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, "x"), ValueError("No space left"), sqlite3.Error("Disk quota")]
)
def test_nothing_else_is_taken_for_one(error: Exception) -> None:
    assert public(error).code == "internal.unexpected"


def test_every_reason_reads_well() -> None:
    for module in pkgutil.walk_packages(orchestration.__path__, "orchestration."):
        if not module.name.startswith(
            ("orchestration.defs", "orchestration.definitions", "orchestration.engine.room_plugin")
        ):
            importlib.import_module(module.name)
    reasons = declared_reasons().values()
    assert len(reasons) > 50
    for reason in reasons:
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", reason.code), reason.code
        assert reason.message[0].isupper() or reason.message[0] in "{`", reason.code
        assert reason.next_step, reason.code


def test_every_family_has_its_exit_code() -> None:
    families = {family.__name__: family.exit_code for family in GlasshouseError.__subclasses__()}
    expected = {
        "ConfigError": 2,
        "CharterError": 2,
        "ServiceError": 3,
        "IntegrityError": 4,
    }
    assert expected.items() <= families.items()
    assert all(code == 1 for name, code in families.items() if name not in expected)
