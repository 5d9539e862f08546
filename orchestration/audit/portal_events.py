"""What happens at the portal's door: ways in that members arrange, entries, and locks.

Belongs here: payloads of that. Must not be here: agreeing and deciding (`governance_events`), or an insight
that was opened (`stage_events`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from orchestration.audit.vocabulary import Count, Payload, Signed


class LoginChanged(Signed):
    """A member arranges its own way into the portal, signed with its key: nobody can do it for another."""

    type: ClassVar = "login.changed"
    change: Literal["enabled", "disabled", "token_given", "token_revoked"]
    name: str | None = Field(default=None, description="Of the token.")


class PortalEntered(Payload):
    type: ClassVar = "portal.entered"
    method: Literal["password", "key"]


class LoginLocked(Payload):
    """Too many failures in a row; the subject is the member."""

    type: ClassVar = "login.locked"
    failures: Count


PAYLOADS: tuple[type[Payload], ...] = (LoginChanged, PortalEntered, LoginLocked)
