"""`glasshouse init`, `status` and `dev`: making a house, seeing what waits for whom, starting Dagster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.cli.console import JsonFlag, emit, err, table
from orchestration.cli.members import register_members
from orchestration.cli.options import CollaborationOption, chosen_charter
from orchestration.cli.state import State, read_state
from orchestration.house import House
from orchestration.settings import PROJECT_ROOT, Settings, child_environment, load_settings


def init(
    *,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Folder with <member>.json public keys; without it, keys are made and kept in this house."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a house: folders, keys, log, and the members of its charters. Safe to repeat."""
    settings = load_settings()
    house = prepare(settings, keys)
    members: list[JsonValue] = [
        {"collaboration": charter.collaboration, "member": member.id}
        for charter in house.charters.values()
        for member in charter.members
    ]
    document: JsonValue = {
        "home": str(settings.home),
        "collaborations": list(house.charters),
        "members": members,
    }
    emit(document, lambda: _made(house, keys), as_json=as_json)
    house.log.close()


def prepare(settings: Settings, keys: Path | None = None) -> House:
    """Everything a house needs before the first delivery; safe to repeat."""
    from orchestration.computation.runner import prepare_manifest
    from orchestration.defs.instance import configure

    house = House.initialize(settings)
    register_members(house, keys)
    prepare_manifest(settings)
    configure(settings)
    return house


def status(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """What is in the room, what was refused, what was asked, and what waits for whom."""
    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        state = read_state(house, charter)
    emit(state.document, lambda: render_state(state), as_json=as_json)


def dev(*, port: Annotated[int, typer.Option(help="Port of Dagster's UI on 127.0.0.1.")] = 3000) -> None:
    """Start Dagster's UI and daemon on this house; deliveries and requests then run by themselves."""
    from orchestration.defs.instance import configure

    settings = load_settings()
    prepare(settings).log.close()
    home = configure(settings)
    err.print(f"Dagster: http://127.0.0.1:{port}   (Ctrl-C stops it)")
    err.print(f"Landing folders: {settings.home / 'landing'}")
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
    # The daemon's own runs open the key service, so here the master key has to travel along.
    environment = child_environment(DAGSTER_HOME=str(home), GLASSHOUSE_HOME=str(settings.root))
    if settings.master_key is not None:
        environment["GLASSHOUSE_MASTER_KEY"] = settings.master_key.get_secret_value()
    code = subprocess.run(  # noqa: S603  our own module, our own arguments
        [*command, "--host", "127.0.0.1", "--port", str(port)], env=environment, check=False
    ).returncode
    raise typer.Exit(0 if code in (0, -2, 130) else 3)


def _made(house: House, keys: Path | None) -> RenderableType:
    rows = [
        [
            charter.collaboration,
            participant.id,
            ", ".join(m.id.partition(".")[2] for m in participant.members),
        ]
        for charter in house.charters.values()
        for participant in charter.participants
    ]
    home = house.settings.home
    where = (
        "Public keys were read from the folder you gave."
        if keys
        else (
            f"Their private keys were made in {home / 'members'}: fine for trying out.\n"
            "For real use each steward makes a key at home and gives you the public half (--keys)."
        )
    )
    return Group(
        table(["Collaboration", "Participant", "Members"], rows, title=f"House ready in {home}"),
        Text(""),
        Text(where),
        Text(""),
        Text("Next: glasshouse contribute FILE --dataset NAME, or glasshouse demo"),
    )


def render_state(state: State) -> RenderableType:
    """The state of one collaboration in 80 columns."""
    parts: list[RenderableType] = [
        Text(f"{state.title} (charter version {state.version})", style="bold"),
        Text(f"Room: {state.room}"),
        Text(""),
        table(
            ["Dataset", "From", ("Rows", "right"), "State"],
            [
                [d.dataset, d.participant, f"{d.rows:,}" if d.rows is not None else "-", d.state]
                for d in state.datasets
            ],
            title="Datasets",
        ),
    ]
    if state.refused:
        rows = [[r.delivery[:34], r.participant, r.code] for r in state.refused]
        parts += [
            Text(""),
            table(["Delivery", "From", "Refused because"], rows, title="Refused, sealed in quarantine"),
        ]
    if state.requests:
        rows = [
            [r.request, r.template, r.requester, r.state + (f"\n{r.code}" if r.code else "")]
            for r in state.requests
        ]
        columns = ["Request", "Template", "By", "State"]
        parts += [Text(""), table(columns, rows, title="Requests")]
    if state.releases:
        rows = [[r.release, r.template, r.until, ", ".join(r.receivers)] for r in state.releases]
        parts += [Text(""), table(["Release", "Template", "Until", "Receivers"], rows, title="Shelf")]
    waiting = [[w.who, w.what] for w in state.waiting] or [["nobody", "Nothing waits."]]
    parts += [Text(""), table(["Who", "What"], waiting, title="Waiting for")]
    return Group(*parts)
