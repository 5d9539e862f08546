"""Signed tree heads in the C2SP tlog-checkpoint format: a signed note that any transparency tool reads.

https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note. Belongs here: making, reading and verifying
one checkpoint. Must not be here: whether a log agrees with its checkpoints (`verify`).

Each checkpoint is kept twice, in the database and as a file, so that copies can be carried elsewhere: whoever
holds an older one can tell if the log was rewritten since.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import insert, select

from orchestration.audit import merkle
from orchestration.audit import tables as t
from orchestration.audit.log import AuditLog, current_size, reader
from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey

UNREADABLE = Reason(
    "checkpoint.unreadable",
    "This is not a checkpoint (a C2SP signed note of a tree head).",
    "Use the file exactly as it was written under `checkpoints/`.",
)
BAD_SIGNATURE = Reason(
    "checkpoint.signature",
    "The checkpoint is not signed by the operator's key.",
    "Compare the operator's public key with the one that was registered; otherwise treat it as tampering.",
)
FORKED = Reason(
    "checkpoint.forked",
    "The log did not grow from its checkpoint of {size} events: what that covers was changed.",
    "Run `glasshouse audit verify` to see where, then restore the last backup.",
)

_ED25519 = b"\x01"
_SIGNATURE_LINE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True)
class Checkpoint:
    """A tree head over the first `size` events. `note` is the whole signed text."""

    origin: str
    size: int
    root: bytes
    note: str

    @property
    def filename(self) -> str:
        return filename(self.size)


def filename(size: int) -> str:
    return f"checkpoint-{size:010d}.txt"


def origin_of(public_key: Mapping[str, Any]) -> str:
    """The name of the log whose operator has this key: `glasshouse/<first 16 digits of the key id>`."""
    return f"glasshouse/{str(public_key['keyid'])[:16]}"


def make(log: AuditLog, key: SigningKey, folder: Path) -> Checkpoint:
    """Sign the current tree head, and keep it in the database and under `folder`.

    An unchanged log keeps its newest checkpoint. A file that a killed process did not get to write is written
    by the next call.

    Raises: IntegrityError `checkpoint.forked` rather than sign a log that did not grow from its last
    checkpoint.
    """
    with log.write() as connection:
        newest = connection.execute(
            select(t.checkpoints.c.note).order_by(t.checkpoints.c.size.desc()).limit(1)
        ).scalar()
        size = current_size(connection)
        kept = None if newest is None else verify(newest, key.public)
        if kept is not None:
            _check_grown_from(kept, size, reader(connection))
        if kept is None or kept.size < size:
            made = _sign(size, merkle.root(size, reader(connection)), key)
            connection.execute(insert(t.checkpoints), {"size": size, "note": made.note})
        else:
            made = kept
    for checkpoint in (kept, made):
        if checkpoint is not None and not (folder / checkpoint.filename).exists():
            _write(folder / checkpoint.filename, checkpoint.note)
    return made


def covering(log: AuditLog, key: SigningKey, folder: Path, seq: int) -> Checkpoint:
    """The oldest checkpoint that covers event `seq`; a new one when there is none yet."""
    query = (
        select(t.checkpoints.c.note).where(t.checkpoints.c.size > seq).order_by(t.checkpoints.c.size).limit(1)
    )
    with log.read() as connection:
        note = connection.execute(query).scalar()
    return make(log, key, folder) if note is None else verify(note, key.public)


def parse(note: str) -> Checkpoint:
    """Read a checkpoint whose signature nobody has checked.

    Raises: IntegrityError `checkpoint.unreadable`.
    """
    body, blank, signatures = note.partition("\n\n")
    lines = body.split("\n")
    if not blank or not signatures.endswith("\n") or len(lines) != 3:
        raise IntegrityError(UNREADABLE)
    origin, size, root = lines
    if not re.fullmatch(r"[!-~]+", origin) or not re.fullmatch(r"0|[1-9][0-9]{0,17}", size):
        raise IntegrityError(UNREADABLE)
    head = _base64(root)
    if len(head) != 32:
        raise IntegrityError(UNREADABLE)
    return Checkpoint(origin, int(size), head, note)


def verify(note: str, public_key: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in `note`, signed by the log that `public_key` belongs to.

    Further signature lines, of witnesses, are allowed and not judged here.

    Raises: IntegrityError `checkpoint.unreadable`, `checkpoint.signature`.
    """
    checkpoint = parse(note)
    origin = origin_of(public_key)
    raw = bytes.fromhex(public_key["keyval"]["public"])
    body, _, signatures = note.partition("\n\n")
    expected = _key_hash(origin, raw)
    for line in signatures[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise IntegrityError(UNREADABLE)
        blob = _base64(match[2])
        if checkpoint.origin == match[1] == origin and blob[:4] == expected and _signed(raw, blob[4:], body):
            return checkpoint
    raise IntegrityError(BAD_SIGNATURE)


def _check_grown_from(kept: Checkpoint, size: int, read: merkle.Reader) -> None:
    if kept.size > size or merkle.root(kept.size, read) != kept.root:
        raise IntegrityError(FORKED, size=kept.size)


def _sign(size: int, root: bytes, key: SigningKey) -> Checkpoint:
    origin = origin_of(key.public)
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    blob = _key_hash(origin, bytes.fromhex(key.public["keyval"]["public"])) + key.sign_bytes(body.encode())
    note = f"{body}\n— {origin} {base64.b64encode(blob).decode()}\n"
    return Checkpoint(origin, size, root, note)


def _key_hash(name: str, raw_public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw_public_key).digest()[:4]


def _signed(raw_public_key: bytes, signature: bytes, body: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw_public_key).verify(signature, f"{body}\n".encode())
    except InvalidSignature:
        return False
    return True


def _base64(text: str) -> bytes:
    """Strict: exactly one spelling for the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise IntegrityError(UNREADABLE) from error
    if base64.b64encode(data).decode() != text:
        raise IntegrityError(UNREADABLE)
    return data


def _write(path: Path, text: str) -> None:
    """A whole file under its final name, or none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
