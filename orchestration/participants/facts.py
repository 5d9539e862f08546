"""What the policies are told: the facts of one question, from the log and from the charter in force.

Belongs here: turning state into the entities of `policies/glasshouse.cedarschema`. Must not be here: any
rule, and anything a client says about itself. Only what the question touches is looked up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from orchestration.audit import governance_tables as g
from orchestration.charter.model import Charter
from orchestration.errors import CharterError
from orchestration.participants.case import Case, Ref
from orchestration.participants.electorates import electorate
from orchestration.participants.question import Question
from orchestration.participants.residency import places_behind, places_of
from orchestration.participants.state import State, moment, participant_of

# Requests and disputes open their decision themselves.
MATTERS = ("closing", "exception", "membership", "purpose", "thaw")
OPEN_TO_EVERYONE = ("exception",)
DISPUTABLE = ("request", "release", "dataset", "participant")

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_TERMS_ASKED = ("submit_request", "open_insight")
# In the words of the policies: nobody is held by being suspended, and nobody's data either.
_WHILE_SUSPENDED = ("leave", "revoke_key", "withdraw_contribution", "withdraw_people")
_DISPUTES_STOP = ("contribute", "submit_request", "open_insight")


class UnknownSubject(Exception):  # noqa: N818  no error: it becomes a denial
    """Nothing of that name; `known`: what there is."""

    def __init__(self, kind: str, known: Iterable[str] = ()) -> None:
        self.kind = kind
        self.known = tuple(known)
        super().__init__(kind)


def is_known(state: State, member: str) -> bool:
    """Whether the member was ever enrolled, or is named by the charter or the newest proposal."""
    return bool(
        state.given(member)
        or state.member_status(member)
        or any(member == each.id for charter in agreements(state) for each in charter.members)
    )


def agreements(state: State) -> tuple[Charter, ...]:
    return tuple(each for each in (state.charter, state.proposal) if each is not None)


def jurisdiction_in(charter: Charter | None, participant: str) -> str:
    """The country a participant acts under; empty when the charter does not say."""
    parties = charter.participants if charter else ()
    return next((each.jurisdiction for each in parties if each.id == participant), None) or ""


def case_of(state: State, question: Question) -> Case:
    """Everything the policies are told about a question.

    Raises: UnknownSubject.
    """
    builder = _Builder(state, question)
    member, subject = builder.member(question.member), builder.subject()
    return Case(question.action, member, subject, builder.entities, builder.context())


class _Builder:
    """Collects the entities of one case."""

    def __init__(self, state: State, question: Question) -> None:
        self.state = state
        self.question = question
        self.entities: dict[Ref, Mapping[str, Any]] = {}
        stops = question.action in _DISPUTES_STOP
        self.disputed = self._disputed() if stops else frozenset()
        self.revoked = state.revoked if stops else frozenset()

    def _disputed(self) -> frozenset[tuple[str, str]]:
        rows = self.state.rows(g.disputes, status="raised")
        return frozenset((row.about_kind, row.about) for row in rows)

    def context(self) -> dict[str, Any]:
        facts = self.question.facts
        context: dict[str, Any] = {
            "now": self.state.at,
            "collaboration": self.collaboration(),
            "justified": bool(str(facts.get("justification") or "").strip()),
        }
        if facts.get("purpose"):
            context["purpose"] = str(facts["purpose"])
        if facts.get("participant"):
            context["participant"] = Ref("Participant", str(facts["participant"]))
        if facts.get("terms"):
            context["terms"] = str(facts["terms"])
        roles = facts.get("roles") or ([facts["role"]] if facts.get("role") else None)
        if isinstance(roles, Iterable):
            context["roles"] = frozenset(str(role) for role in roles)
        if isinstance(keep := facts.get("keep"), bool):
            context["keep"] = keep
        if isinstance(until := facts.get("expires_at"), datetime):
            context["expires"] = until
        return context

    def collaboration(self) -> Ref:
        charter, now = self.state.agreement, self.state.at
        start, end = _days(charter) if charter else (_BEGINNING, _BEGINNING)
        return self._put(
            "Collaboration",
            self.state.collaboration,
            {
                "phase": self.state.phase,
                "from": start,
                "until": end,
                "terms": self._terms(),
                "justify": charter is None or charter.audit.justification_required,
                "grantsUntil": now + timedelta(days=charter.access.grant_days if charter else 0),
                "emergencyUntil": now + timedelta(hours=charter.access.emergency_hours if charter else 0),
            },
        )

    def _terms(self) -> frozenset[str]:
        if self.question.action != "acknowledge_terms":
            return frozenset()
        return frozenset(each.terms_digest for each in agreements(self.state) if each.terms_digest)

    def participant(self, participant: str) -> Ref:
        ref = Ref("Participant", participant)
        if ref in self.entities:
            return ref
        status = self.state.participant_status(participant) or "unknown"
        mine = ("participant", participant)
        return self._put(
            *ref,
            {
                "status": status,
                "disputed": mine in self.disputed,
                "revoked": mine in self.revoked,
                "jurisdiction": jurisdiction_in(self.state.agreement, participant),
            },
        )

    def member(self, member: str) -> Ref:
        ref = Ref("Member", member)
        if ref in self.entities:
            return ref
        status = self.state.member_status(member) or "unknown"
        home = self.participant(participant_of(member))
        present = self.entities[home]["status"]
        takes_part = status == present == "active"
        may_go = status == "active" and present == "suspended" and self.question.action in _WHILE_SUSPENDED
        return self._put(
            *ref,
            {
                "participant": home,
                "status": status,
                "roles": self.state.held(member, emergency=False) if takes_part or may_go else frozenset(),
                "lent": self.state.lent(member) if takes_part else frozenset(),
                "lentBefore": self.question.action == "open_emergency" and self._has_lent(member),
                "named": self.state.given(member),
                "acknowledged": self._acknowledged(member),
            },
        )

    def _has_lent(self, member: str) -> bool:
        """Whether the review of a role that this member lent is overdue."""
        return any(
            lent is not None and lent.lender == member
            for review in self.state.rows(g.reviews, kind="emergency", status="open")
            if moment(review.due) <= self.state.at
            for asked in self.state.rows(g.attestations, review=review.review)
            for lent in [self.state.grant(asked.grant)]
        )

    def _acknowledged(self, member: str) -> bool:
        terms = self.state.agreement.terms_digest if self.state.agreement else None
        if terms is None:
            return True
        return self.question.action in _TERMS_ASKED and self.state.acknowledged(member, terms)

    # --- what it is about

    def subject(self) -> Ref:
        name = self.question.subject
        match self.question.action:
            case "propose_charter" | "freeze":
                if name != self.state.collaboration:
                    raise UnknownSubject("collaboration", [self.state.collaboration])
                return self.collaboration()
            case "sign_charter" | "withdraw_charter":
                return self._charter(name)
            case "accept_invitation" | "leave":
                return self._named_participant(name)
            case "renew_grant" | "revoke_grant" | "attest_review":
                return self._grant(name)
            case "open_decision":
                if name not in MATTERS:
                    raise UnknownSubject("matter", MATTERS)
                return self._put("Matter", name, {"everyone": name in OPEN_TO_EVERYONE})
            case "vote":
                return self._decision(name)
            case "raise_dispute":
                return self._disputable(name)
            case "attest_dataset" | "contribute" | "withdraw_people":
                return self._dataset(name)
            case "withdraw_contribution":  # also of a dataset that the charter names no more
                return self._dataset(name, given_under=self._last_naming(name))
            case "submit_request":
                return self._computation(name)
            case "open_insight":
                return self._release(name)
        if not is_known(self.state, name):
            raise UnknownSubject("member", [])
        return self.member(name)

    def _charter(self, digest: str) -> Ref:
        """By digest; or by the name of the collaboration: what waits for signatures, else what is active."""
        if digest == self.state.collaboration:
            charter = self.state.proposal or self.state.charter
        else:
            charter = self.state.charter_version(digest)
        if charter is None:
            raise UnknownSubject("charter", [each.digest for each in agreements(self.state)])
        parties = frozenset(Ref("Participant", each.id) for each in charter.participants)
        status = self.state.charter_status(charter.digest) or "unknown"
        return self._put("Charter", charter.digest, {"status": status, "participants": parties})

    def _named_participant(self, name: str) -> Ref:
        known = {each.id for charter in agreements(self.state) for each in charter.participants}
        if name not in known and self.state.participant_status(name) is None:
            raise UnknownSubject("participant", known)
        return self.participant(name)

    def _grant(self, name: str) -> Ref:
        grant = self.state.grant(name)
        if grant is None:
            raise UnknownSubject("grant", [each.id for each in self.state.grants()])
        asked = self.state.rows(g.attestations, review=str(self.question.facts.get("review")), grant=name)
        return self._put(
            "Grant",
            name,
            {
                "member": self.member(grant.member),
                "participant": self.participant(participant_of(grant.member)),
                "role": grant.role,
                "emergency": grant.emergency,
                "lender": frozenset({Ref("Member", grant.lender)} if grant.lender is not None else ()),
                "attested": any(row.keep is not None for row in asked),
                "named": grant.role in self.state.given(grant.member),
            },
        )

    def _decision(self, name: str) -> Ref:
        row = self.state.decision(name)
        if row is None:
            pending = self.state.rows(g.decisions, status="pending")
            raise UnknownSubject("decision", [each.decision for each in pending])
        try:
            voters = electorate(self.state, row).voters
        except CharterError:  # the charter no longer names what it is about: nobody decides it
            voters = ()
        return self._put(
            "Decision",
            name,
            {
                "status": row.status,
                "asker": Ref("Member", row.asked_by),
                "voters": frozenset(Ref("Member", each) for each in voters),
            },
        )

    def _disputable(self, name: str) -> Ref:
        asked = self.question.facts.get("kind")
        for kind in DISPUTABLE if asked is None else (str(asked),):
            try:
                match kind:
                    case "participant":
                        return self._named_participant(name)
                    case "dataset":
                        return self._dataset(name)
                    case "release":
                        return self._release(name)
                    case "request" if (row := self.state.request(name)) is not None:
                        return self._put("Request", name, {"participant": self.participant(row.participant)})
            except UnknownSubject:
                continue
        raise UnknownSubject("request, release, dataset or participant")

    def _last_naming(self, dataset: str) -> Charter | None:
        """The newest charter there ever was that names this dataset, unless the one in force does."""
        versions = sorted(self.state.rows(g.charters), key=lambda row: -int(row.seq))
        known = (self.state.charter_version(row.digest) for row in versions if row.status != "withdrawn")
        candidates = (each for each in (self.state.agreement, *known) if each is not None)
        return next((each for each in candidates if any(d.id == dataset for d in each.datasets)), None)

    def _dataset(self, name: str, *, given_under: Charter | None = None) -> Ref:
        charter = given_under or self.state.agreement
        dataset = next((each for each in charter.datasets if each.id == name), None) if charter else None
        if dataset is None:
            raise UnknownSubject("dataset", [each.id for each in charter.datasets] if charter else [])
        attested = self.state.attested_dataset(name) if dataset.onboarding else None
        return self._put(
            "Dataset",
            name,
            {
                "participant": self.participant(dataset.participant),
                "classification": dataset.classification,
                "purposes": frozenset(dataset.purposes),
                "attested": not dataset.onboarding
                or (attested is not None and self.state.at < moment(attested.expires_at)),
                "disputed": ("dataset", name) in self.disputed,
                "revoked": ("dataset", name) in self.revoked,
            },
        )

    def _computation(self, name: str) -> Ref:
        charter = self.state.agreement
        if charter is None:
            raise UnknownSubject("computation")
        agreed = next((each for each in charter.computations if each.template == name), None)
        read = self.question.facts.get("datasets")
        names = {str(each) for each in read} if isinstance(read, Iterable) else set()
        shared = frozenset(agreed.purposes if agreed else ())
        behind = [each for each in charter.datasets if each.id in names]
        for dataset in behind:
            shared &= frozenset(dataset.purposes)
        places = places_of(behind)
        return self._put(
            "Computation",
            name,
            {
                "requesters": frozenset(
                    Ref("Participant", each) for each in (agreed.requesters if agreed else ())
                ),
                "purposes": frozenset(agreed.purposes if agreed else ()),
                "shared": shared,
                "agreed": agreed is not None
                and all(name not in e.templates for e in charter.prohibited_uses),
                "disputed": any(("dataset", each) in self.disputed for each in names),
                "revoked": any(("dataset", each) in self.revoked for each in names),
                "anywhere": places.anywhere,
                "places": places.countries,
            },
        )

    def _release(self, name: str) -> Ref:
        row = self.state.release(name)
        if row is None:
            raise UnknownSubject("release")
        charter = self.state.agreement
        detail = charter.access.detail.model_dump(exclude_none=True) if charter else {}
        places = places_behind(self.state, row)
        return self._put(
            "Release",
            name,
            {
                "receivers": frozenset(Ref("Participant", each) for each in json.loads(row.receivers)),
                "readers": frozenset(detail),
                "expires": moment(row.expires_at),
                "recalled": row.recalled,
                "disputed": bool({("release", name), ("request", row.request)} & self.disputed),
                "revoked": bool({("release", name), ("request", row.request)} & self.revoked),
                "anywhere": places.anywhere,
                "places": places.countries,
            },
        )

    def _put(self, kind: str, name: str, attributes: Mapping[str, Any]) -> Ref:
        ref = Ref(kind, name)
        self.entities[ref] = attributes
        return ref


def _days(charter: Charter) -> tuple[datetime, datetime]:
    """The charter's days as moments; its last day counts in full."""
    end = (
        charter.effective_until + timedelta(days=1)
        if charter.effective_until.year < 9999
        else charter.effective_until
    )
    return (
        datetime.combine(charter.effective_from, time.min, UTC),
        datetime.combine(end, time.min, UTC),
    )
