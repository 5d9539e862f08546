from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, make_url, select, text

from orchestration.audit import database
from orchestration.audit import tables as t
from orchestration.audit.database import migrate, open_engine, reading, writing
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.errors import ConfigError, ServiceError
from orchestration.participants import login_tables  # noqa: F401  its tables are part of the schema
from tests.postgres import both_databases
from tests.unit.audit.audit_story import Desk, submitted

MIGRATIONS = Path(database.__file__).parent / "migrations"


def revisions() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_the_newest_revision_is_the_one_the_program_asks_for() -> None:
    assert revisions().get_heads() == [database.HEAD]


@both_databases
def test_migrating_from_nothing_gives_exactly_the_tables_of_the_program(control_url: str) -> None:
    engine = open_engine(control_url)
    migrate(engine)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, t.metadata) == []
        names = set(inspect(connection).get_table_names())
    assert names == {*t.metadata.tables, "alembic_version"}
    engine.dispose()


@both_databases
def test_a_database_of_the_first_revision_is_brought_up_to_date(control_url: str) -> None:
    engine = open_engine(control_url)
    first = revisions().get_base()
    assert first is not None
    with writing(engine) as connection:
        database._upgrade(connection, first)
    migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == database.HEAD
    engine.dispose()


@both_databases
def test_an_up_to_date_database_costs_one_query_and_no_alembic(control_url: str) -> None:
    AuditLog(control_url).close()
    program = (
        "import sys; from orchestration.audit.log import AuditLog; AuditLog(sys.argv[1]).close();"
        "print('alembic' in sys.modules)"
    )
    again = subprocess.run(
        [sys.executable, "-c", program, control_url], capture_output=True, text=True, check=True
    )
    assert again.stdout == "False\n"


@both_databases
def test_a_database_from_before_there_were_revisions_is_refused(control_url: str) -> None:
    engine = open_engine(control_url)
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE events (seq INTEGER PRIMARY KEY, leaf TEXT)")
    with pytest.raises(ConfigError) as caught:
        AuditLog(control_url)
    assert caught.value.code == "log.unmigrated"
    with reading(engine) as connection:
        assert inspect(connection).get_table_names() == ["events"]
    engine.dispose()


@both_databases
def test_a_database_of_a_newer_program_is_refused(control_url: str) -> None:
    AuditLog(control_url).close()
    engine = open_engine(control_url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError) as caught:
        AuditLog(control_url)
    assert caught.value.code == "log.unknown_revision"
    engine.dispose()


@both_databases
def test_rows_come_in_the_order_of_their_code_points(desk: Desk) -> None:
    names = ["b", "B", "a", "ä", "Z", "_", "a b", "a-b", "\U0001f600", "\ufffd", "10", "9"]
    with desk.log.write() as connection:
        for name in names:
            row = {"release": name, "collaboration": "c", "member": "m", "granted": True, "seq": 0}
            connection.execute(t.accesses.insert(), row | {"seq": names.index(name)})
            connection.execute(
                t.datasets.insert(),
                {"collaboration": "c", "dataset": name, "contribution": "", "table_name": "", "seq": 0},
            )
    with desk.log.read() as connection:
        found = [row[0] for row in database.rows(connection, t.datasets, ("dataset",))]
    assert found == sorted(names)


@pytest.mark.parametrize("url", ["mysql://user:word@host/name", "nonsense", "oracle://user:word@host"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AuditLog(url)
    assert caught.value.code == "log.unsupported_database"
    assert "word" not in str(caught.value)


def test_a_server_that_does_not_answer_is_a_missing_service() -> None:
    with pytest.raises(ServiceError) as caught:
        AuditLog("postgresql://user:word@127.0.0.1:9/name")
    assert caught.value.code == "log.unavailable"
    assert "word" not in str(caught.value)


def test_any_driver_named_for_postgresql_becomes_the_one_that_is_there(postgres_url: str) -> None:
    for scheme in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        with AuditLog(postgres_url.replace("postgresql", scheme, 1)) as log:
            assert log.size == 0


def test_a_lost_table_is_damage(postgres_url: str) -> None:
    with AuditLog(postgres_url) as log:
        engine = create_engine(postgres_url.replace("postgresql", "postgresql+psycopg", 1))
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE events")
        engine.dispose()
        with pytest.raises(Exception, match=r"log\.damaged"):
            log.size  # noqa: B018


def test_a_text_postgresql_cannot_hold_is_told_as_such(postgres_url: str) -> None:
    with AuditLog(postgres_url) as log, pytest.raises(ConfigError) as caught, log.write() as connection:
        connection.execute(t.lineage.insert(), {"seq": 0, "run_id": "a\0b", "event": ""})
    assert caught.value.code == "log.unwritable"


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_writers_take_turns_whatever_isolation_the_server_prefers(postgres_url: str, level: str) -> None:
    name = make_url(postgres_url).database
    engine = create_engine(postgres_url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    engine.dispose()

    def append(number: int) -> None:
        with AuditLog(postgres_url) as log:
            for step in range(10):
                log.append(
                    Event(
                        collaboration="grocery",
                        subject=f"r-{number}-{step}",
                        actor="brand_agency.analyst",
                        payload=submitted(),
                    )
                )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    with AuditLog(postgres_url) as log:
        assert log.size == 40


def test_commits_are_durable_on_postgresql_whatever_the_server_says(postgres_url: str) -> None:
    with AuditLog(postgres_url) as log, log.write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
        assert connection.execute(select(1)).scalar() == 1
