"""`glasshouse contribution`: what became of a delivery, in words and counts, never in values.

Must not be here: handing a delivery over (`contribution`), or judging one (`scope/gate`).

What the log says is for everybody. How many rows break a rule is in a letter sealed to the stewards of the
dataset: it is opened with `--as`, by a steward whose key is at hand.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit import tables as t
from orchestration.audit.stage_events import (
    ContributionAccepted,
    ContributionRefused,
    DatasetDeidentified,
    GateCheck,
    GateFailed,
    GatePassed,
)
from orchestration.charter.model import Dataset
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.gate_words import in_words, next_step
from orchestration.cli.options import CollaborationOption, chosen_charter
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.engine.sealing import open_letter
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.scope.expectations import Suite, compile_suite
from orchestration.settings import load_settings

NOT_FOUND = Reason(
    "contribution.not_found",
    "There is no contribution called {contribution}.",
    "List them with `glasshouse contribution list`.",
)
NO_LETTER = Reason(
    "contribution.no_letter",
    "There is no letter about {contribution}: its gate has not run, or it was destroyed.",
    "Take in what waits with `glasshouse run`, or ask without --as.",
)

app = typer.Typer(help="What became of each delivery.", no_args_is_help=True)


@app.command("list")
def list_(
    *,
    dataset: Annotated[str | None, typer.Option(help="Only of this dataset.")] = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Every contribution, newest first: rows, and what its gate said."""
    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        where = {} if dataset is None else {"dataset": charter.dataset(dataset).id}
        with house.state(charter.collaboration) as state:
            rows = sorted(state.rows(t.contributions, **where), key=lambda row: -int(row.seq))
            in_use = {row.contribution for row in state.rows(t.datasets)}
    found = [
        {
            "contribution": row.contribution,
            "dataset": row.dataset,
            "delivery": row.delivery,
            "rows": row.rows,
            "rejected": row.quarantined,
            "state": _state(row),
            "in_use": row.contribution in in_use,
        }
        for row in rows
    ]
    document: JsonValue = json.loads(json.dumps(found))
    lines = [
        [
            str(each["contribution"]),
            "-" if each["rows"] is None else f"{each['rows']:,}",
            f"{each['rejected']:,}",
            f"{each['state']}{', in use' if each['in_use'] else ''}",
        ]
        for each in found
    ]
    columns = ("Contribution", ("Rows", "right"), ("Rejected", "right"), "State")
    emit(document, lambda: table(columns, lines or [["none yet", "", "", ""]]), as_json=as_json)


