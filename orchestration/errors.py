"""Every way Glasshouse says no: stable reasons, error families, and the one redactor.

Belongs here: the types. A reason itself is declared beside the rule it belongs to.
Must not be here: anything that reads data, or a message that could carry a value of a row.

An engine's own error text quotes values ("could not convert 'jane@…'"), so it never travels: `public`
is the only road from an exception to a log, an event, Dagster metadata or a screen.
"""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

_REASONS: dict[str, Reason] = {}


@dataclass(frozen=True)
class Reason:
    """One documented way to be refused.

    `message` and `next_step` are `str.format` templates over facts that are safe to show to every
    participant: names from the charter, counts, digests. Never a value of a row.
    """

    code: str
    message: str
    next_step: str

    def __post_init__(self) -> None:
        if _REASONS.setdefault(self.code, self) != self:
            raise ValueError(f"reason code {self.code!r} is declared twice")


def declared_reasons() -> dict[str, Reason]:
    """All reasons of the modules imported so far, by code (docs and tests compare against it)."""
    return dict(sorted(_REASONS.items()))


class GlasshouseError(Exception):
    """A refusal with a stable code, a public message and the next step.

    Args:
        reason: the declared reason.
        detail: for the organization concerned only; never logged, never shown to others.
        facts: values for the templates of the reason; safe to publish.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, reason: Reason, *, detail: str = "", **facts: object) -> None:
        self.reason = reason
        self.detail = detail
        self.facts = facts
        super().__init__(f"{self.code}: {self.message}")

    @property
    def code(self) -> str:
        return self.reason.code

    @property
    def message(self) -> str:
        return self.reason.message.format(**self.facts)

    @property
    def next_step(self) -> str:
        return self.reason.next_step.format(**self.facts)


class ConfigError(GlasshouseError):
    """The command or its settings cannot be used as given."""

    exit_code = 2


class CharterError(GlasshouseError):
    """The charter is malformed, or a clause of it is enforced by nothing."""

    exit_code = 2


class PolicyDeniedError(GlasshouseError):
    """The charter does not allow this actor to do this."""


class ContributionError(GlasshouseError):
    """A delivery, or a row of it, cannot enter the room."""


class QualityGateError(GlasshouseError):
    """A gate failed, or could not be fully understood, which counts as failed."""


class ReceiptError(GlasshouseError):
    """A stage was asked to run without the receipts of the stages before it."""


class DisclosureError(GlasshouseError):
    """Nothing may be shown, or what was asked would reveal what must stay hidden."""


class ServiceError(GlasshouseError):
    """A service or resource this step needs is not there."""

    exit_code = 3


class IntegrityError(GlasshouseError):
    """Evidence does not verify: log, checkpoint, passport, key or stored file."""

    exit_code = 4


UNEXPECTED = Reason(
    "internal.unexpected",
    "An unexpected {kind} stopped this step at {place}.",
    "Rerun the step; if it stops again, report the code and the place. Nothing was released.",
)
STORAGE_FULL = Reason(
    "storage.full",
    "The disk is full or a size limit was reached; nothing of this step was kept.",
    "Free space under GLASSHOUSE_HOME, then rerun: the step starts afresh.",
)


@dataclass(frozen=True)
class PublicError:
    """What may be shown of an exception, to anybody."""

    code: str
    message: str
    next_step: str
    exit_code: int = field(default=1, compare=False)

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.next_step}"


def public(error: BaseException) -> PublicError:
    """The only road from an exception to a log, an event, metadata or a screen.

    A `GlasshouseError` speaks for itself. Of anything else only the type and the place in our own code
    survive, because the text of engine errors quotes values.
    """
    if isinstance(error, GlasshouseError):
        return PublicError(error.code, error.message, error.next_step, error.exit_code)
    if is_storage_full(error):
        return PublicError(STORAGE_FULL.code, STORAGE_FULL.message, STORAGE_FULL.next_step, 3)
    facts = {"kind": type(error).__name__, "place": _place(error)}
    return PublicError(UNEXPECTED.code, UNEXPECTED.message.format(**facts), UNEXPECTED.next_step, exit_code=3)


def is_storage_full(error: BaseException) -> bool:
    """Whether the house has run out of space, as an `OSError` or in the wording of DuckDB's IO errors."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    if type(error).__name__ not in ("IOException", "OutOfMemoryException", "FatalException"):
        return False
    text = str(error)
    return any(
        sign in text for sign in ("No space left", "File too large", "Disk quota", "max_temp_directory_size")
    )


def _place(error: BaseException) -> str:
    """The innermost frame inside this package, as `folder/file.py:line`."""
    package = Path(__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(package):
            return f"{Path(frame.filename).relative_to(package)}:{frame.lineno}"
    return "outside Glasshouse"
