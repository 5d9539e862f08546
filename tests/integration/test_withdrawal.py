"""Taking back people and contributions: what is gone afterwards, what is marked, and what the log says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.audit import tables
from orchestration.audit.catalog.versions import read_versions
from orchestration.audit.log import AuditLog
from orchestration.audit.replay import replay
from orchestration.audit.vocabulary import now
from orchestration.audit.withdrawal_events import ContributionWithdrawn
from orchestration.cli.state import read_state
from orchestration.engine.room import Room
from orchestration.engine.vault import Vault
from orchestration.errors import GlasshouseError
from orchestration.participants.handovers import release_name, table_name
from orchestration.stages import compute, governance, landing, protect, refresh, release, withdrawal
from orchestration.stages.withdrawal import apply_due, withdraw_people
from tests.integration.command import glasshouse
from tests.support import CALLER, UNITS, TinyHouse, household, make_house


def refused(code: str) -> pytest.RaisesExc[GlasshouseError]:
    return pytest.raises(GlasshouseError, match=rf"^{code.replace('.', '[.]')}: ")


def answer(tiny: TinyHouse) -> str:
    """Stages 5 to 7 of the default question; returns the release."""
    request = tiny.request().request.id
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    release.release(tiny.house, tiny.charter, request, CALLER)
    return release_name(request)


def a_list(tiny: TinyHouse, *people: str, column: str = "household_id") -> Path:
    path = tiny.root.parent / "people.csv"
    path.write_text("\n".join([column, *people]) + "\n")
    return path


def take_out(tiny: TinyHouse, *people: str, dataset: str = "people") -> list[str]:
    """The types of the events it recorded."""
    steward = f"{tiny.dataset(dataset).participant}.steward"
    logged = withdraw_people(
        tiny.house,
        tiny.charter,
        tiny.dataset(dataset),
        a_list(tiny, *people),
        signer=steward,
        key=tiny.key(steward),
        reason="consent_withdrawn",
        justification="They asked for it.",
    )
    return [each.event.type for each in logged]


def run_again(tiny: TinyHouse) -> None:
    """What the sensors of landing and refresh do."""
    for waiting in landing.sort(tiny.house, tiny.charter, CALLER):
        logged = tiny.accept(waiting.dataset.id, waiting.delivery)
        contribution = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
        tiny.deidentify(waiting.dataset.id, contribution)
        assert tiny.gate(waiting.dataset.id, contribution).passed
    refresh.refresh(tiny.house, tiny.charter, CALLER)


def in_vault(tiny: TinyHouse, dataset: str) -> set[str]:
    """Raw identifiers that the vault holds of a dataset."""
    (row,) = rows(tiny, "contributions", dataset=dataset, status="accepted")
    with duckdb.connect() as connection:
        relation = tiny.house.vault.reader(row.contribution).relation(connection)
        found = connection.execute(f"SELECT household_id FROM {relation}").fetchall()
    return {str(each[0]) for each in found}


def in_room(tiny: TinyHouse, dataset: str) -> int:
    (row,) = rows(tiny, "contributions", dataset=dataset, status="accepted")
    with tiny.house.room("tiny").open() as connection:
        query = f"SELECT count(DISTINCT unit) FROM {table_name(row.contribution)}"
        return int(connection.execute(query).fetchall()[0][0])


def rows(tiny: TinyHouse, table: str, **where: object) -> list[Any]:
    with tiny.house.state("tiny") as state:
        return state.rows(getattr(tables, table), **where)


def test_people_leave_vault_and_room_once_enough_of_them_wait(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    before = tiny.house.room("tiny").path.read_bytes()
    assert take_out(tiny, household(1), household(2)) == ["people.withdrawn"]
    assert apply_due(tiny.house, "tiny") == [], "two people are fewer than the threshold of five"
    assert len(in_vault(tiny, "people")) == UNITS
    take_out(tiny, *(household(n) for n in range(3, 6)))
    types = [each.event.type for each in apply_due(tiny.house, "tiny")]
    assert types == ["contribution.trimmed", "withdrawal.applied", "withdrawal.applied"]
    assert in_vault(tiny, "people") == {household(n) for n in range(UNITS) if not 1 <= n <= 5}
    assert tiny.house.room("tiny").path.read_bytes()[:4096] != before[:4096], "the room has another key"
    assert refresh.current(tiny.house, tiny.charter) is None, "no question is answered from the old room"
    run_again(tiny)
    assert in_room(tiny, "people") == UNITS - 5
    assert in_room(tiny, "sales") == UNITS, "what another party gave stays"
    assert refresh.current(tiny.house, tiny.charter) is not None
    assert apply_due(tiny.house, "tiny") == []
    assert replay(tiny.house.log).ok


def test_nobody_waits_longer_than_the_charter_says_and_others_leave_with_them(
    refreshed_house: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = refreshed_house
    take_out(tiny, household(7))
    later = now() + timedelta(days=31)
    monkeypatch.setattr(withdrawal, "now", lambda: later)
    assert [each.event.type for each in apply_due(tiny.house, "tiny")][-1] == "withdrawal.applied"
    left = in_vault(tiny, "people")
    assert household(7) not in left
    assert len(left) == UNITS - 5, "four others, drawn by lot, went too"


def test_insights_that_rest_on_them_go_stale_and_can_be_asked_anew(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    first = answer(tiny)
    take_out(tiny, *(household(n) for n in range(5)))
    apply_due(tiny.house, "tiny")
    governance.settle(tiny.house, "tiny")
    (marked,) = tiny.payloads("output.outdated")
    assert (marked.release, marked.by, marked.effect) == (first, "people_withdrawn", "stale")  # type: ignore[attr-defined]
    assert tiny.open(first).release.outdated == "people_withdrawn"
    run_again(tiny)
    assert answer(tiny) != first
    assert replay(tiny.house.log).ok


def test_a_charter_may_recall_them(refreshed_home: Path, tmp_path: Path) -> None:
    tiny = make_house(tmp_path)
    tiny.amend("retention: {", "withdrawal: {releases: recall}\nretention: {")
    for dataset in ("sales", "products", "people"):
        tiny.contribute(dataset)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    answered = answer(tiny)
    (row,) = rows(tiny, "contributions", dataset="people", status="accepted")
    tiny.act(
        "panel.steward",
        row.contribution,
        ContributionWithdrawn(contribution=row.contribution, dataset="people", reason="error"),  # type: ignore[attr-defined]
    )
    with refused("policy.recalled"):
        tiny.open(answered)
    tiny.house.log.close()


def test_a_contribution_that_is_taken_back_is_destroyed_at_once(refreshed_house: TinyHouse) -> None:
    tiny = refreshed_house
    (row,) = rows(tiny, "contributions", dataset="people", status="accepted")
    name = str(row.contribution)  # type: ignore[attr-defined]
    payload = ContributionWithdrawn(contribution=name, dataset="people", reason="error")
    types = [each.event.type for each in tiny.act("panel.steward", name, payload)]
    assert types == ["contribution.withdrawn", "data.destroyed"]
    assert not list(tiny.house.vault.folder.glob(f"{name}*"))
    assert not tiny.house.keys.holds(f"vault/{name}")
    with pytest.raises(duckdb.CatalogException), tiny.house.room("tiny").open() as connection:
        connection.execute(f"SELECT 1 FROM {table_name(name)}")
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    assert replay(tiny.house.log).ok


def test_what_was_corrected_and_taken_back_is_called_so_everywhere(house: TinyHouse) -> None:
    tiny = house
    with pytest.raises(GlasshouseError):
        tiny.accept("people", tiny.deliver("people", b"household\n1\n"))
    (refusal,) = rows(tiny, "contributions")
    assert [each.delivery for each in read_state(tiny.house, tiny.charter).refused] == [refusal.delivery]
    logged = tiny.accept("people", tiny.deliver("people", supersedes=refusal.contribution))
    name = logged.event.payload.receipt.subject  # type: ignore[attr-defined]
    tiny.act(
        "panel.steward", name, ContributionWithdrawn(contribution=name, dataset="people", reason="error")
    )
    assert read_state(tiny.house, tiny.charter).refused == ()
    with tiny.house.log.read() as connection:
        (version,) = read_versions(connection, tiny.charter, tiny.dataset("people"))
    assert (version.contribution, version.status) == (name, "destroyed")
    listed = {each["contribution"]: each["state"] for each in glasshouse_list(tiny)}
    assert listed == {refusal.contribution: "refused, then corrected", name: "destroyed"}


def glasshouse_list(tiny: TinyHouse) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSHOUSE_HOME", str(tiny.house.settings.home))
        patch.setenv("GLASSHOUSE_CHARTERS", str(tiny.house.settings.charters))
        return glasshouse("contribution", "list", "--json").document


@pytest.mark.parametrize(
    ("member", "dataset", "code"),
    [
        ("shop.steward", "people", "policy.not_own_organization"),
        ("panel.executive", "people", "policy.no_role"),
        ("shop.steward", "products", "withdrawal.about_nobody"),
    ],
)
def test_only_who_gave_the_data_takes_people_out(
    refreshed_house: TinyHouse, member: str, dataset: str, code: str
) -> None:
    tiny = refreshed_house
    with refused(code):
        withdraw_people(
            tiny.house,
            tiny.charter,
            tiny.dataset(dataset),
            a_list(tiny, household(1)),
            signer=member,
            key=tiny.key(member),
            reason="objection",
            justification="test",
        )
    assert not list(tiny.house.vault.folder.glob("people-2*"))


def test_a_list_that_names_nobody_is_refused(refreshed_house: TinyHouse) -> None:
    with refused("withdrawal.nobody"):
        take_out(refreshed_house)
    tiny = refreshed_house
    with refused("withdrawal.no_column"):
        withdraw_people(
            tiny.house,
            tiny.charter,
            tiny.dataset("people"),
            a_list(tiny, "x", column="other"),
            signer="panel.steward",
            key=tiny.key("panel.steward"),
            reason="objection",
            justification="test",
        )


@pytest.mark.parametrize("killed_in", ["keep_only", "append_many", "settle"])
def test_a_kill_anywhere_is_made_good_by_the_next_tick(
    refreshed_house: TinyHouse, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    tiny = refreshed_house
    take_out(tiny, *(household(n) for n in range(5)))
    owner = {"keep_only": Room, "append_many": AuditLog, "settle": Vault}[killed_in]

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, killed_in, die)
        with pytest.raises(KeyboardInterrupt):
            apply_due(tiny.house, "tiny")
    apply_due(tiny.house, "tiny")
    assert len(tiny.payloads("withdrawal.applied")) == 1
    assert len(in_vault(tiny, "people")) == UNITS - 5
    run_again(tiny)
    assert in_room(tiny, "people") == UNITS - 5
    assert not list(tiny.house.vault.folder.glob("*-next*"))
