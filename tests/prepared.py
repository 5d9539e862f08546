"""Packages as a contributor's desk makes them, for tests: a desk of its own beside the tiny house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyrage

from orchestration.engine.fingerprint import fingerprint
from orchestration.house import House
from orchestration.participants.invitation import Desk, open_invitation
from orchestration.scope.dispatch import Declared, dispatch
from orchestration.scope.manifest import Period
from orchestration.scope.preparation import Preparation, prepared
from orchestration.settings import load_settings
from orchestration.signing import SigningKey
from orchestration.stages import inviting

DECLARED = Declared(
    provenance="test",
    period=Period(first=date(2024, 1, 1), last=date(2024, 12, 31)),
    method="survey",
    consents=("https://example.org/consent",),
    countries=("US",),
)


def invitation(house: House, collaboration: str, member: str) -> dict[str, Any]:
    """As `glasshouse room invite` makes it."""
    return inviting.invitation(house, house.charter(collaboration), member)[0]


def package(
    house: House,
    collaboration: str,
    dataset: str,
    source: Path | str,
    key: SigningKey,
    folder: Path,
    *,
    out: Path | None = None,
    declared: Declared = DECLARED,
    change: Callable[[Preparation], None] = lambda _: None,
    resign: bool = True,
    desk: Desk | None = None,
) -> Path:
    """The delivery folder of `source`, prepared at a desk in `folder`; by default in the landing folder.

    Args:
        change: what a dishonest desk does to its rows before it seals them.
        resign: sign their fingerprint as they are then.
        desk: default: invited right now.
    """
    participant = house.charter(collaboration).dataset(dataset).participant
    member = f"{participant}.steward"
    desk = desk or open_invitation(invitation(house, collaboration, member), key)
    settings = load_settings(home=folder / "desk", duckdb_threads=1)
    with prepared(settings, desk.charter.dataset(dataset), str(source), desk.key) as made:
        change(made)
        if resign:
            made = replace(made, content=fingerprint(made.connection, "prepared", desk.key)[1])
        return dispatch(
            made,
            declared,
            charter=desk.charter,
            signer=member,
            key=key,
            key_id=desk.key_id,
            recipient=desk.recipient,
            out=out or house.landing(collaboration, participant),
        )


def opened(delivery: Path, house: House, collaboration: str) -> bytes:
    """Every byte that left the desk, with the seal taken off."""
    (sealed,) = delivery.glob("*.age")
    return pyrage.decrypt(sealed.read_bytes(), [house.package_identity(collaboration)])
