"""The commands that a page of the documentation shows, with the answers it promises.

In a page `…` stands for what differs from run to run; a line that is only `…` for any lines.
Must not be here: running them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Shown:
    """A command of the page, and the answer it shows; no answer: nothing is compared."""

    line: int
    command: str
    answer: list[str] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        """The command itself, or a step of it; both end with another code than 0."""
        return any(line.startswith("Refused ") or line.endswith("  refused") for line in self.answer)


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


def pattern(answer: list[str]) -> re.Pattern[str]:
    """The answer as shown: `…` for anything within a line, a line of it for any number of lines."""
    parts = [
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*") + r"\n"
        for line in answer
    ]
    return re.compile("".join(parts))
