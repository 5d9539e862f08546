"""`glasshouse can`: the answer, the rules and the next step, in 80 columns; and nothing is done."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner, Result

from orchestration.cli.can import COMMANDS, can, verb_of
from orchestration.errors import ConfigError
from tests.support import TinyHouse

Ask = Callable[..., Result]


@pytest.fixture
def ask(house: TinyHouse, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("GLASSHOUSE_HOME", str(house.house.settings.home))
    monkeypatch.setenv("GLASSHOUSE_CHARTERS", str(house.house.settings.charters))
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.command()(can)

    def invoke(*arguments: str) -> Result:
        before = len(house.house.log.events())
        result = CliRunner().invoke(app, list(arguments))
        assert len(house.house.log.events()) == before
        assert all(len(line) <= 80 for line in result.output.splitlines() if not line.startswith("{"))
        return result

    return invoke


def test_yes_with_the_rule_that_allows(ask: Ask) -> None:
    answer = ask("shop.steward", "freeze", "tiny")
    assert answer.exit_code == 0
    assert answer.output.startswith("Yes. shop.steward may freeze the collaboration")
    assert "Rule: Any steward or owner may stop everything at once" in answer.output


def test_no_with_code_rules_and_next_step(ask: Ask) -> None:
    answer = ask("panel.executive", "contribute", "sales")
    assert answer.exit_code == 1
    assert answer.output.startswith("No. panel.executive acts for panel, and this is up to shop.")
    assert "Code: policy.not_own_organization" in answer.output
    assert "Next: shop.steward can do it instead." in answer.output


def test_a_purpose_makes_the_difference_and_programs_read_json(ask: Ask) -> None:
    question = ("shop.analyst", "submit_request", "audience_overlap", "--json")
    answer = ask(*question)
    assert answer.exit_code == 1
    assert json.loads(answer.output)["code"] == "policy.purpose_not_stated"
    answer = ask(*question, "--purpose", "planning")
    assert answer.exit_code == 0
    said = json.loads(answer.output)
    assert said["allowed"] is True
    assert said["policies"]
    assert (said["code"], said["next_step"]) == (None, None)


def test_roles_to_be_given_are_those_of_the_charter_unless_named(ask: Ask) -> None:
    question = ("shop.steward", "enroll_member", "shop.analyst")
    assert ask(*question).exit_code == 0
    assert "policy.role_not_in_charter" in ask(*question, "--role", "owner").output


@pytest.mark.parametrize(
    ("member", "command", "subject"),
    [
        ("shop.steward", "freeze", "tiny"),
        ("shop.analyst", "terms acknowledge", "shop.analyst"),
        ("shop.analyst", "terms-acknowledge", "shop.analyst"),
        ("panel.steward", "participant suspend", "shop"),
        ("panel.steward", "charter close", "tiny"),
    ],
)
def test_commands_are_understood_as_well_as_verbs(ask: Ask, member: str, command: str, subject: str) -> None:
    assert "policy.unknown" not in ask(member, command, subject).output


def test_every_command_that_asks_for_one_thing_is_a_word_of_can() -> None:
    for command, verb in COMMANDS.items():
        assert verb_of(command)[0] == verb
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(
    ("word", "near"), [("aprove", "approve"), ("submit_reqest", "submit_request"), ("fly", "submit_request")]
)
def test_an_unknown_word_is_wrong_usage_and_names_what_comes_near(word: str, near: str) -> None:
    with pytest.raises(ConfigError, match=r"policy\.unknown_action") as refused:
        verb_of(word)
    assert near in refused.value.next_step


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (("shop.nobody", "freeze", "tiny"), "policy.unknown_member"),
        (("shop.steward", "vote", "d-none"), "policy.unknown_subject"),
        (("shop.\x1b[31msteward", "freeze", "tiny"), "policy.unknown_member"),
    ],
)
def test_what_nobody_knows_is_a_no(ask: Ask, question: tuple[str, ...], code: str) -> None:
    answer = ask(*question)
    assert answer.exit_code == 1
    assert code in answer.output
    assert "\x1b" not in answer.output
