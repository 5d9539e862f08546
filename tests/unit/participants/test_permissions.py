"""The verbs, and the rows of the permission table as data; that they match the doors is a promise."""

from __future__ import annotations

from orchestration.participants.permissions import ACTIONS, TABLE
from orchestration.participants.policy import FOLDER


def test_verbs_say_what_they_are() -> None:
    for verb, action in ACTIONS.items():
        assert action.verb == verb
        assert verb.replace("_", "").isalpha()
        assert action.says == action.says.strip(". ")
        assert action.subject


def test_the_schema_knows_the_same_verbs() -> None:
    schema = (FOLDER / "glasshouse.cedarschema").read_text(encoding="utf-8")
    assert all(verb in schema for verb in ACTIONS)


def test_acts_are_commands() -> None:
    """Whatever a member signs can be signed at the command line, and recorded from elsewhere."""
    commands = {verb for row in TABLE if row.door == "command" and row.name != "record" for verb in row.verbs}
    assert commands == set(ACTIONS)
    elsewhere = next(row for row in TABLE if row.name == "record")
    assert set(elsewhere.verbs) == {each.verb for each in ACTIONS.values() if each.event is not None}
