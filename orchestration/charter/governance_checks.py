"""Rules about who governs: decision rights, panels, the responsibility matrix, witnesses, maturity.

Belongs here: rules over the clauses of `governance`, as a tuple of plain functions. Must not be here: rules
about data and computations (`checks`), constellations that are allowed but worth a look (`segregation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from orchestration.charter.findings import Finding, Names, unknown_names
from orchestration.charter.governance import DecisionRight, Matter, Panel
from orchestration.charter.maturity import level, reached
from orchestration.charter.model import Charter, Role

AREAS = ("contribution", "quality", "operation", "approvals", "audit", "deletion", "disputes")
"""What a responsibility matrix must cover; it may have more rows."""

# Who asks, or runs what is decided upon, sits on no panel; nor does a machine.
_NOT_ON_A_PANEL: tuple[Role, ...] = ("analyst", "operator", "service")


# The members who vote for their organization; they also are those who ask most questions.
VOTING_ROLES: tuple[Role, ...] = ("steward", "owner", "reviewer")

# Members who do not vote may ask these as well.
_ASKED_BY_OTHERS: tuple[Matter, ...] = ("request", "exception")
_ABOUT_A_PARTICIPANT: tuple[Matter, ...] = ("membership", "dispute")


def _reach(at: Names, quorum: int, voices: int, needs: Names) -> Iterator[Finding]:
    if quorum > voices:
        message = f"A quorum of {quorum} cannot be reached by {voices}."
        yield Finding((*at, "quorum"), message, (f"1 to {voices}",), needs=needs)


def _rights(charter: Charter) -> Iterator[Finding]:
    participants = [participant.id for participant in charter.participants]
    members = [member.id for member in charter.members]
    for right in charter.decision_rights:
        at: Names = ("decision_rights", right.id)
        yield from unknown_names(
            (*at, "deciders"), "participant", right.deciders, participants, ("participants",)
        )
        if right.body == "review_body":
            yield from _by_review_body(charter, right, at)
        else:
            deciders = set(right.deciders) or set(participants)
            needs: Names = () if right.deciders else ("participants",)
            findings = list(_reach(at, right.quorum, len(deciders), needs))
            yield from findings or _reach_at_worst(charter, right, at, deciders)
        if right.ethics_for and charter.ethics_panel is None:
            message = "An ethics panel must agree here, but the charter has none."
            allowed = ("ethics_panel: {members, quorum}", "leave out ethics_for")
            yield Finding((*at, "ethics_for"), message, allowed, needs=("ethics_panel",))
        yield from _escalation(right, at, members)


def _reach_at_worst(
    charter: Charter, right: DecisionRight, at: Names, deciders: set[str]
) -> Iterator[Finding]:
    """A quorum that is lost as soon as somebody asks is a question that nobody can answer.

    Who asks does not vote, and where it is its organization's only voter, that one has no voice; nor has the
    participant that the question is about.
    """
    if right.rule == "unanimity":
        return  # of those who are left
    lone = sorted(_with_one_voter(charter) & deciders)
    for matter in right.matters:
        accused = int(matter in _ABOUT_A_PARTICIPANT)
        asker = int(matter not in _ASKED_BY_OTHERS and bool(lone) and len(deciders) > accused)
        left = len(deciders) - accused - asker
        if right.quorum <= left:
            continue
        why = [
            *(["the participant it is about does not decide"] if accused else []),
            *([f"who asks does not vote, and {_listed(lone)} has one voter"] if asker else []),
        ]
        message = f"A quorum of {right.quorum} cannot be reached on {matter}: {' and '.join(why)}."
        ways = ("rule: unanimity", *(f"a second voter of {each}" for each in lone if asker))
        allowed = (f"1 to {left}" if left > 1 else "1",) if left else ()
        yield Finding((*at, "quorum"), message, (*allowed, *ways), needs=("participants",))
        return


def _with_one_voter(charter: Charter) -> set[str]:
    """Participants for whom one member alone votes."""
    voters = {
        each.id: sum(not set(VOTING_ROLES).isdisjoint(member.roles) for member in each.members)
        for each in charter.participants
    }
    return {participant for participant, count in voters.items() if count == 1}


def _listed(names: Iterable[str]) -> str:
    return " or ".join(names)


def _by_review_body(charter: Charter, right: DecisionRight, at: Names) -> Iterator[Finding]:
    if charter.review_body is None:
        message = "The review body decides here, but the charter has none."
        allowed = ("review_body: {members, quorum}", "participants")
        yield Finding((*at, "body"), message, allowed, needs=("review_body",))
    stated = (
        ("deciders", bool(right.deciders)),
        ("quorum", right.quorum > 1),
        ("rule", right.rule != "quorum"),
    )
    for key, given in stated:
        if given:
            message = f"The review body decides by its own members and quorum; '{key}' would not count."
            yield Finding((*at, key), message, (f"leave out {key}", "body: participants"))


def _escalation(right: DecisionRight, at: Names, members: list[str]) -> Iterator[Finding]:
    if right.escalate_to is not None:
        here = (*at, "escalate_to")
        yield from unknown_names(here, "member", [right.escalate_to], members, ("participants",))
    if (right.escalate_to is None) != (right.escalate_hours is None):
        given, lacking = (
            ("escalate_hours", "escalate_to") if right.escalate_hours else ("escalate_to", "escalate_hours")
        )
        yield Finding((*at, given), f"'{given}' says nothing without '{lacking}'.", (f"add {lacking}",))
    elif right.escalate_hours is not None and right.escalate_hours >= right.expires_hours:
        message = f"It has expired after {right.expires_hours} hours, before it is escalated."
        yield Finding((*at, "escalate_hours"), message, (f"1 to {right.expires_hours - 1}",))


def _matters(charter: Charter) -> Iterator[Finding]:
    """A right that the house would never ask is a clause that nothing keeps."""
    first: dict[Matter, str] = {}
    named = {computation.approval for computation in charter.computations}
    if charter.maturity == "manual_approvals" and None in named:
        named.add(charter.right_for("request").id)
    for right in charter.decision_rights:
        at: Names = ("decision_rights", right.id, "matters")
        for matter in right.matters:
            if matter != "request" and first.setdefault(matter, right.id) != right.id:
                yield Finding(at, f"'{first[matter]}' decides '{matter}' already; one right per matter.")
        if "request" in right.matters and right.id not in named:
            message = "No computation waits for this right, so nobody would be asked about a request."
            allowed = (f"approval: {right.id} of a computation", "leave out request")
            yield Finding(at, message, allowed, needs=("computations",))


def _only_for_requests(charter: Charter) -> Iterator[Finding]:
    """Only a request reads data and has a receiver, so only there these can count."""
    for right in charter.decision_rights:
        stated = (
            ("rule", right.rule == "affected"),
            ("beneficiaries_abstain", right.beneficiaries_abstain),
            ("ethics_for", bool(right.ethics_for)),
        )
        for key, given in stated:
            if given and right.matters and "request" not in right.matters:
                message = f"'{key}' would not count: it is about the data and receivers of a request."
                yield Finding(("decision_rights", right.id, key), message, ("matters: [request]",))


def _approvals(charter: Charter) -> Iterator[Finding]:
    fitting = tuple(right.id for right in charter.decision_rights if "request" in right.matters)
    for computation in charter.computations:
        at: Names = ("computations", computation.template, "approval")
        if computation.approval is not None and computation.approval not in fitting:
            message = f"'{computation.approval}' is no decision right about requests."
            allowed = fitting or ("a decision right with matters: [request]",)
            yield Finding(at, message, allowed, needs=("decision_rights",))


def _panels(charter: Charter) -> Iterator[Finding]:
    members = {member.id: member for member in charter.members}
    for name, panel in (("review_body", charter.review_body), ("ethics_panel", charter.ethics_panel)):
        if panel is None:
            continue
        at: Names = (name,)
        here = (*at, "members")
        yield from unknown_names(here, "member", panel.members, members, ("participants",))
        yield from _reach(at, panel.quorum, len(set(panel.members)), at)
        for member in panel.members:
            roles = members[member].roles if member in members else ()
            for role in _NOT_ON_A_PANEL:
                if role in roles:
                    message = f"'{member}' is {role}: who asks or runs the house does not decide about it."
                    yield Finding(
                        here, message, ("a member without the roles " + ", ".join(_NOT_ON_A_PANEL),)
                    )
        if panel.term_until is not None and panel.term_until < charter.effective_from:
            message = "The panel's term ends before the charter begins."
            allowed = (f"{charter.effective_from} or later",)
            yield Finding((*at, "term_until"), message, allowed, needs=("effective_from",))


def _sole_reviewer(charter: Charter) -> Iterator[Finding]:
    """Nobody can be judge where only their own organization can be the party."""
    panel: Panel | None = charter.review_body
    if panel is None or len(set(panel.members)) != 1:
        return
    organization = panel.members[0].partition(".")[0]
    for computation in charter.computations:
        if set(computation.requesters) == {organization}:
            message = (
                f"The sole reviewer belongs to {organization}, which alone may ask for "
                f"{computation.template}: nobody reviews their own organization alone."
            )
            others = (each.id for each in charter.participants if each.id != organization)
            allowed = tuple(f"a second member, of {each}" for each in others)
            yield Finding(("review_body", "members"), message, allowed, needs=("computations",))


def _matrix(charter: Charter) -> Iterator[Finding]:
    participants = [participant.id for participant in charter.participants]
    for row in charter.responsibilities:
        at: Names = ("responsibilities", row.id)
        named = (("responsible", row.responsible), ("consulted", row.consulted), ("informed", row.informed))
        for key, names in (("accountable", (row.accountable,)), *named):
            yield from unknown_names((*at, key), "participant", names, participants, ("participants",))
    covered = {row.id for row in charter.responsibilities}
    missing = [area for area in AREAS if area not in covered]
    if covered and missing:
        message = f"Nobody is accountable for {', '.join(missing)}."
        allowed = tuple(f"a row with id: {area}" for area in missing)
        yield Finding(("responsibilities",), message, allowed, needs=("responsibilities",))


def _witnesses(charter: Charter) -> Iterator[Finding]:
    witnesses = charter.audit.witnesses
    if witnesses is None:
        return
    at: Names = ("audit", "witnesses")
    participants = [participant.id for participant in charter.participants]
    here = (*at, "participants")
    yield from unknown_names(here, "participant", witnesses.participants, participants, ("participants",))
    yield from _reach(at, witnesses.quorum, len(set(witnesses.participants)), ())


def _maturity(charter: Charter) -> Iterator[Finding]:
    for gap in level(charter.maturity).gaps(charter):
        message = f"{charter.maturity} needs more of {gap.clause}: {gap.asks}"
        yield Finding(("maturity",), message, reached(charter), needs=(gap.clause.partition(".")[0],))


GOVERNANCE_CHECKS: tuple[Callable[[Charter], Iterator[Finding]], ...] = (
    _rights,
    _matters,
    _only_for_requests,
    _approvals,
    _panels,
    _sole_reviewer,
    _matrix,
    _witnesses,
    _maturity,
)
