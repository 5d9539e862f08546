"""What becomes of a refused delivery: sealed for its steward, then out of the landing folder.

Sealed means encrypted with age, file by file, the names of the files included: nothing is lost, nothing lies
open, and the house itself cannot look. Must not be here: why a delivery is refused (`intake`), or which rows
of an accepted one did not fit (`rejected`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from orchestration.audit import governance_tables as g
from orchestration.digests import digest_file, digest_json
from orchestration.engine import sealing
from orchestration.engine.files import replacing, sync
from orchestration.engine.tree import is_within, regular_files, remove_tree
from orchestration.errors import ContributionError, IntegrityError, Reason
from orchestration.house import House
from orchestration.participants import deliveries
from orchestration.participants.state import Key, State
from orchestration.scope.manifest import check_delivery_name
from orchestration.signing import SigningKey

BEYOND_KEEPING = Reason(
    "contribution.beyond_keeping",
    "The delivery holds more than any delivery may: over {files:,} files, {depth} folders inside each other,"
    " or {size:,} bytes. It was removed, and no sealed copy of it is kept.",
    "Deliver the data file and its manifest alone, as `glasshouse contribute` makes them.",
)

_NAMES = "names.age"
_MOST_FILES = 1000
_MOST_FOLDERS = 16
_MOST_BYTES = 64 << 20  # and ten times what the charter allows
_REMOVED = ".removed"
_ABANDONED_SECONDS = 24 * 3600


def public_name(folder: Path) -> str:
    """How a delivery is called in the log: by its name, unless that is one a sender may not choose."""
    try:
        return check_delivery_name(folder.name)
    except ContributionError:
        return f"unnamed-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:12]}"


def require_keepable(folder: Path, largest: int) -> None:
    """Refuse a delivery so large, or so strangely made, that a sealed copy would harm the house.

    Args:
        largest: bytes that the charter allows this participant's files.

    Raises: ContributionError (`contribution.beyond_keeping`).
    """
    size = _MOST_BYTES + 10 * largest
    if folder.is_symlink() or not folder.is_dir():
        return
    if not is_within(folder, files=_MOST_FILES, depth=_MOST_FOLDERS, size=size):
        raise ContributionError(BEYOND_KEEPING, files=_MOST_FILES, depth=_MOST_FOLDERS, size=size)


def subject_unread(collaboration: str, participant: str, folder: Path) -> str:
    """What the refusal of a delivery is about whose content nobody reads: each is one of its own."""
    said = [collaboration, participant, public_name(folder), secrets.token_hex(16)]
    return f"refused-{digest_json([*said])[7:19]}"


def subject(collaboration: str, participant: str, folder: Path) -> str:
    """What a refusal is about, by sender, name and content: another file under an old name is another one."""
    contents = {os.fsencode(path.relative_to(folder)).hex(): digest_file(path) for path in _files(folder)}
    return f"refused-{digest_json([collaboration, participant, public_name(folder), {**contents}])[7:19]}"


class SealedFor(NamedTuple):
    """Who can open what is sealed, and with which keys. Without members: the house, with its own key."""

    members: tuple[str, ...]
    recipients: tuple[sealing.Recipient, ...]


def steward_of(house: House, collaboration: str, participant: str, envelope: dict[str, Any]) -> SealedFor:
    """Whom a delivery is sealed for: the member who verifiably signed it, or else the stewards in force.

    The house seals to its own key only where the participant has nobody: then there is no key to seal to.
    """
    with house.state(collaboration) as state:
        key = deliveries.signing_key(state, participant, envelope)
        keys = [key] if key is not None else stewards_of(state, participant)
    if not keys:
        return SealedFor((), (house.sealing_recipient,))
    return SealedFor(
        tuple(key.member for key in keys), tuple(sealing.recipient(key.public_key) for key in keys)
    )


def stewards_of(state: State, participant: str) -> list[Key]:
    """The keys in force of the stewards in force."""
    members = [row.member for row in state.rows(g.members, participant=participant, status="active")]
    keys = [state.active_key(each) for each in members if "steward" in state.held(each, emergency=False)]
    return [key for key in keys if key is not None]


def sealed_copy(house: House, name: str) -> Path:
    """Where what belongs to this contribution or refusal lies sealed."""
    return house.quarantine / name


def seal(house: House, folder: Path, name: str, sealed_for: SealedFor) -> str | None:
    """Encrypt every file of the delivery into the quarantine folder `name`.

    Returns: the digest of what was sealed; None when there is no file.
    """
    files = _files(folder)
    if not files:
        return None
    target = sealed_copy(house, name)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number, path in enumerate(files):
        # Streams, because a sender's file name need not be text.
        final = target / f"{number}.age"
        with replacing(final) as temporary, path.open("rb") as plain, temporary.open("wb") as sealed:
            sealing.seal(plain, sealed, sealed_for.recipients)
    names = json.dumps([os.fsdecode(path.relative_to(folder)) for path in files]).encode()
    with replacing(target / _NAMES) as temporary, temporary.open("wb") as sealed:
        sealing.seal(io.BytesIO(names), sealed, sealed_for.recipients)
    return digest_of(target)


def digest_of(sealed: Path) -> str:
    """One digest over the names and bytes of a sealed copy: what a destruction certificate speaks of."""
    return digest_json({path.name: digest_file(path) for path in sorted(sealed.iterdir())})


def unseal(sealed: Path, key: SigningKey, out: Path) -> list[str]:
    """Give a refused delivery back: its files, opened with the steward's key, in the new folder `out`.

    Returns: the names of the files, which were the sender's own: each is kept inside `out`.

    Raises: IntegrityError (`sealed.other_key`); FileExistsError when `out` is there already.
    """
    names = io.BytesIO()
    with (sealed / _NAMES).open("rb") as file:
        sealing.unseal(file, names, key)
    said = [str(name) for name in json.loads(names.getvalue())]
    out.mkdir(parents=True, mode=0o700)
    for number, name in enumerate(said):
        target = out / name
        if not target.resolve().is_relative_to(out.resolve()):
            raise IntegrityError(sealing.NOT_YOURS)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (sealed / f"{number}.age").open("rb") as file, target.open("xb") as plain:
            sealing.unseal(file, plain, key)
    return said


def discard(house: House, name: str) -> None:
    """Remove a sealed copy, whole."""
    copy = sealed_copy(house, name)
    if copy.exists():
        remove(copy)
        sync(house.quarantine)
    sweep(house.quarantine)


def remove(folder: Path) -> None:
    """Take a delivery out of the landing folder, whole; a symlink goes as a link, what it points to stays."""
    if folder.is_symlink():
        folder.unlink()
        return
    gone = folder.with_name(f".{secrets.token_hex(8)}{_REMOVED}")
    folder.rename(gone)
    if gone.is_dir():
        remove_tree(gone)
    else:
        gone.unlink()


def sweep(landing: Path) -> None:
    """Delete what a killed process left here: deliveries taken out, and ones never finished putting in."""
    for gone in landing.glob(f".*{_REMOVED}*"):
        remove_tree(gone)
    for unfinished in landing.glob(".*.partial"):
        if unfinished.lstat().st_mtime < time.time() - _ABANDONED_SECONDS:
            shutil.rmtree(unfinished, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """Every regular file of a delivery; links are not followed."""
    return [] if folder.is_symlink() else regular_files(folder)
