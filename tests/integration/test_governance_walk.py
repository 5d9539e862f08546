"""`docs/governance.md` is true: each command in it, run as it is written, in order, answers as shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestration.settings import PROJECT_ROOT
from tests.integration.shown import Shown, pattern, shown_commands

PAGE = PROJECT_ROOT / "docs" / "governance.md"
_MARK = "=== end of command"


def run(commands: list[Shown], folder: Path) -> list[tuple[int, list[str]]]:
    """Exit code and output of each, all in one shell, so that variables live on."""
    script = "\n".join(f"{each.command}\necho '{_MARK}' $?" for each in commands)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLASSHOUSE_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }
    shell = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=300,
        check=False,
    )
    results: list[tuple[int, list[str]]] = []
    lines: list[str] = []
    for line in shell.stdout.splitlines():
        if line.startswith(_MARK):
            results.append((int(line.rpartition(" ")[2]), lines))
            lines = []
        else:
            lines.append(line.rstrip())
    return results


def test_every_command_of_the_page_answers_as_shown(tmp_path: Path) -> None:
    commands = shown_commands(PAGE.read_text(encoding="utf-8"))
    results = run(commands, tmp_path)
    differences = []
    for shown, (code, lines) in zip(commands, results, strict=False):
        said = "".join(f"{line}\n" for line in lines)
        if (code != 0) != shown.is_refused or (shown.answer and not pattern(shown.answer).fullmatch(said)):
            differences.append(f"line {shown.line}: {shown.command}\nended with {code} and said\n{said}")
    assert not differences, "\n".join(differences)
    assert len(results) == len(commands), "the shell stopped early"


def test_the_page_shows_what_it_promises() -> None:
    commands = shown_commands(PAGE.read_text(encoding="utf-8"))
    text = "\n".join(each.command for each in commands)
    for needed in ("charter new", "key new", "charter sign", "witness", "approve"):
        assert needed in text, needed
    codes = {line.split()[1] for each in commands for line in each.answer if line.startswith("Refused ")}
    assert {"policy.self_approval", "statement.wrong_key", "witness.rewritten"} <= codes
