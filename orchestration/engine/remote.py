"""Reaching a contributor's own stores: S3 and PostgreSQL, with credentials that never become SQL text.

Credentials come from settings and enter as bound values of DuckDB secrets, which live in the memory of one
connection. Must not be here: what is read (`scope/origin`), or anything of the room: only a desk reads there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import duckdb
from psycopg.conninfo import conninfo_to_dict

from orchestration.engine.duck import quote_text
from orchestration.engine.extension import load_postgres
from orchestration.errors import ConfigError, Reason
from orchestration.settings import Settings

NO_DSN = Reason(
    "prepare.no_dsn",
    "Where the PostgreSQL server is, and how to log in, is not set.",
    "Set GLASSHOUSE_SOURCE_DSN=postgresql://user:password@host/database in the environment.",
)
BAD_DSN = Reason(
    "prepare.bad_dsn",
    "GLASSHOUSE_SOURCE_DSN is no connection string of PostgreSQL.",
    "Write it like postgresql://user:password@host:5432/database.",
)

POSTGRES = "origin"
_IN_SECRET = {"host": "HOST", "port": "PORT", "dbname": "DATABASE", "user": "USER", "password": "PASSWORD"}


def use_s3(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Let this connection read `s3://…` with the credentials of the settings; without any, publicly."""
    values = {"REGION": settings.s3_region}
    for name, secret in (
        ("KEY_ID", settings.s3_key_id),
        ("SECRET", settings.s3_key),
        ("SESSION_TOKEN", settings.s3_session_token),
    ):
        if secret is not None:
            values[name] = secret.get_secret_value()
    if settings.s3_endpoint:
        url = urlsplit(settings.s3_endpoint)
        values |= {"ENDPOINT": url.netloc or url.path, "URL_STYLE": "path"}
        values["USE_SSL"] = "false" if url.scheme == "http" else "true"
    _secret(connection, "s3", values)


def attach_postgres(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Attach the contributor's PostgreSQL as `origin`, for reading only.

    Raises: ConfigError (`prepare.no_dsn`, `prepare.bad_dsn`), ServiceError (`engine.no_postgres`), and
    duckdb.Error when it cannot be reached.
    """
    if settings.source_dsn is None:
        raise ConfigError(NO_DSN)
    try:
        given = conninfo_to_dict(settings.source_dsn.get_secret_value())
    except Exception:  # psycopg's own errors quote the string
        raise ConfigError(BAD_DSN) from None
    load_postgres(connection)
    _secret(
        connection,
        "postgres",
        {_IN_SECRET[name]: str(given.pop(name)) for name in _IN_SECRET if name in given},
    )
    rest = " ".join(f"{name}={value}" for name, value in given.items())  # sslmode and the like: no secrets
    connection.execute(
        f"ATTACH {quote_text(rest)} AS {POSTGRES} (TYPE postgres, SECRET origin_postgres, READ_ONLY)"
    )


def _secret(connection: duckdb.DuckDBPyConnection, kind: str, values: dict[str, str]) -> None:
    named = "".join(f", {name} ?" for name in values)
    connection.execute(f"CREATE SECRET origin_{kind} (TYPE {kind}{named})", list(values.values()))
