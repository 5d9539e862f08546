"""Signed tree heads in the C2SP tlog-checkpoint format: a signed note that any transparency tool reads.

https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note. Belongs here: making, reading and verifying
one checkpoint. Must not be here: whether a log agrees with its checkpoints (`verify`).

Each checkpoint is kept twice, in the database and as a file, with the lines of its witnesses below, so that
copies can be carried elsewhere: whoever holds an older one can tell if the log was rewritten since. The file
is written under a waiting name, then the rows are committed, then the file gets its own name. So a killed
process leaves nothing that counts, or rows whose file waits, which the next call finishes; and a file, a row
or a line that was taken away shows.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, insert, select

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

ED25519 = 0x01  # signature type of the log's own signature, as C2SP signed-note numbers them
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


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

    @property
    def body(self) -> str:
        """What everybody signs, final newline included."""
        return self.note.partition("\n\n")[0] + "\n"

    @property
    def lines(self) -> tuple[str, ...]:
        """The signature lines, the log's own among them."""
        return tuple(self.note.partition("\n\n")[2][:-1].split("\n"))


def filename(size: int) -> str:
    return f"checkpoint-{size:010d}.txt"


def waiting(file: Path) -> Path:
    """Where a checkpoint's file waits until its row is committed."""
    return file.with_name(f".{file.name}")


def origin_of(public_key: Mapping[str, Any]) -> str:
    """The name of the log whose operator has this key: `glasshouse/<first 16 digits of the key id>`."""
    return f"glasshouse/{str(public_key['keyid'])[:16]}"


def make(log: AuditLog, key: SigningKey, folder: Path) -> Checkpoint:
    """Sign the current tree head, and keep it in the database and under `folder`.

    An unchanged log keeps its newest checkpoint. What a killed process did not finish, the next call does.

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
            put_waiting(folder / made.filename, made.note)
            connection.execute(insert(t.checkpoints), {"size": size, "note": made.note})
        else:
            made = kept
    for checkpoint in (kept, made):
        if checkpoint is not None:
            finish(log, folder, checkpoint.size)
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
    if type(note) is not str:  # SQLite stores whatever type it is given
        raise IntegrityError(UNREADABLE)
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
    signed_line(checkpoint, public_key)
    return checkpoint


def signed_line(checkpoint: Checkpoint, public_key: Mapping[str, Any]) -> str:
    """The line below a checkpoint that the log's own key made, wherever it stands.

    Raises: IntegrityError `checkpoint.unreadable`, `checkpoint.signature`.
    """
    origin = origin_of(public_key)
    raw = raw_public_key(public_key)
    expected = key_hash(origin, ED25519, raw)
    for line in checkpoint.lines:
        name, blob = read_line(line)
        signed = blob[:4] == expected and is_signed(raw, blob[4:], checkpoint.body.encode())
        if checkpoint.origin == name == origin and signed:
            return line
    raise IntegrityError(BAD_SIGNATURE)


def with_lines(checkpoint: Checkpoint, lines: Sequence[str]) -> str:
    """The note with further signature lines below its own."""
    return checkpoint.note + "".join(f"{line}\n" for line in lines)


def verifier_key(name: str, signature_type: int, public_key: Mapping[str, Any]) -> str:
    """A public key as other transparency tools are given it: `<name>+<key id>+<base64>` (C2SP "vkey")."""
    raw = raw_public_key(public_key)
    material = base64.b64encode(bytes([signature_type]) + raw).decode()
    return f"{name}+{key_hash(name, signature_type, raw).hex()}+{material}"


# --- what every line of a signed note shares


def raw_public_key(public_key: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(public_key["keyval"]["public"])


def key_hash(name: str, signature_type: int, raw: bytes) -> bytes:
    """The four bytes by which a line says whose key it wants."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([signature_type]) + raw).digest()[:4]


def write_line(name: str, blob: bytes) -> str:
    return f"— {name} {base64.b64encode(blob).decode()}"


def read_line(line: str) -> tuple[str, bytes]:
    """(name, key hash and signature). Raises: IntegrityError `checkpoint.unreadable`."""
    match = _SIGNATURE_LINE.fullmatch(line) if type(line) is str else None
    if match is None:
        raise IntegrityError(UNREADABLE)
    return match[1], _base64(match[2])


def is_signed(raw: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _check_grown_from(kept: Checkpoint, size: int, read: merkle.Reader) -> None:
    if kept.size > size or merkle.root(kept.size, read) != kept.root:
        raise IntegrityError(FORKED, size=kept.size)


def _sign(size: int, root: bytes, key: SigningKey) -> Checkpoint:
    origin = origin_of(key.public)
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    blob = key_hash(origin, ED25519, raw_public_key(key.public)) + key.sign_bytes(body.encode())
    return Checkpoint(origin, size, root, f"{body}\n{write_line(origin, blob)}\n")


def _base64(text: str) -> bytes:
    """Strict: exactly one spelling for the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise IntegrityError(UNREADABLE) from error
    if base64.b64encode(data).decode() != text:
        raise IntegrityError(UNREADABLE)
    return data


# --- the file of a checkpoint


def stored(connection: Connection, size: int) -> Checkpoint | None:
    """The checkpoint of this size as the database has it; its signature was not checked."""
    note = connection.execute(select(t.checkpoints.c.note).where(t.checkpoints.c.size == size)).scalar()
    return None if note is None else parse(note)


def newest(connection: Connection) -> Checkpoint | None:
    """The newest checkpoint in the database; its signature was not checked."""
    query = select(t.checkpoints.c.note).order_by(t.checkpoints.c.size.desc()).limit(1)
    note = connection.execute(query).scalar()
    return None if note is None else parse(note)


def whole_note(connection: Connection, head: Checkpoint) -> str:
    """The checkpoint with every line of its witnesses below."""
    return with_lines(head, stored_lines(connection, head.size))


def stored_lines(connection: Connection, size: int, collaboration: str | None = None) -> list[str]:
    """The lines of its witnesses, of one collaboration or of all."""
    table = t.cosignatures.c
    query = select(table.line).where(table.size == size).order_by(table.collaboration, table.participant)
    if collaboration is not None:
        query = query.where(table.collaboration == collaboration)
    return list(connection.execute(query).scalars())


def put_waiting(file: Path, text: str) -> None:
    """Write what the file is going to be, durably, before the rows that say so are committed.

    Only inside a write transaction: there is one at a time.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(waiting(file), text.encode())


def finish(log: AuditLog, folder: Path, size: int) -> None:
    """Bring the file of a committed checkpoint to what the rows say, if it is missing or one waits."""
    file = folder / filename(size)
    if file.exists() and not waiting(file).exists():
        return
    with log.write() as connection:
        head = stored(connection, size)
        if head is not None:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(file, whole_note(connection, head).encode())
        waiting(file).unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """A whole file under its final name, or none."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A new name outlives a power cut only when its folder was synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
