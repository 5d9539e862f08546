"""The receipts of stages 1 to 3, a line per dataset, as the log holds them."""

from __future__ import annotations

from rich.table import Table

from orchestration.audit.stage_events import ContributionAccepted, DatasetDeidentified, GatePassed
from orchestration.charter.model import Charter
from orchestration.cli.console import table
from orchestration.house import House


def receipts_by_dataset(house: House, charter: Charter) -> Table:
    """Rows, what was dropped or quarantined, and the short ids of the three newest receipts."""
    found: dict[str, dict[str, str]] = {dataset.id: {} for dataset in charter.datasets}
    for logged in house.log.events(collaboration=charter.collaboration):
        short = logged.receipt_id[:8]
        match logged.event.payload:
            case ContributionAccepted() as accepted:
                quarantined = sum(accepted.quarantined_rows.values())
                notes = [f"{accepted.dropped_columns} columns dropped"] if accepted.dropped_columns else []
                notes += [f"{quarantined:,} rows quarantined"] if quarantined else []
                found[accepted.dataset] = {
                    "rows": f"{accepted.rows:,}",
                    "contribution": short,
                    "notes": ", ".join(notes),
                }
            case DatasetDeidentified() as made:
                found[made.dataset]["deidentified"] = short
            case GatePassed() as gate:
                warnings = [check.rule for check in gate.checks if not check.passed]
                found[gate.dataset]["gate"] = short
                found[gate.dataset]["checks"] = f"{len(gate.checks) - len(warnings)}/{len(gate.checks)}"
                if warnings:
                    found[gate.dataset]["warnings"] = f"warning: {', '.join(warnings)}"
    return table(
        ["Dataset", ("Rows", "right"), "Vault", "Pseudonyms", "Gate", ("Checks", "right")],
        [
            [
                "\n  ".join([dataset, *(facts[name] for name in ("notes", "warnings") if facts.get(name))]),
                *(
                    facts.get(name, "-")
                    for name in ("rows", "contribution", "deidentified", "gate", "checks")
                ),
            ]
            for dataset, facts in found.items()
        ],
    )
