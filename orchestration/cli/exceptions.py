"""`glasshouse exception`: agreeing to deviate for a time, with an owner and an end.

Must not be here: who decides about it (`participants/`).
"""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit import governance_tables as g
from orchestration.audit.vocabulary import timestamp
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.decisions import open_decision
from orchestration.cli.options import CollaborationOption, UntilOption, current_state, end_of
from orchestration.cli.pending import new_id
from orchestration.cli.signing_options import Signing, signed
from orchestration.cli.told import day

app = typer.Typer(help="Deviations that were agreed, with an owner and an end.", no_args_is_help=True)


@app.command("ask")
@signed()
def ask(
    signing: Signing,
    what: Annotated[str, typer.Argument(help="What would be done otherwise than agreed.")],
    *,
    owner: Annotated[str, typer.Option(help="Member who answers for it.")],
    risk: Annotated[str, typer.Option(help="What can still go wrong.")],
    until: UntilOption,
) -> None:
    """Ask for a deviation with an end; those whom the charter names decide."""
    exception = new_id("exception")
    content: dict[str, JsonValue] = {
        "what": what,
        "owner": owner,
        "residual_risk": risk,
        "expires_at": timestamp(end_of(until)),
    }
    open_decision(signing, "exception", exception, content, decision=exception)


@app.command("list")
def list_exceptions(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every exception that was granted, who answers for it, and until when."""
    with current_state(collaboration) as state:
        found = sorted(state.rows(g.exceptions), key=lambda row: int(row.seq))
    document: JsonValue = [
        {
            "exception": row.exception,
            "what": row.what,
            "owner": row.owner,
            "residual_risk": row.residual_risk,
            "expires_at": row.expires_at,
            "status": row.status,
        }
        for row in found
    ]
    rows = [[row.exception, row.what, row.owner, day(row.expires_at), row.status] for row in found]
    columns = ["Exception", "What", "Owner", "Until", "State"]
    emit(
        document, lambda: table(columns, rows) if rows else Text("No exception was granted."), as_json=as_json
    )
