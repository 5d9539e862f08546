"""The answer to "may this happen?": a value with a reason, never a bare bool."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.errors import PolicyDeniedError, Reason


@dataclass(frozen=True)
class Decision:
    """Allowed, or denied with the rule that denies and the smallest change that would pass."""

    allowed: bool
    message: str
    code: str | None = None
    next_step: str = ""
    error: PolicyDeniedError | None = None

    @classmethod
    def permit(cls, message: str) -> Decision:
        return cls(allowed=True, message=message)

    @classmethod
    def deny(cls, reason: Reason, **facts: object) -> Decision:
        error = PolicyDeniedError(reason, detail="", **facts)
        return cls(False, error.message, error.code, error.next_step, error)

    def require(self) -> None:
        """At the edge only: raise the denial as an error."""
        if self.error is not None:
            raise self.error
