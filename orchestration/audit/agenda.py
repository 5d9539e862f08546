"""What the council has before it: everything open or about to end, read from the state alone.

Belongs here: the agenda and the ledger of contributions, as documents. Must not be here: deciding, or closed
business (`decision_log`).
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from pydantic import JsonValue

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.decision_log import question_of
from orchestration.audit.vocabulary import timestamp
from orchestration.participants.approvals import right_of, tally
from orchestration.participants.outdated import warned
from orchestration.participants.reviews import review_since, unreviewed_emergencies
from orchestration.participants.shares import ledger
from orchestration.participants.state import State, moment

NEAR = timedelta(days=30)
TERM_NEAR = timedelta(days=60)

_OPEN_REQUESTS = ("submitted", "permitted", "computed", "protected")


def agenda(state: State) -> dict[str, JsonValue]:
    """What is open or disputed, what ends or is due soon, and which insights nobody may rely on."""
    return {
        "collaboration": state.collaboration,
        "as_of": timestamp(state.at),
        "phase": state.phase,
        "decisions": open_decisions(state),
        "requests": [
            {
                "request": row.request,
                "template": row.template,
                "purpose": row.purpose,
                "requester": row.requester,
                "status": row.status,
            }
            for row in sorted(state.rows(t.requests), key=lambda row: int(row.seq))
            if row.status in _OPEN_REQUESTS
        ],
        "disputes": [
            {
                "dispute": row.dispute,
                "about": f"{row.about_kind} {row.about}",
                "raised_by": row.raised_by,
                "remedy": row.remedy,
                "documented": row.evidence is not None,
            }
            for row in state.rows(g.disputes, status="raised")
        ],
        "exceptions": [
            {"exception": row.exception, "what": row.what, "owner": row.owner, "expires_at": row.expires_at}
            for row in state.rows(g.exceptions, status="granted")
            if moment(row.expires_at) <= state.at + NEAR
        ],
        "panels": _panels(state),
        "reviews": _reviews(state),
        "outdated": [
            {
                "release": each.release,
                "receivers": list(each.receivers),
                "became": "recalled" if each.recalled else "stale",
                "why": each.why,
            }
            for each in warned(state)
        ],
    }


def open_decisions(state: State) -> list[JsonValue]:
    """Questions nobody has decided yet, with what is missing, oldest first."""
    found: list[JsonValue] = []
    for row in sorted(state.rows(g.decisions, status="pending"), key=lambda row: str(row.opened_at)):
        counted = tally(state, row)
        expires = None
        if state.charter is not None:
            hours = right_of(state.charter, row).expires_hours
            expires = timestamp(moment(row.opened_at) + timedelta(hours=hours))
        found.append(
            {
                "decision": row.decision,
                "question": question_of(row),
                "asked_by": row.asked_by,
                "rule": counted.rule,
                "missing": list(counted.missing),
                "escalated": row.escalated,
                "expires_at": expires,
            }
        )
    return found


def contribution_ledger(state: State) -> dict[str, JsonValue]:
    """Who gave what and what part of the results is its; fractions are exact, as text."""
    found = ledger(state)
    return {
        "collaboration": state.collaboration,
        "as_of": timestamp(state.at),
        "method": "Each release is worth 1, divided equally among the parties whose data it needed: their"
        " Shapley values in the unanimity game.",
        "total": str(found.total),
        "shares": [
            {
                "participant": share.participant,
                "contributions": share.contributions,
                "rows": share.rows,
                "releases": list(share.releases),
                "value": str(share.value),
                "part": round(float(share.part_of(found.total)), 6),
            }
            for share in found.shares
        ],
        "unassigned_releases": list(found.unassigned),
    }


def _panels(state: State) -> list[JsonValue]:
    charter = state.charter
    if charter is None:
        return []
    panels = {"review body": charter.review_body, "ethics panel": charter.ethics_panel}
    return [
        {"panel": name, "members": list(panel.members), "term_until": panel.term_until.isoformat()}
        for name, panel in panels.items()
        if panel is not None
        and panel.term_until is not None
        and datetime.combine(panel.term_until, time.max, UTC) <= state.at + TERM_NEAR
    ]


def _reviews(state: State) -> list[JsonValue]:
    """Open ones with what is not attested yet, and the next access review when it comes soon."""
    found: list[JsonValue] = [
        {
            "review": row.review,
            "kind": row.kind,
            "due": row.due,
            "unattested": [
                each.grant for each in state.rows(g.attestations, review=row.review) if each.keep is None
            ],
        }
        for row in state.rows(g.reviews, status="open")
    ]
    since = review_since(state)
    if state.charter is not None and since is not None:
        following = since + timedelta(days=state.charter.audit.access_review_days)
        if following <= state.at + NEAR:
            found.append({"review": None, "kind": "access", "due": timestamp(following), "unattested": []})
    found += [
        {"review": None, "kind": "emergency", "due": timestamp(state.at), "unattested": [each.id]}
        for each in unreviewed_emergencies(state)
    ]
    return found
