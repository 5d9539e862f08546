"""Anonymity in the room: of each de-identified table, and of the units that joining brings together.

Belongs here: which columns of which table are measured, and against which floor. Must not be here: measuring
and suppressing themselves (`scope/`).
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from orchestration.audit.stage_events import AnonymityFigures
from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.model import Charter, Dataset
from orchestration.errors import DisclosureError, Reason
from orchestration.scope.anonymity import measure
from orchestration.scope.anonymity_figures import published
from orchestration.scope.floors import judge, missed
from orchestration.scope.local_suppression import reach_floor

ROOM_FLOOR_MISSED = Reason(
    "anonymity.room_floor_missed",
    "Joined, the datasets of {collaboration} miss the floor of anonymity: {limits}.",
    "Nothing is asked of this room until it passes: generalize the profiles more and deliver them again, or "
    "amend joined_anonymity.",
)

JOINED = "room.intermediate.int_units__joined"
AUDIENCES = ("shopper", "profiled", "mailed", "redeemer")
"""Columns of the joined table that tell who knows a unit: each party knows this of its own customers."""


def anonymize(
    connection: duckdb.DuckDBPyConnection, charter: Charter, dataset: Dataset, table: str
) -> AnonymityFigures | None:
    """Measure a de-identified table, suppress within the budget, and say what may be told.

    Units are counted, not rows: a receipt has many lines, and a hundred lines of one household hide nobody.
    None for a table about nobody, or one without quasi-identifiers.

    Raises: ContributionError (`anonymity.floor_missed`, `anonymity.budget_exceeded`): the table must go.
    """
    names, sensitive = dataset.quasi_identifiers, dataset.sensitive_attributes
    if not ENTITIES[dataset.entity].privacy_unit or not names:
        return None
    threshold = charter.output.aggregation_threshold
    if dataset.anonymity is None:
        return published(measure(connection, table, names, sensitive, unit=UNIT), threshold)
    reached = reach_floor(
        connection, table, names, sensitive, dataset.anonymity, unit=UNIT, subject=dataset.id
    )
    return published(reached.figures, threshold, suppressed=reached.suppressed)


def measure_joined(
    connection: duckdb.DuckDBPyConnection, charter: Charter, admitted: Iterable[Dataset]
) -> AnonymityFigures | None:
    """Measure the joined table of privacy units, one row each, against the charter's joined floor.

    Its quasi-identifiers are those of the admitted profiles, and which parties know a unit.

    Raises: DisclosureError (`anonymity.room_floor_missed`).
    """
    columns = {str(row[0]) for row in connection.execute(f"DESCRIBE {JOINED}").fetchall()}
    profiles = [dataset for dataset in admitted if dataset.entity == "profile"]
    identifying = [*AUDIENCES, *(name for each in profiles for name in each.quasi_identifiers)]
    sensitive = [name for each in profiles for name in each.sensitive_attributes]
    names = [name for name in dict.fromkeys(identifying) if name in columns]
    told = [name for name in dict.fromkeys(sensitive) if name in columns and name not in names]
    found = measure(connection, JOINED, names, told)
    if charter.joined_anonymity is not None:
        limits = judge(charter.joined_anonymity, found)
        if not all(limit.met for limit in limits):
            raise DisclosureError(
                ROOM_FLOOR_MISSED, collaboration=charter.collaboration, limits=missed(limits)
            )
    return published(found, charter.output.aggregation_threshold)
