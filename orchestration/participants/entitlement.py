"""May this member open this release, and in which detail? Default: no.

Allowed when the member acts for a receiver, the release has not expired, the charter gives one of the
member's roles a level of detail, and a reason was given where the charter wants one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from orchestration.charter.model import Charter
from orchestration.errors import Reason
from orchestration.participants.decision import Decision
from orchestration.participants.registry import RegisteredMember, roles_in_force

NOT_A_RECEIVER = Reason(
    "access.not_a_receiver",
    "{member} acts for {participant}, which is no receiver of release {release}.",
    "Receivers are {receivers}; the charter's computations decide who they are.",
)
EXPIRED = Reason(
    "access.expired",
    "Release {release} could be opened until {until}.",
    "Submit the request again: a new release is made from the room as it is now.",
)
NO_ROLE = Reason(
    "access.no_role",
    "The charter lets none of the roles of {member} ({roles}) see insights.",
    "Ask a member whose role may see them, or have the charter's access section changed.",
)
NO_JUSTIFICATION = Reason(
    "access.no_justification",
    "The charter wants a reason for every opening.",
    "Say why with `--why TEXT`; it is kept in the log.",
)


@dataclass(frozen=True)
class Release:
    """What the log says of a release."""

    id: str
    request: str
    receivers: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True)
class Entitlement:
    """The decision, and the level of detail it grants."""

    decision: Decision
    detail: Literal["full", "summary"] | None = None


def decide_opening(
    charter: Charter, release: Release, member: RegisteredMember, *, justification: str, now: datetime
) -> Entitlement:
    """Decide one opening; every denial names its rule and what would make it pass."""
    if member.participant not in release.receivers:
        return Entitlement(
            Decision.deny(
                NOT_A_RECEIVER,
                member=member.id,
                participant=member.participant,
                release=release.id,
                receivers=", ".join(release.receivers),
            )
        )
    if now >= release.expires_at:
        return Entitlement(
            Decision.deny(EXPIRED, release=release.id, until=f"{release.expires_at:%Y-%m-%d %H:%M} UTC")
        )
    detail = charter.access.detail_for(roles_in_force(charter, member))
    if detail is None:
        return Entitlement(Decision.deny(NO_ROLE, member=member.id, roles=", ".join(member.roles)))
    if charter.audit.justification_required and not justification.strip():
        return Entitlement(Decision.deny(NO_JUSTIFICATION))
    message = f"{member.id} may open {release.id} ({detail} detail)."
    return Entitlement(Decision.permit(message), detail)
