"""Reading the files that a command was given by name.

Belongs here: a mistyped path or a file of another kind is wrong usage (exit code 2), and says which option.
Must not be here: checking what is in a file that was read.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestration.audit.public_key import read_public_key
from orchestration.errors import ConfigError, Reason

UNREADABLE_FILE = Reason(
    "file.unreadable",
    "The file given to {option} cannot be read as text.",
    "Check the path, and use the file exactly as `glasshouse` wrote it.",
)
NOT_A_KEY = Reason(
    "file.not_a_key",
    "The file given to {option} holds no Ed25519 public key.",
    "Ask the operator for the public key as a JSON object.",
)


def text_in(path: Path, option: str) -> str:
    """Raises: ConfigError (`file.unreadable`)."""
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    raise ConfigError(UNREADABLE_FILE, option=option)


def public_key_in(path: Path, option: str) -> dict[str, Any]:
    """Raises: ConfigError (`file.unreadable`, `file.not_a_key`)."""
    try:
        return read_public_key(text_in(path, option))
    except ValueError as error:
        raise ConfigError(NOT_A_KEY, option=option) from error
