"""The three reference pages that are made from the code: `python docs/generate.py` writes them.

Belongs here: pages whose every fact stands in the code already (error codes, settings, commands). Must not
be here: prose about how to use any of it. `tests/promises/test_docs_agree.py` fails when a page is old.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

import orchestration
from orchestration import cli
from orchestration.errors import Reason
from orchestration.settings import Settings

FOLDER = Path(__file__).parent
_NOTE = "<!-- Made by `python docs/generate.py`; changes here are lost. -->\n"
_NEEDS_A_HOUSE = "orchestration.definitions"  # builds Dagster's definitions when it is imported


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {"errors.md": errors_page(), "settings.md": settings_page(), "cli.md": cli_page()}


def errors_page() -> str:
    """Every declared reason, grouped by the first word of its code."""
    parts = [
        "# Error codes\n",
        _NOTE,
        "Every refusal has a stable code, says what is wrong and what would make it pass. Words in braces",
        "are names of the charter, counts or digests; a message never holds a value of a row.\n",
    ]
    group = ""
    for code, reason in reasons().items():
        if code.partition(".")[0] != group:
            group = code.partition(".")[0]
            parts.append(f"\n## {group}\n")
        parts += [f"**`{code}`** {reason.message}  ", f"Next: {reason.next_step}\n"]
    return "\n".join(parts)


def settings_page() -> str:
    """Every field of `Settings` with its variable, default and meaning."""
    parts = [
        "# Settings\n",
        _NOTE,
        "Settings say where a house keeps its state and which services it talks to. They are read once, from",
        "the environment. What an agreement decides (thresholds, purposes, retention) is never a setting.\n",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "charters/ of the package" if name == "charters" else field.default
        shown = "none" if default is None else f"`{default}`"
        parts.append(f"| `GLASSHOUSE_{name.upper()}` | {shown} | {field.description} |")
    parts.append("\n`OPENLINEAGE_URL` is read too, when `GLASSHOUSE_OPENLINEAGE_URL` is not set.\n")
    return "\n".join(parts)


def cli_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        "# Commands\n",
        _NOTE,
        "Results go to stdout, progress and refusals to stderr. With `--json` a command prints one JSON",
        "document. Exit codes: 0 done or permitted; 1 the honest answer is no; 2 usage or invalid",
        "configuration; 3 a needed service is missing; 4 integrity broken.\n",
    ]
    for path, command in commands():
        parts.append(f"\n## {path}\n\n{(command.help or '').strip()}\n")
        parts += [f"- {_parameter(parameter)}" for parameter in command.params]
    return "\n".join(parts) + "\n"


def commands() -> Iterator[tuple[str, click.Command]]:
    """(`glasshouse audit log`, its command) for every command that does something itself."""
    root = typer.main.get_command(cli.app)
    waiting: list[tuple[str, click.Command]] = [("glasshouse", root)]
    while waiting:
        path, command = waiting.pop(0)
        below = getattr(command, "commands", None)
        if below is None:
            yield path, command
        else:
            waiting = [(f"{path} {name}", each) for name, each in below.items()] + waiting


def reasons() -> dict[str, Reason]:
    """Every reason by its code. They stand at the top level of our modules; tests' own do not count."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(orchestration.__path__, "orchestration.")
        if module.name != _NEEDS_A_HOUSE
    ]
    found = {each.code: each for m in modules for each in vars(m).values() if isinstance(each, Reason)}
    return dict(sorted(found.items()))


def _parameter(parameter: click.Parameter) -> str:
    if parameter.param_type_name == "argument":
        name = (parameter.name or "").upper()
    else:
        name = ", ".join([*parameter.opts, *parameter.secondary_opts])
    text = str(getattr(parameter, "help", None) or "").strip().replace("<", "\\<")
    needed = " Required." if parameter.required else ""
    return f"`{name}` {text}{needed}".strip()


def write() -> None:
    """Write every page beside this file."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
