"""Sealing to a member's own key: age files (https://age-encryption.org/v1) that only the member can open.

A member's Ed25519 signing key, written as OpenSSH writes it, is an age recipient. So whoever can sign can
also open what was sealed to them, and the house keeps no key of theirs. Must not be here: what is sealed to
whom (`stages/quarantine`, `stages/rejected`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol, TypeAlias

import pyrage

from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey, openssh_public

NOT_YOURS = Reason(
    "sealed.other_key",
    "This was sealed to another key, or it was changed since.",
    "Use the private key that was in force when it was delivered; after a rotation that is the old one.",
)

Recipient: TypeAlias = pyrage.ssh.Recipient | pyrage.x25519.Recipient


def recipient(public_key: Mapping[str, Any]) -> pyrage.ssh.Recipient:
    """Whoever holds the private half of this key, as `SigningKey.public` gives it."""
    return pyrage.ssh.Recipient.from_str(openssh_public(dict(public_key)))


def seal(plain: Readable, sealed: BinaryIO, recipients: Sequence[Recipient]) -> None:
    """Encrypt a stream; memory stays small whatever its length.

    What the reader and the disk say is raised as it was said, because pyrage makes text of it.
    """
    said: list[Exception] = []

    def told(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            try:
                return work(*arguments)
            except Exception as error:
                said.append(error)
                raise

        return run

    class Tube:
        read, write, flush = told(plain.read), told(sealed.write), sealed.flush

    try:
        pyrage.encrypt_io(Tube, Tube, recipients)
    except pyrage.EncryptError as error:
        raise (said[0] if said else error) from None


def unseal(sealed: BinaryIO, plain: BinaryIO, key: SigningKey) -> None:
    """Decrypt a stream with a member's private key. Only complete, unchanged chunks are ever written.

    Raises: IntegrityError (`sealed.other_key`).
    """
    identity = pyrage.ssh.Identity.from_buffer(key.openssh())
    try:
        pyrage.decrypt_io(sealed, plain, [identity])
    except pyrage.DecryptError:
        raise IntegrityError(NOT_YOURS) from None
    except OSError as error:
        if error.errno is None:  # not the disk: a piece that does not decrypt
            raise IntegrityError(NOT_YOURS) from None
        raise


def seal_letter(text: bytes, readers: Iterable[Mapping[str, Any]]) -> bytes:
    """A short text sealed to every reader, each a public key like `SigningKey.public`; at least one."""
    sealed = io.BytesIO()
    seal(io.BytesIO(text), sealed, [recipient(each) for each in readers])
    return sealed.getvalue()


def open_letter(sealed: bytes, key: SigningKey) -> bytes:
    """Raises: IntegrityError (`sealed.other_key`)."""
    plain = io.BytesIO()
    unseal(io.BytesIO(sealed), plain, key)
    return plain.getvalue()


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int, /) -> bytes: ...


class Streamed:
    """A readable stream of pieces that are made while it is read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._left = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken
