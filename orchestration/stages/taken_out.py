"""The lists of people who were taken out of a dataset, read for whoever has to leave their rows out.

Belongs here: reading lists from the vault. Must not be here: asking for a withdrawal, or rewriting what is
kept already (`withdrawal`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb
from sqlalchemy import Row

from orchestration.audit import tables
from orchestration.charter.model import Dataset
from orchestration.house import House
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.withdrawal import People, add_to_list, begin_list


def without_people(
    house: House,
    collaboration: str,
    dataset: Dataset,
    connection: duckdb.DuckDBPyConnection,
    query: str,
    *,
    prepared: bool,
) -> str:
    """`query`, a query of rows as the vault will hold them, without those of people taken out before.

    A contributor may deliver them again by mistake; what was withdrawn does not come back that way. Those who
    wait still stay: without them, the new delivery would show who leaves before others leave with them.
    """
    with house.state(collaboration) as state:
        applied = state.rows(tables.withdrawals, dataset=dataset.id, status="applied")
    lists = [row for row in applied if row.list_digest]
    if not lists:
        return query
    read_lists(house, collaboration, connection, lists)
    return People(dataset, f"({query})", prepared).others()


def read_lists(
    house: House, collaboration: str, connection: duckdb.DuckDBPyConnection, asked: Iterable[Row[Any]]
) -> None:
    """Put the people of these withdrawals on the connection's list, after each list was checked.

    Raises: IntegrityError (`vault.changed`).
    """
    bind_keys(connection, collaboration=house.pseudonym_key(collaboration))
    begin_list(connection)
    for row in asked:
        reader = house.vault.reader(row.withdrawal)
        reader.check(row.list_digest)
        add_to_list(connection, reader.relation(connection))
