"""Settings: read once from the environment, frozen, and no secret leaves with a child process."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestration.settings import child_environment, key_service_environment, load_settings

SECRET = base64.b64encode(b"s" * 32).decode()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "HOME",
        "CHARTERS",
        "DATABASE_URL",
        "MASTER_KEY",
        "OPENLINEAGE_URL",
        "DUCKDB_MEMORY",
        "DUCKDB_THREADS",
    ):
        monkeypatch.delenv(f"GLASSHOUSE_{name}", raising=False)
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default_below_the_home_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.root == tmp_path / ".glasshouse"
    assert settings.control_url == f"sqlite:///{tmp_path}/.glasshouse/control.db"
    assert settings.dbt_target.is_relative_to(settings.root)
    assert settings.dagster_home.is_relative_to(settings.root)
    assert settings.master_key is None


def test_the_environment_counts_and_arguments_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLASSHOUSE_HOME", str(tmp_path / "one"))
    monkeypatch.setenv("GLASSHOUSE_DUCKDB_THREADS", "2")
    assert load_settings().root == tmp_path / "one"
    assert load_settings().duckdb_threads == 2
    assert load_settings(home=tmp_path / "two").root == tmp_path / "two"


@pytest.mark.parametrize("name", ["OPENLINEAGE_URL", "GLASSHOUSE_OPENLINEAGE_URL"])
def test_lineage_goes_where_either_name_says(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://user:secret@lineage.example.org")
    settings = load_settings()
    assert settings.openlineage_url is not None
    assert "secret" not in repr(settings)


def test_a_home_in_the_users_folder_and_a_relative_one_are_resolved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings(home="~/glass").root == tmp_path / "glass"
    assert load_settings(home="glass/../other").root == tmp_path / "other"


def test_settings_are_frozen_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        load_settings().home = Path("/elsewhere")  # type: ignore[misc]
    monkeypatch.setenv("GLASSHOUSE_DUCKDB_THREADS", "0")
    with pytest.raises(ValidationError):
        load_settings()


def test_the_master_key_is_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_MASTER_KEY", SECRET)
    settings = load_settings()
    assert settings.master_key is not None
    assert settings.master_key.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r}{settings}{settings.model_dump_json()}"
    monkeypatch.setenv("GLASSHOUSE_PKCS11_PIN", SECRET)
    monkeypatch.setenv("GLASSHOUSE_FORMER_MASTER_KEY", SECRET)
    child = child_environment(EXTRA="1")
    assert key_service_environment(settings) == {"GLASSHOUSE_MASTER_KEY": SECRET}
    assert len(key_service_environment(load_settings())) == 3
    assert SECRET not in child.values()
    assert child["EXTRA"] == "1"


@pytest.mark.parametrize("region", ["de", "DEU", "Germany", "D1"])
def test_a_region_is_a_country_in_two_capital_letters(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("GLASSHOUSE_REGION", "DE")
    assert load_settings().region == "DE"
    monkeypatch.setenv("GLASSHOUSE_REGION", region)
    with pytest.raises(ValidationError):
        load_settings()
