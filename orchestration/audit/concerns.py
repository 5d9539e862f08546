"""Which events of the log concern a participant, and so stand in its view in full.

Belongs here: one rule for each type of event; a type without a rule is shown to nobody but its actor. Must
not be here: the view itself (`view`). Everybody sees who takes part, with which keys and rights, and what
stops the collaboration. Beyond that a participant sees its own acts, its own data on its way, requests that
it made, that read its data or that wait for its vote, and what came of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from orchestration.audit import governance_events as g
from orchestration.audit import stage_events as s
from orchestration.audit import withdrawal_events as w
from orchestration.audit.events import Event
from orchestration.audit.key_events import CollaborationKeyShared, HouseKeysRotated
from orchestration.audit.portal_events import LoginChanged, LoginLocked, PortalEntered
from orchestration.audit.vocabulary import Payload
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json
from orchestration.participants.state import participant_of, read_charter

FOR_EVERYBODY: tuple[type[Payload], ...] = (
    g.CharterProposed,
    g.CharterSigned,
    g.CharterWithdrawn,
    g.CharterActivated,
    g.CharterClosed,
    g.ParticipantAccepted,
    g.ParticipantSuspended,
    g.ParticipantReinstated,
    g.ParticipantRemoved,
    g.ParticipantLeft,
    g.MemberEnrolled,
    g.MemberRetired,
    g.KeyRotated,
    g.KeyRevoked,
    HouseKeysRotated,
    CollaborationKeyShared,
    g.GrantGiven,
    g.GrantRenewed,
    g.GrantRevoked,
    g.EmergencyOpened,
    g.EmergencyUsed,
    g.CollaborationFrozen,
    g.CollaborationThawed,
    g.ExceptionGranted,
    g.ExceptionLapsed,
    g.ReviewOpened,
    g.ReviewAttested,
    g.ReviewClosed,
    w.PseudonymsRotated,
)


@dataclass
class Concerns:
    """Reads the events of a log in order, and says of each whether it concerns one participant."""

    collaboration: str
    participant: str
    _charters: dict[str, Charter] = field(default_factory=dict)
    _agreement: Charter | None = None
    _datasets: set[str] = field(default_factory=set)
    _contributions: set[str] = field(default_factory=set)
    _requests: set[str] = field(default_factory=set)
    _releases: set[str] = field(default_factory=set)
    _decisions: set[str] = field(default_factory=set)

    def is_shown(self, event: Event) -> bool:
        """Every event has to be asked about, in order: what is shown later follows from those before."""
        if event.collaboration != self.collaboration:
            return False
        self._read_agreement(event.payload)
        rule = RULES.get(type(event.payload))
        concerned = isinstance(event.payload, FOR_EVERYBODY) or (rule is not None and rule(self, event))
        return concerned or self.is_ours(event.actor)

    def is_ours(self, member: str) -> bool:
        """Whether this is one of the participant's members; the house's own names have no dot."""
        return "." in member and participant_of(member) == self.participant

    def owns(self, datasets: Iterable[str]) -> bool:
        return not self._datasets.isdisjoint(datasets)

    def _read_agreement(self, payload: Payload) -> None:
        """The active charter's rules count; before there is one, those of the text on the table."""
        if isinstance(payload, g.CharterProposed):
            charter = read_charter(canonical_json(payload.document).decode())
            self._charters[payload.digest] = charter
            self._agreement = self._agreement or charter
        elif isinstance(payload, g.CharterActivated):
            self._agreement = self._charters.get(payload.digest, self._agreement)
        else:
            return
        given = self._agreement.datasets if self._agreement is not None else ()
        self._datasets = {each.id for each in given if each.participant == self.participant}

    def votes_on(self, matter: str, right_id: str | None) -> bool:
        """Whether the charter lets the participant, or one of its members on a panel, decide this."""
        charter = self._agreement
        if charter is None:
            return False
        right = charter.right_for(cast("Any", matter), right_id)
        panels = [charter.review_body] if right.body == "review_body" else []
        panels += [charter.ethics_panel] if right.ethics_for else []
        named = [member for panel in panels if panel is not None for member in panel.members]
        named += [right.escalate_to] if right.escalate_to is not None else []
        return self.participant in right.deciders or any(map(self.is_ours, named))

    def keep(self, kind: set[str], subject: str, concerned: bool) -> bool:
        if concerned:
            kind.add(subject)
        return concerned

    # --- data on its way

    def contribution_accepted(self, event: Event) -> bool:
        payload = cast("s.ContributionAccepted", event.payload)
        ours = payload.participant == self.participant
        return self.keep(self._contributions, payload.receipt.subject, ours)

    def contribution_refused(self, event: Event) -> bool:
        payload = cast("s.ContributionRefused", event.payload)
        ours = payload.participant == self.participant
        return self.keep(self._contributions, event.subject, ours)

    def contribution_handled(self, event: Event) -> bool:
        payload = cast("s.DatasetDeidentified | s.GatePassed | s.GateFailed", event.payload)
        return payload.contribution in self._contributions

    def room_refreshed(self, event: Event) -> bool:
        payload = cast("s.RoomRefreshed", event.payload)
        return any(not self._contributions.isdisjoint(each) for each in payload.tables.values())

    def stage_failed(self, event: Event) -> bool:
        payload = cast("s.StageFailed", event.payload)
        return payload.subject in {*self._contributions, *self._requests, self.collaboration}

    # --- requests and releases

    def request_submitted(self, event: Event) -> bool:
        payload = cast("s.RequestSubmitted", event.payload)
        ours = payload.participant == self.participant or self.owns(payload.datasets)
        ours = ours or (payload.approval is not None and self.votes_on("request", payload.approval))
        return self.keep(self._requests, event.subject, ours)

    def request_decided(self, event: Event) -> bool:
        return event.subject in self._requests

    def request_handled(self, event: Event) -> bool:
        payload = cast("s.ComputationRun | s.OutputGenerated | s.OutputWithheld", event.payload)
        return payload.request in self._requests

    def output_released(self, event: Event) -> bool:
        payload = cast("s.OutputReleased", event.payload)
        ours = payload.request in self._requests or self.participant in payload.receivers
        return self.keep(self._releases, payload.release, ours)

    def release_used(self, event: Event) -> bool:
        payload = cast(
            "s.OutputAccessed | s.AccessDenied | g.OutputRecalled | w.OutputOutdated", event.payload
        )
        return payload.release in self._releases

    # --- decisions and disputes

    def decision_opened(self, event: Event) -> bool:
        payload = cast("g.DecisionOpened", event.payload)
        ours = payload.about == self.participant or self.is_ours(event.actor)
        ours = ours or self.votes_on(payload.matter, None)
        return self.keep(self._decisions, event.subject, ours)

    def decision_handled(self, event: Event) -> bool:
        payload = cast("g.VoteCast | g.DecisionEscalated | g.DecisionConcluded", event.payload)
        return payload.decision in self._decisions or payload.decision in self._requests

    def dispute_raised(self, event: Event) -> bool:
        payload = cast("g.DisputeRaised", event.payload)
        things = {
            "request": self._requests,
            "release": self._releases,
            "dataset": self._datasets,
            "participant": {self.participant},
        }
        ours = payload.about in things[payload.about_kind] or self.is_ours(event.actor)
        ours = ours or self.votes_on("dispute", None)
        return self.keep(self._decisions, event.subject, ours)

    def dispute_handled(self, event: Event) -> bool:
        return event.subject in self._decisions

    # --- one's own

    def dataset_attested(self, event: Event) -> bool:
        return self.owns([cast("g.DatasetAttested", event.payload).dataset])

    def data_withdrawn(self, event: Event) -> bool:
        payload = cast(
            "w.ContributionWithdrawn | w.PeopleWithdrawn | w.ContributionTrimmed | w.WithdrawalApplied",
            event.payload,
        )
        return self.owns([payload.dataset])

    def own_member(self, event: Event) -> bool:
        return self.is_ours(event.subject)

    def data_destroyed(self, event: Event) -> bool:
        payload = cast("g.DataDestroyed", event.payload)
        whose = {self.participant, self.collaboration}
        theirs = (*payload.contributions, *payload.quarantined)
        return event.subject in whose or not self._contributions.isdisjoint(theirs)


