"""Options and look-ups that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from orchestration.audit import governance_tables
from orchestration.audit.vocabulary import now
from orchestration.charter.model import Charter
from orchestration.digests import digest_bytes
from orchestration.errors import ConfigError, Reason
from orchestration.house import UNKNOWN_COLLABORATION, House
from orchestration.participants.state import State
from orchestration.settings import load_settings

WHICH_COLLABORATION = Reason(
    "house.which_collaboration",
    "This house knows several collaborations: {known}.",
    "Say which one with --collaboration.",
)
NO_CHARTER = Reason(
    "charter.none_proposed",
    "Nobody proposed a charter of {collaboration} yet.",
    "Put one on the table: `glasshouse charter propose FILE`.",
)
BAD_EVIDENCE = Reason(
    "checklist.bad_evidence",
    "Evidence is written ITEM=FILE, with a file that can be read.",
    "For example: --evidence contract_signed=contract.pdf",
)

CollaborationOption = Annotated[
    str | None, typer.Option("--collaboration", help="Only needed when the house serves several.")
]
MemberOption = Annotated[str, typer.Option("--as", help="Member who acts: <participant>.<name>.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason; it is kept in the log.")]
EvidenceOption = Annotated[
    list[str] | None,
    typer.Option(help="ITEM=FILE: only the file's digest is recorded; repeat it."),
]
UntilOption = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC): 2027-12-31.")]
LongestOption = Annotated[
    datetime | None,
    typer.Option("--until", formats=["%Y-%m-%d"], help="Last day (UTC); default: the charter's longest."),
]


def chosen_charter(house: House, collaboration: str | None) -> Charter:
    """The charter meant: the one named, or the only one.

    Raises: ConfigError (`house.which_collaboration`, `house.unknown_collaboration`).
    """
    if collaboration is not None:
        return house.charter(collaboration)
    if len(house.charters) != 1:
        raise ConfigError(WHICH_COLLABORATION, known=", ".join(house.charters) or "none")
    return next(iter(house.charters.values()))


def only_collaboration(house: House, given: str | None) -> str:
    """The collaboration meant, among those the log knows and the house serves.

    Raises: ConfigError (`house.which_collaboration`, `house.unknown_collaboration`).
    """
    with house.log.read() as connection:
        query = select(governance_tables.charters.c.collaboration).distinct()
        proposed: list[str] = sorted(connection.execute(query).scalars())
    if given in proposed:
        return str(given)
    if given is not None:
        if given not in house.charters:
            known = ", ".join(sorted({*proposed, *house.charters})) or "none"
            raise ConfigError(UNKNOWN_COLLABORATION, name=ascii(given[:80]), known=known)
        return given
    # Before anything was proposed, the charters folder says what this house is about.
    names = proposed or sorted(house.charters)
    if len(names) != 1:
        raise ConfigError(WHICH_COLLABORATION, known=", ".join(names) or "none")
    return names[0]


@contextmanager
def opened_house(collaboration: str | None) -> Iterator[tuple[House, State]]:
    """This house, and what its log says now of the collaboration named, or of the only one."""
    with House.opened(load_settings()) as house:
        chosen = only_collaboration(house, collaboration)
        with house.log.read() as connection:
            yield house, State(connection, chosen, now())


@contextmanager
def current_state(collaboration: str | None) -> Iterator[State]:
    """What the log of this house says now of the collaboration named, or of the only one."""
    with opened_house(collaboration) as (_house, state):
        yield state


def confirm(question: str, refused: Reason, *, yes: bool, as_json: bool) -> None:
    """Ask whoever is at the terminal; nobody there, or a program that reads JSON, has to say --yes.

    Raises: ConfigError (`refused`).
    """
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise ConfigError(refused)
    try:
        agreed = typer.confirm(question, default=False, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise ConfigError(refused)


def evidence_digests(given: Iterable[str]) -> dict[str, str]:
    """`ITEM=FILE` → the item and the digest of the file, which itself stays where it is.

    Raises: ConfigError (`checklist.bad_evidence`).
    """
    found = {}
    for each in given:
        item, equals, file = each.partition("=")
        try:
            if not item.strip() or not equals:
                raise ConfigError(BAD_EVIDENCE)
            found[item.strip()] = digest_bytes(Path(file).read_bytes())
        except OSError:
            raise ConfigError(BAD_EVIDENCE) from None
    return found


def end_of(day: datetime | date) -> datetime:
    """The last moment of a day: `--until` includes the day it names."""
    return datetime.combine(day, time(23, 59, 59, 999000), tzinfo=UTC)