@app.command()
def show(
    contribution: Annotated[str, typer.Argument(help="As `glasshouse contribution list` names it.")],
    *,
    steward: Annotated[
        str | None, typer.Option("--as", help="Steward of the dataset, to see counts as well.")
    ] = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Explain one contribution: what was delivered, what was rejected, and each check of its gate."""
    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        told = _from_log(house, charter.collaboration, contribution)
        figures: dict[str, Any] = {}
        if steward is not None:
            own = private_key(house, charter.collaboration, steward, key, passphrase_file)
            path = house.letters / f"{contribution}.age"
            if not path.is_file():
                raise ConfigError(NO_LETTER, contribution=ascii(contribution[:80]))
            letter = json.loads(open_letter(path.read_bytes(), own))
            figures = {check["rule"]: check for check in letter["checks"]}
        declared = {each.id: each for each in charter.datasets}.get(str(told["dataset"]))
        suite = None if declared is None else compile_suite(declared, house.settings.expectations, charter)
    told["checks"] = _checks(told.pop("gate"), figures, suite, declared)
    told["counts"] = bool(figures)
    emit(json.loads(json.dumps(told)), lambda: _view(told), as_json=as_json)


def _from_log(house: House, collaboration: str, contribution: str) -> dict[str, Any]:
    """What every participant may know.

    Raises: ConfigError (`contribution.not_found`).
    """
    events = house.log.events(None, contribution, collaboration)
    told: dict[str, Any] = {"contribution": contribution, "dataset": None, "gate": None}
    for logged in events:
        match logged.event.payload:
            case ContributionAccepted() as given:
                told |= {
                    "dataset": given.dataset,
                    "delivery": given.delivery,
                    "signer": given.signer,
                    "rows": given.rows,
                    "rejected": dict(given.quarantined_rows),
                    "dropped_columns": given.dropped_columns,
                    "state": "accepted",
                }
            case ContributionRefused() as refused:
                told |= {
                    "dataset": refused.dataset,
                    "delivery": refused.delivery,
                    "state": "refused",
                    "code": refused.code,
                    "message": refused.message,
                    "next_step": refused.next_step,
                }
            case DatasetDeidentified() as made:
                told |= {"state": "de-identified", "techniques": dict(made.techniques), "gate": None}
                measured = getattr(made, "anonymity", None)
                if measured is not None:
                    told["anonymity"] = measured.model_dump(mode="json")
            case GatePassed() | GateFailed() as gate:
                passed = isinstance(gate, GatePassed)
                told |= {"state": "gate passed" if passed else "gate failed", "gate": gate.checks}
            case _:
                pass
    if "state" not in told:
        raise ConfigError(NOT_FOUND, contribution=ascii(contribution[:80]))
    return told


def _checks(
    logged: tuple[GateCheck, ...] | None,
    figures: dict[str, Any],
    suite: Suite | None,
    dataset: Dataset | None,
) -> list[dict[str, Any]]:
    """Each check in the order of the gate, failures with their reason and the next step."""
    because = {} if suite is None else {rule.rule: rule.because for rule in suite.rules}
    found = []
    for check in logged or ():
        outcome = "passed" if check.passed else "failed" if check.severity == "critical" else "warned"
        told = {
            "rule": check.rule,
            "outcome": outcome,
            "because": because.get(check.rule, ""),
            "figures": figures.get(check.rule, {}).get("figures", {}),
        }
        if outcome != "passed":
            told["next_step"] = next_step(check.expectation, dataset.id if dataset else "it")
        found.append(told)
    answered = {each["rule"] for each in found}
    found += [
        {"rule": name, "outcome": "not measured", "because": because.get(name, ""), "figures": {}}
        for name, check in figures.items()
        if name not in answered and not check["measured"]
    ]
    return found


def _view(told: dict[str, Any]) -> RenderableType:
    facts = [f"{told['contribution']}: {told['state']}"]
    if "rows" in told:
        facts.append(f"{told['rows']:,} rows kept of {told['delivery']}, signed by {told['signer']}")
        facts += [f"{rows:,} rows rejected: {reason}" for reason, rows in sorted(told["rejected"].items())]
        if told["dropped_columns"]:
            facts.append(f"{told['dropped_columns']} columns the charter does not name were dropped")
    if "message" in told:
        facts += [f"{told['code']}: {told['message']}", f"Next: {told['next_step']}"]
    if "anonymity" in told:
        facts.append("Anonymity, rounded to the bad side:")
        facts += [
            f"  {name.replace('_', ' ')}: {_figure(value)}"
            for name, value in told["anonymity"].items()
            if value not in (None, {})
        ]
    checks = told["checks"]
    parts: list[RenderableType] = [Text("\n".join(facts))]
    if checks:
        passed = sum(each["outcome"] == "passed" for each in checks)
        parts.append(Text(f"\n{passed} of {len(checks)} checks passed."))
    for each in checks:
        if each["outcome"] == "passed":
            continue
        counted = f" ({in_words(each['figures'])})" if each["figures"] else ""
        lines = [f"\n{each['outcome']}: {each['rule']}{counted}"]
        if each["outcome"] == "not measured":
            lines.append("  there was nothing to compare with yet")
        elif each["because"]:
            lines.append(f"  because {each['because']}")
        lines += [f"  Next: {each['next_step']}"] if "next_step" in each else []
        parts.append(Text("\n".join(lines)))
    if checks and not told["counts"]:
        parts.append(Text("\nHow many rows: glasshouse contribution show … --as STEWARD"))
    return Group(*parts)


def _figure(value: object) -> str:
    """A number, or one per sensitive attribute."""
    if isinstance(value, dict):
        return ", ".join(f"{attribute} {number}" for attribute, number in value.items())
    return str(value)


def _state(row: Any) -> str:
    if row.status in ("refused", "repaired"):
        return f"refused: {row.code}" if row.status == "refused" else "refused, then corrected"
    if row.status == "destroyed":
        return "destroyed"
    if row.superseded_by is not None:
        return "superseded"
    return {"passed": "gate passed", "failed": "gate failed"}.get(
        row.gate or "", "de-identified" if row.table_name else "accepted"
    )
