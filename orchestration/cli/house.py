"""`glasshouse init`, `status` and `dev`: making a house, seeing what waits for whom, starting Dagster."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.vocabulary import now
from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.options import CollaborationOption, chosen_charter
from orchestration.cli.trial import TRIAL_WARNING, found_on_trial
from orchestration.house import House
from orchestration.participants.state import State
from orchestration.settings import (
    PROJECT_ROOT,
    Settings,
    child_environment,
    key_service_environment,
    load_settings,
)

TrialOption = Annotated[
    bool, typer.Option("--trial", help="Make every member's key here, and sign for all of them.")
]


def init(*, trial: TrialOption = False, as_json: JsonFlag = False) -> None:
    """Make a house: folders, its own keys, the log. Safe to repeat."""
    settings = load_settings()
    house = prepare(settings, trial=trial)
    with house.log.read() as connection:
        phases: dict[str, JsonValue] = {
            name: State(connection, name, now()).phase for name in sorted(house.charters)
        }
    document: JsonValue = {"home": str(settings.home), "collaborations": phases, "trial": trial}
    emit(document, lambda: _made(house, phases, trial=trial), as_json=as_json)
    house.log.close()


def prepare(settings: Settings, *, trial: bool = False) -> House:
    """Everything a house needs before the first delivery; safe to repeat.

    Args:
        trial: also found every charter of the folder, with keys made in this house.
    """
    from orchestration.computation.runner import prepare_manifest
    from orchestration.defs.instance import configure

    house = House.initialize(settings)
    if trial:
        for charter in house.charters.values():
            found_on_trial(house, charter)
    prepare_manifest(settings)
    configure(settings)
    return house


def status(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """What is in the room, what was refused, what was asked, and what waits for whom."""
    from orchestration.cli.state import read_state
    from orchestration.cli.state_view import render_state

    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        state = read_state(house, charter)
    emit(state.document, lambda: render_state(state), as_json=as_json)


def dev(
    *,
    port: Annotated[int, typer.Option(help="Port of Dagster's UI on 127.0.0.1.")] = 3000,
    trial: TrialOption = False,
) -> None:
    """Start Dagster's UI and daemon on this house; deliveries and requests then run by themselves."""
    from orchestration.defs.instance import configure

    settings = load_settings()
    prepare(settings, trial=trial).log.close()
    home = configure(settings)
    err.print(f"Dagster: http://127.0.0.1:{port}   (Ctrl-C stops it)")
    err.print(f"Landing folders: {settings.home / 'landing'}")
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
    # The daemon's own runs open the key service, so here what opens it has to travel along.
    environment = child_environment(
        DAGSTER_HOME=str(home), GLASSHOUSE_HOME=str(settings.root), **key_service_environment(settings)
    )
    code = subprocess.run(  # noqa: S603  our own module, our own arguments
        [*command, "--host", "127.0.0.1", "--port", str(port)], env=environment, check=False
    ).returncode
    raise typer.Exit(0 if code in (0, -2, 130) else 3)


def _made(house: House, phases: dict[str, JsonValue], *, trial: bool) -> RenderableType:
    home = house.settings.home
    rows = [[name, str(phase)] for name, phase in phases.items()]
    parts: list[RenderableType] = [
        Text(f"House ready in {home}\n", style="bold"),
        table(["Collaboration", "State"], rows),
    ]
    if trial:
        parts.append(Text(f"\n{TRIAL_WARNING.format(folder=home / 'members')}", style="bold yellow"))
        parts.append(Text("\nNext: glasshouse contribute FILE --dataset NAME, or glasshouse demo"))
    else:
        parts.append(Text("\nNo member has a key here: each makes its own with `glasshouse key new`."))
        parts.append(Text("Next: glasshouse charter propose FILE (docs/governance.md shows the whole way)"))
    return Group(*parts)
