"""A PostgreSQL server for the tests: Debian's package, started in a temporary folder, stopped afterwards.

Belongs here: finding or starting a server, and the fixtures that give each test a database. A server that is
there already is used when GLASSHOUSE_TEST_POSTGRES holds the URL of one of its databases; its user must be
allowed to make databases. `python -m tests.postgres COMMAND …` runs a command with that variable set.

Without a server the tests that need one are skipped, except where CI is set: there they fail.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

VARIABLE = "GLASSHOUSE_TEST_POSTGRES"
_PACKAGE = "Debian's package `postgresql` (programs under /usr/lib/postgresql)"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running server's first database."""
    if given := os.environ.get(VARIABLE):
        yield given
        return
    programs = _programs()
    if programs is None:
        message = f"no PostgreSQL server: install {_PACKAGE} or set {VARIABLE}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with tempfile.TemporaryDirectory(
        prefix="glasshouse-pg-", dir="/tmp"
    ) as folder:  # sockets need a short path
        yield from _run(programs, Path(folder))


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """The URL of an empty database of its own on the same server."""
    name = f"test_{secrets.token_hex(8)}"
    engine = create_engine(_driver(url), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server for the whole session, started by the first test that asks."""
    with server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of PostgreSQL."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def control_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: SQLite, or what `both_databases` says."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'control.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


both_databases = pytest.mark.parametrize("control_url", ["sqlite", "postgresql"], indirect=True)


def _programs() -> Path | None:
    """The folder of the newest version's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _run(programs: Path, folder: Path) -> Iterator[str]:
    user = _unprivileged()
    if user:
        shutil.chown(folder, user)
    as_user = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"] if user else []
    data, port = folder / "data", _free_port()

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*as_user, programs / program, *arguments],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}")

    call("initdb", "-D", str(data), "-U", "glasshouse", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    options += " -c max_connections=60"
    call("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield f"postgresql://glasshouse@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: the user to run it as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("there is no unprivileged user to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _driver(url: str) -> str:
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


if __name__ == "__main__":
    with server() as address:
        code = subprocess.run(sys.argv[1:], env=os.environ | {VARIABLE: address}, check=False).returncode
    raise SystemExit(code)
