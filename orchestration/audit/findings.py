"""What a check of the log reports: how many of what were sound, and each place that was not.

Belongs here: the words of a report. Must not be here: checking (`verify`, `verify_checkpoints`, `replay`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """`events 41/41 valid`"""

    subject: str
    good: int
    total: int
    verdict: str

    def __str__(self) -> str:
        return f"{self.subject} {self.good}/{self.total} {self.verdict}"


@dataclass(frozen=True)
class Problem:
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