RULES: dict[type[Payload], Callable[[Concerns, Event], bool]] = {
    s.ContributionAccepted: Concerns.contribution_accepted,
    s.ContributionRefused: Concerns.contribution_refused,
    s.DatasetDeidentified: Concerns.contribution_handled,
    s.GatePassed: Concerns.contribution_handled,
    s.GateFailed: Concerns.contribution_handled,
    s.RoomRefreshed: Concerns.room_refreshed,
    s.StageFailed: Concerns.stage_failed,
    s.RequestSubmitted: Concerns.request_submitted,
    s.RequestDecided: Concerns.request_decided,
    s.ComputationRun: Concerns.request_handled,
    s.OutputGenerated: Concerns.request_handled,
    s.OutputWithheld: Concerns.request_handled,
    s.OutputReleased: Concerns.output_released,
    s.OutputAccessed: Concerns.release_used,
    s.AccessDenied: Concerns.release_used,
    g.OutputRecalled: Concerns.release_used,
    w.OutputOutdated: Concerns.release_used,
    w.ContributionWithdrawn: Concerns.data_withdrawn,
    w.PeopleWithdrawn: Concerns.data_withdrawn,
    w.ContributionTrimmed: Concerns.data_withdrawn,
    w.WithdrawalApplied: Concerns.data_withdrawn,
    g.DecisionOpened: Concerns.decision_opened,
    g.VoteCast: Concerns.decision_handled,
    g.DecisionEscalated: Concerns.decision_handled,
    g.DecisionConcluded: Concerns.decision_handled,
    g.DisputeRaised: Concerns.dispute_raised,
    g.DisputeDocumented: Concerns.dispute_handled,
    g.DisputeResolved: Concerns.dispute_handled,
    g.DatasetAttested: Concerns.dataset_attested,
    g.TermsAcknowledged: Concerns.own_member,
    g.DataDestroyed: Concerns.data_destroyed,
    LoginChanged: Concerns.own_member,
    PortalEntered: Concerns.own_member,
    LoginLocked: Concerns.own_member,
}
