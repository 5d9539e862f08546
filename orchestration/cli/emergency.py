"""`glasshouse emergency`: lending a role for hours, when somebody is needed who is not there.

Must not be here: what a lent role opens, or who may lend (`participants/`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from orchestration.audit.governance_events import EmergencyOpened
from orchestration.audit.vocabulary import now
from orchestration.cli.members import MemberArgument, RoleArgument, known_role
from orchestration.cli.pending import new_id
from orchestration.cli.signing_options import Signing, signed


@signed()
def emergency(
    signing: Signing,
    member: MemberArgument,
    role: RoleArgument,
    *,
    hours: Annotated[int, typer.Option(min=1, max=72, help="How long; the charter sets the most.")],
) -> None:
    """Lend a role of your organization for hours; each use is logged twice, and all is reviewed after."""
    with signing.opened() as signatory:
        grant = new_id("emergency")
        payload = EmergencyOpened(
            grant=grant, member=member, role=known_role(role), expires_at=now() + timedelta(hours=hours)
        )
        signatory.records(signatory.event(payload, grant))
