"""No receipt, no step: from Python, from an asset selected alone, and against forged Dagster events."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from orchestration.audit.receipts import MISSING, load
from orchestration.defs.build import build_defs
from orchestration.defs.instance import open_instance
from orchestration.defs.names import (
    contribution_key,
    deidentified_key,
    deliveries_name,
    intake_job_name,
    refresh_job_name,
    requests_name,
    template_key,
)
from orchestration.errors import GlasshouseError, IntegrityError, ReceiptError
from orchestration.stages import compute, gate, protect, refresh, release
from orchestration.stages.refresh import NOTHING_PASSED
from tests.support import CALLER, TinyHouse, csv_bytes, people_rows

SEGMENTS = "joint_segmentation"


def permitted_request(tiny: TinyHouse) -> str:
    request, decision, _ = tiny.request(SEGMENTS)
    decision.require()
    return request.id


def accepted(tiny: TinyHouse, dataset: str = "people") -> str:
    payload = tiny.accept(dataset, tiny.deliver(dataset)).event.payload
    return str(payload.receipt.subject)  # type: ignore[attr-defined]


# --- from Python


@pytest.mark.parametrize(
    ("stage", "needs"),
    [
        (lambda t, _: t.deidentify("people", "people-000000000000"), "contribution"),
        (lambda t, _: t.gate("people", accepted(t)), "deidentified"),
        (lambda t, r: compute.compute(t.house, t.charter, r, CALLER), "room"),
        (lambda t, r: protect.protect_cells(t.house, t.charter, r, CALLER), "cells"),
        (lambda t, r: release.release(t.house, t.charter, r, CALLER), "protected"),
    ],
    ids=["deidentify", "gate", "compute", "protect", "release"],
)
def test_a_stage_without_the_receipt_before_it_is_refused(
    fresh: TinyHouse, stage: Callable[[TinyHouse, str], object], needs: str
) -> None:
    request = permitted_request(fresh)
    with pytest.raises(ReceiptError) as refusal:
        stage(fresh, request)
    assert refusal.value.reason is MISSING
    assert refusal.value.facts["stage"] == needs
    assert fresh.house.log.events(type="stage.failed")[-1].event.payload.code == "receipt.missing"  # type: ignore[union-attr]
    assert not list(fresh.house.shelf.iterdir())


def test_the_room_is_not_refreshed_with_what_no_gate_passed(fresh: TinyHouse) -> None:
    contribution = accepted(fresh)
    fresh.deidentify("people", contribution)
    with pytest.raises(ReceiptError) as refusal:
        refresh.refresh(fresh.house, fresh.charter, CALLER)
    assert refusal.value.reason is NOTHING_PASSED


def test_a_gate_that_failed_gives_no_receipt(fresh: TinyHouse) -> None:
    payload = fresh.accept("people", fresh.deliver("people", csv_bytes(people_rows(20)))).event.payload
    contribution = payload.receipt.subject  # type: ignore[attr-defined]
    fresh.deidentify("people", contribution)
    assert not gate.check(fresh.house, fresh.charter, fresh.dataset("people"), contribution, CALLER).passed
    with pytest.raises(ReceiptError):
        refresh.refresh(fresh.house, fresh.charter, CALLER)


def test_a_receipt_counts_for_its_own_bytes_only(finished: TinyHouse) -> None:
    """A table of the room that was changed after its gate is not admitted, whoever changed it."""
    with finished.house.room("tiny").open() as connection:
        connection.execute(f"DELETE FROM room.deidentified.{_table(finished, 'people')} WHERE rowid = 0")
    with pytest.raises(IntegrityError, match=r"room\.table_changed"):
        refresh.refresh(finished.house, finished.charter, CALLER)


def test_every_release_stands_on_every_stage(finished: TinyHouse) -> None:
    needed = {"contribution", "deidentified", "gate", "room", "cells", "protected", "insight"}
    released = finished.house.log.events(type="output.released")
    assert released
    for logged in released:
        stages, waiting = set(), [logged.receipt_id]
        while waiting:
            receipt = load(finished.house.log, waiting.pop())
            stages.add(receipt.stage)
            waiting += receipt.inputs
        assert stages == needed


# --- as an asset selected alone


@pytest.fixture
def instance(fresh: TinyHouse) -> Iterator[dg.DagsterInstance]:
    with open_instance(fresh.house.settings) as opened:
        yield opened


def materialize(
    tiny: TinyHouse,
    instance: dg.DagsterInstance,
    *keys: dg.AssetKey,
    partition: tuple[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """What the UI's "Materialize selected" does."""
    definitions = build_defs(tiny.house.settings)
    if partition:
        instance.add_dynamic_partitions(partition[0], [partition[1]])
    return dg.materialize(
        [*(definitions.assets or ()), *(definitions.asset_checks or ())],
        selection=dg.AssetSelection.assets(*keys),
        partition_key=partition[1] if partition else None,
        resources=definitions.resources,
        instance=instance,
        raise_on_error=False,
    )


