"""Reports people carry away: a contributor's four questions, and the executive summary; signed, checkable.

Belongs here: answers read from the log, and their signature. Must not be here: how they look (`cli/report`),
data values, or anything a reader could not have proven from the log: every line names its event.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import JsonValue

from orchestration import signing
from orchestration.audit import governance_tables as g
from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.agenda import open_decisions
from orchestration.audit.case_file import accesses
from orchestration.audit.limits import datasets_of, differences, required_threshold
from orchestration.audit.log import AuditLog
from orchestration.audit.trace import Trace, trace
from orchestration.audit.verify import Verification
from orchestration.audit.vocabulary import timestamp
from orchestration.errors import ConfigError, IntegrityError, Reason
from orchestration.participants.state import State
from orchestration.signing import SigningKey

PAYLOAD_TYPE = "application/vnd.glasshouse.report+json"

UNKNOWN_PARTICIPANT = Reason(
    "participant.unknown",
    "No organization called {participant} takes part in {collaboration}.",
    "Take one of: {known}.",
)
UNREADABLE = Reason(
    "report.unreadable",
    "This is not a signed report.",
    "Use the file exactly as `glasshouse report … --out FILE` wrote it.",
)


def contributor_report(log: AuditLog, state: State, participant: str) -> dict[str, JsonValue]:
    """What it contributed, what was made of it, who opened that, and whether limits were kept.

    Raises: ConfigError (`participant.unknown`); IntegrityError where the log is broken.
    """
    known = [row.participant for row in state.rows(g.participants)]
    if participant not in known:
        raise ConfigError(
            UNKNOWN_PARTICIPANT,
            participant=ascii(participant[:80]),
            collaboration=state.collaboration,
            known=", ".join(known) or "none yet",
        )
    contributions = state.rows(t.contributions, participant=participant)
    own = {row.dataset for row in contributions if row.dataset} | (
        {each.id for each in state.charter.datasets if each.participant == participant}
        if state.charter
        else set()
    )
    asked = sorted(state.rows(t.requests), key=lambda row: int(row.seq))
    traces = [found for row in asked if own & set(datasets_of(found := trace(log, state, row)))]
    checks = [_within(found, state) for found in traces if found.last(s.ComputationRun) is not None]
    size = log.size
    return {
        "report": "contributor",
        "collaboration": state.collaboration,
        "participant": participant,
        "as_of": timestamp(state.at),
        "log": {"size": size, "root": log.root(size).hex()},
        "contributed": [
            _contribution(log, row) for row in sorted(contributions, key=lambda row: int(row.seq))
        ],
        "analysed": [_analysis(found, own) for found in traces],
        "accessed": [each for found in traces for each in accesses(found.steps)],
        "within_limits": {
            "ok": all(check["ok"] for check in checks),
            "checks": list[JsonValue](checks),
        },
    }


def executive_summary(state: State, verified: Verification) -> dict[str, JsonValue]:
    """The state of a collaboration on one page: names, counts and dates; nothing of any result."""
    agreed = state.agreement
    contributions = Counter(row.status for row in state.rows(t.contributions))
    requests = Counter(row.status for row in state.rows(t.requests))
    opened = Counter(bool(row.granted) for row in state.rows(t.accesses))
    releases = state.rows(t.releases)
    return {
        "report": "summary",
        "collaboration": state.collaboration,
        "title": agreed.title if agreed else None,
        "phase": state.phase,
        "charter": agreed.digest if agreed else None,
        "version": agreed.version if agreed else None,
        "as_of": timestamp(state.at),
        "objectives": list(agreed.objectives) if agreed else [],
        "intended_outcomes": list(agreed.intended_outcomes) if agreed else [],
        "parties": [
            {"participant": row.participant, "status": row.status} for row in state.rows(g.participants)
        ],
        "counts": {
            "contributions": contributions["accepted"] + contributions["destroyed"],
            "contributions_destroyed": contributions["destroyed"],
            "contributions_refused": contributions["refused"],
            "requests": sum(requests.values()),
            "requests_denied": requests["denied"],
            "requests_withheld": requests["withheld"],
            "releases": len(releases),
            "releases_recalled": sum(bool(row.recalled) for row in releases),
            "openings": opened[True],
            "openings_refused": opened[False],
        },
        "open_decisions": open_decisions(state),
        "disputes": [
            {"dispute": row.dispute, "about": f"{row.about_kind} {row.about}", "status": row.status}
            for row in state.rows(g.disputes)
        ],
        "exceptions": [
            {
                "exception": row.exception,
                "what": row.what,
                "owner": row.owner,
                "residual_risk": row.residual_risk,
                "expires_at": row.expires_at,
                "status": row.status,
            }
            for row in state.rows(g.exceptions)
        ],
        "log": {
            "sound": verified.ok,
            "problems": len(verified.problems),
            "size": verified.size,
            "under_checkpoint": verified.sealed,
            "root": verified.root.hex(),
        },
    }


def sign_report(document: JsonValue, key: SigningKey) -> dict[str, Any]:
    """A DSSE envelope around a report."""
    return key.sign(document, PAYLOAD_TYPE)


def check_report(envelope: Any, public_key: dict[str, Any]) -> dict[str, Any]:
    """The report inside, after its signature was checked against the operator's key.

    Raises: IntegrityError (`report.unreadable`, `signature.invalid`, `signature.unreadable`).
    """
    if not isinstance(envelope, dict):
        raise IntegrityError(UNREADABLE)
    document = signing.verify(envelope, public_key, PAYLOAD_TYPE, kind="report")
    if not isinstance(document, dict) or "report" not in document:
        raise IntegrityError(UNREADABLE)
    return document


def _contribution(log: AuditLog, row: Any) -> JsonValue:
    logged = log.event(row.seq)
    said = logged.event.payload
    destroyed = log.events(type="data.destroyed", subject=row.participant, collaboration=row.collaboration)
    gone = [each for each in destroyed if row.contribution in each.event.payload.contributions]  # type: ignore[attr-defined]
    return {
        "contribution": row.contribution,
        "dataset": row.dataset,
        "status": row.status,
        "at": timestamp(logged.event.time),
        "rows": row.rows,
        "quarantined": row.quarantined,
        "source_digest": row.source_digest,
        "purposes": list(said.purposes) if isinstance(said, s.ContributionAccepted) else [],
        "signer": said.signer if isinstance(said, s.ContributionAccepted) else None,
        "gate": row.gate,
        "code": row.code,
        "destroyed_at": timestamp(gone[0].event.time) if gone else None,
        "event": row.seq,
    }


def _analysis(found: Trace, own: set[str]) -> JsonValue:
    asked, released = found.request, found.last(s.OutputReleased)
    return {
        "request": asked.request,
        "template": asked.template,
        "purpose": asked.purpose,
        "requester": asked.requester,
        "of_its_datasets": sorted(own & set(datasets_of(found))),
        "status": asked.status,
        "code": asked.code,
        "release": released.release if released else None,
        "receivers": list(released.receivers) if released else [],
        "recalled": bool(found.release.recalled) if found.release is not None else False,
        "event": asked.seq,
    }


def _within(found: Trace, state: State) -> dict[str, JsonValue]:
    named = differences(found, state)
    made, released = found.last(s.OutputGenerated), found.last(s.OutputReleased)
    charter = found.charter
    return {
        "request": found.request.request,
        "release": released.release if released else None,
        "charter": charter.digest if charter else None,
        "threshold": made.threshold if made else None,
        "threshold_agreed": required_threshold(charter, found.request.template, datasets_of(found))
        if charter
        else None,
        "receivers": list(released.receivers) if released else [],
        "purpose": found.request.purpose,
        "ok": not named,
        "differences": list(named),
    }
