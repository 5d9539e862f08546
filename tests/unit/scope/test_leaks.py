"""The leak scanner: finds what looks like an identifier, tells its place, and never the value."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.errors import ConfigError
from orchestration.scope.leaks import MAX_BYTES, Leak, kinds_in, scan

# Published test numbers of the bodies that issue them, or made to satisfy the checksum; nobody's.
SECRETS = {
    "e-mail": ["anna.meier@shop-mail.de", "a+b@sub.company.co.uk"],
    "telephone": ["+49 30 901820", "+1 650-253-0000", "+442079460000"],
    "card": ["4111 1111 1111 1111", "5555555555554444", "378282246310005"],
    "iban": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"],
    "national id": ["536-90-4399", "54362315K", "X2482300W", "RCCMNL83S18D969H", "131052-308T"],
    "pseudonym": ["a3" * 32],
}
HARMLESS = (
    "mail to someone@example.com or root@localhost",
    "user@shop.test, decorators like @app.command and git@github",
    "sha256:" + "a3" * 32,
    "version 1.2.3, 2024-01-31, 12:30:00.123456, ratio 0.123456789012345",
    "4111 1111 1111 1112 is no card, nor is 1234567890123456",
    "GB82 WEST 1234 5698 7654 33",
    "000-12-3456 and 54362315Z",
    "f" * 63,
    "+12 34",
    "0x" + "a3" * 32 + "ff",
)


@pytest.mark.parametrize(("kind", "text"), [(k, each) for k, found in SECRETS.items() for each in found])
def test_an_identifier_is_recognized_wherever_it_stands(kind: str, text: str) -> None:
    for line in (text, f'{{"x": "{text}"}}', f"id,{text},7", f"print('{text}')\n", f"note: {text}."):
        assert kinds_in(line) == {kind: 1}, line


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_a_little_like_one_is_left_alone(text: str) -> None:
    assert kinds_in(text) == {}


def test_places_and_counts_are_told_and_the_value_is_not(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("id,mail\n1,x@shop-mail.de\n2,\n3,y@shop-mail.de z@shop-mail.de\n")
    notebook = {"cells": [{"source": ["call('+49 30 901820')"], "outputs": [{"text": "a3" * 32}]}]}
    (tmp_path / "study.ipynb").write_text(json.dumps(notebook, indent=1))
    found = scan([tmp_path])
    csv, study = str(tmp_path / "export.csv"), str(tmp_path / "study.ipynb")
    assert set(found.leaks) == {
        Leak(csv, 2, "e-mail", 1),
        Leak(csv, 4, "e-mail", 2),
        Leak(study, 5, "telephone", 1),
        Leak(study, 9, "pseudonym", 1),
    }
    text = json.dumps(asdict(found))
    assert "shop-mail" not in text
    assert "901820" not in text
    assert "a3a3" not in text


def test_what_cannot_be_looked_into_is_said(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0x@shop-mail.de")
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    (tmp_path / "latin.txt").write_bytes("müller x@shop-mail.de".encode("latin-1"))
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x@shop-mail.de")
    (tmp_path / "link.txt").symlink_to(tmp_path / "latin.txt")
    found = scan([tmp_path])
    assert {Path(each).name for each in found.skipped} == {"image.png", "huge.txt"}
    assert [(Path(each.path).name, each.kind) for each in found.leaks] == [("latin.txt", "e-mail")]
    assert found.files == 1


def test_the_command_says_no_when_something_was_found(tmp_path: Path) -> None:
    clean, dirty = tmp_path / "clean.py", tmp_path / "dirty.py"
    clean.write_text("print('nothing')\n")
    dirty.write_text("\nMAIL = 'x@shop-mail.de'\n")
    run = CliRunner().invoke
    assert run(app, ["scan", str(clean)]).exit_code == 0
    result = run(app, ["scan", str(clean), str(dirty), "--json"])
    assert result.exit_code == 1
    assert [each["line"] for each in json.loads(result.stdout)["leaks"]] == [2]
    assert "shop-mail" not in run(app, ["scan", str(dirty)]).output
    refused = run(app, ["scan", str(tmp_path / "nowhere")]).exception
    assert isinstance(refused, ConfigError)
    assert refused.code == "scan.no_such_place"
