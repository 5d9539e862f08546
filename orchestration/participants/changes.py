"""What could be different about a question, from a word more to a charter amended.

Belongs here: single changes of a case, each in words, the smallest first. Must not be here: whether a change
helps (`explanation` asks the policies).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from orchestration.audit import governance_tables as g
from orchestration.charter.model import Charter
from orchestration.participants.case import Case, Ref
from orchestration.participants.facts import UnknownSubject, agreements, case_of, jurisdiction_in
from orchestration.participants.question import Question
from orchestration.participants.state import Grant, State, participant_of

# From the role that may least to those that may most: the smallest that helps is named first.
ROLES = (
    "receiver",
    "analyst",
    "contributor",
    "executive",
    "auditor",
    "reviewer",
    "steward",
    "owner",
    "service",
    "operator",
)
_MOST_TRIED = 6
_MOST_NAMED = 3
_ONLY_ONESELF = ("rotate_key", "acknowledge_terms", "arrange_login")


@dataclass(frozen=True)
class Change:
    """One thing that would be different, and the sentence that asks for it."""

    says: str
    apply: Callable[[Case], Case]


Allows = Callable[[Case], bool]


def changes(state: State, question: Question, case: Case, allows: Allows) -> Iterator[Change]:
    """Every single change worth trying, the smallest first."""
    said, roles, around = (
        list(_said(case)),
        list(_roles(state, question, case)),
        list(_circumstances(state, question, case)),
    )
    best = case
    for change in (*said, *around):
        best = change.apply(best)
    others = _other_members(state, question, case, best, allows)
    yield from (*said, *roles, *others, *around)
    yield from _amendments(question, case)


def lapsed(state: State, member: str) -> list[Grant]:
    """Roles the charter still gives the member, whose grant is not in force now."""
    named = state.given(member)
    return [
        each
        for each in state.grants(member)
        if not each.emergency and not each.in_force(state.at) and each.role in named
    ]


def _said(case: Case) -> Iterator[Change]:
    """What the asker can mend alone: say more, or ask for less."""
    subject = case.of(case.subject)
    agreed = sorted(
        subject.get("purposes", frozenset()) & subject.get("shared", subject.get("purposes", frozenset()))
    )
    if agreed and case.action in ("submit_request", "contribute"):
        yield Change(f"State a purpose that is agreed: {_any(agreed)}.", lambda c: c.told(purpose=agreed[0]))
    if case.action == "open_insight" and not case.context["justified"]:
        yield Change("Say why it is opened.", lambda c: c.told(justified=True))
    if not case.of(case.member)["acknowledged"]:
        yield Change(
            f"{case.member.id} acknowledges the charter's terms.",
            lambda c: c.but(c.member, acknowledged=True),
        )
    collaboration = case.of(case.context["collaboration"])
    longest = collaboration["emergencyUntil" if case.action == "open_emergency" else "grantsUntil"]
    if case.context.get("expires") is not None:
        yield Change(
            f"Give it until {longest:%Y-%m-%d %H:%M} UTC at the latest.",
            lambda c: c.told(expires=min(longest, c.context["expires"])),
        )


def _roles(state: State, question: Question, case: Case) -> Iterator[Change]:
    """A role the charter names for the member already: renewed, or given."""
    attributes, organization = case.of(case.member), participant_of(question.member)
    if attributes["status"] != "active":
        return
    ended = {each.role: each for each in lapsed(state, question.member)}
    for role in ROLES:
        if role not in attributes["named"] or role in attributes["roles"]:
            continue
        if role in ended:
            says = f"A steward of {organization} renews the role {role} of {question.member}."
        else:
            says = (
                f"A steward of {organization} gives {question.member} the role {role}, as the charter does."
            )
        yield Change(says, _with_role(role))


def _other_members(
    state: State, question: Question, case: Case, best: Case, allows: Allows
) -> Iterator[Change]:
    """Somebody else who may, tried as the charter names them, then as they are."""
    if case.action in _ONLY_ONESELF:
        return
    found: list[str] = []
    for candidate in _candidates(state, question.member, best, allows):
        try:
            other = case_of(state, replace(question, member=candidate))
        except UnknownSubject:  # gone meanwhile: nobody could do it
            return
        if allows(_instead(other)(best)):
            found.append(candidate)
            if len(found) == 1:
                first = other
        if len(found) == _MOST_NAMED:
            break
    if found:
        yield Change(f"{_any(found)} can do it instead.", _instead(first))


def _candidates(state: State, member: str, best: Case, allows: Allows) -> Iterable[str]:
    """Members who would be allowed with the roles the charter names, of as many organizations as possible."""
    tried: dict[tuple[str, frozenset[str]], bool] = {}
    by_organization: dict[str, list[str]] = {}
    for charter in agreements(state):
        for each in charter.members:
            organization, roles = participant_of(each.id), frozenset(map(str, each.roles))
            if each.id == member:
                continue
            profile = (organization, roles)
            if profile not in tried or best.action in ("vote", "retire_member", "attest_review"):
                tried[profile] = allows(_as_named(best, charter, each.id, roles))
            if tried[profile] and each.id not in by_organization.setdefault(organization, []):
                by_organization[organization].append(each.id)
    own = by_organization.pop(participant_of(member), [])
    groups = [own, *by_organization.values()]
    return [group[n] for n in range(_MOST_TRIED) for group in groups if n < len(group)][:_MOST_TRIED]


def _as_named(case: Case, charter: Charter, member: str, roles: frozenset[str]) -> Case:
    organization = Ref("Participant", participant_of(member))
    ref = Ref("Member", member)
    attributes = {
        "participant": organization,
        "status": "active",
        "roles": roles,
        "named": roles,
        "lent": frozenset(),
        "lentBefore": False,
        "acknowledged": True,
    }
    if organization not in case.entities:
        country = jurisdiction_in(charter, organization.id)
        case = case.but(organization, status="active", disputed=False, revoked=False, jurisdiction=country)
    return replace(case.but(ref, **attributes), member=ref)


def _instead(other: Case) -> Callable[[Case], Case]:
    """The same question, asked by somebody else."""

    def apply(case: Case) -> Case:
        organization = other.of(other.member)["participant"]
        joined = {organization: other.of(organization), other.member: other.of(other.member)}
        return replace(case, member=other.member, entities={**joined, **case.entities})

    return apply


def _circumstances(state: State, question: Question, case: Case) -> Iterator[Change]:
    """What others would have to do first, under the charter as it is."""
    member, organization = case.of(case.member), participant_of(question.member)
    held = state.held(question.member, emergency=False)
    if member["lentBefore"]:
        yield Change(
            f"Somebody else attests the role that {question.member} lent before.",
            lambda c: c.but(c.member, lentBefore=False),
        )
    if member["status"] != "active":
        roles = frozenset(member["named"])
        yield Change(
            f"A steward of {organization} enrols {question.member}.",
            lambda c: c.but(c.member, status="active", roles=roles),
        )
    home = case.of(member["participant"])
    if home["status"] != "active":
        how = {"invited": "accepts its invitation", "suspended": "is reinstated by a decision"}
        yield Change(
            f"{organization} {how.get(home['status'], 'joins again')}.",
            lambda c: c.but(member["participant"], status="active").but(c.member, roles=held),
        )
    yield from _of_the_collaboration(state, case)
    subject = case.of(case.subject)
    if home.get("disputed"):
        yield Change(
            f"Wait until the dispute about {organization} is decided.",
            lambda c: c.but(member["participant"], disputed=False),
        )
    if subject.get("disputed"):
        yield Change(
            f"Wait until the dispute about {_disputed(state)} is decided.",
            lambda c: c.but(c.subject, disputed=False),
        )
    if case.subject.type == "Dataset" and not subject["attested"]:
        owner = subject["participant"].id
        yield Change(
            f"A steward of {owner} attests the onboarding checklist of {case.subject.id}.",
            lambda c: c.but(c.subject, attested=True),
        )
    if case.action == "open_emergency" and subject.get("status") != "active":
        yield Change(
            f"A steward of {participant_of(case.subject.id)} enrols {case.subject.id}.",
            lambda c: c.but(c.subject, status="active"),
        )


def _of_the_collaboration(state: State, case: Case) -> Iterator[Change]:
    ref = case.context["collaboration"]
    phase, start, end = (case.of(ref)[name] for name in ("phase", "from", "until"))
    how = {
        "frozen": f"{ref.id} is thawed by a decision.",
        "forming": "A steward of every organization signs the charter.",
    }
    if phase in how:
        yield Change(how[phase], lambda c: c.but(ref, phase="active"))
    if state.at < start:
        yield Change(f"Wait until {start:%Y-%m-%d}.", lambda c: c.told(now=start))
    elif state.at >= end:
        later = state.at + timedelta(days=1)
        yield Change(
            "All agree on a new version of the charter that is in effect.",
            lambda c: c.but(ref, until=later),
        )


def _amendments(question: Question, case: Case) -> Iterator[Change]:
    """A new version of the charter, which everybody has to sign."""
    organization, subject = participant_of(question.member), case.of(case.subject)
    party, purpose = Ref("Participant", organization), case.context.get("purpose")
    amend = "Amend the charter so that it"
    home = case.of(party)
    if home.get("revoked") or subject.get("revoked"):
        yield Change(
            "All agree on a new version of the charter, which gives it back.",
            lambda c: (c.but(party, revoked=False) if home.get("revoked") else c).but(
                c.subject, **({"revoked": False} if "revoked" in subject else {})
            ),
        )
    if case.action == "submit_request":
        name = case.subject.id
        if party not in subject["requesters"]:
            yield Change(
                f"{amend} names {organization} as a requester of {name}.",
                lambda c: c.but(c.subject, requesters=subject["requesters"] | {party}),
            )
        if purpose is not None:
            yield Change(
                f"{amend} agrees {name}, and all data behind it, for this purpose.",
                lambda c: c.but(
                    c.subject, purposes=subject["purposes"] | {purpose}, shared=subject["shared"] | {purpose}
                ),
            )
        if not subject["agreed"]:
            yield Change(
                f"{amend} names the computation {name}, with {organization} as a requester.",
                lambda c: c.but(
                    c.subject,
                    agreed=True,
                    requesters=subject["requesters"] | {party},
                    purposes=subject["purposes"] | {purpose or "any"},
                    shared=subject["shared"] | {purpose or "any"},
                ),
            )
    if case.action == "open_insight" and party not in subject["receivers"]:
        yield Change(
            f"{amend} names {organization} as a receiver, and ask the question again.",
            lambda c: c.but(c.subject, receivers=subject["receivers"] | {party}),
        )
    if not subject.get("anywhere", True) and home.get("jurisdiction") not in subject["places"]:
        yield from _nearer(case, party, again=case.action == "open_insight")
    if given := case.context.get("roles"):
        yield Change(
            f"{amend} gives {case.subject.id} the role {', '.join(sorted(given))}.",
            lambda c: c.but(c.subject, named=subject.get("named", frozenset()) | given),
        )
    for role in ROLES:
        if role not in case.of(case.member)["named"]:
            yield Change(f"{amend} gives {question.member} the role {role}.", _with_role(role))


def _nearer(case: Case, party: Ref, *, again: bool) -> Iterator[Change]:
    """Data that may be where the asker is, or an asker of whom one knows where it is."""
    country, places = case.of(party).get("jurisdiction"), case.of(case.subject)["places"]
    if country:
        then = ", and ask the question again" if again else ""  # a release keeps what it was made under
        yield Change(
            f"Amend the charter so that all data behind it may be in {country} too{then}.",
            lambda c: c.but(c.subject, places=places | {country}),
        )
    elif places:
        yield Change(
            f"Amend the charter so that it says where {party.id} is: {_any(sorted(places))}.",
            lambda c: c.but(party, jurisdiction=min(places)),
        )


def _with_role(role: str) -> Callable[[Case], Case]:
    def apply(case: Case) -> Case:
        held = case.of(case.member)
        return case.but(case.member, roles=held["roles"] | {role}, named=held["named"] | {role})

    return apply


def _disputed(state: State) -> str:
    return ", ".join(sorted({row.about for row in state.rows(g.disputes, status="raised")}))


def _any(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
