"""The evidence pack of a dispute: what was approved beside what ran, differences named, each event proven.

Belongs here: putting the pack together, and checking its proofs offline. Must not be here: judging it. The
digest of the pack, as the canonical JSON it is, goes into the log (`dispute.documented`). Proofs lead to the
tree head the pack names; whether that is the log's is shown by any later checkpoint and a consistency proof.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Row

from orchestration.audit import merkle
from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.events import Event, commitment
from orchestration.audit.evidence import text_of
from orchestration.audit.governance_events import VoteCast
from orchestration.audit.limits import datasets_of, differences, required_threshold
from orchestration.audit.log import SALT_BYTES, AuditLog, LoggedEvent
from orchestration.audit.trace import Trace, charter_at, trace
from orchestration.audit.vocabulary import timestamp
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json
from orchestration.errors import ConfigError, IntegrityError, Reason
from orchestration.participants.state import State, participant_of

FORMAT = "glasshouse.case-file/v1"

NO_SUCH_DISPUTE = Reason(
    "dispute.not_found",
    "There is no dispute called {dispute}.",
    "List them with `glasshouse dispute list`.",
)
UNREADABLE = Reason(
    "case_file.unreadable",
    "This is not the evidence pack of a dispute.",
    "Use the file exactly as `glasshouse report dispute` wrote it.",
)
NOT_INCLUDED = Reason(
    "case_file.not_included",
    "Event {seq} of the evidence pack is not in the tree whose head the pack names.",
    "Treat the pack as changed: compare its digest with the one in the log.",
)


def make_case_file(log: AuditLog, state: State, dispute: str) -> dict[str, JsonValue]:
    """Everything the review body needs, as one JSON document.

    Raises: ConfigError (`dispute.not_found`); IntegrityError where the log itself is broken.
    """
    row = state.dispute(dispute)
    if row is None:
        raise ConfigError(NO_SUCH_DISPUTE, dispute=ascii(dispute[:80]))
    raised = _raised(log, state, dispute)
    requests = _requests(state, row.about_kind, row.about)
    traces = [trace(log, state, request) for request in requests]
    charter = charter_at(state, raised.event.time)
    own = log.events(subject=dispute, collaboration=state.collaboration)
    about = log.events(subject=row.about, collaboration=state.collaboration)
    shown = {each.seq: each for each in (*own, *about)} | {
        each.seq: each for found in traces for each in found.events
    }
    size = log.size
    return {
        "format": FORMAT,
        "collaboration": state.collaboration,
        "dispute": dispute,
        "made_at": timestamp(state.at),
        "claim": {
            "by": row.raised_by,
            "at": timestamp(raised.event.time),
            "about": {"kind": row.about_kind, "id": row.about},
            "reason": raised.event.justification,
            "remedy_asked_for": row.remedy,
        },
        "charter": charter.digest if charter else None,
        "agreed": _agreed(charter, row.about_kind, row.about),
        "requests": [_beside(log, found, state) for found in traces],
        "differences": [
            f"{found.request.request}: {each}" for found in traces for each in differences(found, state)
        ],
        "tree": {"size": size, "root": text_of(log.root(size))},
        "events": [_proven(log, shown[seq], size) for seq in sorted(shown)],
    }


def check_case_file(document: JsonValue) -> tuple[int, bytes]:
    """Check every proof of a pack, offline.

    Returns: size and head of the tree the proofs lead to, to be compared with a signed checkpoint.
    Raises: IntegrityError (`case_file.unreadable`, `case_file.not_included`).
    """
    try:
        assert isinstance(document, dict)  # noqa: S101  anything else is unreadable, as below
        parts: Any = document
        size, root = int(parts["tree"]["size"]), base64.b64decode(parts["tree"]["root"], validate=True)
        events = [_read(each) for each in parts["events"]]
        known = parts["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
        raise IntegrityError(UNREADABLE) from error
    if not known:
        raise IntegrityError(UNREADABLE)
    for seq, leaf, proof in events:
        if not merkle.verify_inclusion(leaf, seq, size, proof, root):
            raise IntegrityError(NOT_INCLUDED, seq=seq)
    return size, root


def _raised(log: AuditLog, state: State, dispute: str) -> LoggedEvent:
    """Its id is a member's word, which another collaboration may have used too."""
    return log.events("dispute.raised", dispute, state.collaboration, limit=1)[0]


def _requests(state: State, kind: str, about: str) -> list[Row[Any]]:
    """The requests a dispute touches, in the order they were made."""
    rows = sorted(state.rows(t.requests), key=lambda row: int(row.seq))
    released = {row.release: row.request for row in state.rows(t.releases)}
    match kind:
        case "request":
            return [row for row in rows if row.request == about]
        case "release":
            return [row for row in rows if row.request == released.get(about)]
        case "dataset":
            return [row for row in rows if about in json.loads(row.datasets)]
    return [row for row in rows if row.participant == about]


def _agreed(charter: Charter | None, kind: str, about: str) -> JsonValue:
    """The clauses about a dataset or a participant; those about a request stand beside what ran."""
    if charter is None:
        return None
    document: Any = charter.document
    if kind == "dataset":
        return next((each for each in document["datasets"] if each["id"] == about), None)
    if kind == "participant":
        return next((each for each in document["participants"] if each["id"] == about), None)
    return None


