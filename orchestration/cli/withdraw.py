"""`glasshouse withdraw`: taking back what was contributed, or people out of it.

Must not be here: when a withdrawal is due (`stages/withdrawal`), or what becomes of releases.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.text import Text
from sqlalchemy import Row

from orchestration.audit import tables
from orchestration.audit.withdrawal_events import ContributionWithdrawn, WithdrawalReason
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import (
    CollaborationOption,
    MemberOption,
    WhyOption,
    chosen_charter,
    current_state,
)
from orchestration.cli.signing_options import (
    KeyOption,
    PassphraseOption,
    Signing,
    private_key,
    show_recorded,
    signed,
)
from orchestration.cli.told import minute
from orchestration.errors import ConfigError, PolicyDeniedError
from orchestration.house import House
from orchestration.participants.withdrawals import NOT_KEPT, kept, terms_of
from orchestration.scope.source import NO_FILE
from orchestration.settings import load_settings

app = typer.Typer(help="Take back data, or people out of it.", no_args_is_help=True)

ReasonOption = Annotated[WithdrawalReason, typer.Option(help="Why it is taken back; kept in the log.")]


@app.command("people")
def withdraw_people(
    people: Annotated[
        Path, typer.Argument(help="CSV: the dataset's column of identifiers, one person a row.")
    ],
    *,
    dataset: Annotated[str, typer.Option(help="Dataset of the charter.")],
    member: MemberOption,
    reason: ReasonOption = "consent_withdrawn",
    why: WhyOption = "People asked for it.",
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take people out of a dataset, from what was delivered and from what will be.

    They leave together with others: as soon as enough of them wait, or after the charter's days.
    """
    from orchestration.stages import withdrawal

    with House.opened(load_settings()) as house:
        charter = chosen_charter(house, collaboration)
        declared = charter.dataset(dataset)
        if not people.is_file():
            raise ConfigError(NO_FILE)
        own = private_key(house, charter.collaboration, member, key, passphrase_file)
        recorded = withdrawal.withdraw_people(
            house, charter, declared, people, signer=member, key=own, reason=reason, justification=why
        )
        recorded += withdrawal.apply_due(house, charter.collaboration)
        terms = terms_of(charter)
        fewest = terms.people or charter.output.aggregation_threshold
    waits = f"They leave once {fewest} people wait, or after {terms.days} days."
    applied = any(each.event.type == "withdrawal.applied" for each in recorded)
    note = "Next: glasshouse run" if applied else f"{waits}\nNext: glasshouse withdraw list"
    show_recorded(recorded, note=note, as_json=as_json)


@app.command("contribution")
@signed("Taken back by its contributor.")
def withdraw_contribution(
    signing: Signing,
    contribution: Annotated[str, typer.Argument(help="Contribution, as `glasshouse status` names it.")],
    *,
    reason: ReasonOption = "error",
) -> None:
    """Take back a whole contribution: it is used no more from now on, and destroyed."""
    with signing.opened() as signatory:
        with signatory.state("the contribution's dataset", "--collaboration") as state:
            row = kept(state, contribution)
        if row is None:
            raise PolicyDeniedError(NOT_KEPT, contribution=ascii(contribution[:80]), dataset="any")
        payload = ContributionWithdrawn(contribution=contribution, dataset=row.dataset, reason=reason)
        note = "Next: glasshouse run"
        signatory.records(signatory.event(payload, contribution), note=note)


@app.command("list")
def list_withdrawals(*, collaboration: CollaborationOption = None, as_json: JsonFlag = False) -> None:
    """Every withdrawal, whether it was carried out, and which releases it made stale."""
    with current_state(collaboration) as state:
        asked = sorted(state.rows(tables.withdrawals), key=lambda row: int(row.seq))
        touched = [row for row in state.rows(tables.releases) if row.outdated is not None]
    rows = [
        [row.withdrawal, row.dataset, row.reason.replace("_", " "), minute(row.requested_at), row.status]
        for row in asked
    ]
    stale = [f"{row.release} is {_state_of(row)}." for row in touched]
    document: JsonValue = {
        "withdrawals": [_document(row) for row in asked],
        "releases": [
            {"release": row.release, "outdated": row.outdated, "recalled": row.recalled} for row in touched
        ],
    }

    def shown() -> Any:
        if not rows:
            return Text("Nothing was taken back.")
        grid = table(["Withdrawal", "Dataset", "Because", "Asked (UTC)", "State"], rows)
        grid.caption = "\n".join(stale)
        return grid

    emit(document, shown, as_json=as_json)


def _state_of(row: Row[Any]) -> str:
    return "recalled" if row.recalled else f"stale ({row.outdated.replace('_', ' ')})"


def _document(row: Row[Any]) -> dict[str, JsonValue]:
    names = ("withdrawal", "dataset", "participant", "contribution", "reason", "requested_by", "status")
    return {name: row._mapping[name] for name in names} | {"requested_at": row.requested_at}
