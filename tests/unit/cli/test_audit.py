from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from orchestration import house
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import make
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import ALL_TABLES
from orchestration.audit.stage_events import RequestSubmitted
from orchestration.cli.audit import app
from orchestration.errors import ConfigError, IntegrityError
from orchestration.signing import SigningKey


class Desk:
    """A log with a few events, standing in for the house that the commands open."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = f"sqlite:///{folder / 'control.db'}"
        self.operator = SigningKey.generate()
        self.checkpoints = folder / "checkpoints"
        with AuditLog(self.url) as log:
            for number in range(5):
                log.append(submitted(f"request-{number}"))
            make(log, self.operator, self.checkpoints)
        monkeypatch.setattr(house, "House", SimpleNamespace(opened=self.opened))
        monkeypatch.setenv("COLUMNS", "80")

    @contextmanager
    def opened(self, settings: object) -> Iterator[Any]:
        with AuditLog(self.url) as log:
            yield SimpleNamespace(log=log, operator=self.operator, checkpoints=self.checkpoints)

    def tamper(self) -> None:
        with AuditLog(self.url) as log, log.write() as connection:
            connection.execute(t.events.update().where(t.events.c.seq == 2).values(subject="other"))

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])


def submitted(subject: str) -> Event:
    payload = RequestSubmitted(
        template="audience_overlap",
        parameters={},
        purpose="customer_insight",
        requester="brand_agency.analyst",
        participant="brand_agency",
    )
    return Event(collaboration="grocery", subject=subject, actor="brand_agency.analyst", payload=payload)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_the_log_is_listed_oldest_first_in_80_columns(desk: Desk) -> None:
    shown = desk.run("log", "--limit", 3)
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.stdout.splitlines() if "request-" in line] == ["2", "3", "4"]
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "3 of 5 events" in shown.stdout


def test_names_from_outside_cannot_paint_the_screen(desk: Desk) -> None:
    with AuditLog(desk.url) as log:
        log.append(submitted("[red]\x1b[2J\u202e"))
    shown = desk.run("log").stdout
    assert "[red]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_log_as_json_is_whole(desk: Desk) -> None:
    shown = json.loads(desk.run("log", "--json", "--subject", "request-3").stdout)
    assert [(entry["seq"], entry["event"]["payload"]["purpose"]) for entry in shown] == [
        (3, "customer_insight")
    ]


def test_a_sound_log_verifies(desk: Desk) -> None:
    shown = desk.run("verify")
    assert shown.exit_code == 0
    for line in (
        "events 5/5 valid",
        "checkpoints 1/1 consistent",
        f"tables {len(ALL_TABLES)}/{len(ALL_TABLES)} equal",
    ):
        assert line in shown.stdout
    assert json.loads(desk.run("verify", "--json").stdout)["ok"] is True


def test_a_changed_log_is_reported_with_the_place(desk: Desk) -> None:
    desk.tamper()
    shown = desk.run("verify")
    assert "event 2: its columns differ from its content" in shown.stdout
    assert "events 4/5 valid" in shown.stdout
    assert isinstance(shown.exception, IntegrityError)
    assert "event 2" in shown.exception.message


def test_a_changed_log_in_json_is_one_document_and_exit_code_4(desk: Desk) -> None:
    desk.tamper()
    shown = desk.run("verify", "--json")
    assert shown.exit_code == 4
    assert json.loads(shown.stdout)["problems"][0]["where"] == "event 2"


def test_a_proof_travels_and_is_checked_without_the_log(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "event 3 stands in the log of 5 events" in desk.run("proof", 3).stdout
    (tmp_path / "proof.json").write_text(desk.run("proof", 3, "--json").stdout)
    (tmp_path / "key.json").write_text(json.dumps(desk.operator.public))
    assert desk.run("proof", "--check", tmp_path / "proof.json").exit_code == 0
    monkeypatch.delattr(house, "House")
    monkeypatch.setattr(house, "House", None, raising=False)
    shown = desk.run("proof", "--check", tmp_path / "proof.json", "--key", tmp_path / "key.json")
    assert "The proof holds" in shown.stdout


def test_a_changed_proof_is_refused(desk: Desk, tmp_path: Path) -> None:
    proof = json.loads(desk.run("proof", 3, "--json").stdout)
    proof["event"]["actor"] = "somebody else"
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    shown = desk.run("proof", "--check", tmp_path / "proof.json")
    assert isinstance(shown.exception, IntegrityError)
    assert shown.exception.code == "evidence.not_included"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "audit.proof_usage"),
        (["3", "--check", "x"], "audit.proof_usage"),
        (["99"], "log.no_such_event"),
        (["--check", "/nowhere/proof.json"], "file.unreadable"),
        (["--check", "x", "--key", "/nowhere/key.json"], "file.unreadable"),
        (["--check", "x", "--key", __file__], "file.not_a_key"),
    ],
)
def test_wrong_use_is_told(desk: Desk, arguments: list[str], code: str) -> None:
    shown = desk.run("proof", *arguments)
    assert isinstance(shown.exception, ConfigError)
    assert shown.exception.code == code
