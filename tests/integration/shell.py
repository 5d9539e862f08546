"""A bash whose `glasshouse` is this process, for pages with many commands: each would import for seconds.

Variables, pipes and files are bash's own. Must not be here: which commands, or what they should say.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.command import glasshouse

_MARK = "=== end of command"
# Arguments go out through one pipe, NUL after each and an empty line last; the exit code comes back.
_GLASSHOUSE = r"""
glasshouse() {
  { printf '%s\0' "$PWD" "${GLASSHOUSE_HOME-}" "${GLASSHOUSE_CHARTERS-}" "$@"; } > "$TALK/asked"
  echo > "$TALK/ask"
  local code; read -r code < "$TALK/answer"
  cat "$TALK/out"; cat "$TALK/err" >&2
  return "$code"
}
"""


def run_in_bash(commands: list[str], folder: Path, talk: Path) -> list[tuple[int, list[str]]]:
    """Exit code and output of each, all in one shell in `folder`; `talk` is an empty folder for the pipes."""
    for pipe in ("ask", "answer"):
        os.mkfifo(talk / pipe)
    script = _GLASSHOUSE + "\n".join(f"{each}\necho '{_MARK}' $?" for each in commands)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLASSHOUSE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "TALK": str(talk)}
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as shell:
        said: list[str] = []
        assert shell.stdout is not None
        reader = threading.Thread(target=lambda: said.append(shell.stdout.read()))  # type: ignore[union-attr]
        reader.start()
        # Both ways open in here for reading and writing: so neither pipe ends before the shell does.
        with (
            (talk / "ask").open("r+b", buffering=0) as ask,
            (talk / "answer").open("r+b", buffering=0) as answer,
        ):
            waker = threading.Thread(target=lambda: (shell.wait(), ask.write(b"end\n")))
            waker.start()
            try:
                while ask.readline() != b"end\n":
                    answer.write(b"%d\n" % _ended(talk))
            finally:
                shell.kill()
                waker.join()
        reader.join()
    return _parts(said[0])


def _ended(talk: Path) -> int:
    """Run what was asked, there, with that house; returns the exit code."""
    folder, home, charters, *arguments = (talk / "asked").read_bytes().decode().split("\0")[:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GLASSHOUSE_DUCKDB_THREADS", "1")
        patch.setenv("COLUMNS", "80")
        patch.setenv("NO_COLOR", "1")
        for name, value in (("GLASSHOUSE_HOME", home), ("GLASSHOUSE_CHARTERS", charters)):
            if value:
                patch.setenv(name, value)
            else:
                patch.delenv(name, raising=False)
        ended = glasshouse(*arguments)
    (talk / "out").write_text(ended.out, encoding="utf-8")
    (talk / "err").write_text(ended.err, encoding="utf-8")
    return ended.code


def _parts(output: str) -> list[tuple[int, list[str]]]:
    results: list[tuple[int, list[str]]] = []
    lines: list[str] = []
    for line in output.splitlines():
        if line.startswith(_MARK):
            results.append((int(line.rpartition(" ")[2]), lines))
            lines = []
        else:
            lines.append(line.rstrip())
    return results
