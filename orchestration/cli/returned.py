"""`glasshouse contribution rejected` and `unseal`: what the quarantine gives back to its steward.

Must not be here: why something is in quarantine (`stages/intake`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.text import Text
from sqlalchemy import Row

from orchestration.audit import tables as t
from orchestration.audit.stage_events import ContributionAccepted, ContributionRefused
from orchestration.cli.console import JsonFlag, emit, table
from orchestration.cli.options import CollaborationOption, opened_house
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.errors import ConfigError, Reason
from orchestration.house import House
from orchestration.participants.state import State
from orchestration.stages import quarantine
from orchestration.stages.rejected import unseal_rejected

NOTHING_SEALED = Reason(
    "contribution.nothing_sealed",
    "Nothing of that name lies sealed here.",
    "Every row fitted, or the days of quarantine are over; names are in `glasshouse status`.",
)
NOT_A_NEW_FOLDER = Reason(
    "contribution.not_a_new_folder",
    "The folder for the files exists, or cannot be made.",
    "Name a folder that is not there yet: --out DIR.",
)
SEALED_FOR_HOUSE = Reason(
    "contribution.sealed_for_house",
    "It was sealed before any steward was registered, to the key of the house itself.",
    "Ask the operator for it.",
)

NameArgument = Annotated[str, typer.Argument(help="Contribution, refused delivery, or name of a delivery.")]
AsOption = Annotated[
    str | None, typer.Option("--as", help="Member it was sealed for; default: who signed the delivery.")
]


def rejected(
    name: NameArgument,
    *,
    member: AsOption = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every row as CSV.")] = False,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Which rows of an accepted delivery did not fit, by their number in the file, and why."""
    with opened_house(collaboration) as (house, state):
        row = _sealed(state, name, "accepted")
        steward = member or _sealed_for(house, row)
        own = private_key(house, state.collaboration, steward, key, passphrase_file)
        found = unseal_rejected(house, row.contribution, own)
    if as_csv:
        typer.echo("row,reason\n" + "".join(f"{each.row},{each.reason}\n" for each in found), nl=False)
        return
    document: JsonValue = {
        "contribution": row.contribution,
        "rows": [{"row": each.row, "reason": each.reason} for each in found],
    }
    counts = Counter(each.reason for each in found)
    firsts: dict[str, list[str]] = {}
    for each in found:
        firsts.setdefault(each.reason, []).append(f"{each.row:,}")
    rows = [
        [reason, f"{count:,}", ", ".join(firsts[reason][:5]) + (", …" if count > 5 else "")]
        for reason, count in counts.most_common()
    ]
    emit(document, lambda: table(["Reason", ("Rows", "right"), "Row numbers"], rows), as_json=as_json)


def unseal(
    name: NameArgument,
    *,
    out: Annotated[Path, typer.Option(help="A new folder for its files.")],
    member: AsOption = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give a refused delivery back to its steward."""
    with opened_house(collaboration) as (house, state):
        row = _sealed(state, name, "refused", "repaired")
        steward = member or _sealed_for(house, row)
        own = private_key(house, state.collaboration, steward, key, passphrase_file)
        try:
            files = quarantine.unseal(quarantine.sealed_copy(house, row.sealed), own, out)
        except OSError:
            raise ConfigError(NOT_A_NEW_FOLDER) from None
    shown = [each.encode("utf-8", "replace").decode() for each in files]
    document: JsonValue = {"refused": row.contribution, "files": list[JsonValue](shown)}
    emit(document, lambda: Text("\n".join([f"Unsealed into {out.name}:", *shown])), as_json=as_json)


def _sealed(state: State, name: str, *statuses: str) -> Row[Any]:
    """The newest of this name of which something is sealed. Raises: ConfigError."""
    rows = [
        *state.rows(t.contributions, contribution=name),
        *state.rows(t.contributions, delivery=name),
    ]
    found = [row for row in rows if row.status in statuses and row.sealed is not None]
    if not found:
        raise ConfigError(NOTHING_SEALED)
    return max(found, key=lambda row: int(row.seq))


def _sealed_for(house: House, row: Row[Any]) -> str:
    payload = house.log.event(row.seq).event.payload
    if isinstance(payload, ContributionAccepted):
        return payload.signer
    if isinstance(payload, ContributionRefused) and payload.sealed_for:
        return payload.sealed_for[0]
    raise ConfigError(SEALED_FOR_HOUSE)
