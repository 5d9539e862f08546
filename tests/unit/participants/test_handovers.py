"""Nothing forged gets onto the data path: every handover is judged in the transaction that records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from orchestration.audit import governance_events as e
from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.portal_events import LoginLocked, PortalEntered
from orchestration.audit.replay import replay
from orchestration.audit.vocabulary import Handover, Payload
from orchestration.participants import deliveries, emergencies, guard
from orchestration.participants.verdict import verdicts
from orchestration.scope.manifest import claimed_manifest
from orchestration.signing import SigningKey
from tests.data_path import DataPath
from tests.unit.participants.founding import EVIDENCE, TINY, Trio, read_terms, refused

OTHER = "sha256:" + "f" * 64
OWNERS = {"sales": "shop", "products": "shop", "people": "panel"}
Step = Callable[[LoggedEvent], Handover]
STAGES = ("contribution", "deidentified", "gate", "room", "cells", "protected", "insight")


@dataclass
class Road:
    """A trio, its data path as far as it was recorded, and what comes next."""

    trio: Trio
    made: DataPath
    room: LoggedEvent

    def upto(self, stage: str) -> Handover:
        """The honest payload of `stage`, after everything before it was recorded."""
        made, steward = self.made, "shop.steward"
        key, ask = self.trio.key(steward), "joint_segmentation"
        accepted = made.accepted("sales", steward, key, file=2)
        of_data: list[Step] = [lambda _: accepted, made.deidentified, made.passed, made.refreshed]
        of_answers: list[Step] = [
            lambda _: made.ran("r-1", ask, self.room),
            lambda before: made.protected("r-1", ask, before),
            lambda before: made.released("r-1", ask, "insight", before),
        ]
        at = STAGES.index(stage)
        steps = of_data[: at + 1] if at < len(of_data) else of_answers[: at + 1 - len(of_data)]
        payload, before = steps[0](self.room), self.room
        for step in steps[1:]:
            before = made.record(payload)
            payload = step(before)
        return payload

    def replays(self) -> bool:
        return replay(self.trio.log).ok

    def forged(self, payload: Payload, subject: str = "") -> str:
        """What replaying finds, once the event was put into the log past the guard."""
        self.trio.log.admit = None
        self.made.record(payload, subject)
        self.trio.log.admit = guard.admit
        refusal = replay(self.trio.log).refused
        return refusal.code if refusal is not None else ""


@pytest.fixture
def path(trio: Trio) -> Road:
    """Three contributions in the room, and a request that was permitted."""
    made = DataPath(trio.log, trio.charter, trio.at)
    attested = e.DatasetAttested(
        dataset="people", evidence={"consent": EVIDENCE}, expires_at=trio.at + timedelta(days=30)
    )
    trio.act("panel.steward", "people", attested)
    gates = [
        made.contribute(dataset, f"{owner}.steward", trio.key(f"{owner}.steward"))
        for dataset, owner in OWNERS.items()
    ]
    room = made.record(made.refreshed(*gates))
    read_terms(trio, "shop.analyst")
    trio.act("shop.analyst", "r-1", trio.request())
    for steward in ("shop.steward", "panel.steward"):
        trio.vote(steward, "r-1")
    decide(trio)
    return Road(trio, made, room)


def decide(trio: Trio) -> None:
    with trio.state() as state:
        due = list(verdicts(state))
    trio.log.append_many(due)


@pytest.mark.parametrize("stage", STAGES)
def test_what_fits_is_recorded_and_replays(path: Road, stage: str) -> None:
    path.made.record(path.upto(stage))
    assert path.replays()


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_handed_over_while_frozen(path: Road, stage: str) -> None:
    payload = path.upto(stage)
    path.trio.act("panel.steward", TINY, e.CollaborationFrozen())
    refused("collaboration.frozen", lambda: path.made.record(payload))
    assert path.forged(payload) == "collaboration.frozen"


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_handed_over_under_another_charter(path: Road, stage: str) -> None:
    payload = path.upto(stage)
    other = payload.receipt.model_copy(update={"charter_digest": OTHER})
    refused("charter.not_active", lambda: path.made.record(payload.model_copy(update={"receipt": other})))


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_handed_over_in_a_members_name(path: Road, stage: str) -> None:
    event = path.made.event(path.upto(stage), actor="shop.steward")
    refused("house.speaks_for_itself", lambda: path.trio.log.append(event))


@pytest.mark.parametrize("stage", STAGES[1:])
def test_nothing_is_handed_over_without_the_receipt_before_it(path: Road, stage: str) -> None:
    payload = path.upto(stage)
    for inputs in ((), ("0" * 64,), (*payload.receipt.inputs, path.room.receipt_id)):
        receipt = payload.receipt.model_copy(update={"inputs": inputs})
        forged = payload.model_copy(update={"receipt": receipt})
        if inputs != payload.receipt.inputs:
            refused("receipt.missing", lambda forged=forged: path.made.record(forged))


@pytest.mark.parametrize("stage", STAGES[:3])
def test_nothing_is_made_of_disputed_data(path: Road, stage: str) -> None:
    payload = path.upto(stage)
    dispute = e.DisputeRaised(about_kind="dataset", about="sales", remedy="delete")
    path.trio.act("media.steward", "c-1", dispute)
    refused("dispute.pending", lambda: path.made.record(payload))


@pytest.mark.parametrize("stage", STAGES[4:])
@pytest.mark.parametrize(
    ("kind", "about"), [("request", "r-1"), ("dataset", "people"), ("participant", "panel")]
)
def test_nothing_is_answered_from_what_is_disputed(path: Road, stage: str, kind: Any, about: str) -> None:
    payload = path.upto(stage)
    path.trio.act("media.steward", "c-1", e.DisputeRaised(about_kind=kind, about=about, remedy="recall"))
    refused("dispute.pending", lambda: path.made.record(payload))


@pytest.mark.parametrize("stage", STAGES[4:])
def test_nothing_is_answered_from_what_somebody_took_away(path: Road, stage: str) -> None:
    payload = path.upto(stage)
    path.trio.act("panel.steward", "panel", e.ParticipantLeft(participant="panel"))
    refused("participant.not_active", lambda: path.made.record(payload))
    with path.trio.state() as state:
        kept = tuple(row.contribution for row in state.rows(t.contributions, participant="panel"))
    path.trio.operator("panel", e.DataDestroyed(rule="left", contributions=kept))
    refused("receipt.missing", lambda: path.made.record(payload))


FORGED: list[tuple[str, dict[str, Any], str]] = [
    ("contribution", {"rows": 8}, "contribution.other_manifest"),
    ("contribution", {"source_digest": OTHER}, "contribution.other_manifest"),
    ("contribution", {"vault_digest": OTHER}, "contribution.other_manifest"),
    ("contribution", {"signer": "shop.analyst"}, "contribution.other_manifest"),
    ("contribution", {"participant": "panel"}, "contribution.other_manifest"),
    ("contribution", {"purposes": ("insight",)}, "contribution.other_manifest"),
    ("contribution", {"dataset": "people"}, "contribution.wrong_signer"),
    ("contribution", {"dataset": "secrets"}, "charter.unknown_name"),
    ("contribution", {"manifest": {"forged": True}}, "contribution.unsigned"),
    ("deidentified", {"techniques": {}}, "handover.not_as_agreed"),
    ("deidentified", {"table": "other"}, "handover.not_as_agreed"),
    ("deidentified", {"dataset": "people"}, "handover.not_as_agreed"),
    ("gate", {"dataset": "people"}, "handover.not_as_agreed"),
    ("cells", {"template": "audience_overlap"}, "handover.not_as_agreed"),
    ("protected", {"threshold": 1}, "handover.not_as_agreed"),
    ("protected", {"cells_shown": 101}, "handover.not_as_agreed"),
    ("protected", {"template": "audience_overlap"}, "handover.not_as_agreed"),
    ("insight", {"receivers": ("shop", "mallory")}, "handover.not_as_agreed"),
    ("insight", {"purpose": "planning"}, "handover.not_as_agreed"),
    ("insight", {"release": "i-other"}, "handover.not_as_agreed"),
    ("insight", {"files": {"table.csv": OTHER}}, "handover.not_as_agreed"),
]


@pytest.mark.parametrize(("stage", "changes", "code"), FORGED, ids=str)
def test_a_forged_handover_is_refused_and_found_by_a_replay(
    path: Road, stage: str, changes: dict[str, Any], code: str
) -> None:
    forged = path.upto(stage).model_copy(update=changes)
    size = path.trio.log.size
    refused(code, lambda: path.made.record(forged))
    assert path.trio.log.size == size


def test_a_release_does_not_stay_open_for_longer_than_agreed(path: Road) -> None:
    payload = path.upto("insight")
    assert isinstance(payload, s.OutputReleased)
    longer = payload.model_copy(update={"expires_at": payload.expires_at + timedelta(seconds=1)})
    refused("handover.not_as_agreed", lambda: path.made.record(longer))


def test_a_forged_run_in_the_log_is_found(path: Road) -> None:
    payload = path.upto("cells")
    assert (
        path.forged(payload.model_copy(update={"template": "audience_overlap"})) == "handover.not_as_agreed"
    )


def test_a_contribution_needs_a_signer_who_may_give_it(path: Road) -> None:
    made, trio = path.made, path.trio
    for dataset, signer, key in (
        ("sales", "shop.analyst", trio.key("shop.analyst")),  # not with this role
        ("sales", "panel.steward", trio.key("panel.steward")),  # not another's
        ("sales", "shop.nobody", trio.key("shop.nobody")),
    ):
        forged = made.accepted(dataset, signer, key, file=9)
        refused("contribution.wrong_signer", lambda forged=forged: made.record(forged))
    stolen = made.accepted("sales", "shop.steward", SigningKey.generate(), file=9)
    refused("contribution.unsigned", lambda: made.record(stolen))
    resold = made.accepted("sales", "shop.steward", trio.key("shop.steward"), file=9, purposes=("resale",))
    refused("contribution.purpose", lambda: made.record(resold))


def test_nothing_enters_that_nobody_vouched_for(path: Road) -> None:
    made, trio = path.made, path.trio
    made.at = trio.later(days=31).at
    given = made.accepted("people", "panel.steward", trio.key("panel.steward"), file=9)
    refused("contribution.not_attested", lambda: made.record(given))


def test_what_only_a_lent_role_lets_somebody_give_is_logged_twice(path: Road) -> None:
    made, trio = path.made, path.trio
    until = trio.at + timedelta(hours=1)
    lent = e.EmergencyOpened(grant="fire", member="shop.analyst", role="contributor", expires_at=until)
    trio.act("shop.steward", "fire", lent)
    given = made.event(made.accepted("sales", "shop.analyst", trio.key("shop.analyst"), file=9))
    refused("emergency.not_told", lambda: trio.log.append(given))
    assert isinstance(given.payload, s.ContributionAccepted)
    with trio.state() as state:
        manifest = claimed_manifest(given.payload.manifest)
        grant = deliveries.emergency_grant(state, trio.charter.dataset("sales"), manifest)
    assert grant is not None
    trace = emergencies.trace(given, grant, "operator", member="shop.analyst", act=given.subject)
    trio.log.append_many([trace, given])
    assert path.replays()


def test_a_request_that_is_not_permitted_runs_nothing(path: Road) -> None:
    trio = path.trio
    trio.act("shop.analyst", "r-2", trio.request(parameters={"rows": "income"}))
    payload = path.made.ran("r-2", "joint_segmentation", path.room)
    refused("request.not_permitted", lambda: path.made.record(payload))
    refused(
        "request.not_permitted",
        lambda: path.made.record(path.made.ran("r-3", "joint_segmentation", path.room)),
    )


# --- destruction


def contributions(path: Road, dataset: str) -> tuple[str, ...]:
    with path.trio.state() as state:
        return tuple(row.contribution for row in state.rows(t.contributions, dataset=dataset))


def test_an_upheld_dispute_destroys_what_it_was_about_and_nothing_else(path: Road) -> None:
    trio = path.trio
    dispute = e.DisputeRaised(about_kind="dataset", about="sales", remedy="delete")
    trio.act("media.steward", "c-1", dispute)
    for reviewer in ("shop.reviewer", "panel.reviewer"):
        trio.vote(reviewer, "c-1")
    later = path.made.record(path.made.accepted("sales", "shop.steward", trio.key("shop.steward"), file=3))
    (sales,) = set(contributions(path, "sales")) - {later.event.subject}
    for subject, about, given in (
        ("shop", "c-1", contributions(path, "products")),
        ("panel", "c-1", contributions(path, "people")),
        ("shop", "c-1", (later.event.subject,)),
        ("shop", "c-1", ("sales-unknown",)),
        ("shop", "c-1", (sales, sales)),
        ("shop", "c-1", ()),
        ("shop", None, (sales,)),
        ("shop", "c-2", (sales,)),
        ("panel", "c-1", (sales,)),
    ):
        payload = e.DataDestroyed(rule="remedy", dispute=about, contributions=given)
        refused("destruction.not_due", lambda s=subject, p=payload: trio.operator(s, p))
    trio.operator("shop", e.DataDestroyed(rule="remedy", dispute="c-1", contributions=(sales,)))
    assert path.replays()


def test_a_dismissed_dispute_destroys_nothing(path: Road) -> None:
    trio = path.trio
    trio.act("media.steward", "c-1", e.DisputeRaised(about_kind="dataset", about="sales", remedy="delete"))
    trio.vote("shop.reviewer", "c-1", "reject")
    payload = e.DataDestroyed(rule="remedy", dispute="c-1", contributions=contributions(path, "sales"))
    refused("destruction.not_due", lambda: trio.operator("shop", payload))
    assert path.forged(payload, "shop") == "destruction.not_due"


# --- in whose name the house speaks


def test_a_first_charter_names_no_member_who_did_not_sign_it(control_url: str) -> None:
    with AuditLog(control_url, admit=guard.admit) as log:
        trio = Trio(log)
        refused("house.speaks_for_itself", lambda: trio.propose(actor="panel.steward"))
        trio.propose()


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        ("panel.steward", PortalEntered(method="key")),
        ("panel.steward", LoginLocked(failures=5)),
        ("x-1", s.AccessDenied(release="x-1", member="panel.steward", code="x")),
    ],
    ids=lambda each: getattr(each, "type", ""),
)
def test_at_the_door_the_house_names_whom_it_is_about(trio: Trio, subject: str, payload: Payload) -> None:
    refused("house.other_member", lambda: trio.log.append(trio.event("shop.steward", subject, payload)))
    trio.log.append(trio.event("panel.steward", subject, payload))