def _beside(log: AuditLog, found: Trace, state: State) -> dict[str, JsonValue]:
    """One request: approved scope, request and decision on one side, what ran on the other."""
    asked = found.request
    return {
        "request": {
            "id": asked.request,
            "template": asked.template,
            "parameters": json.loads(asked.parameters),
            "purpose": asked.purpose,
            "requester": asked.requester,
            "datasets": list(datasets_of(found)),
            "status": asked.status,
            "event": asked.seq,
        },
        "approved": _approved(found),
        "decision": _decision(found),
        "ran": _ran(log, found),
        "differences": list(differences(found, state)),
    }


def _approved(found: Trace) -> JsonValue:
    charter, asked = found.charter, found.request
    if charter is None:
        return None
    agreed = next((each for each in charter.computations if each.template == asked.template), None)
    if agreed is None:
        return {"charter": charter.digest, "computation": None}
    datasets = datasets_of(found)
    purposes = {each.id: list(each.purposes) for each in charter.datasets if each.id in datasets}
    return {
        "charter": charter.digest,
        "computation": asked.template,
        "purposes": list(agreed.purposes),
        "requesters": list(agreed.requesters),
        "receivers": list(agreed.receivers),
        "threshold": required_threshold(charter, asked.template, datasets),
        "max_cells": charter.output.max_cells,
        "release_valid_days": charter.access.release_valid_days,
        "approval": charter.approval_for(asked.template),
        "purposes_of_datasets": {name: list(each) for name, each in purposes.items()},
    }


def _decision(found: Trace) -> JsonValue:
    row = found.decision
    if row is None:
        return None
    return {
        "right": row.right,
        "asked_by": row.asked_by,
        "outcome": row.status,
        "votes": [
            {
                "member": logged.event.actor,
                "vote": said.vote,
                "reason": logged.event.justification,
                "at": timestamp(logged.event.time),
                "event": logged.seq,
            }
            for logged, said in found.all(VoteCast)
        ],
    }


def _ran(log: AuditLog, found: Trace) -> dict[str, JsonValue]:
    runs = list(dict.fromkeys(said.receipt.run_id for _logged, said in found.handovers))
    used = datasets_of(found)
    return {
        "templates": [
            {"template": said.template, "digest": said.template_digest, "event": logged.seq}
            for logged, said in found.all(s.ComputationRun)
        ],
        "thresholds": [
            {"threshold": said.threshold, "cells_shown": said.cells_shown, "event": logged.seq}
            for logged, said in found.all(s.OutputGenerated)
        ],
        "contributions": [
            {
                "id": name,
                "dataset": said.dataset,
                "participant": said.participant,
                "rows": said.rows,
                "source_digest": said.source_digest,
                "purposes": list(said.purposes),
                "read_by_this_request": said.dataset in used,
            }
            for name, said in found.contributions
        ],
        "receipts": [
            {"id": logged.receipt_id, "stage": said.receipt.stage, "event": logged.seq}
            for logged, said in found.handovers
        ],
        "releases": [
            {
                "release": said.release,
                "purpose": said.purpose,
                "receivers": list(said.receivers),
                "expires_at": timestamp(said.expires_at),
                "files": dict(said.files),
                "event": logged.seq,
            }
            for logged, said in found.all(s.OutputReleased)
        ],
        "accesses": accesses(found.steps),
        "lineage_runs": [{"run_id": run, "events": len(log.lineage(run))} for run in runs],
    }


def accesses(events: Iterable[LoggedEvent]) -> list[JsonValue]:
    """Who opened, or tried to open, in the order it happened."""
    rows: list[JsonValue] = []
    for logged in events:
        said = logged.event.payload
        if isinstance(said, s.OutputAccessed | s.AccessDenied):
            granted = isinstance(said, s.OutputAccessed)
            rows.append(
                {
                    "release": said.release,
                    "member": said.member,
                    "participant": participant_of(said.member),
                    "granted": granted,
                    "detail": said.detail if isinstance(said, s.OutputAccessed) else None,
                    "code": said.code if isinstance(said, s.AccessDenied) else None,
                    "reason": logged.event.justification,
                    "at": timestamp(logged.event.time),
                    "event": logged.seq,
                }
            )
    return rows


def _proven(log: AuditLog, logged: LoggedEvent, size: int) -> JsonValue:
    return {
        "seq": logged.seq,
        "event": logged.event.model_dump(mode="json"),
        "salt": text_of(logged.salt),
        "proof": [text_of(each) for each in log.inclusion_proof(logged.seq, size)],
    }


def _read(each: Any) -> tuple[int, bytes, Sequence[bytes]]:
    content = canonical_json(each["event"])
    Event.from_content(content)
    salt = base64.b64decode(each["salt"], validate=True)
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt of another length")
    proof = [base64.b64decode(text, validate=True) for text in each["proof"]]
    return int(each["seq"]), merkle.leaf_hash(commitment(content, salt)), proof
