"""Recording what members do, and everything that follows from it.

Belongs here: the one door through which acts enter the log, and bringing the house up to date with it. Must
not be here: who may do what (`participants/guard`), what follows from what (`participants/consequences`), how
data is destroyed (`destruction`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import select

from orchestration.audit import governance_tables as g
from orchestration.audit.events import Event
from orchestration.audit.governance_events import CharterProposed, DisputeDocumented
from orchestration.audit.log import LoggedEvent
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.audit.statement import sign, statement_id
from orchestration.audit.withdrawal_events import PeopleWithdrawn
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json, digest_bytes, digest_json
from orchestration.engine import room, vault
from orchestration.engine.files import write_durably
from orchestration.errors import IntegrityError, PolicyDeniedError, ServiceError
from orchestration.house import OPERATOR, House
from orchestration.participants import consequences, emergencies
from orchestration.participants.state import State
from orchestration.participants.verdict import verdicts
from orchestration.participants.withdrawals import NO_LIST
from orchestration.signing import SigningKey
from orchestration.stages import destruction
from orchestration.stages.standing import require_standing as require_standing  # where others look for it

_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def propose(
    house: House, charter: Charter, actor: str, justification: str, key: SigningKey | None = None
) -> LoggedEvent:
    """Put a charter on the table; it invites those it names.

    Args:
        key: the actor's; needed as soon as another charter of the collaboration is active.

    Raises: PolicyDeniedError when it may not be proposed; AlreadyRecordedError when it was.
    """
    with house.state(charter.collaboration) as state:
        active = state.charter
    event = Event(
        collaboration=charter.collaboration,
        subject=charter.collaboration,
        actor=actor,
        justification=justification,
        payload=CharterProposed(
            digest=charter.digest,
            title=charter.title,
            version=charter.version,
            document=charter.document,
            supersedes=active.digest if active else None,
        ),
    )
    return act(house, event if key is None else sign(event, key))[0]


def act(house: House, event: Event) -> list[LoggedEvent]:
    """Record a member's signed act, then everything that follows from it.

    Raises: PolicyDeniedError, IntegrityError when the act is refused, and AlreadyRecordedError when it counts
    already; nothing is recorded then.
    """
    return [*record(house, event), *settle(house, event.collaboration)]


def record(house: House, event: Event) -> list[LoggedEvent]:
    """Record a signed act alone; one that only an emergency grant allows has its second trace before it.

    Returns: the act, then its second trace if there is one.
    """
    if isinstance(event.payload, PeopleWithdrawn):
        _require_list(house, event.subject, event.payload)
    with house.state(event.collaboration, event.time) as state:
        grant = emergencies.grant_used(state, event) if event.signature is not None else None
    if grant is None:
        return [house.log.append(event)]
    member, act = event.actor, statement_id(event)
    second = emergencies.trace(event, grant, OPERATOR, member=member, act=act)
    return house.log.append_many([second, event])[::-1]


def _require_list(house: House, withdrawal: str, payload: PeopleWithdrawn) -> None:
    """One without its list could never be carried out, and would keep every other one waiting."""
    try:
        house.vault.reader(withdrawal).check(payload.list_digest)
    except IntegrityError:
        raise PolicyDeniedError(NO_LIST, withdrawal=ascii(withdrawal[:80])) from None


def settle(house: House, collaboration: str, now: datetime | None = None) -> list[LoggedEvent]:
    """Record everything that is due, then bring the house up to date: charter, evidence, destruction.

    Safe to repeat, and for any number of processes at once: what is due is read from the log each time.
    Destruction that finds vault or room in use is left for the next time.

    Args:
        now: the moment to ask about; default: this one, anew for each step.
    """
    logged: list[LoggedEvent] = []
    with house.state(collaboration, now) as state:
        raised = state.rows(g.disputes, status="raised")
    for row in raised:
        if row.evidence is None:  # before anybody decides on it
            logged += _document(house, collaboration, row.dispute)
    while (due := _next(house, collaboration, now)) is not None:
        logged += due
    with house.state(collaboration, now) as state:
        phase, charter = state.phase, state.charter
    if charter is not None and phase != "closed":
        house.serve(charter)
    logged += _when_free(partial(destruction.destroy_due, house, collaboration))
    with house.state(collaboration, now) as state:
        closings = consequences.closing_due(state)
    for closing in closings:
        logged += _when_free(partial(destruction.close, house, closing))
    return logged


def collaborations(house: House) -> list[str]:
    """Every collaboration the log knows, open or closed."""
    with house.log.read() as connection:
        names = select(g.collaborations.c.collaboration).order_by(g.collaborations.c.collaboration)
        return list(connection.execute(names).scalars())


def _next(house: House, collaboration: str, now: datetime | None) -> list[LoggedEvent] | None:
    """One step of what is due; None when nothing is. An empty list: somebody else was faster, look again."""
    size = house.log.size
    with house.state(collaboration, now) as state:
        event = _first_due(state)
    if event is None:
        return None
    try:
        return [house.log.append(event)]
    except (AlreadyRecordedError, PolicyDeniedError):
        if house.log.size == size:
            raise
        return []


def _first_due(state: State) -> Event | None:
    due = consequences.due(state)
    return due[0] if due else next(verdicts(state), None)


def _document(house: House, collaboration: str, dispute: str) -> list[LoggedEvent]:
    """Write the evidence pack of a dispute, then record its digest."""
    from orchestration.audit.case_file import make_case_file  # reads lineage: slow to load, and rare

    with house.state(collaboration) as state:
        document = canonical_json(make_case_file(house.log, state, dispute))
    write_durably(case_path(house, dispute), document)
    event = Event(
        collaboration=collaboration,
        subject=dispute,
        actor=OPERATOR,
        justification="Evidence pack: approved scope beside what ran.",
        payload=DisputeDocumented(digest=digest_bytes(document)),
    )
    try:
        return [house.log.append(event)]
    except AlreadyRecordedError:
        return []


def case_path(house: House, dispute: str) -> Path:
    """Where the evidence pack of a dispute lies; its id is a member's word, so it is no path by itself."""
    name = dispute if _PLAIN_NAME.fullmatch(dispute) else digest_json(dispute)[7:]
    house.cases.mkdir(parents=True, exist_ok=True, mode=0o700)
    return house.cases / f"{name}.json"


def _when_free(work: Callable[[], list[LoggedEvent]]) -> list[LoggedEvent]:
    try:
        return work()
    except ServiceError as error:
        if error.reason in (room.BUSY, vault.BUSY):
            return []
        raise
