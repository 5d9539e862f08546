"""What people decide reaches every stage: frozen, amended, disputed, suspended, left, closed, denied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import duckdb
import pyrage
import pytest

from orchestration.audit import checkpoint
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    CollaborationFrozen,
    DecisionOpened,
    DisputeRaised,
    EmergencyOpened,
    ParticipantLeft,
    VoteCast,
)
from orchestration.audit.passport import verify_passport
from orchestration.audit.projections import ALREADY_RECORDED, AlreadyRecordedError
from orchestration.audit.replay import replay
from orchestration.audit.statement import sign
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import now
from orchestration.charter import load_charter
from orchestration.engine.duck import quote_name
from orchestration.errors import GlasshouseError, PolicyDeniedError
from orchestration.house import served_charters
from orchestration.participants.handovers import release_name
from orchestration.stages import compute, governance, landing, protect, refresh, release
from orchestration.stages import request as requests
from orchestration.stages.founding import found
from orchestration.stages.recorder import Recording
from tests.governed_charter import governed
from tests.support import (
    CALLER,
    TinyHouse,
    copy_home,
    csv_bytes,
    household,
    make_house,
    member_keys,
    open_house,
    people_rows,
)

OVERLAP = ("audience_overlap", {"left": "shoppers", "right": "profiled"}, "planning")
OTHER = ("audience_overlap", {"left": "profiled", "right": "shoppers"}, "planning")


@pytest.fixture(scope="module")
def governed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house of the governed charter, refreshed, with one answered question: copy it, never open it."""
    home = tmp_path_factory.mktemp("governed")
    tiny = make_house(home, charter=governed())
    for dataset in ("sales", "products", "people"):
        tiny.contribute(dataset)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    answer(tiny, tiny.request(*OVERLAP).request.id)
    tiny.house.log.close()
    return home


@pytest.fixture
def tiny(governed_home: Path, tmp_path: Path) -> Iterator[TinyHouse]:
    opened = open_house(copy_home(governed_home, tmp_path / "copy"))
    yield opened
    checkpoint.make(opened.house.log, opened.house.operator, opened.house.checkpoints)
    assert verify_log(opened.house.log, opened.house.checkpoints, opened.house.operator.public).ok
    opened.house.log.close()


def answer(tiny: TinyHouse, request: str) -> str:
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    release.release(tiny.house, tiny.charter, request, CALLER)
    return release_name(request)


def released(tiny: TinyHouse) -> str:
    (found,) = tiny.payloads("output.released")
    return str(found.release)  # type: ignore[attr-defined]


def refused(code: str) -> pytest.RaisesExc[GlasshouseError]:
    return pytest.raises(GlasshouseError, match=rf"^{code.replace('.', '[.]')}: ")


def decide(tiny: TinyHouse, matter: str, about: str, *voters: str, **content: object) -> None:
    payload = DecisionOpened(matter=matter, about=about, content=content)  # type: ignore[arg-type]
    name = f"{matter}-{tiny.house.log.size}"
    tiny.act("shop.steward", name, payload)
    tiny.vote(name, *voters)


def freeze(tiny: TinyHouse) -> None:
    tiny.act("panel.steward", "tiny", CollaborationFrozen())


def failures(tiny: TinyHouse) -> list[str]:
    return [each.code for each in tiny.payloads("stage.failed")]  # type: ignore[attr-defined]


# --- stops


def test_a_freeze_stops_a_run_at_its_next_stage_and_thawing_lets_it_go_on(tiny: TinyHouse) -> None:
    request = tiny.request(*OTHER).request.id
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    freeze(tiny)
    with refused("collaboration.frozen"):
        protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    assert failures(tiny) == ["collaboration.frozen"]
    with refused("policy.frozen"):
        tiny.open(released(tiny))
    with refused("policy.frozen"):
        tiny.request()
    with refused("collaboration.frozen"):
        tiny.accept("people", tiny.deliver("people"))
    decide(tiny, "thaw", "tiny", "panel.reviewer")
    protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    release.release(tiny.house, tiny.charter, request, CALLER)
    assert tiny.open(release_name(request)).table


