"""The answer to "may this happen?": a value with a reason, never a bare bool.

Belongs here: the answer. Must not be here: how it is found (`policy`), or how a next step is (`explanation`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.errors import PolicyDeniedError, Reason


class ExplainedDenialError(PolicyDeniedError):
    """A denial whose next step was looked for in this very case; without one, the reason's own stands."""

    def __init__(self, reason: Reason, *, explained: str = "", **facts: object) -> None:
        self.explained = explained
        super().__init__(reason, detail="", **facts)

    @property
    def next_step(self) -> str:
        return self.explained or super().next_step


@dataclass(frozen=True)
class Decision:
    """Allowed, or denied with the rule that denies and the smallest change that would pass.

    `policies`: the rules that decided, in words.
    """

    allowed: bool
    message: str
    code: str | None = None
    next_step: str = ""
    error: PolicyDeniedError | None = None
    policies: tuple[str, ...] = ()

    @classmethod
    def permit(cls, message: str, *, policies: tuple[str, ...] = ()) -> Decision:
        return cls(allowed=True, message=message, policies=policies)

    @classmethod
    def deny(
        cls, reason: Reason, *, policies: tuple[str, ...] = (), explained: str = "", **facts: object
    ) -> Decision:
        error = ExplainedDenialError(reason, explained=explained, **facts)
        return cls(False, error.message, error.code, error.next_step, error, policies)

    def require(self) -> None:
        """At the edge only: raise the denial as an error."""
        if self.error is not None:
            raise self.error
