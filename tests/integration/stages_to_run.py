"""Single stages over a prepared home, for tests that run them in another process: killed, or out of space.

A preparation brings a home to just before the stage and returns what the stage is about; `RUN` does the
stage and can be repeated; `CHECK` says what must be true once it is done, however often it was begun.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestration.audit import checkpoint, receipts
from orchestration.audit.events import Event as LogEvent
from orchestration.audit.stage_events import (
    ComputationRun,
    ContributionAccepted,
    ContributionRefused,
    RoomRefreshed,
)
from orchestration.audit.verify import verify_log
from orchestration.audit.vocabulary import Payload, Stage, StageReceipt
from orchestration.computation.cells import cells_name
from orchestration.computation.template import load_templates
from orchestration.digests import digest_file
from orchestration.engine.duck import connect
from orchestration.engine.fingerprint import fingerprint
from orchestration.errors import ContributionError
from orchestration.stages import landing, protect, release
from orchestration.stages.access import check_release
from orchestration.stages.rejected import unseal_rejected
from tests.support import CALLER, TinyHouse, csv_bytes, people_rows

BAD_ROW = b"H999999,ancient,low\n"
REFUSED_FILE = b"household_id,age,income\n" + BAD_ROW


def prepare_intake(house: TinyHouse) -> str:
    return house.deliver("people", csv_bytes(people_rows()) + BAD_ROW)


def run_intake(house: TinyHouse, _: str) -> None:
    """As the sensor does: whatever waits, waits for any reason."""
    for waiting in landing.sort(house.house, house.charter, CALLER):
        house.accept(waiting.dataset.id, waiting.delivery)


def check_intake(house: TinyHouse, delivery: str) -> None:
    (accepted,) = house.payloads("contribution.accepted")
    assert isinstance(accepted, ContributionAccepted)
    assert (accepted.delivery, accepted.rows, accepted.quarantined_rows) == (
        delivery,
        120,
        {"not_allowed": 1},
    )
    contribution = accepted.receipt.subject
    vault = house.house.vault
    assert [path.name for path in vault.folder.glob("*.parquet")] == [f"{contribution}.parquet"]
    assert unseal_rejected(house.house, contribution, house.key("panel.steward")) == [(121, "not_allowed")]
    assert [path.name for path in house.house.quarantine.iterdir()] == [contribution]
    vault.reader(contribution).check(accepted.vault_digest)
    with connect(house.house.settings) as connection:
        relation = vault.reader(contribution).relation(connection)
        assert connection.execute(f"SELECT count(*) FROM {relation}").fetchall() == [(120,)]
    assert house.payloads("contribution.refused") == []
    assert list(house.landing("panel").iterdir()) == []


def prepare_refusal(house: TinyHouse) -> str:
    return house.deliver("people", REFUSED_FILE)


def run_refusal(house: TinyHouse, _: str) -> None:
    for waiting in landing.sort(house.house, house.charter, CALLER):
        try:
            house.accept(waiting.dataset.id, waiting.delivery)
        except ContributionError as error:
            if error.code != "contribution.no_valid_rows":
                raise


def check_refusal(house: TinyHouse, delivery: str) -> None:
    (refused,) = house.payloads("contribution.refused")
    assert isinstance(refused, ContributionRefused)
    assert (refused.delivery, refused.code) == (delivery, "contribution.no_valid_rows")
    files = house.unsealed(str(refused.sealed))
    assert files["people.csv"] == REFUSED_FILE
    assert files.keys() == {"people.csv", "manifest.json"}
    assert [path.name for path in house.house.quarantine.iterdir()] == [refused.sealed]
    assert list(house.landing("panel").iterdir()) == []
    assert list(house.house.vault.folder.glob("*.parquet")) == []
    assert list((house.root / "keys").glob("vault/*")) == []


def prepare_deidentified(house: TinyHouse) -> str:
    delivery = prepare_intake(house)
    return str(house.accept("people", delivery).event.payload.receipt.subject)  # type: ignore[attr-defined]


def run_deidentified(house: TinyHouse, contribution: str) -> None:
    house.deidentify(contribution.partition("-")[0], contribution)


def check_deidentified(house: TinyHouse, contribution: str) -> None:
    receipt = receipts.require(house.house.log, "deidentified", contribution)
    with house.house.room("tiny").open() as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        assert tables == [(contribution.replace("-", "_"),)]
        rows, mark = fingerprint(connection, tables[0][0], house.house.fingerprint_key)
    assert (rows, mark) == (120, receipt.outputs["table"])


def prepare_gate(house: TinyHouse) -> str:
    contribution = prepare_deidentified(house)
    house.deidentify("people", contribution)
    return contribution


def run_gate(house: TinyHouse, contribution: str) -> None:
    if not house.payloads("gate.passed"):
        assert house.gate("people", contribution).passed


def check_gate(house: TinyHouse, contribution: str) -> None:
    assert len(house.payloads("gate.passed")) == 1
    assert receipts.require(house.house.log, "gate", contribution).outputs.keys() == {"table"}


def prepare_release(house: TinyHouse) -> str:
    """A permitted request with a protected table; what dbt makes of the room is made by hand instead."""
    contributions = {dataset: house.contribute(dataset) for dataset in ("sales", "people")}
    gates = [receipts.require(house.house.log, "gate", each).id for each in contributions.values()]
    room = RoomRefreshed(
        receipt=receipt_of(house, "room", "tiny", gates),
        tables={"transaction": (contributions["sales"],), "profile": (contributions["people"],)},
    )
    refreshed = append(house, room, "tiny")
    asked, decision, _ = house.request(
        "audience_overlap", {"left": "shoppers", "right": "profiled"}, "planning"
    )
    assert decision.allowed, decision.message
    template = load_templates()["audience_overlap"]
    table = f'room.cells."{cells_name(template, asked.id)}"'
    cells = [("yes", "yes", 80), ("yes", "no", 30), ("no", "yes", 20)]
    groups = [(*cell[:2], False, False, cell[2]) for cell in cells]
    groups += [("yes", None, False, True, 110), ("no", None, False, True, 20)]
    groups += [(None, "yes", True, False, 100), (None, "no", True, False, 30), (None, None, True, True, 130)]
    with house.house.room("tiny").open() as connection:
        kinds = "in_left VARCHAR, in_right VARCHAR, in_left_is_total BOOLEAN, in_right_is_total BOOLEAN"
        connection.execute(f"CREATE TABLE {table} ({kinds}, units BIGINT)")
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", groups)
        _, mark = fingerprint(connection, table, house.house.fingerprint_key)
    computed = ComputationRun(
        receipt=receipt_of(house, "cells", asked.id, [refreshed], {"cells": mark}),
        request=asked.id,
        template=template.id,
        template_digest=template.digest,
    )
    append(house, computed, asked.id)
    protect.protect_cells(house.house, house.charter, asked.id, CALLER)
    return asked.id


def receipt_of(
    house: TinyHouse, stage: Stage, subject: str, inputs: list[str], outputs: dict[str, str] | None = None
) -> StageReceipt:
    return StageReceipt(
        stage=stage,
        subject=subject,
        charter_digest=house.charter.digest,
        inputs=tuple(inputs),
        outputs=outputs or {},
        run_id="test",
    )


def append(house: TinyHouse, payload: Payload, subject: str) -> str:
    event = LogEvent(collaboration="tiny", subject=subject, actor="operator", payload=payload)
    return house.house.log.append(event).receipt_id


def run_release(house: TinyHouse, request_id: str) -> None:
    release.release(house.house, house.charter, request_id, CALLER)


def check_release_(house: TinyHouse, request_id: str) -> None:
    (released,) = house.payloads("output.released")
    folder = house.house.shelf / release.release_name(request_id)
    assert [path.name for path in house.house.shelf.iterdir()] == [folder.name]
    files: dict[str, str] = released.files  # type: ignore[attr-defined]
    assert {name: digest_file(folder / name) for name in files} == files
    check_release(house.house, folder, folder.name)


Prepare = Callable[[TinyHouse], str]
Step = Callable[[TinyHouse, str], None]
STAGES: dict[str, tuple[Prepare, Step, Step]] = {
    "intake": (prepare_intake, run_intake, check_intake),
    "refusal": (prepare_refusal, run_refusal, check_refusal),
    "deidentified": (prepare_deidentified, run_deidentified, check_deidentified),
    "gate": (prepare_gate, run_gate, check_gate),
    "release": (prepare_release, run_release, check_release_),
}


def check_everywhere(house: TinyHouse) -> None:
    """What holds after any stage: a sound log, and nothing that an unfinished step left behind."""
    checkpoint.make(house.house.log, house.house.operator, house.house.checkpoints)
    verify_log(house.house.log, house.house.checkpoints, house.house.operator.public).require()
    left = [path for path in house.root.rglob("*") if path.name.endswith((".partial", ".removed"))]
    left += list(Path(house.root / "tmp").iterdir())
    assert left == []
