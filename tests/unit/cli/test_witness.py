"""The witness at its own site, and what the house does with its cosignature: each command as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from orchestration import house
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import ALL_TABLES
from orchestration.cli import audit
from orchestration.cli.witness import witness
from orchestration.errors import GlasshouseError
from tests.unit.audit.witness_story import Room, rewritten

COMMANDS = typer.Typer()
COMMANDS.add_typer(audit.app, name="audit")
COMMANDS.command("witness")(witness)


class Site:
    """A founded log, the house that opens it, and the participant's site beside it."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.folder = room.folder
        self.log_open = True
        for member, key in room.keys.items():
            key.save(self.folder / f"{member}.pem")
        (self.folder / "operator.json").write_text(json.dumps(room.operator.public), encoding="utf-8")

    @contextmanager
    def opened(self, settings: object) -> Iterator[Any]:
        assert self.log_open, "this command must not open a house"
        room = self.room
        yield SimpleNamespace(
            log=room.log, operator=room.operator, checkpoints=room.checkpoints, charters={"grocery": None}
        )

    def run(self, *arguments: object) -> Result:
        shown = CliRunner().invoke(COMMANDS, [str(argument) for argument in arguments])
        long = [line for line in shown.stdout.splitlines() if len(line) > 80]
        # A key or a signature stays in one piece, because people copy it.
        assert "--json" in arguments or all(max(map(len, line.split())) > 40 for line in long), long
        return shown

    def told(self, *arguments: object) -> str:
        shown = self.run(*arguments)
        assert shown.exit_code == 0, shown.exception
        return " ".join(shown.stdout.split())

    def json(self, *arguments: object) -> Any:
        shown = self.run(*arguments, "--json")
        assert shown.exit_code == 0, shown.exception
        return json.loads(shown.stdout)

    def refused(self, *arguments: object) -> GlasshouseError:
        shown = self.run(*arguments)
        assert isinstance(shown.exception, GlasshouseError), shown.stdout
        return shown.exception

    def witness(self, *more: object, member: str = "data_provider.auditor") -> tuple[object, ...]:
        return (
            "witness",
            self.folder / "published",
            "--as",
            member,
            "--collaboration",
            "grocery",
            "--key",
            self.folder / f"{member}.pem",
            "--state",
            self.folder / "memory",
            *more,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with AuditLog(f"sqlite:///{tmp_path / 'control.db'}") as log:
        room = Room(tmp_path, log)
        room.found()
        room.grow(3)
        site = Site(room)
        monkeypatch.setattr(house, "House", SimpleNamespace(opened=site.opened))
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.chdir(tmp_path)
        yield site


def test_from_publishing_to_a_witnessed_checkpoint(site: Site) -> None:
    assert f"{site.room.log.size} events are published" in site.told("audit", "tiles", "published")
    site.log_open = False
    first = site.told(*site.witness("--out", "cosigned.txt"))
    assert "First look at this log" in first
    assert site.room.operator.key_id in first
    assert "Compare it with the operator by another channel" in first
    second = site.json(*site.witness("--operator-key", "operator.json", member="media_owner.steward"))
    assert second["known"] is None
    site.log_open = True
    assert "data_provider cosigned the checkpoint" in site.told("audit", "cosign", "cosigned.txt")
    half = site.json("audit", "witnesses")["checkpoints"]
    assert half == [{"size": site.room.log.size, "participants": ["data_provider"], "witnessed": False}]
    site.told("audit", "cosign", second["given_to"])
    told = site.told("audit", "witnesses")
    assert "a checkpoint needs 2 of them" in told
    assert "data_provider, media_owner ✓ yes" in told
    site.told("audit", "tiles", "published")
    assert "tiles 2/2 as the log has them" in site.told("audit", "verify", "--tiles", "published")


def test_a_log_that_grew_is_told_so(site: Site) -> None:
    site.told("audit", "tiles", "published")
    site.told(*site.witness())
    assert "Nothing new" in site.told(*site.witness())
    site.room.grow(2)
    site.told("audit", "tiles", "published")
    assert "nothing before was changed" in site.told(*site.witness())


def test_a_rewritten_log_is_refused_loudly(site: Site) -> None:
    site.told("audit", "tiles", "published")
    site.told(*site.witness())
    (site.folder / "forged").mkdir()
    forged = rewritten(site.room, site.folder / "forged", without=site.room.log.size - 2)
    forged.grow(4)
    forged.publish()
    arguments = list(site.witness())
    arguments[1] = forged.published
    error = site.refused(*arguments)
    assert (error.code, error.exit_code) == ("witness.rewritten", 4)
    # Watching all the time, it stops too: only an absent site is waited for.
    assert site.refused(*arguments, "--every", 1).code == "witness.rewritten"


def test_a_changed_published_copy_is_reported_with_the_place(site: Site) -> None:
    site.told("audit", "tiles", "published")
    tile = next((site.folder / "published/tile/0").rglob("*.p/*"))
    tile.write_bytes(bytes(len(tile.read_bytes())))
    shown = site.run("audit", "verify", "--tiles", "published", "--json")
    assert shown.exit_code == 4
    assert [each["where"] for each in json.loads(shown.stdout)["problems"]] == [
        f"tiles: {tile.relative_to(site.folder / 'published')}"
    ]


def test_a_view_is_made_and_checked_offline(site: Site) -> None:
    assert "retailer" in site.told("audit", "view", "--for", "retailer", "--out", "view.json")
    site.log_open = False
    told = site.told("audit", "check", "view.json", "--operator-key", "operator.json")
    assert f"it is the whole log of {site.room.log.size} events" in told
    text = Path("view.json").read_text(encoding="utf-8")
    Path("view.json").write_text(text.replace('"seq":1}', '"seq":2}', 1), encoding="utf-8")
    error = site.refused("audit", "check", "view.json", "--operator-key", "operator.json")
    assert (error.code, error.exit_code) == ("view.not_the_log", 4)


def test_nobody_has_a_view_who_is_no_participant(site: Site) -> None:
    assert site.refused("audit", "view", "--for", "stranger").code == "participant.unknown"


def test_a_log_replays(site: Site) -> None:
    assert site.json("audit", "replay") == {
        "ok": True,
        "events": site.room.log.size,
        "tables": len(ALL_TABLES),
        "equal": len(ALL_TABLES),
        "first": None,
    }
    with site.room.log.write() as connection:
        connection.exec_driver_sql("UPDATE keys SET status = 'revoked' WHERE member = 'retailer.steward'")
    error = site.refused("audit", "replay")
    assert (error.code, error.exit_code) == ("audit.not_replayed", 4)
    assert "table keys" in error.message
    assert site.run("audit", "replay", "--json").exit_code == 4


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("audit", "cosign", "/nowhere"), "file.unreadable"),
        (("audit", "cosign", __file__), "cosignature.unreadable"),
        (("audit", "check", __file__, "--operator-key", "operator.json"), "view.unreadable"),
        (("audit", "check", __file__, "--operator-key", __file__), "file.not_a_key"),
    ],
)
def test_wrong_files_are_told(site: Site, arguments: tuple[str, ...], code: str) -> None:
    assert site.refused(*arguments).code == code


def test_there_is_nothing_to_watch_yet(site: Site) -> None:
    assert site.refused(*site.witness()).code == "tiles.no_source"
    (site.folder / "published").mkdir()
    assert site.refused(*site.witness()).code == "tiles.unavailable"
