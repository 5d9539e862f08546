"""Rows of a contribution without those of people who were taken out of it, as SQL.

Belongs here: recognizing people by their desk pseudonym, in raw and in prepared rows. Must not be here: whose
withdrawal it is, when it is due (`stages/withdrawal`), or how rows reach a file (`engine/vault`).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from orchestration.charter.entities import UNIT
from orchestration.charter.fields import Field, Pseudonymize
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_name
from orchestration.errors import ContributionError, Reason
from orchestration.scope.pseudonymization import Lookup
from orchestration.scope.source import Source

NO_COLUMN = Reason(
    "withdrawal.no_column",
    "The list of people has neither the column {column} nor the column unit.",
    "Give a CSV with the column {column} as in your deliveries, or unit with their pseudonyms.",
)
NOBODY = Reason(
    "withdrawal.nobody",
    "The list names nobody.",
    "Give one person in each row.",
)

_PEOPLE = "withdrawn_people"
_PSEUDONYM = "^[0-9a-f]{64}$"


@dataclass(frozen=True)
class People:
    """The rows of `dataset` in `relation`, told apart by the people on the connection's list.

    `relation`: a SQL table expression over rows as the vault holds them. Raw rows need the collaboration's
    key bound; `prepared` ones carry the pseudonym already.
    """

    dataset: Dataset
    relation: str
    prepared: bool

    def others(self) -> str:
        """A query of all rows but theirs, with the columns as they are."""
        if self.prepared:
            column = quote_name(UNIT)
            return (
                f"SELECT source.* FROM {self.relation} AS source"
                f" ANTI JOIN {_PEOPLE} ON source.{column} = {_PEOPLE}.unit"
            )
        field = unit_field(self.dataset)
        return (
            f"{self._with()} SELECT source.* FROM source ANTI JOIN"
            f" (SELECT spelling FROM {self._lookup.name} SEMI JOIN {_PEOPLE} ON pseudonym = {_PEOPLE}.unit)"
            f" AS gone ON source.{quote_name(field.name)} = gone.spelling"
        )

    def count(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many of the people are in these rows."""
        query = f"{self._with()} SELECT count(DISTINCT unit) FROM {_PEOPLE} SEMI JOIN ({self._everybody()})"
        row = connection.execute(f"{query} AS here USING (unit)").fetchone()
        return int(row[0]) if row else 0

    def hide_among(self, connection: duckdb.DuckDBPyConnection, count: int, salt: bytes) -> None:
        """Put `count` others of these rows on the list, so that who was on it does not stand out.

        Who they are depends on the salt alone, which nobody keeps.
        """
        connection.execute(
            f"INSERT INTO {_PEOPLE} {self._with()} SELECT unit FROM ({self._everybody()})"
            f" ANTI JOIN {_PEOPLE} USING (unit) ORDER BY sha256(? || encode(unit)) LIMIT {count:d}",
            [salt],
        )

    @property
    def _lookup(self) -> Lookup:
        field = unit_field(self.dataset)
        assert isinstance(field.technique, Pseudonymize)  # noqa: S101  the charter's checks see to it
        return Lookup(UNIT, field.name, field.technique, ("collaboration",))

    def _with(self) -> str:
        source = f"WITH source AS NOT MATERIALIZED (SELECT * FROM {self.relation})"
        return source if self.prepared else f"{source}, {self._lookup.table}"

    def _everybody(self) -> str:
        if self.prepared:
            return f"SELECT DISTINCT {quote_name(UNIT)} AS unit FROM source"
        return f"SELECT DISTINCT pseudonym AS unit FROM {self._lookup.name}"


def unit_field(dataset: Dataset) -> Field:
    """The field that says whom a row of a personal dataset is about."""
    return next(field for field in dataset.fields if field.attribute == UNIT)


def compile_people(dataset: Dataset, source: Source) -> str:
    """A query of the desk pseudonyms on a list; its column is the dataset's own, or `unit` with pseudonyms.

    Raises: ContributionError (`withdrawal.no_column`).
    """
    field = unit_field(dataset)
    if field.name in source.columns:
        assert isinstance(field.technique, Pseudonymize)  # noqa: S101  the charter's checks see to it
        lookup = Lookup(UNIT, "spelling", field.technique, ("collaboration",))
        spelling = f"nullif(CAST({source.columns[field.name]} AS VARCHAR), '') AS spelling"
        return (
            f"WITH source AS (SELECT {spelling} FROM {source.relation}), {lookup.table}"
            f" SELECT DISTINCT pseudonym AS unit FROM {lookup.name} WHERE pseudonym IS NOT NULL"
        )
    if UNIT in source.columns:
        column = f"CAST({source.columns[UNIT]} AS VARCHAR)"
        matches = f"regexp_full_match({column}, '{_PSEUDONYM}')"
        return f"SELECT DISTINCT {column} AS unit FROM {source.relation} WHERE {matches}"
    raise ContributionError(NO_COLUMN, column=field.name)


def begin_list(connection: duckdb.DuckDBPyConnection) -> None:
    """An empty list of people on this connection."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_PEOPLE} (unit VARCHAR)")


def add_to_list(connection: duckdb.DuckDBPyConnection, relation: str) -> None:
    """Put the people of `relation`, a table expression with a column `unit`, on the connection's list."""
    connection.execute(f"INSERT INTO {_PEOPLE} SELECT unit FROM {relation}")
