"""The overview says what the log says: passed with a receipt, refused with a reason, waiting otherwise."""

from __future__ import annotations

from orchestration.audit.stage_events import ContributionAccepted, GateFailed, GatePassed, StageFailed
from orchestration.audit.vocabulary import Handover
from orchestration.digests import digest_bytes
from orchestration.house import House
from orchestration.portal.overview import Overview, overview, rows
from orchestration.portal.sight import Sight
from orchestration.stages.login import Viewer
from tests.unit.portal.portal_house import GROCERY, QUESTIONS, Story

AUDITOR = Viewer(GROCERY, "data_provider.auditor", "data_provider", frozenset({"auditor"}))


def seen(house: House, viewer: Viewer = AUDITOR) -> Overview:
    return overview(house, house.charter(GROCERY), viewer, Sight(house.log).of(viewer).numbers)


def states(view: Overview, dataset: str) -> list[str]:
    chain = next(chain for chain in view.chains if chain.dataset == dataset)
    return [step.word for step in chain.steps]


def test_in_a_new_house_everything_waits_for_its_party(new_house: House) -> None:
    view = seen(new_house)
    assert {step.state for chain in view.chains for step in chain.steps} == {"waiting"}
    assert [step.what for step in view.next_steps] == [f"Contribute {chain.title}" for chain in view.chains]
    assert (view.requests, view.refusals) == ((), ())


def test_every_stage_that_passed_shows_the_receipt_the_log_holds(house: House) -> None:
    view = seen(house)
    steps = [step for chain in view.chains for step in chain.steps]
    steps += [step for request in view.requests if request.release for step in request.steps]
    assert len(steps) == 8 * 4 + 3 * 3
    for step in steps:
        assert step.seq is not None
        logged = house.log.event(step.seq)
        assert (step.state, step.receipt) == ("passed", logged.receipt_id)
        assert isinstance(logged.event.payload, Handover)
        assert logged.event.payload.receipt.stage == step.stage


def test_what_output_control_hid_is_said(house: House) -> None:
    answered = [request for request in seen(house).requests if request.release]
    assert len(answered) == len(QUESTIONS)
    for request in answered:
        _, _, _, shown, primary, complementary = QUESTIONS[request.template]
        assert request.cells is not None
        assert (request.cells.shown, request.cells.primary, request.cells.complementary) == (
            shown,
            primary,
            complementary,
        )
        assert request.cells.total == shown + primary + complementary


def test_a_denied_request_shows_its_reason_and_no_cells(house: House) -> None:
    denied = seen(house).requests[-1]
    assert (denied.status, denied.code, denied.cells, denied.release) == (
        "denied",
        "request.requester",
        None,
        None,
    )
    assert denied.message is not None
    assert denied.message.startswith("The charter does not let media_owner")


def test_a_refused_delivery_stands_until_it_is_accepted(new_house: House) -> None:
    story = Story(new_house)
    story.refuse_delivery()
    assert [refusal.code for refusal in seen(new_house).refusals] == ["contribution.missing_column"]
    refused = new_house.log.events("contribution.refused")[0]
    accepted = ContributionAccepted(
        receipt=story.receipt("contribution", refused.event.subject),
        dataset="coupons",
        participant="brand_agency",
        delivery="coupons-second-try",
        rows=5,
        source_digest=digest_bytes(b"s"),
        vault_digest=digest_bytes(b"v"),
        key_id="k",
        signer="brand_agency.steward",
        purposes=("campaign_effectiveness",),
        manifest={},
    )
    story.say(refused.event.subject, "brand_agency.steward", accepted)
    view = seen(new_house)
    assert view.refusals == ()
    assert states(view, "coupons") == ["accepted", "not yet", "not yet", "not yet"]


def failed_gate(story: Story, passed: GatePassed) -> GateFailed:
    checks = (passed.checks[0], passed.checks[1].model_copy(update={"passed": False}))
    return GateFailed(
        dataset=passed.dataset,
        contribution=passed.contribution,
        table=passed.table,
        charter_digest=story.charter.digest,
        suite_digest=passed.suite_digest,
        run_id="0198f0c2-0000-7000-8000-000000000000",
        checks=checks,
    )


