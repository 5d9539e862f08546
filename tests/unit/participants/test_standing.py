"""Whether work may go on: every reason why not, by its code."""

from __future__ import annotations

from orchestration.audit import governance_events as e
from orchestration.participants.standing import require_running
from tests.unit.participants.founding import EVIDENCE, STEWARDS, TINY, Trio, amended, refused


def check(trio: Trio, digest: str | None = None, *participants: str, **kinds: str) -> None:
    with trio.state() as state:
        require_running(
            state,
            digest or trio.charter.digest,
            participants=participants,
            subjects=list(kinds.items()),
        )


def test_it_runs_under_the_active_charter(trio: Trio) -> None:
    check(trio, None, "shop", "panel", dataset="people", release="x-1", request="r-1")


def test_nothing_runs_before_all_have_signed(young: Trio) -> None:
    error = refused("charter.not_active", lambda: check(young))
    assert "proposed" in error.message
    assert "never proposed" in refused("charter.not_active", lambda: check(young, EVIDENCE)).message


def test_nothing_runs_under_a_charter_that_was_superseded(trio: Trio) -> None:
    next_ = amended(trio.charter)
    trio.propose(next_, "shop.steward")
    check(trio)
    for steward in STEWARDS:
        trio.sign_charter(steward, next_)
    assert "superseded" in refused("charter.not_active", lambda: check(trio)).message
    check(trio, next_.digest)


def test_nothing_runs_while_it_is_frozen(trio: Trio) -> None:
    trio.act("shop.steward", TINY, e.CollaborationFrozen())
    refused("collaboration.frozen", lambda: check(trio))


def test_nothing_runs_after_the_end(trio: Trio) -> None:
    trio.ask("shop.steward", "d-1", "closing", TINY)
    trio.vote("panel.steward", "d-1")
    trio.close()
    refused("collaboration.closed", lambda: check(trio))


def test_nothing_runs_with_data_of_who_left(trio: Trio) -> None:
    trio.act("panel.steward", "panel", e.ParticipantLeft(participant="panel"))
    check(trio, None, "shop")
    error = refused("participant.not_active", lambda: check(trio, None, "shop", "panel"))
    assert "left" in error.message
    assert "never invited" in refused("participant.not_active", lambda: check(trio, None, "bank")).message


def test_nothing_happens_to_what_is_under_dispute(trio: Trio) -> None:
    for number, (kind, about) in enumerate((("dataset", "people"), ("participant", "media"))):
        raised = e.DisputeRaised.model_validate({"about_kind": kind, "about": about, "remedy": "warn"})
        trio.act("panel.steward", f"c-{number}", raised)
    check(trio, None, "shop", dataset="sales")
    assert "c-0" in refused("dispute.pending", lambda: check(trio, None, "shop", dataset="people")).next_step
    refused("dispute.pending", lambda: check(trio, None, "media"))
    trio.vote("shop.reviewer", "c-0", "reject")
    check(trio, None, "shop", dataset="people")


def test_what_a_decision_took_away_is_used_no_more(trio: Trio) -> None:
    raised = e.DisputeRaised(about_kind="dataset", about="people", remedy="revoke")
    trio.act("media.steward", "c-1", raised)
    trio.vote("shop.reviewer", "c-1")
    trio.vote("panel.reviewer", "c-1")
    refused("dispute.use_revoked", lambda: check(trio, None, "panel", dataset="people"))
    check(trio, None, "panel", dataset="sales")
    next_ = amended(trio.charter)
    trio.propose(next_, "shop.steward")
    for steward in STEWARDS:
        trio.sign_charter(steward, next_)
    check(trio, next_.digest, "panel", dataset="people")
