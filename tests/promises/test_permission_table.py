"""Every door of the platform has a row in the permission table, and every row has its door.

A command, route, asset, job, sensor or schedule that somebody adds is found missing here, and a row of one
that is gone is found stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pytest
import typer
from starlette.routing import Mount, Route

from orchestration.audit.events import PAYLOADS
from orchestration.audit.governance_events import CharterProposed
from orchestration.audit.vocabulary import Signed
from orchestration.cli import app
from orchestration.defs.build import build_defs
from orchestration.participants.permissions import ACTIONS, TABLE, Door, Row
from orchestration.participants.policy import policies
from orchestration.portal.app import create_app
from orchestration.settings import PROJECT_ROOT, load_settings
from tests.support import TinyHouse


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield from _commands(each, (*path, name))
        else:
            yield " ".join((*path, name))


def _routes(application: Any) -> Iterator[str]:
    while not hasattr(application, "routes"):  # the guards around the pages
        application = next(each for each in vars(application).values() if callable(each))
    for route in application.routes:
        if isinstance(route, Mount):
            yield f"GET {route.path}"
        elif isinstance(route, Route):
            yield from (f"{method} {route.path}" for method in (route.methods or ()) if method != "HEAD")


def _scheduled(definitions: dg.Definitions) -> Iterator[tuple[Door, str]]:
    for key in definitions.resolve_asset_graph().get_all_asset_keys():
        yield "asset", key.to_user_string()
    for job in definitions.resolve_all_job_defs():
        if not job.name.startswith("__"):
            yield "job", job.name
    yield from (("sensor", each.name) for each in definitions.sensors or ())
    yield from (("schedule", each.name) for each in definitions.schedules or ())


@pytest.fixture(scope="module")
def definitions(initialized_home: Path) -> dg.Definitions:
    charters = PROJECT_ROOT / "charters"
    return build_defs(load_settings(home=initialized_home / "house", charters=charters))


def _opens(row: Row, door: Door, name: str) -> bool:
    pattern = re.sub(r"<[a-z]+>", "[a-z0-9_]+?", row.name) if door in ("asset", "job", "sensor") else None
    return row.door == door and (re.fullmatch(pattern, name) is not None if pattern else row.name == name)


def _compare(doors: set[tuple[Door, str]], kinds: set[Door]) -> None:
    rows = [row for row in TABLE if row.door in kinds]
    missing = [name for door, name in doors if not any(_opens(row, door, name) for row in rows)]
    stale = [row.name for row in rows if not any(_opens(row, door, name) for door, name in doors)]
    assert not missing, f"without a row in the permission table: {sorted(missing)}"
    assert not stale, f"rows of doors that are gone: {sorted(stale)}"


def test_every_command_has_a_row() -> None:
    names = set(_commands(typer.main.get_command(app)))
    assert len(names) > 40
    _compare({("command", name) for name in names}, {"command"})


def test_every_route_has_a_row(fresh: TinyHouse) -> None:
    names = set(_routes(create_app(fresh.house)))
    assert len(names) > 10
    _compare({("route", name) for name in names}, {"route"})


def test_every_asset_job_sensor_and_schedule_has_a_row(definitions: dg.Definitions) -> None:
    _compare(set(_scheduled(definitions)), {"asset", "job", "sensor", "schedule"})


def test_a_new_door_and_a_stale_row_are_found() -> None:
    commands: set[tuple[Door, str]] = {("command", row.name) for row in TABLE if row.door == "command"}
    with pytest.raises(AssertionError, match=r"without a row.*open the vault"):
        _compare({*commands, ("command", "open the vault")}, {"command"})
    with pytest.raises(AssertionError, match=r"rows of doors that are gone.*freeze"):
        _compare(commands - {("command", "freeze")}, {"command"})


def test_every_row_names_verbs_or_a_reason() -> None:
    for row in TABLE:
        assert bool(row.verbs) != bool(row.reason), row
        assert set(row.verbs) <= set(ACTIONS), row
        assert row.door in get_args(Door)
    assert len({(row.door, row.name) for row in TABLE}) == len(TABLE)


def test_every_verb_is_asked_for_somewhere() -> None:
    used = {verb for row in TABLE if row.name != "record" for verb in row.verbs}
    assert used == set(ACTIONS)


def test_every_signed_act_has_exactly_one_verb() -> None:
    signed = [payload for payload in PAYLOADS.values() if issubclass(payload, Signed)]
    events = [action.event for action in ACTIONS.values() if action.event is not None]
    assert len(events) == len(set(events))
    assert set(events) == {*signed, CharterProposed}
    assert {action.verb for action in ACTIONS.values() if action.event is None} == {"contribute"}


def test_every_verb_can_be_permitted_by_some_policy() -> None:
    permitted = {verb for each in policies().values() if each.effect == "permit" for verb in each.actions}
    assert permitted == set(ACTIONS)