def refused_with(result: dg.ExecuteInProcessResult) -> set[str]:
    assert not result.success
    texts = [
        str(event.step_failure_data.user_failure_data.description)
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]
    assert texts, "the step failed without a public reason"
    return {text.split(":")[0] for text in texts}


def test_a_deidentified_asset_alone_is_refused(fresh: TinyHouse, instance: dg.DagsterInstance) -> None:
    dataset = fresh.dataset("people")
    delivery = fresh.deliver("people")
    result = materialize(
        fresh,
        instance,
        deidentified_key(fresh.charter, dataset),
        partition=(deliveries_name(fresh.charter, dataset), delivery),
    )
    assert refused_with(result) == {"receipt.missing"}


def test_the_room_alone_is_refused(fresh: TinyHouse, instance: dg.DagsterInstance) -> None:
    job = build_defs(fresh.house.settings).resolve_job_def(refresh_job_name(fresh.charter))
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert refused_with(result) == {"room.nothing_passed"}


@pytest.mark.parametrize("stage", ["cells", "protected", "insight"])
def test_an_output_asset_alone_is_refused(fresh: TinyHouse, instance: dg.DagsterInstance, stage: str) -> None:
    request = permitted_request(fresh)
    result = materialize(
        fresh,
        instance,
        template_key(fresh.charter, stage, SEGMENTS),
        partition=(requests_name(fresh.charter, SEGMENTS), request),
    )
    assert refused_with(result) == {"receipt.missing"}
    assert not list(fresh.house.shelf.iterdir())


def test_a_partition_that_is_no_request_is_refused(fresh: TinyHouse, instance: dg.DagsterInstance) -> None:
    """Anybody with Dagster's port may add a partition; a name is no request."""
    result = materialize(
        fresh,
        instance,
        template_key(fresh.charter, "cells", SEGMENTS),
        partition=(requests_name(fresh.charter, SEGMENTS), "r-000000000000"),
    )
    assert refused_with(result) == {"request.not_found"}


# --- against Dagster's own records


def test_a_forged_passing_check_opens_nothing(fresh: TinyHouse, instance: dg.DagsterInstance) -> None:
    """Dagster's port lets anybody report a passing check and a materialization; the gate is the receipt."""
    charter, dataset = fresh.charter, fresh.dataset("people")
    delivery = fresh.deliver("people", csv_bytes(people_rows(20)))
    partition = deliveries_name(charter, dataset)
    instance.add_dynamic_partitions(partition, [delivery])
    definitions = build_defs(fresh.house.settings)
    intake = definitions.resolve_job_def(intake_job_name(charter, dataset))
    assert not intake.execute_in_process(
        instance=instance, partition_key=delivery, raise_on_error=False
    ).success

    asset = deidentified_key(charter, dataset)
    checks = definitions.resolve_asset_graph().asset_check_keys
    forged = [check for check in checks if check.asset_key == asset]
    assert len(forged) > 3
    for check in forged:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=asset, check_name=check.name, passed=True, metadata={})
        )
    for key in (contribution_key(charter, dataset), asset):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=delivery))
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(forged)
    assert {record.status.value for record in records.values()} == {"SUCCEEDED"}  # Dagster believes it

    assert not refresh.due(fresh.house, charter)
    job = definitions.resolve_job_def(refresh_job_name(charter))
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert refused_with(result) == {"room.nothing_passed"}


def test_a_forged_projection_opens_nothing(fresh: TinyHouse) -> None:
    """Even a row written into the table of receipts proves nothing: the leaf has to be in the tree."""
    contribution = accepted(fresh)
    fresh.deidentify("people", contribution)
    with fresh.house.log.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO datasets VALUES ('tiny', 'people', ?, ?, 1)",
            (contribution, contribution.replace("-", "_")),
        )
        connection.exec_driver_sql(
            "INSERT INTO receipts"
            " (receipt_id, collaboration, stage, subject, charter_digest, inputs, revoked, seq)"
            " SELECT 'f' || substr(receipt_id, 2), collaboration, 'gate', subject, charter_digest, inputs,"
            " 0, seq FROM receipts WHERE stage = 'deidentified'"
        )
    with pytest.raises(GlasshouseError) as refusal:
        refresh.refresh(fresh.house, fresh.charter, CALLER)
    assert refusal.value.code.startswith(("receipt.", "log."))


def _table(tiny: TinyHouse, dataset: str) -> str:
    with tiny.house.log.read() as connection:
        name = connection.exec_driver_sql(
            "SELECT table_name FROM datasets WHERE dataset = ?", (dataset,)
        ).scalar()
    return f'"{name}"'
