"""What a witness adds below a checkpoint: a line in the C2SP tlog-cosignature format.

https://c2sp.org/tlog-cosignature. A cosignature says: at this time, this was the largest tree of this log
that I saw, and it had grown from everything I saw before. Belongs here: making, reading and verifying one
line. Must not be here: whose line counts (`witnessed`), or when a witness may sign (`witness`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestration.audit import checkpoint
from orchestration.audit.checkpoint import Checkpoint
from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey

UNREADABLE = Reason(
    "cosignature.unreadable",
    "This is not a cosignature of a Glasshouse witness (a C2SP tlog-cosignature line).",
    "Use the file exactly as `glasshouse witness` wrote it.",
)

SIGNATURE_TYPE = 0x04  # timestamped Ed25519 cosignature, version 1
_NAME = re.compile(r"glasshouse-witness/([a-z][a-z0-9_]*)/([a-z][a-z0-9_]*)")
_LENGTH = 4 + 8 + 64


@dataclass(frozen=True)
class Cosignature:
    """One line. Whether it holds, only `verify` says."""

    collaboration: str
    participant: str
    at: datetime
    line: str

    @property
    def name(self) -> str:
        return witness_name(self.collaboration, self.participant)


def witness_name(collaboration: str, participant: str) -> str:
    """The key name that a participant's witness signs under."""
    return f"glasshouse-witness/{collaboration}/{participant}"


def make(
    head: Checkpoint, collaboration: str, participant: str, key: SigningKey, at: datetime
) -> Cosignature:
    """Cosign a checkpoint, as seen `at` (whole seconds count)."""
    name = witness_name(collaboration, participant)
    seconds = int(at.timestamp())
    raw = checkpoint.raw_public_key(key.public)
    blob = checkpoint.key_hash(name, SIGNATURE_TYPE, raw)
    blob += seconds.to_bytes(8, "big") + key.sign_bytes(_message(head, seconds))
    return parse(checkpoint.write_line(name, blob))


def parse(line: str) -> Cosignature:
    """Read a line whose signature nobody has checked.

    Raises: IntegrityError `cosignature.unreadable`.
    """
    try:
        name, blob = checkpoint.read_line(line)
        match = _NAME.fullmatch(name)
        if match is None or len(blob) != _LENGTH:
            raise IntegrityError(UNREADABLE)
        at = datetime.fromtimestamp(_seconds(blob), UTC)
    except (IntegrityError, ValueError, OverflowError, OSError) as error:
        raise IntegrityError(UNREADABLE) from error
    return Cosignature(match[1], match[2], at, line)


def is_cosignature(line: str) -> bool:
    """Whether a signature line is a Glasshouse witness's; other signers may stand below a checkpoint too."""
    return line.startswith("— glasshouse-witness/")


def verify(cosignature: Cosignature, head: Checkpoint, public_key: Mapping[str, Any]) -> bool:
    """Whether the holder of this key cosigned exactly this checkpoint."""
    _, blob = checkpoint.read_line(cosignature.line)
    raw = checkpoint.raw_public_key(public_key)
    if blob[:4] != checkpoint.key_hash(cosignature.name, SIGNATURE_TYPE, raw):
        return False
    return checkpoint.is_signed(raw, blob[12:], _message(head, _seconds(blob)))


def _seconds(blob: bytes) -> int:
    return int.from_bytes(blob[4:12], "big")


def _message(head: Checkpoint, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{head.body}".encode()
