"""`glasshouse lineage`: the OpenLineage events of everything that ran."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.digests import canonical_json
from orchestration.house import House
from orchestration.settings import load_settings

app = typer.Typer(help="Where every figure comes from, as OpenLineage events.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `export` a subcommand while it is the only one."""


@app.command()
def export(
    *,
    run: Annotated[str | None, typer.Option(help="Only events of this run id.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array instead of one event per line.")
    ] = False,
) -> None:
    """Print the events as NDJSON, oldest first."""
    with House.opened(load_settings()) as house:
        events = house.log.lineage(run)
    if as_json:
        typer.echo(canonical_json(list(events)).decode())
        return
    for event in events:
        typer.echo(canonical_json(event).decode())
