"""`docs/governance.md` is true: every command in it is run as it is written, in order, and answers as shown.

In the page `…` stands for what differs from run to run; a line that is only `…` for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "governance.md"
_MARK = "=== end of command"


@dataclass
class Shown:
    """A command of the page, and the answer it shows; no answer: nothing is compared."""

    line: int
    command: str
    answer: list[str] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        return any(line.startswith("Refused ") for line in self.answer)


def shown_commands(page: str) -> list[Shown]:
    """Every `$ ` command of the ```console blocks, with its continuation lines (`> `)."""
    found: list[Shown] = []
    inside = False
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            found.append(Shown(number, line[2:]))
        elif inside and (line.startswith("> ") or line == ">") and not found[-1].answer:
            found[-1].command += f"\n{line[2:]}"
        elif inside:
            found[-1].answer.append(line)
    return found


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


def pattern(answer: list[str]) -> re.Pattern[str]:
    """The answer as shown: `…` for anything within a line, a line of it for any number of lines."""
    parts = [
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*") + r"\n"
        for line in answer
    ]
    return re.compile("".join(parts))


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
