"""The `glasshouse` command: one file per group of verbs, one way to end.

Exit codes: 0 done or permitted; 1 the honest answer is no; 2 usage or invalid configuration; 3 a needed
service is missing; 4 integrity broken; 5 budget exhausted.
"""

from __future__ import annotations

import sys

import typer

from orchestration.cli import audit, charter, contribution, demo, house, insight, lineage
from orchestration.cli.console import refuse
from orchestration.cli.serve import serve
from orchestration.errors import public
from orchestration.settings import silence_telemetry

app = typer.Typer(
    name="glasshouse",
    help="A data clean room: shared insights, no shared customers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback's text may quote a value
    add_completion=False,
)
app.command("init")(house.init)
app.command("demo")(demo.demo)
app.add_typer(charter.app, name="charter")
app.command("contribute")(contribution.contribute)
app.command("request")(insight.request)
app.command("run")(contribution.run)
app.command("open")(insight.open_release)
app.command("status")(house.status)
app.add_typer(lineage.app, name="lineage")
app.add_typer(audit.app, name="audit")
app.command("serve")(serve)
app.command("dev")(house.dev)


def main() -> None:
    """Run the command; every refusal leaves as its public reason and its exit code."""
    silence_telemetry()
    try:
        app()
    except Exception as error:
        # The last edge: bugs included, only the public form of an error reaches the screen.
        reason = public(error)
        refuse(reason, as_json="--json" in sys.argv)
        sys.exit(reason.exit_code)
