"""The `glasshouse` command, run in this process as the console script runs it, and how it ended.

Belongs here: what every test of the command needs. Must not be here: assertions about one command.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from orchestration import cli

_WIDTH = 80
_KEY_LENGTH = 40


@dataclass(frozen=True)
class Result:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def too_wide(self) -> list[str]:
        """Lines beyond 80 columns; a key or a signature stays in one piece, because people copy it."""
        lines = [line for line in (self.out + self.err).splitlines() if len(line) > _WIDTH]
        return [line for line in lines if max(map(len, line.split())) < _KEY_LENGTH]

    @property
    def refusal(self) -> str:
        """The code a person is told, after checking that all three parts are there."""
        assert self.code != 0
        assert self.out == ""
        lines = self.err.strip().splitlines()
        place = next(place for place, line in enumerate(lines) if line.startswith("Refused "))
        assert any(line.strip().startswith("Next: ") for line in lines[place + 1 :])
        return lines[place].split()[1]


def glasshouse(*arguments: object) -> Result:
    """Run the command in this process, as the console script does."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    argv = sys.argv
    sys.argv = ["glasshouse", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as ending:
        code = ending.code or 0
    finally:
        sys.argv = argv
    assert isinstance(code, int)
    return Result(code, out.getvalue(), err.getvalue())
