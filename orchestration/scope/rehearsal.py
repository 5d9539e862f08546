"""What the room would make of a file, made at the contributor's own desk and kept nowhere.

Belongs here: intake's types and the charter's techniques applied to one file, with a pseudonym key for this
once, because only whether two pseudonyms are equal matters to anonymity. Must not be here: a house, its keys,
or anything that leaves the desk.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import duckdb

from orchestration.charter.model import Dataset
from orchestration.errors import ContributionError
from orchestration.scope.coercion import compile_intake
from orchestration.scope.deidentification import compile_preparation
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.source import MALFORMED, open_source

REHEARSED = "rehearsed"


def rehearse(connection: duckdb.DuckDBPyConnection, dataset: Dataset, path: Path) -> str:
    """Make the table that stage 2 would make; returns its name. Rows that intake would reject are left out.

    Raises: ContributionError, as intake does.
    """
    kind = "parquet" if path.suffix.lower() == ".parquet" else "csv"
    source = open_source(connection, path, kind)
    kept = compile_intake(dataset, source).kept
    bind_keys(connection, collaboration=secrets.token_bytes(32))
    compiled = compile_preparation(dataset, f"({kept})")
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {REHEARSED} AS {compiled.query}")
    except duckdb.InvalidInputException:  # its text quotes the line
        raise ContributionError(MALFORMED, format="Parquet" if kind == "parquet" else "CSV") from None
    return REHEARSED
