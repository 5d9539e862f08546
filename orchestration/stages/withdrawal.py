"""Taking people out of what was contributed: asking for it, and doing it once enough of them leave together.

Belongs here: the list a contributor hands over, and rewriting vault and room without those on it. Must not be
here: what becomes of releases (`participants/outdated`), or taking back a whole contribution (`destruction`).

People leave together, as many as the charter says, so that two answers, one before and one after, do not show
what one of them adds. Nobody waits longer than the charter says either: when too few are there by then,
others, drawn by lot, leave with them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import Row

from orchestration.audit import receipts, tables
from orchestration.audit.events import Event
from orchestration.audit.lineage import new_run_id
from orchestration.audit.log import LoggedEvent
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import StageReceipt, now
from orchestration.audit.withdrawal_events import (
    ContributionTrimmed,
    PeopleWithdrawn,
    WithdrawalApplied,
    WithdrawalReason,
)
from orchestration.charter.model import Charter, Dataset
from orchestration.digests import digest_file
from orchestration.engine.duck import confine, connect
from orchestration.engine.room import Room
from orchestration.errors import ContributionError, GlasshouseError, PolicyDeniedError
from orchestration.house import OPERATOR, House
from orchestration.participants.handovers import table_name
from orchestration.participants.state import State, moment
from orchestration.participants.withdrawals import NOT_PERSONAL, is_list, kept_of, terms_of, waiting_people
from orchestration.scope.pseudonymization import bind_keys
from orchestration.scope.source import MALFORMED, open_source
from orchestration.scope.withdrawal import NOBODY, People, compile_people
from orchestration.signing import SigningKey
from orchestration.stages import gate_evidence, governance
from orchestration.stages.deidentify import is_prepared
from orchestration.stages.taken_out import read_lists

_ABANDONED_SECONDS = 24 * 3600


def withdraw_people(
    house: House,
    charter: Charter,
    dataset: Dataset,
    people: Path,
    *,
    signer: str,
    key: SigningKey,
    reason: WithdrawalReason,
    justification: str,
) -> list[LoggedEvent]:
    """Put a list of people into the vault, as pseudonyms, and record the steward's signed withdrawal.

    Args:
        people: CSV with the dataset's own column of identifiers, or `unit` with pseudonyms.

    Raises: ContributionError (`withdrawal.no_column`, `withdrawal.nobody`, `contribution.malformed`, …);
    PolicyDeniedError when the signer may not, or the dataset is about nobody. Nothing is kept then.
    """
    if dataset.classification != "personal":
        raise PolicyDeniedError(NOT_PERSONAL, dataset=dataset.id)
    withdrawal = f"people-{now():%Y%m%d}-{secrets.token_hex(4)}"
    try:
        digest = _write_list(house, charter, dataset, people, withdrawal)
        event = Event(
            collaboration=charter.collaboration,
            subject=withdrawal,
            actor=signer,
            justification=justification,
            payload=PeopleWithdrawn(dataset=dataset.id, reason=reason, list_digest=digest),
        )
        return governance.act(house, sign(event, key))
    except BaseException:
        with house.state(charter.collaboration) as state:
            recorded = state.rows(tables.withdrawals, withdrawal=withdrawal)
        if not recorded:
            house.vault.discard(withdrawal)
        raise


def apply_due(house: House, collaboration: str) -> list[LoggedEvent]:
    """Take out the people whose withdrawal is due, from everything the vault keeps; the room starts afresh.

    Safe to repeat, and to be killed anywhere: what the log does not say yet is done again. A dataset whose
    list or file is not as recorded holds up no other.

    Raises: ServiceError (`vault.busy`, `room.busy`); what was wrong with the first dataset that could not be
    done, once the others are.
    """
    with house.state(collaboration) as state:
        asked = {row.dataset for row in waiting_people(state)}
    if not asked and not house.vault.unsettled() and not _unsigned(house):
        return []
    room = house.room(collaboration)
    logged: list[LoggedEvent] = []
    errors: list[GlasshouseError] = []
    with house.vault.reserved(), room.reserved():
        _settle(house)
        for dataset in sorted(asked):
            try:
                logged += _apply(house, room, dataset)
            except GlasshouseError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return logged


def _write_list(house: House, charter: Charter, dataset: Dataset, people: Path, withdrawal: str) -> str:
    """The digest of the encrypted list."""
    writer = house.vault.writer(withdrawal)
    with house.vault.reserved(), connect(house.settings) as connection:
        confine(connection, files=[people], folders=[house.vault.folder, house.settings.root / "tmp"])
        bind_keys(connection, collaboration=house.pseudonym_key(charter.collaboration))
        try:
            written = writer.write(
                connection, compile_people(dataset, open_source(connection, people, "csv"))
            )
        except duckdb.InvalidInputException:
            raise ContributionError(MALFORMED, format="CSV") from None
    if written == 0:
        raise ContributionError(NOBODY)
    return digest_file(writer.path)


def _apply(house: House, room: Room, dataset_id: str) -> list[LoggedEvent]:
    """Everything kept of one dataset, if its people may go now."""
    collaboration = room.collaboration
    with house.state(collaboration) as state:
        asked = waiting_people(state, dataset_id)
        kept = kept_of(state, dataset_id)
        charters = [_charter_of(state, row) for row in kept]
        charter = state.charter
    if charter is None or not asked:
        return []
    with connect(house.settings) as connection:
        confine(connection, folders=[house.vault.folder, house.settings.root / "tmp"])
        read_lists(house, collaboration, connection, asked)
        if not _may_go(house, connection, charter, asked, kept, charters):
            return []
        for row, own in zip(kept, charters, strict=True):
            people = _people(house, connection, own, row)
            writer = house.vault.writer(house.vault.next_name(row.contribution))
            writer.write(connection, people.others())
    room.keep_only(_other_tables(house, collaboration, kept))
    gate_evidence.forget(house, [row.contribution for row in kept])  # counted with them; the gate counts anew
    logged = house.log.append_many(_events(house, collaboration, dataset_id, asked, kept))
    _settle(house)
    return logged


def _may_go(
    house: House,
    connection: duckdb.DuckDBPyConnection,
    charter: Charter,
    asked: Sequence[Row[Any]],
    kept: Sequence[Row[Any]],
    charters: Sequence[Charter],
) -> bool:
    """Whether enough people leave together, or have waited long enough; then others leave with them.

    Asked of every contribution that may be in the room, now or once its gate has spoken.
    """
    terms = terms_of(charter)
    fewest = terms.people or charter.output.aggregation_threshold
    seen = [(own, row) for own, row in zip(charters, kept, strict=True) if row.superseded_by is None]
    if all(_missing(house, connection, fewest, *each) == 0 for each in seen):
        return True
    waited_since = min(moment(row.requested_at) for row in asked)
    if now() < waited_since + timedelta(days=terms.days):
        return False
    for own, row in seen * len(seen):  # whoever is drawn in one may be the only one in another
        if missing := _missing(house, connection, fewest, own, row):
            _people(house, connection, own, row).hide_among(connection, missing, secrets.token_bytes(32))
    return True


def _missing(
    house: House, connection: duckdb.DuckDBPyConnection, fewest: int, charter: Charter, row: Row[Any]
) -> int:
    """How many people more have to leave a contribution; none if nobody leaves it."""
    leaving = _people(house, connection, charter, row).count(connection)
    return max(0, fewest - leaving) if leaving else 0


def _people(house: House, connection: duckdb.DuckDBPyConnection, charter: Charter, row: Row[Any]) -> People:
    """The rows of a contribution as its own charter describes them; binds its key."""
    relation = house.vault.reader(row.contribution).relation(connection)
    return People(charter.dataset(row.dataset), relation, prepared=is_prepared(house, row.contribution))


def _events(
    house: House, collaboration: str, dataset: str, asked: Sequence[Row[Any]], kept: Sequence[Row[Any]]
) -> list[Event]:
    withdrawals = tuple(row.withdrawal for row in asked)
    run_id, events = new_run_id(), []
    for row in kept:
        present = receipts.require(house.log, "contribution", row.contribution)
        name = house.vault.next_name(row.contribution)
        digest = digest_file(house.vault.path(name))
        receipt = StageReceipt(
            stage="contribution",
            subject=row.contribution,
            charter_digest=row.charter_digest,
            inputs=(present.id,),
            outputs={"vault": digest},
            run_id=run_id,
        )
        trimmed = ContributionTrimmed(
            receipt=receipt,
            contribution=row.contribution,
            dataset=dataset,
            withdrawals=withdrawals,
            vault_digest=digest,
            key_id=house.vault.key_id(row.contribution),
        )
        events.append(_event(collaboration, row.contribution, trimmed))
    searched = tuple(row.contribution for row in kept)
    applied = WithdrawalApplied(dataset=dataset, contributions=searched)
    return [*events, *(_event(collaboration, each, applied) for each in withdrawals)]


def _event(collaboration: str, subject: str, payload: ContributionTrimmed | WithdrawalApplied) -> Event:
    why = "People were withdrawn by the contributor."
    return Event(
        collaboration=collaboration, subject=subject, actor=OPERATOR, justification=why, payload=payload
    )


def _settle(house: House) -> None:
    """Complete what the log says was rewritten, undo what it does not, drop lists nobody signed for."""
    vault = house.vault
    for contribution in vault.unsettled():
        vault.settle(contribution, receipts.require(house.log, "contribution", contribution).outputs["vault"])
    for name in _unsigned(house):
        vault.discard(name)


def _unsigned(house: House) -> list[str]:
    """Lists that nobody signed for within a day."""
    return [
        path.stem
        for path in house.vault.folder.glob("people-*.parquet")
        if is_list(path.stem)
        and path.stat().st_mtime < time.time() - _ABANDONED_SECONDS
        and not house.log.events("people.withdrawn", path.stem, limit=1)
    ]


def _charter_of(state: State, row: Row[Any]) -> Charter:
    charter = state.charter_version(row.charter_digest)
    assert charter is not None  # noqa: S101  it was accepted under it
    return charter


def _other_tables(house: House, collaboration: str, kept: Sequence[Row[Any]]) -> list[str]:
    """Tables of the room that hold nothing of these contributions."""
    theirs = {row.contribution for row in kept}
    with house.state(collaboration) as state:
        rows = state.rows(tables.contributions, status="accepted")
    return [table_name(row.contribution) for row in rows if row.contribution not in theirs]