def test_a_failed_gate_takes_back_the_pass_and_names_no_receipt(new_house: House) -> None:
    story = Story(new_house)
    gate = story.contribute("demographics")
    assert states(seen(new_house), "demographics") == ["accepted", "done", "passed", "at next refresh"]
    assert isinstance(gate.event.payload, GatePassed)
    failed = story.say(gate.event.subject, "operator", failed_gate(story, gate.event.payload))
    view = seen(new_house)
    step = next(chain for chain in view.chains if chain.dataset == "demographics").steps[2]
    assert (step.state, step.receipt, step.seq) == ("failed", None, failed.seq)
    assert step.facts == ("1 of 2 checks failed",)
    assert any("failed" in each.what for each in view.next_steps)


def test_a_gate_that_passed_with_a_warning_says_so(new_house: House) -> None:
    story = Story(new_house)
    gate = story.contribute("demographics").event.payload
    assert isinstance(gate, GatePassed)
    warned = gate.checks[0].model_copy(update={"passed": False, "severity": "warning"})
    again = gate.model_copy(update={"checks": (warned, *gate.checks[1:])})
    story.say(gate.contribution, "operator", again)
    step = next(chain for chain in seen(new_house).chains if chain.dataset == "demographics").steps[2]
    assert (step.state, step.facts) == ("passed", ("7/8 checks", "1 warning"))


def test_a_stopped_step_is_shown_until_it_passes(new_house: House) -> None:
    story = Story(new_house)
    gate = story.contribute("demographics")
    stopped = StageFailed(
        stage="room",
        subject=GROCERY,
        code="storage.full",
        message="The disk is full.",
        next_step="Free space.",
    )
    story.say(GROCERY, "operator", stopped)
    view = seen(new_house)
    assert [refusal.code for refusal in view.refusals] == ["storage.full"]
    assert states(view, "demographics")[3] == "stopped"
    story.refresh(
        {"demographics": gate}
        | {
            dataset.id: story.contribute(dataset.id)
            for dataset in story.charter.datasets
            if dataset.id != "demographics"
        }
    )
    view = seen(new_house)
    assert view.refusals == ()
    assert states(view, "demographics")[3] == "joined"


def test_an_insight_nobody_opened_waits_for_its_receivers(house: House) -> None:
    view = seen(house)
    opened = {request.template: request.opened for request in view.requests if request.release}
    assert opened == {"audience_overlap": 0, "joint_segmentation": 0, "campaign_response": 1}
    waiting = {step.what.partition("insight ")[2]: step for step in view.next_steps}
    assert {what: set(step.participants) for what, step in waiting.items()} == {
        "audience overlap": {"retailer", "brand_agency", "media_owner", "data_provider"},
        "joint segmentation": {"retailer", "brand_agency", "data_provider"},
        "campaign response": {"retailer", "media_owner"},  # the agency has opened it
    }
    assert all(step.command.startswith("glasshouse open rel-") for step in waiting.values())


def test_a_release_for_several_waits_for_each_of_them_by_its_own_name(house: House) -> None:
    retailer = Viewer(GROCERY, "retailer.steward", "retailer", frozenset({"steward"}))
    waiting = seen(house, retailer).next_steps
    assert len(waiting) == 3
    for step in waiting:
        assert (step.who, step.participants) == ("Retailer", ("retailer",))
        assert "--as retailer.steward" in step.command
    no_reader = Viewer(GROCERY, "retailer.operator", "retailer", frozenset({"operator"}))
    assert all("--as MEMBER" in step.command for step in seen(house, no_reader).next_steps)


def test_a_receiver_sees_the_answer_and_not_the_question_of_others(house: House) -> None:
    provider = Viewer(GROCERY, "data_provider.steward", "data_provider", frozenset({"steward"}))
    cards = {card.template: card for card in seen(house, provider).requests}
    assert set(cards) == {"audience_overlap", "joint_segmentation"}
    for card in cards.values():
        assert (card.requester, card.parameters, card.cells) == ("", {}, None)
        assert [step.stage for step in card.steps] == ["insight"]
        assert "data_provider" in card.receivers


def test_parties_count_the_rows_of_their_newest_contributions(house: House) -> None:
    found = {party.id: (party.delivered, party.rows) for party in seen(house).parties}
    assert found["retailer"] == (2, 1_469_307 + 92_331)
    assert found["data_provider"] == (1, 801)


def test_the_flat_rows_are_the_steps_of_every_chain(house: House) -> None:
    view = seen(house)
    flat = list(rows(view))
    assert len(flat) == 8 * 4 + 4 * 3
    assert {row["receipt"] for row in flat if row["stage"] == "room"} == {view.chains[0].steps[3].receipt}
