"""Destroying what may be kept no longer: keys first, then files, then the room without it; and saying so.

Belongs here: finding what is due from the log (so that a killed process changes nothing), and doing it. Must
not be here: who decided it. Evidence stays: events, receipts and passports speak of digests, never of rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import CharterClosed, DataDestroyed, DestructionRule
from orchestration.audit.log import LoggedEvent
from orchestration.engine.room import Room
from orchestration.house import OPERATOR, House
from orchestration.participants import retention
from orchestration.participants.deliveries import is_contribution_of
from orchestration.participants.destruction import files_of, is_covered, sealed_of
from orchestration.participants.handovers import release_name, table_name
from orchestration.participants.state import State
from orchestration.stages import gate_evidence, quarantine


@dataclass(frozen=True)
class Due:
    """What is to be destroyed. `party`: and whatever else lies here of that participant.

    `dispute`: the one whose remedy it is; `clause`: the one whose days are over.
    """

    subject: str
    rule: DestructionRule
    why: str
    contributions: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    party: str | None = None
    dispute: str | None = None
    clause: str | None = None


def destroy_due(house: House, collaboration: str) -> list[LoggedEvent]:
    """Destroy what people decided about, then what has outlived the charter's days.

    People: participants that left or were removed, and what upheld disputes want deleted.
    """
    _delete_outputs(house, collaboration)
    if not _due(house, collaboration):
        return []
    logged, room = [], house.room(collaboration)
    # The writers' places of vault and room: nobody adds to either between looking and destroying.
    with house.vault.reserved(), room.reserved():
        for due in _due(house, collaboration):
            event = _described(house, collaboration, due)
            _destroy(house, room, due)
            logged.append(house.log.append(event))
    return logged


def _described(house: House, collaboration: str, due: Due) -> Event:
    """What the log will say of it; told from the log alone, so a rerun after a kill tells the same."""
    with house.state(collaboration) as state:
        files = files_of(state, due.contributions, due.quarantined, due.releases)
    payload = DataDestroyed(
        rule=due.rule,
        dispute=due.dispute,
        contributions=due.contributions,
        key_ids=tuple(house.vault.key_id(each) for each in due.contributions),
        clause=due.clause,
        quarantined=due.quarantined,
        releases=due.releases,
        files=files,
    )
    return _event(collaboration, due.subject, due.why, payload, state.at)


def _destroy(house: House, room: Room, due: Due) -> None:
    gate_evidence.forget(house, due.contributions)
    for contribution in due.contributions:
        house.vault.discard(contribution)
    for name in due.quarantined:
        quarantine.discard(house, name)
    for release in due.releases:
        shutil.rmtree(house.shelf / release, ignore_errors=True)
        (house.protected / f"{_request_of(house, room.collaboration, release)}.json").unlink(missing_ok=True)
    if due.party is not None:
        _clear_party(house, room.collaboration, due.party)
    if due.contributions:
        room.keep_only(_remaining(house, room.collaboration, due.contributions))


def close(house: House, closing: Event) -> list[LoggedEvent]:
    """Retire the room: shred every key of the collaboration, delete its files, then record that it is closed.

    Args:
        closing: the `charter.closed` that follows from the decision, without the destroyed keys.
    """
    collaboration = closing.collaboration
    room = house.room(collaboration)
    with house.vault.reserved(), room.reserved():
        with house.state(collaboration) as state:
            contributions = tuple(
                sorted(row.contribution for row in state.rows(t.contributions, status="accepted"))
            )
            parties = [row.participant for row in state.rows(g.participants)]
            requests = [row.request for row in state.rows(t.requests)]
            sealed = tuple(sorted(row.contribution for row in state.rows(t.contributions) if row.sealed))
            files = files_of(state, contributions, sealed, ())
        gate_evidence.forget(house, contributions)
        for contribution in contributions:
            house.vault.discard(contribution)
        for party in parties:
            _clear_party(house, collaboration, party)
        for request in requests:
            (house.protected / f"{request}.json").unlink(missing_ok=True)
        shredded = house.shred_keys(collaboration)
        room.destroy()
        keys = (
            *(house.vault.key_id(each) for each in contributions),
            *shredded,
            f"room/{collaboration}",
        )
        destroyed = DataDestroyed(
            rule="closed", contributions=contributions, key_ids=keys, quarantined=sealed, files=files
        )
        payload = closing.payload
        assert isinstance(payload, CharterClosed)  # noqa: S101  nothing else closes a collaboration
        closed = closing.model_copy(update={"payload": payload.model_copy(update={"destroyed": keys})})
        return house.log.append_many(
            [
                _event(collaboration, collaboration, "The collaboration is closed.", destroyed, state.at),
                closed,
            ]
        )


def _due(house: House, collaboration: str) -> list[Due]:
    with house.state(collaboration) as state:
        kept = state.rows(t.contributions, status="accepted")
        gone = [row for row in state.rows(g.participants) if row.status in ("left", "removed")]
        due = [each for row in gone if (each := _of_party(house, state, row, kept)) is not None]
        theirs = {contribution for each in due for contribution in each.contributions}
        back = {row.contribution for row in state.rows(t.withdrawals, status="waiting")} - theirs
        due += [
            Due(
                row.participant,
                "withdrawn",
                f"{row.participant} took it back.",
                (row.contribution,),
                sealed_of(state, (row.contribution,)),
            )
            for row in kept
            if row.contribution in back
        ]
        for dispute in state.rows(g.disputes, status="upheld", remedy="delete"):
            taken = {contribution for each in due for contribution in each.contributions}
            due += _of_dispute(state, dispute, [row for row in kept if row.contribution not in taken])
        taken = {each for one in due for each in (*one.contributions, *one.quarantined)}
        due += (_of_time(each, taken) for each in retention.expired(state))
    return [each for each in due if each.party or each.contributions or each.quarantined or each.releases]


def _of_time(expired: retention.Expired, taken: set[str]) -> Due:
    """What is over, without what goes for another reason in this very round."""
    return Due(
        expired.subject,
        expired.rule,
        expired.why,
        tuple(each for each in expired.contributions if each not in taken),
        tuple(each for each in expired.quarantined if each not in taken),
        expired.releases,
        clause=expired.clause,
    )


def _of_party(house: House, state: State, party: Row[Any], kept: list[Row[Any]]) -> Due | None:
    """Due until it is on record, even when nothing was there; and again should anything turn up later."""
    theirs = tuple(sorted(row.contribution for row in kept if row.participant == party.participant))
    told = house.log.events(
        "data.destroyed", party.participant, state.collaboration, newest_first=True, limit=1
    )
    if told and told[0].seq > party.seq and not theirs:
        return None
    rule: Literal["left", "removed"] = "left" if party.status == "left" else "removed"
    why = f"{party.participant} {'left' if rule == 'left' else 'was removed'}."
    rows = state.rows(t.contributions, participant=party.participant)
    sealed = tuple(sorted(row.contribution for row in rows if row.sealed))
    return Due(party.participant, rule, why, theirs, sealed, party=party.participant)


def _of_dispute(state: State, dispute: Row[Any], kept: list[Row[Any]]) -> Iterator[Due]:
    of = {row.contribution: row.participant for row in kept if is_covered(dispute, row)}
    for participant in sorted(set(of.values())):
        contributions = tuple(sorted(each for each, owner in of.items() if owner == participant))
        why = f"Dispute {dispute.dispute} was upheld."
        sealed = sealed_of(state, contributions)
        yield Due(participant, "remedy", why, contributions, sealed, dispute=dispute.dispute)


def _delete_outputs(house: House, collaboration: str) -> None:
    """What an upheld dispute about a request or release wants gone from the shelf and from before it."""
    with house.state(collaboration) as state:
        disputes = state.rows(g.disputes, status="upheld", remedy="delete")
        if not disputes:
            return
        asked = {row.request for row in state.rows(t.requests)}
        answers = {row.release: row.request for row in state.rows(t.releases)}
    for dispute in disputes:
        request = str(answers.get(dispute.about) if dispute.about_kind == "release" else dispute.about)
        if dispute.about_kind in ("release", "request") and request in asked:
            shutil.rmtree(house.shelf / release_name(request), ignore_errors=True)
            (house.protected / f"{request}.json").unlink(missing_ok=True)


def _request_of(house: House, collaboration: str, release: str) -> str | None:
    with house.state(collaboration) as state:
        row = state.release(release)
    return row.request if row is not None else None


def _remaining(house: House, collaboration: str, destroyed: tuple[str, ...]) -> list[str]:
    with house.state(collaboration) as state:
        rows = state.rows(t.contributions, status="accepted")
    return [table_name(row.contribution) for row in rows if row.contribution not in destroyed]


def _clear_party(house: House, collaboration: str, participant: str) -> None:
    """Deliveries that wait, sealed copies of refused ones, and attempts that never became contributions."""
    landing = house.landing(collaboration, participant)
    for folder in landing.glob("*"):
        if folder.is_file() and not folder.is_symlink():
            folder.unlink()
        else:
            quarantine.remove(folder)
    with house.state(collaboration) as state:
        for row in state.rows(t.contributions, participant=participant):
            quarantine.discard(house, row.contribution)
        charters = [state.charter_version(row.digest) for row in state.rows(g.charters)]
        for row in state.rows(t.withdrawals, participant=participant):
            house.vault.discard(row.withdrawal)
    datasets = {
        dataset.id
        for charter in charters
        if charter is not None
        for dataset in charter.datasets
        if dataset.participant == participant
    }
    for dataset in datasets:
        for path in house.vault.folder.glob(f"{dataset}-*.parquet"):
            if is_contribution_of(dataset, path.stem) and not _is_recorded(house, path.stem):
                house.vault.discard(path.stem)


def _is_recorded(house: House, contribution: str) -> bool:
    """In any collaboration of this house: the vault is one folder for all of them."""
    accepted = house.log.events("contribution.accepted", contribution, limit=1)
    return bool(accepted)


def _event(collaboration: str, subject: str, why: str, payload: DataDestroyed, at: datetime) -> Event:
    return Event(
        collaboration=collaboration,
        subject=subject,
        actor=OPERATOR,
        justification=why,
        time=at,
        payload=payload,
    )
