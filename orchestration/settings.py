"""Where Glasshouse keeps its state and which services it talks to: the only reader of the environment.

Each setting is `GLASSHOUSE_<NAME>`. Settings are read once and frozen; what an agreement decides
(thresholds, purposes, retention) is never a setting: it stands in the charter.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


def _portal_url(text: str) -> str:
    """`https://Room.example/` → `https://room.example`; plain HTTP is for this machine alone."""
    url = text.strip().lower().removesuffix("/")
    parts = urlsplit(url)
    name = parts.netloc.removesuffix(f":{parts.port}")
    if parts.scheme != "https" and not (parts.scheme == "http" and name in LOOPBACK_NAMES):
        raise ValueError("it begins with https://, or is http:// on this machine")
    if url != f"{parts.scheme}://{parts.netloc}" or not name or "@" in name or name.endswith(":"):
        raise ValueError("it is a host with an optional port, and nothing else")
    return url.removesuffix(":443" if parts.scheme == "https" else ":80")


class Settings(BaseSettings):
    """Frozen settings; see `docs/settings.md`."""

    model_config = SettingsConfigDict(
        env_prefix="GLASSHOUSE_", frozen=True, extra="ignore", populate_by_name=True
    )

    home: Path = Field(default=Path(".glasshouse"), description="Folder of all state, Dagster's included.")
    charters: Path = Field(
        default=PROJECT_ROOT / "charters", description="Folder of the charters this house serves."
    )
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None,
        description="Country (ISO 3166-1 alpha-2) where this house stores data; without it, datasets with a "
        "`residency` are refused.",
    )
    database_url: str | None = Field(
        default=None, description="Control plane; default: SQLite under the home folder."
    )
    master_key: SecretStr | None = Field(
        default=None,
        description="Base64 of 32 bytes that wrap every data key; default: a file made by `init`.",
    )
    former_master_key: SecretStr | None = Field(
        default=None,
        description="The master key before, until `glasshouse keyring rotate` has moved all to the new one.",
    )
    key_service: Literal["local", "pkcs11"] = Field(
        default="local", description="What wraps the data keys: `local`, or a token through `pkcs11`."
    )
    pkcs11_module: Path | None = Field(
        default=None, description="Library of the token's maker, such as `/usr/lib/softhsm/libsofthsm2.so`."
    )
    pkcs11_token: str | None = Field(
        default=None, description="Label of the token that holds the master key."
    )
    pkcs11_pin: SecretStr | None = Field(default=None, description="User PIN of the token.")
    pkcs11_key: str = Field(
        default="glasshouse", description="Label of the master key in the token; each house has its own."
    )
    key_passphrase: SecretStr | None = Field(
        default=None,
        description="Passphrase of a member's private key; default: the file a command names, or asked.",
    )
    openlineage_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GLASSHOUSE_OPENLINEAGE_URL", "OPENLINEAGE_URL"),
        description="Backend that lineage events are forwarded to (may hold a password); default: none.",
    )
    duckdb_memory: str = Field(default="1500MB", description="Memory limit of one DuckDB connection.")
    duckdb_threads: int | None = Field(default=None, ge=1, description="Threads of one DuckDB connection.")
    intake_seconds: float = Field(
        default=3600, gt=0, description="Longest that one delivery may be read before it is refused."
    )
    room_wait_seconds: float = Field(
        default=600, gt=0, description="How long a step waits for the room's single writer."
    )
    source_dsn: SecretStr | None = Field(
        default=None,
        description="PostgreSQL that `prepare` reads from: postgresql://user:password@host/database.",
    )
    s3_key_id: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GLASSHOUSE_S3_KEY_ID", "AWS_ACCESS_KEY_ID"),
        description="Access key of the S3 storage that `prepare` reads from.",
    )
    s3_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GLASSHOUSE_S3_KEY", "AWS_SECRET_ACCESS_KEY"),
        description="Its secret.",
    )
    s3_session_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GLASSHOUSE_S3_SESSION_TOKEN", "AWS_SESSION_TOKEN"),
        description="Its session token, when the key is a temporary one.",
    )
    s3_region: str = Field(
        default="us-east-1",
        validation_alias=AliasChoices("GLASSHOUSE_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        description="Its region.",
    )
    s3_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("GLASSHOUSE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        description="Its address (https://…), when it is not Amazon's.",
    )
    portal_url: Annotated[str, AfterValidator(_portal_url)] | None = Field(
        default=None,
        description="Address of the portal behind a proxy that ends TLS; default: this machine alone.",
    )

    @cached_property
    def root(self) -> Path:
        """The home folder, absolute: dbt and DuckDB resolve relative paths differently."""
        return self.home.expanduser().resolve()

    @property
    def control_url(self) -> str:
        return self.database_url or f"sqlite:///{self.root / 'control.db'}"

    @property
    def dbt_project(self) -> Path:
        return PROJECT_ROOT / "dbt_project"

    @property
    def expectations(self) -> Path:
        return PROJECT_ROOT / "expectations"

    @property
    def dbt_target(self) -> Path:
        return self.root / "dbt"

    @property
    def dagster_home(self) -> Path:
        return self.root / "dagster"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; keyword arguments win (tests, `--home`)."""
    return Settings(**overrides)  # type: ignore[arg-type]  # pydantic validates at run time


_OPENS_KEYS = ("GLASSHOUSE_MASTER_KEY", "GLASSHOUSE_FORMER_MASTER_KEY", "GLASSHOUSE_PKCS11_PIN")
_SECRETS = (
    *_OPENS_KEYS,
    *("GLASSHOUSE_KEY_PASSPHRASE", "GLASSHOUSE_SOURCE_DSN"),
    *("GLASSHOUSE_S3_KEY", "AWS_SECRET_ACCESS_KEY", "GLASSHOUSE_S3_SESSION_TOKEN", "AWS_SESSION_TOKEN"),
)


def child_environment(**additions: str) -> dict[str, str]:
    """The environment for a child process: ours without its secrets, plus `additions`."""
    inherited = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return inherited | additions


def key_service_environment(settings: Settings) -> dict[str, str]:
    """What a child needs besides that opens the key service itself (Dagster's daemon), and no other."""
    given = (settings.master_key, settings.former_master_key, settings.pkcs11_pin)
    return {
        name: value.get_secret_value()
        for name, value in zip(_OPENS_KEYS, given, strict=True)
        if value is not None
    }


def silence_telemetry() -> None:
    """Nothing phones home: libraries that read their switch from the environment find it off."""
    os.environ.update(GX_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1", DBT_SEND_ANONYMOUS_USAGE_STATS="false")
