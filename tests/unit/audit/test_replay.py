from __future__ import annotations

import pytest
from sqlalchemy import Connection

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import ALL_TABLES
from orchestration.audit.replay import Difference, replay
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import Signed
from orchestration.errors import IntegrityError, PolicyDeniedError, Reason
from tests.postgres import both_databases
from tests.unit.audit.audit_story import Desk, submitted

pytestmark = both_databases

UNSIGNED = Reason("test.unsigned", "Nobody signed this.", "Sign it.")


def signed_only(_: Connection, event: Event) -> None:
    if isinstance(event.payload, Signed) and event.signature is None:
        raise PolicyDeniedError(UNSIGNED)


def test_every_table_is_what_the_events_make(governed_desk: Desk) -> None:
    with governed_desk.log.read() as connection:
        for table in ALL_TABLES:
            assert connection.execute(table.select()).first() is not None, f"{table.name} proves nothing"
    found = replay(governed_desk.log)
    assert (found.ok, found.first) == (True, None)
    assert (found.events, found.equal) == (governed_desk.log.size, len(ALL_TABLES))


def test_an_empty_log_replays(desk: Desk) -> None:
    assert replay(desk.log).ok


def test_the_first_difference_is_named(governed_desk: Desk) -> None:
    with governed_desk.log.write() as connection:
        connection.execute(g.members.update().values(status="retired", participant="agency"))
        connection.execute(t.datasets.delete())
        made_up = {"collaboration": "grocery", "member": "m", "terms": "t", "seq": 1}
        connection.execute(g.acknowledgements.insert(), made_up)
    found = replay(governed_desk.log)
    assert not found.ok
    assert found.equal == len(ALL_TABLES) - 3
    assert found.differences == (
        Difference("datasets", ("grocery", "transactions"), (), "missing, although the events make it"),
        Difference(
            "members",
            ("grocery", "retailer.steward"),
            ("participant", "status"),
            "participant, status is not what the events say",
        ),
        Difference("acknowledgements", ("grocery", "m", "t"), (), "no event explains it"),
    )
    assert found.first == "table datasets, row grocery, transactions: missing, although the events make it"
    governed_desk.log.rebuild()
    assert replay(governed_desk.log).ok


def test_an_act_written_past_the_guard_is_refused_by_the_replay(desk: Desk, control_url: str) -> None:
    """The hashes are right, the tables are right: only the guard can tell that nobody signed."""
    desk.found()
    desk.say("r1", submitted())
    assert replay(desk.log).ok
    found = replay(desk.log, signed_only)
    assert found.refused is not None
    assert (found.refused.seq, found.refused.code, found.equal) == (2, "test.unsigned", 0)
    assert found.first == "event 2 (request.submitted): test.unsigned: Nobody signed this."
    with AuditLog(control_url, admit=signed_only) as guarded:
        assert replay(guarded).refused == found.refused
        problems = verify_log(guarded, desk.checkpoints, desk.key.public).problems
    assert [problem.where for problem in problems] == ["event 2"]


def test_changed_events_are_not_replayed(governed_desk: Desk) -> None:
    with governed_desk.log.write() as connection:
        connection.execute(t.events.delete().where(t.events.c.seq == 4))
    with pytest.raises(IntegrityError) as caught:
        replay(governed_desk.log)
    assert (caught.value.code, caught.value.facts) == ("log.broken_event", {"seq": 4})
