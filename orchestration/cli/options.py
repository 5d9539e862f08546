"""Options and look-ups that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.charter.model import Charter
from orchestration.errors import ConfigError, Reason
from orchestration.house import House

WHICH_COLLABORATION = Reason(
    "house.which_collaboration",
    "This house serves several collaborations: {known}.",
    "Say which one with --collaboration.",
)

CollaborationOption = Annotated[
    str | None, typer.Option("--collaboration", help="Only needed when the house serves several.")
]
MemberOption = Annotated[str, typer.Option("--as", help="Member who acts: <participant>.<name>.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason; it is kept in the log.")]


def chosen_charter(house: House, collaboration: str | None) -> Charter:
    """The charter meant: the one named, or the only one.

    Raises: ConfigError (`house.which_collaboration`, `house.unknown_collaboration`).
    """
    if collaboration is not None:
        return house.charter(collaboration)
    if len(house.charters) != 1:
        raise ConfigError(WHICH_COLLABORATION, known=", ".join(house.charters) or "none")
    return next(iter(house.charters.values()))
