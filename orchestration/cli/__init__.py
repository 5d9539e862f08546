"""The `glasshouse` command: one file per group of verbs, one way to end.

Exit codes: 0 done or permitted; 1 the honest answer is no; 2 usage or invalid configuration; 3 a needed
service is missing; 4 integrity broken.
"""

from __future__ import annotations

import sys

import typer

from orchestration.cli import (
    agreement,
    anonymity,
    audit,
    catalog,
    catalog_export,
    charter,
    contribution,
    contributions,
    decisions,
    demo,
    destructions,
    disputes,
    exceptions,
    grants,
    house,
    insight,
    keyring,
    keys,
    lineage,
    login,
    members,
    parties,
    report,
    returned,
    room,
    terms,
    withdraw,
)
from orchestration.cli.can import can
from orchestration.cli.console import refuse
from orchestration.cli.emergency import emergency
from orchestration.cli.passport import passport
from orchestration.cli.prepare import prepare
from orchestration.cli.record import record
from orchestration.cli.scan import scan
from orchestration.cli.serve import serve
from orchestration.cli.witness import witness
from orchestration.errors import public
from orchestration.settings import silence_telemetry

app = typer.Typer(
    name="glasshouse",
    help="A data clean room: shared insights, no shared customers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback's text may quote a value
    add_completion=False,
)

_HOUSE = "The house"
app.command("init", rich_help_panel=_HOUSE)(house.init)
app.command("demo", rich_help_panel=_HOUSE)(demo.demo)
app.command("status", rich_help_panel=_HOUSE)(house.status)
app.command("serve", rich_help_panel=_HOUSE)(serve)
app.add_typer(keyring.app, name="keyring", rich_help_panel=_HOUSE)
app.command("dev", rich_help_panel=_HOUSE)(house.dev)

_WORK = "Data and insights"
app.command("prepare", rich_help_panel=_WORK)(prepare)
app.command("contribute", rich_help_panel=_WORK)(contribution.contribute)
app.add_typer(room.app, name="room", rich_help_panel=_WORK)
contributions.app.command("rejected")(returned.rejected)
contributions.app.command("unseal")(returned.unseal)
app.add_typer(contributions.app, name="contribution", rich_help_panel=_WORK)
app.add_typer(terms.datasets, name="dataset", rich_help_panel=_WORK)
app.command("anonymity", rich_help_panel=_WORK)(anonymity.anonymity)
app.command("request", rich_help_panel=_WORK)(insight.request)
app.command("run", rich_help_panel=_WORK)(contribution.run)
app.command("open", rich_help_panel=_WORK)(insight.open_release)
app.add_typer(withdraw.app, name="withdraw", rich_help_panel=_WORK)

_AGREEING = "Agreeing: who takes part, with which keys and roles"
charter.app.command("import-odcs")(catalog_export.import_odcs)
charter.app.command("propose")(agreement.propose)
charter.app.command("sign")(agreement.sign)
charter.app.command("withdraw")(agreement.withdraw)
charter.app.command("status")(agreement.status)
charter.app.command("close")(agreement.close)
app.add_typer(charter.app, name="charter", rich_help_panel=_AGREEING)
app.add_typer(terms.terms, name="terms", rich_help_panel=_AGREEING)
app.add_typer(parties.app, name="participant", rich_help_panel=_AGREEING)
app.add_typer(members.app, name="member", rich_help_panel=_AGREEING)
app.add_typer(keys.app, name="key", rich_help_panel=_AGREEING)
app.add_typer(login.app, name="login", rich_help_panel=_AGREEING)
app.add_typer(grants.grants, name="grant", rich_help_panel=_AGREEING)
app.command("emergency", rich_help_panel=_AGREEING)(emergency)
app.command("record", rich_help_panel=_AGREEING)(record)

_DECIDING = "Deciding, stopping, objecting"
app.add_typer(decisions.app, name="decision", rich_help_panel=_DECIDING)
app.command("approve", rich_help_panel=_DECIDING)(decisions.approve)
app.command("reject", rich_help_panel=_DECIDING)(decisions.reject)
app.command("abstain", rich_help_panel=_DECIDING)(decisions.abstain)
app.command("freeze", rich_help_panel=_DECIDING)(decisions.freeze)
app.command("thaw", rich_help_panel=_DECIDING)(decisions.thaw)
app.add_typer(disputes.app, name="dispute", rich_help_panel=_DECIDING)
app.add_typer(exceptions.app, name="exception", rich_help_panel=_DECIDING)
app.add_typer(grants.reviews, name="review", rich_help_panel=_DECIDING)

_CHECKING = "Checking"
app.command("can", rich_help_panel=_CHECKING)(can)
catalog.app.command("record")(catalog_export.record)
catalog.app.command("map")(catalog_export.draw)
catalog.app.command("export")(catalog_export.export)
app.add_typer(catalog.app, name="catalog", rich_help_panel=_CHECKING)
app.add_typer(report.app, name="report", rich_help_panel=_CHECKING)
audit.app.command("passport")(passport)
app.add_typer(audit.app, name="audit", rich_help_panel=_CHECKING)
app.command("scan", rich_help_panel=_CHECKING)(scan)
app.command("witness", rich_help_panel=_CHECKING)(witness)
app.add_typer(destructions.app, name="destruction", rich_help_panel=_CHECKING)
app.add_typer(lineage.app, name="lineage", rich_help_panel=_CHECKING)


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
