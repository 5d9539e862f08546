"""A member's private key on its own disk: an encrypted PKCS#8 file.

Belongs here: making and reading that file, and every way it can be wrong. Must not be here: asking for the
passphrase (`cli/`), or the public file beside it (`enrollment`).
"""

from __future__ import annotations

from pathlib import Path

from orchestration.errors import ConfigError, Reason
from orchestration.signing import SigningKey

EXISTS = Reason(
    "key.exists",
    "There is a file at {path} already, and a private key is never overwritten.",
    "Choose another place, or move the old key away first.",
)
WRONG_PASSPHRASE = Reason(
    "key.wrong_passphrase",
    "The passphrase does not open this key.",
    "Try again; nobody can recover it. A steward can enrol a new key for you.",
)
UNREADABLE = Reason(
    "key.unreadable",
    "This file cannot be read as a private key.",
    "Use the file exactly as `glasshouse key new` wrote it, or restore it from its backup.",
)


def create(path: Path, passphrase: bytes | None) -> SigningKey:
    """A new key in a new file of mode 0600. Without a passphrase it lies there in the clear.

    Raises: ConfigError (`key.exists`).
    """
    key = SigningKey.generate()
    try:
        key.save(path, passphrase or None)
    except FileExistsError:
        raise ConfigError(EXISTS, path=path) from None
    return key


def load(path: Path, passphrase: bytes | None) -> SigningKey:
    """Raises: ConfigError (`key.wrong_passphrase`, `key.unreadable`)."""
    try:
        encrypted = path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        return SigningKey.load(path, passphrase if encrypted else None)
    except TypeError:  # encrypted, and no passphrase was given
        raise ConfigError(WRONG_PASSPHRASE) from None
    except ValueError:
        raise ConfigError(WRONG_PASSPHRASE if encrypted else UNREADABLE) from None
    except OSError:
        raise ConfigError(UNREADABLE) from None
