"""Whether data is to be destroyed, and whether exactly this data.

Belongs here: rules about `data.destroyed`; what time has made due is found in `retention`. Must not be here:
finding what people decided (`stages/destruction`), or shredding it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import DataDestroyed
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants import consequences, retention
from orchestration.participants.state import State

NOT_TO_DESTROY = Reason(
    "destruction.not_due",
    "Nothing that was signed or decided calls for destroying this data.",
    "Data goes when its days are over, when its owner takes it back, leaves or is removed, by a decision,"
    " or when the collaboration closes.",
)
OTHER_DIGESTS = Reason(
    "destruction.other_digests",
    "What is to be recorded as destroyed is not what the log knows under these names.",
    "Let the house destroy and record what is due: `glasshouse run`.",
)


def require_due(state: State, event: Event, payload: DataDestroyed) -> None:
    """Refuse unless what was signed, decided or agreed as a period wants just these things gone.

    Raises: PolicyDeniedError (`destruction.not_due`, `destruction.other_digests`).
    """
    rows = [row for each in payload.contributions for row in _kept(state, each)]
    known = len(rows) == len(set(payload.contributions)) == len(payload.contributions)
    if not known or not _is_due(state, event, payload, rows):
        raise PolicyDeniedError(NOT_TO_DESTROY)
    if payload.files and payload.files != files_of(
        state, payload.contributions, payload.quarantined, payload.releases
    ):
        raise PolicyDeniedError(OTHER_DIGESTS)


def is_covered(dispute: Row[Any], contribution: Row[Any]) -> bool:
    """Whether the remedy of this dispute reaches a contribution: what was given before, and no other."""
    column = {"dataset": "dataset", "participant": "participant"}.get(dispute.about_kind)
    if column is None or (dispute.status, dispute.remedy) != ("upheld", "delete"):
        return False
    return bool(getattr(contribution, column) == dispute.about and contribution.seq < dispute.seq)


def files_of(
    state: State, contributions: Iterable[str], quarantined: Iterable[str], releases: Iterable[str]
) -> dict[str, str]:
    """Every file these things consist of, below the house's folder → its digest as the log knows it.

    A sealed copy is one folder with one digest. What was recorded before digests were is left out.
    """
    files: dict[str, str] = {}
    for each in contributions:
        files |= _outputs(state, "contribution", each, {"vault": f"vault/{each}.parquet"})
    for each in quarantined:
        for row in state.rows(t.contributions, contribution=each):
            if row.sealed is not None and row.sealed_digest is not None:
                files[f"quarantine/{row.sealed}"] = row.sealed_digest
    for each in releases:
        for row in state.rows(t.releases, release=each):
            files |= _outputs(state, "protected", row.request, {"table": f"protected/{row.request}.json"})
            files |= _outputs(state, "insight", row.request, None, f"shelf/{each}/")
    return files


def sealed_of(state: State, contributions: Iterable[str]) -> tuple[str, ...]:
    """Those of the contributions of which something lies sealed for their steward: it goes with them."""
    return tuple(
        each
        for each in contributions
        if any(row.sealed for row in state.rows(t.contributions, contribution=each))
    )


def _outputs(
    state: State, stage: str, subject: str, names: dict[str, str] | None, below: str = ""
) -> dict[str, str]:
    """Outputs of the newest receipt of a stage under the names that their files have."""
    newest = max(state.rows(t.receipts, stage=stage, subject=subject), key=lambda row: row.seq, default=None)
    outputs = json.loads(newest.outputs or "{}") if newest is not None else {}
    if names is None:
        return {f"{below}{name}": digest for name, digest in outputs.items()}
    return {names[name]: digest for name, digest in outputs.items() if name in names}


def _kept(state: State, contribution: str) -> list[Row[Any]]:
    return state.rows(t.contributions, contribution=contribution, status="accepted")


def _is_due(state: State, event: Event, payload: DataDestroyed, rows: list[Row[Any]]) -> bool:
    if payload.rule in ("retention", "repaired"):
        return retention.is_due(state, event, payload)
    if payload.releases or payload.clause is not None:
        return False
    if payload.rule == "closed":
        closing = state.phase == "closed" or bool(consequences.closing_due(state))
        return closing and event.subject == state.collaboration
    sealed = [row for each in payload.quarantined for row in state.rows(t.contributions, contribution=each)]
    if any(row.participant != event.subject for row in (*rows, *sealed)):
        return False
    if payload.rule in ("withdrawn", "remedy") and not set(payload.quarantined) <= set(payload.contributions):
        return False
    if payload.rule == "withdrawn":
        return bool(rows) and all(state.rows(t.withdrawals, contribution=row.contribution) for row in rows)
    if payload.rule == "remedy":
        dispute = state.dispute(payload.dispute) if payload.dispute is not None else None
        return dispute is not None and bool(rows) and all(is_covered(dispute, row) for row in rows)
    return state.participant_status(event.subject) == payload.rule
