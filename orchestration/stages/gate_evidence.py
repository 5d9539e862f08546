"""What a gate compares with, read from the log and the house; and what it leaves for the next one.

Belongs here: the last contribution that passed, the tables of other datasets in use, the letter to the
stewards. Must not be here: any rule (`scope/`), or what the gate decides (`gate`).
"""

from __future__ import annotations

import json
from collections.abc import Collection

import duckdb
from pydantic import JsonValue

from orchestration.audit import tables as t
from orchestration.audit.receipts import Receipt
from orchestration.audit.vocabulary import now
from orchestration.charter.entities import ENTITIES
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import canonical_json
from orchestration.engine.duck import quote_name
from orchestration.engine.files import write_durably
from orchestration.engine.sealing import seal_letter
from orchestration.house import House
from orchestration.scope.gate import GateResult
from orchestration.scope.measures import Evidence
from orchestration.scope.quality_rules import pseudonyms
from orchestration.scope.statistics import Statistics
from orchestration.stages.quarantine import stewards_of


def compared_datasets(dataset: Dataset, charter: Charter) -> set[str]:
    """Datasets whose tables the quality clauses about `dataset` read."""
    found: set[str] = set()
    for each in charter.datasets:
        if each.quality is None:
            continue
        named = {part.dataset for part in each.quality.references}
        named |= {part.dataset for part in each.quality.overlap}
        if each.id == dataset.id:
            found |= named
            if each.quality.keyspace is not None:
                found |= set(_strangers(dataset, charter))
        elif dataset.id in named:
            found.add(each.id)
    return found - {dataset.id}


def gather(
    house: House,
    charter: Charter,
    dataset: Dataset,
    contribution: str,
    given: Receipt,
    connection: duckdb.DuckDBPyConnection,
) -> Evidence:
    """Everything the rules of `dataset` may compare its table with, as of now.

    Args:
        given: the receipt of the contribution: it says when it was accepted.

    Raises: IntegrityError when what is remembered of the last contribution was changed.
    """
    wanted = compared_datasets(dataset, charter)
    with house.state(charter.collaboration) as state:
        passed = state.rows(t.contributions, dataset=dataset.id, status="accepted", gate="passed")
        in_use = {
            row.dataset: row.table_name
            for row in state.rows(t.datasets)
            if row.dataset in wanted
            and state.participant_status(charter.dataset(row.dataset).participant) == "active"
        }
    there = {
        str(row[0])
        for row in connection.execute(
            "SELECT table_name FROM duckdb_tables()"
            " WHERE database_name = 'room' AND schema_name = 'deidentified'"
        ).fetchall()
    }
    others = {
        name: f"room.deidentified.{quote_name(table)}" for name, table in in_use.items() if table in there
    }
    newest_first = sorted(passed, key=lambda row: -int(row.seq))
    earlier = [row.contribution for row in newest_first if row.contribution != contribution]
    return Evidence(
        delivered=house.log.event(given.seq).event.time.date(),
        today=now().date(),
        before=_remembered(house, earlier),
        others=others,
        strangers=tuple(others[name] for name in _strangers(dataset, charter) if name in others),
        pseudonyms=pseudonyms(dataset),
    )


def remember(house: House, contribution: str, statistics: Statistics) -> None:
    """Keep the figures of a contribution that passed, for those after it."""
    house.history.write(contribution, statistics.model_dump_json().encode())


def tell_stewards(
    house: House, charter: Charter, dataset: Dataset, contribution: str, result: GateResult
) -> None:
    """Write every rule's answer with its figures into a letter that only the dataset's stewards can open."""
    with house.state(charter.collaboration) as state:
        readers = [key.public_key for key in stewards_of(state, dataset.participant)]
    if not readers:
        return
    path = house.letters / f"{contribution}.age"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(path, seal_letter(canonical_json(letter(contribution, result)), readers), mode=0o600)


def letter(contribution: str, result: GateResult) -> JsonValue:
    """The document of `tell_stewards`: counts and shares, no values."""
    checks: list[JsonValue] = [
        {
            "rule": check.rule.rule,
            "measured": check.measured,
            "passed": check.passed,
            "figures": json.loads(json.dumps(dict(check.figures))),
        }
        for check in result.checks
    ]
    return {"contribution": contribution, "dataset": result.suite.dataset, "checks": checks}


def forget(house: House, contributions: Collection[str]) -> None:
    """Shred what is remembered of contributions that are destroyed, and the letters about them."""
    for contribution in contributions:
        house.history.forget(contribution)
        (house.letters / f"{contribution}.age").unlink(missing_ok=True)


def _remembered(house: House, contributions: list[str]) -> Statistics | None:
    for contribution in contributions:
        found = house.history.read(contribution)
        if found is not None:
            return Statistics.model_validate_json(found)
    return None


def _strangers(dataset: Dataset, charter: Charter) -> list[str]:
    """Datasets of other participants that hold units."""
    return [
        each.id
        for each in charter.datasets
        if each.participant != dataset.participant and ENTITIES[each.entity].privacy_unit
    ]
