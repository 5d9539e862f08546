"""The words of a denial: what each name in the templates of `denials` stands for in one case.

Belongs here: names, dates and lists that are safe to show to every participant. Must not be here: any
judgement, or a value of a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from orchestration.audit import governance_tables as g
from orchestration.charter.model import Charter
from orchestration.errors import CharterError
from orchestration.participants.case import Case, Ref
from orchestration.participants.changes import lapsed
from orchestration.participants.electorates import electorate
from orchestration.participants.permissions import ACTIONS
from orchestration.participants.question import Question
from orchestration.participants.state import State, participant_of

_STAKES = {
    "vote": ("asked this question", "approve it"),
    "open_emergency": ("would give the access to itself", "open it"),
    "attest_review": ("holds this role, or lent it,", "attest it"),
}


def words(state: State, question: Question, case: Case, code: str) -> Mapping[str, object]:
    """The facts for the templates of the reason with this code."""
    member, subject = case.of(case.member), case.of(case.subject)
    organization = participant_of(question.member)
    stake, does = _STAKES.get(question.action, ("has a stake in it", ACTIONS[question.action].says))
    facts: dict[str, object] = {
        "member": question.member,
        "organization": organization,
        "organization_status": case.of(member["participant"])["status"],
        "collaboration": state.collaboration,
        "subject": case.subject.id,
        "subject_status": subject.get("status", "unknown"),
        "roles": _list(member["roles"]),
        "lent": _list(member["lent"]),
        "does": ACTIONS[question.action].says,
        "owner": _owner(case),
        "role": _list(case.context.get("roles") or [subject.get("role", "")]),
        "grantee": subject["member"].id if "member" in subject else case.subject.id,
        "inactive": question.member if member["status"] != "active" else case.subject.id,
    }
    if code == "policy.self_approval":
        facts |= {"stake": stake, "does": does, "others": _others(case)}
    elif code == "policy.not_a_voter":
        facts |= {"excluded": _excluded(state, question), "others": _others(case)}
    elif code == "policy.grant_expired":
        facts["lapsed"] = _list(each.role for each in lapsed(state, question.member))
    elif code == "policy.disputed":
        facts["disputed"] = _list(row.about for row in state.rows(g.disputes, status="raised"))
    elif code == "policy.revoked":
        facts["revoked"] = _list(about for _, about in state.revoked)
    return facts | _of_subject(case, subject) | _of_charter(state.agreement, case)


def _of_subject(case: Case, subject: Mapping[str, Any]) -> dict[str, object]:
    collaboration = case.of(case.context["collaboration"])
    limit = "emergencyUntil" if case.action == "open_emergency" else "grantsUntil"
    facts: dict[str, object] = {"longest": f"{collaboration[limit]:%Y-%m-%d %H:%M} UTC"}
    for name in ("requesters", "receivers"):
        if name in subject:
            facts[name] = _list(each.id for each in subject[name])
    if "purposes" in subject:
        facts["purposes"] = _list(subject["purposes"] & subject.get("shared", subject["purposes"]))
    if "places" in subject:
        facts["places"] = _list(subject["places"]).replace("none", "no country that all of it allows")
        home = case.of(case.of(case.member)["participant"])
        facts["jurisdiction"] = home["jurisdiction"] or "no country the charter names"
    if "expires" in subject:
        facts["until"] = f"{subject['expires']:%Y-%m-%d %H:%M} UTC"
    collaboration = case.of(case.context["collaboration"])
    return facts | {
        "effective_from": f"{collaboration['from']:%Y-%m-%d}",
        "effective_until": f"{collaboration['until'] - timedelta(days=1):%Y-%m-%d}",
    }


def _of_charter(charter: Charter | None, case: Case) -> dict[str, object]:
    if charter is None or case.action != "submit_request":
        return {}
    return {"computations": _list(each.template for each in charter.computations)}


def _owner(case: Case) -> str:
    """The organization a matter is up to."""
    if case.subject.type == "Participant":
        return case.subject.id
    stated = case.context.get("participant") or case.of(case.subject).get("participant")
    return stated.id if isinstance(stated, Ref) else "another organization"


def _others(case: Case) -> str:
    if case.action != "vote":
        grant = case.action == "attest_review"
        return f"another member of {_owner(case) if grant else participant_of(case.subject.id)}"
    voters = sorted(each.id for each in case.of(case.subject)["voters"] if each != case.member)
    if not voters:
        return "nobody today"
    return f"{', '.join(voters[:5])} of {_list({participant_of(each) for each in voters})}"


def _excluded(state: State, question: Question) -> str:
    """Why this member may not vote, in the electorate's own words."""
    row = state.decision(question.subject)
    try:
        why = electorate(state, row).excluded.get(question.member) if row is not None else None
    except CharterError:
        why = "the charter no longer names what it is about"
    return why or "it is not among those who decide this"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"
