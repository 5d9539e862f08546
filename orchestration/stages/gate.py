"""Stage 3: the suite is checked on the whole de-identified table; passing hands over the gate's receipt.

A failed gate is recorded with every rule's answer and takes back an earlier pass of the same table; the room
keeps using the last contribution that passed. The log says which rules hold, for all to read; how many rows
break one is told to the dataset's stewards only, in a sealed letter.
"""

from __future__ import annotations

from orchestration.audit import receipts
from orchestration.audit.lineage_datasets import Assertion
from orchestration.audit.stage_events import GateCheck, GateFailed, GatePassed
from orchestration.charter.model import Charter, Dataset
from orchestration.engine.duck import quote_name
from orchestration.engine.fingerprint import fingerprint
from orchestration.errors import IntegrityError, Reason
from orchestration.house import House
from orchestration.participants.deliveries import given_by
from orchestration.participants.handovers import table_name
from orchestration.scope.expectations import compile_suite
from orchestration.scope.gate import GateResult, run_gate
from orchestration.stages import gate_evidence
from orchestration.stages.deidentify import deidentified_dataset
from orchestration.stages.recorder import Caller, recording

TABLE_CHANGED = Reason(
    "room.table_changed",
    "The de-identified table of {contribution} is not the one its receipt describes.",
    "Run de-identification again for this contribution.",
)


def check(house: House, charter: Charter, dataset: Dataset, contribution: str, caller: Caller) -> GateResult:
    """Run the gate of one de-identified contribution.

    Returns: every rule's answer. `passed` is False for a failed gate, which is then recorded as failed.

    Raises: ReceiptError without the receipt of de-identification; IntegrityError when the table changed
    since; QualityGateError or ConfigError when the suite is empty, not understood or unusable.
    """
    table = table_name(contribution)
    reads = [deidentified_dataset(charter, dataset)]
    with recording(
        house,
        charter,
        "gate",
        contribution,
        caller,
        job=f"gate.{dataset.id}",
        reads=reads,
        participants=[dataset.participant],
        subjects=given_by(dataset),
    ) as run:
        suite = compile_suite(dataset, house.settings.expectations, charter)
        compared = sorted(gate_evidence.compared_datasets(dataset, charter))
        run.reads += [deidentified_dataset(charter, charter.dataset(each)) for each in compared]
        given = receipts.require(house.log, "contribution", contribution)
        made = receipts.require(house.log, "deidentified", contribution, charter_digest=charter.digest)
        with house.room(charter.collaboration).open() as connection:
            _, mark = fingerprint(connection, quote_name(table), house.fingerprint_key)
            if mark != made.outputs["table"]:
                raise IntegrityError(TABLE_CHANGED, contribution=contribution)
            evidence = gate_evidence.gather(house, charter, dataset, contribution, given, connection)
            result = run_gate(connection, table, suite, evidence, keep_statistics=True)
        gate_evidence.tell_stewards(house, charter, dataset, contribution, result)
        if result.passed and result.statistics is not None:
            gate_evidence.remember(house, contribution, result.statistics)
        checks = tuple(
            GateCheck(
                rule=check.rule.rule,
                expectation=check.rule.expectation,
                column=check.rule.column,
                severity=check.rule.severity,
                passed=check.passed,
            )
            for check in result.measured
        )
        run.reads[0] = deidentified_dataset(charter, dataset, assertions=_assertions(result))
        if result.passed:
            run.complete(
                GatePassed(
                    receipt=run.receipt(contribution, inputs=[made], outputs={"table": mark}),
                    dataset=dataset.id,
                    contribution=contribution,
                    table=table,
                    suite_digest=suite.digest,
                    checks=checks,
                ),
                subject=contribution,
            )
        else:
            names = ", ".join(check.rule.rule for check in result.failed)
            run.refuse(
                GateFailed(
                    dataset=dataset.id,
                    contribution=contribution,
                    table=table,
                    charter_digest=charter.digest,
                    suite_digest=suite.digest,
                    run_id=run.run_id,
                    checks=checks,
                ),
                subject=contribution,
                code="gate.failed",
                message=f"Failed checks: {names}",
            )
    return result


def _assertions(result: GateResult) -> tuple[Assertion, ...]:
    return tuple(
        Assertion(check.rule.rule, check.rule.expectation, check.passed, check.rule.column)
        for check in result.measured
    )