def test_a_stage_that_was_frozen_while_it_ran_does_not_count(
    tiny: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = refresh.build

    def freezing(*arguments: object, **options: object) -> object:
        freeze(tiny)
        return build(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(refresh, "build", freezing)
    before = len(tiny.payloads("room.refreshed"))
    with refused("collaboration.frozen"):
        refresh.refresh(tiny.house, tiny.charter, CALLER)
    assert len(tiny.payloads("room.refreshed")) == before
    assert failures(tiny) == ["collaboration.frozen"]


def test_nothing_slips_between_a_stages_last_check_and_its_record(
    tiny: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log asks again in the transaction that records, so a freeze in between still counts."""
    request = tiny.request(*OTHER).request.id
    check = Recording.require_standing

    asked = count(1)

    def frozen_right_after(run: Recording) -> None:
        check(run)
        if next(asked) == 3:  # when it begins, when it knows what it reads, and before it is recorded
            freeze(tiny)

    monkeypatch.setattr(Recording, "require_standing", frozen_right_after)
    with refused("collaboration.frozen"):
        compute.compute(tiny.house, tiny.charter, request, CALLER)
    assert len(tiny.payloads("computation.run")) == 1  # that of the fixture
    assert failures(tiny) == ["collaboration.frozen"]


def test_an_amendment_stops_what_was_started_before_it(tiny: TinyHouse) -> None:
    request = tiny.request(*OTHER).request.id
    compute.compute(tiny.house, tiny.charter, request, CALLER)
    old = tiny.charter
    tiny.amend("max_cells: 100", "max_cells: 90")
    assert served_charters(tiny.house.settings)["tiny"].digest == tiny.charter.digest != old.digest
    with refused("charter.not_active"):
        protect.protect_cells(tiny.house, old, request, CALLER)
    started_before = replace(CALLER, charter_digest=old.digest)
    with refused("charter.changed_since"):
        protect.protect_cells(tiny.house, tiny.charter, request, started_before)
    with refused("charter.changed_since"):
        protect.protect_cells(tiny.house, tiny.charter, request, CALLER)
    assert requests.permitted(tiny.house, tiny.charter) == []
    assert tiny.open(released(tiny)).table  # what was released before stays what it was


def test_a_charter_that_was_only_put_into_the_folder_runs_nothing(tmp_path: Path) -> None:
    tiny = make_house(tmp_path)
    path = tiny.house.settings.charters / "tiny.yaml"
    path.write_text(path.read_text().replace("max_cells: 100", "max_cells: 99"))
    again = open_house(tmp_path)
    assert again.charter.digest == tiny.charter.digest
    for each in (tiny, again):
        each.house.log.close()


# --- approvals


def test_a_request_waits_for_approval_and_runs_after(tiny: TinyHouse) -> None:
    request, decision, pending = tiny.request()
    assert decision.allowed
    assert pending
    with refused("request.not_permitted"):
        compute.compute(tiny.house, tiny.charter, request.id, CALLER)
    tiny.vote(request.id, "panel.steward")
    assert requests.permitted(tiny.house, tiny.charter) == []  # the shop's sales are read too
    with refused("policy.self_approval"):
        tiny.vote(request.id, "shop.analyst")
    tiny.vote(request.id, "shop.reviewer")
    assert [each.id for each in requests.permitted(tiny.house, tiny.charter)] == [request.id]
    assert tiny.open(answer(tiny, request.id)).table


def test_a_rejected_request_never_runs_and_may_be_asked_anew(tiny: TinyHouse) -> None:
    request = tiny.request().request
    tiny.vote(request.id, "panel.steward", vote="reject")
    with refused("request.not_approved"):
        compute.compute(tiny.house, tiny.charter, request.id, CALLER)
    again = tiny.request()
    assert again.pending
    assert again.request.id != request.id


def test_a_name_that_another_collaboration_took_keeps_nobody_from_asking(tmp_path: Path) -> None:
    tiny = make_house(tmp_path, charter=governed())
    text = governed().replace("collaboration: tiny", "collaboration: other")
    other = tiny.house.settings.charters / "other.yaml"
    other.write_text(text.replace("shop", "firm").replace("panel", "club"))
    charter = load_charter(other)
    keys = member_keys(charter)
    found(tiny.house, charter, keys)
    drafted = requests.draft(
        tiny.house,
        tiny.charter,
        template="joint_segmentation",
        parameters={"rows": "age", "columns": "income"},
        purpose="insight",
        requester="shop.analyst",
        justification="test",
    )
    theirs = {"requester": "firm.analyst", "participant": "firm", "charter": charter.digest}
    squat = Event(
        collaboration="other",
        subject=drafted.event.subject,
        actor="firm.analyst",
        justification="test",
        payload=drafted.event.payload.model_copy(update=theirs),
    )
    tiny.house.log.append(sign(squat, keys["firm.analyst"]))
    asked = tiny.request()
    assert asked.pending
    assert asked.request.id != drafted.event.subject
    assert tiny.request().request.id == asked.request.id
    tiny.house.log.close()


def test_a_request_whose_name_stands_for_something_else_was_not_submitted(
    tiny: TinyHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: object) -> None:
        raise AlreadyRecordedError(ALREADY_RECORDED, type="request.submitted", subject="r-1")

    monkeypatch.setattr(governance, "record", taken)
    with refused("log.already_recorded"):
        tiny.request()


def test_the_operator_alone_can_neither_ask_approve_nor_open(tiny: TinyHouse) -> None:
    """It has the whole house and its key, and no member's."""
    operator = tiny.house.operator
    request = tiny.request().request
    event = tiny.signed("panel.steward", request.id, VoteCast(decision=request.id, vote="approve"))
    size = tiny.house.log.size
    for forged in (
        sign(event.model_copy(update={"signature": None}), operator),
        event.model_copy(update={"signature": None}),
        sign(event.model_copy(update={"actor": "operator", "signature": None}), operator),
    ):
        with pytest.raises(GlasshouseError) as refusal:
            governance.act(tiny.house, forged)
        assert refusal.value.code.startswith(("statement.", "signature.", "member.", "policy."))
    assert tiny.house.log.size == size
    tiny.keys["shop.analyst"] = operator
    with refused("statement.wrong_key"):
        tiny.open(released(tiny))
    with refused("statement.wrong_key"):
        tiny.request(*OTHER)
    assert not tiny.payloads("output.accessed")
    assert tiny.payloads("access.denied")


# --- emergencies


def lend(tiny: TinyHouse, member: str, role: str) -> None:
    until = now() + timedelta(minutes=30)
    payload = EmergencyOpened(grant="fire", member=member, role=role, expires_at=until)
    tiny.act(f"{member.partition('.')[0]}.steward", "fire", payload)


def uses(tiny: TinyHouse) -> list[tuple[str, str]]:
    """(member, type of the event that comes right after) of every second trace."""
    log = tiny.house.log
    found = log.events(type="emergency.used")
    return [(each.event.subject, log.event(each.seq + 1).event.type) for each in found]


def test_a_lent_role_that_shows_more_is_logged_twice(tiny: TinyHouse) -> None:
    tiny.open(released(tiny), "shop.analyst")
    assert uses(tiny) == []
    with refused("policy.no_role"):
        tiny.open(released(tiny), "shop.reviewer")
    lend(tiny, "shop.reviewer", "analyst")
    assert tiny.open(released(tiny), "shop.reviewer").detail == "full"
    assert uses(tiny) == [("shop.reviewer", "output.accessed")]
    assert replay(tiny.house.log).ok


def test_a_delivery_under_a_lent_role_is_logged_twice(tiny: TinyHouse) -> None:
    data = csv_bytes(people_rows(119))
    with refused("contribution.wrong_signer"):
        tiny.accept("people", tiny.deliver("people", data, signer="panel.executive"))
    lend(tiny, "panel.executive", "contributor")
    tiny.accept("people", tiny.deliver("people", data, signer="panel.executive"))
    assert uses(tiny) == [("panel.executive", "contribution.accepted")]
    assert replay(tiny.house.log).ok


# --- membership


def test_a_suspended_participants_delivery_stays_outside(tiny: TinyHouse) -> None:
    decide(tiny, "membership", "panel", "shop.reviewer", step="suspend")
    delivery = tiny.deliver("people", csv_bytes(people_rows(119)))
    assert landing.sort(tiny.house, tiny.charter, CALLER) == []
    with refused("participant.not_active"):
        tiny.accept("people", delivery)
    assert (tiny.landing("panel") / delivery).is_dir()
    assert not tiny.payloads("contribution.refused")
    request = tiny.request(*OTHER).request
    with refused("participant.not_active"):  # the room still rests on what it gave
        compute.compute(tiny.house, tiny.charter, request.id, CALLER)
    assert refresh.due(tiny.house, tiny.charter)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    assert not refresh.due(tiny.house, tiny.charter)
    with refused("request.|computation.not_in_room"):
        compute.compute(tiny.house, tiny.charter, request.id, CALLER)


def pseudonyms(tiny: TinyHouse) -> set[str]:
    """Every text of 64 hex digits in any table of the room."""
    found: set[str] = set()
    with tiny.house.room("tiny").open() as connection:
        rows = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'room'"
        ).fetchall()
        for schema, table in rows:
            for row in connection.execute(f"FROM room.{quote_name(schema)}.{quote_name(table)}").fetchall():
                found |= {value for value in row if isinstance(value, str) and len(value) == 64}
    return found


def test_leaving_destroys_what_the_party_gave_and_nothing_that_proves_it(tmp_path: Path) -> None:
    tiny = make_house(tmp_path, charter=governed())
    tiny.contribute("sales")
    tiny.contribute("products")
    before = pseudonyms(tiny)
    # Households that only the panel knows: their pseudonyms are its own.
    others = [{**row, "household_id": household(9000 + n)} for n, row in enumerate(people_rows(30))]
    only_theirs = csv_bytes([*people_rows(), *others])
    contribution = tiny.contribute("people", only_theirs)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    answer(tiny, tiny.request(*OVERLAP).request.id)
    theirs = pseudonyms(tiny) - before
    assert len(theirs) == 30
    old_room = tiny.house.room("tiny").path.read_bytes()
    old_key = tiny.house.room("tiny").key
    tiny.deliver("people", csv_bytes(people_rows(50)))
    passport = tiny.house.shelf / released(tiny)

    tiny.act("panel.steward", "panel", ParticipantLeft(participant="panel"))

    (destroyed,) = tiny.payloads("data.destroyed")
    assert destroyed.contributions == (contribution,)  # type: ignore[attr-defined]
    assert destroyed.key_ids == (f"vault/{contribution}",)  # type: ignore[attr-defined]
    assert not list(tiny.house.vault.folder.glob("people-*"))
    assert not list((tiny.root / "keys" / "vault").glob("people-*"))
    assert not list(tiny.landing("panel").iterdir())
    assert not theirs & pseudonyms(tiny)
    everything = tiny.everything_on_disk()
    assert not [each for each in theirs if each.encode() in everything]
    # Not even a copy of the old room opens with a key this house still has.
    assert tiny.house.room("tiny").key != old_key
    (tmp_path / "copy.duckdb").write_bytes(old_room)
    key = tiny.house.room("tiny").key
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute(f"ATTACH '{tmp_path / 'copy.duckdb'}' AS old (ENCRYPTION_KEY '{key}')")

    # The room works with what is left, and a question says what is missing.
    assert refresh.due(tiny.house, tiny.charter)
    refresh.refresh(tiny.house, tiny.charter, CALLER)
    request = tiny.request(*OTHER).request
    with refused("computation.not_in_room"):
        compute.compute(tiny.house, tiny.charter, request.id, CALLER)
    # What was proved before is still proved.
    files = {path.name: path for path in passport.iterdir() if path.name != "passport.json"}
    envelope = json.loads((passport / "passport.json").read_bytes())
    assert verify_passport(envelope, tiny.house.operator.public, files).release == passport.name
    assert tiny.open(passport.name).table
    tiny.house.log.close()


def test_packages_are_sealed_to_the_room(tiny: TinyHouse) -> None:
    recipient = tiny.house.package_recipient("tiny")
    sealed = pyrage.encrypt(b"a package", [recipient])
    assert pyrage.decrypt(sealed, [tiny.house.package_identity("tiny")]) == b"a package"
    again = TinyHouse(type(tiny.house).open(tiny.house.settings), tiny.charter, tiny.keys)
    assert str(again.house.package_recipient("tiny")) == str(recipient)
    again.house.log.close()


def test_closing_shreds_every_key_and_ends_everything(tiny: TinyHouse) -> None:
    keys = {f"vault/{path.stem}" for path in (tiny.root / "keys" / "vault").glob("*.key")}
    assert len(keys) == 3
    decide(tiny, "closing", "tiny", "panel.steward")
    (closed,) = tiny.payloads("charter.closed")
    own = {f"{kind}/tiny" for kind in ("room", "pseudonym", "blinding", "package")}
    assert set(closed.destroyed) == keys | own  # type: ignore[attr-defined]
    left = {path.relative_to(tiny.root / "keys").as_posix() for path in (tiny.root / "keys").rglob("*.key")}
    assert not left & {f"{name}.key" for name in (*keys, *own)}
    assert not list(tiny.house.vault.folder.glob("*.parquet"))
    assert not tiny.house.room("tiny").path.exists()
    with refused("collaboration.closed"):
        tiny.accept("people", tiny.deliver("people"))
    with pytest.raises(PolicyDeniedError):
        tiny.open(released(tiny))
    assert governance.settle(tiny.house, "tiny") == []
    assert not (tiny.root / "keys" / "room" / "tiny.key").exists()  # and nothing brings them back


# --- disputes


def dispute(tiny: TinyHouse, kind: str, about: str, remedy: str) -> str:
    name = f"dispute-{tiny.house.log.size}"
    tiny.act("panel.steward", name, DisputeRaised(about_kind=kind, about=about, remedy=remedy))  # type: ignore[arg-type]
    return name


def test_a_disputed_release_stays_shut_and_a_recalled_one_too(tiny: TinyHouse) -> None:
    name = dispute(tiny, "release", released(tiny), "recall")
    with refused("policy.disputed"):
        tiny.open(released(tiny))
    (documented,) = tiny.house.log.events(type="dispute.documented")
    assert documented.event.subject == name
    assert governance.case_path(tiny.house, name).is_file()
    tiny.vote(name, "shop.reviewer", "panel.reviewer")
    with refused("policy.recalled"):
        tiny.open(released(tiny))
    assert tiny.request(*OVERLAP).request.id != tiny.payloads("output.released")[0].request  # type: ignore[attr-defined]


def test_a_dismissed_dispute_lets_it_be_opened_again(tiny: TinyHouse) -> None:
    name = dispute(tiny, "release", released(tiny), "recall")
    tiny.vote(name, "shop.reviewer", vote="reject")
    assert tiny.open(released(tiny)).table


def test_disputed_data_is_not_computed_with_and_deleted_when_upheld(tiny: TinyHouse) -> None:
    request = tiny.request(*OTHER).request
    name = dispute(tiny, "dataset", "people", "delete")
    with refused("dispute.pending"):
        compute.compute(tiny.house, tiny.charter, request.id, CALLER)
    with refused("dispute.pending"):
        tiny.accept("people", tiny.deliver("people", csv_bytes(people_rows(119))))
    tiny.vote(name, "shop.reviewer", "panel.reviewer")
    (destroyed,) = tiny.payloads("data.destroyed")
    assert destroyed.rule == "remedy"  # type: ignore[attr-defined]
    assert not list(tiny.house.vault.folder.glob("people-*"))
    with refused("contribution.destroyed"):
        tiny.accept("people", tiny.deliver("people"))


@pytest.mark.parametrize("kind", ["release", "request"])
def test_a_deleted_answer_is_gone_and_said_to_be_recalled(tiny: TinyHouse, kind: str) -> None:
    (answered,) = tiny.payloads("output.released")
    name = dispute(tiny, kind, getattr(answered, kind), "delete")
    tiny.vote(name, "shop.reviewer", "panel.reviewer")
    (recalled,) = tiny.payloads("output.recalled")
    assert (recalled.release, recalled.decision) == (released(tiny), name)  # type: ignore[attr-defined]
    assert not (tiny.house.shelf / released(tiny)).exists()
    with refused("policy.recalled"):
        tiny.open(released(tiny))
    assert replay(tiny.house.log).ok


def test_a_deleted_answer_is_not_made_again(tiny: TinyHouse) -> None:
    request = tiny.request(*OTHER).request
    compute.compute(tiny.house, tiny.charter, request.id, CALLER)
    protect.protect_cells(tiny.house, tiny.charter, request.id, CALLER)
    name = dispute(tiny, "request", request.id, "delete")
    tiny.vote(name, "shop.reviewer", "panel.reviewer")
    assert not (tiny.house.protected / f"{request.id}.json").exists()
    for stage in (compute.compute, protect.protect_cells, release.release):
        with refused("dispute.use_revoked"):
            stage(tiny.house, tiny.charter, request.id, CALLER)
    assert request.id not in [each.id for each in requests.permitted(tiny.house, tiny.charter)]


# --- checklists


def test_a_dataset_nobody_vouched_for_is_refused(tmp_path: Path) -> None:
    text = governed().replace("attestation_days: 365", "")
    tiny = make_house(tmp_path, charter=text)
    with tiny.house.log.write() as connection:  # as if its attestation had ended
        connection.exec_driver_sql("UPDATE attested_datasets SET expires_at = '2020-01-01T00:00:00.000Z'")
    with refused("contribution.not_attested"):
        tiny.accept("people", tiny.deliver("people"))
    tiny.contribute("products")
    tiny.house.log.close()


def test_a_request_that_hides_what_it_reads_is_not_recorded(tiny: TinyHouse) -> None:
    """A signer can leave datasets out of the statement; then those whose data it is would not be asked."""
    draft = requests.draft(
        tiny.house,
        tiny.charter,
        template="joint_segmentation",
        parameters={"rows": "age", "columns": "income"},
        purpose="insight",
        requester="shop.analyst",
        justification="test",
    )
    payloads = [
        draft.event.payload.model_copy(update=change) for change in ({"approval": None}, {"datasets": ()})
    ]
    for payload in payloads:
        event = sign(draft.event.model_copy(update={"payload": payload}), tiny.key("shop.analyst"))
        with refused("request.outdated"):
            requests.submit_signed(tiny.house, event)
        with refused("request.approval_mismatch|computation.other_datasets"):
            governance.act(tiny.house, event)  # past the stage that drafts
    assert not tiny.house.log.events(type="request.submitted", subject=event.subject)
