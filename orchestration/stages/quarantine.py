"""What becomes of a refused delivery: sealed to the house's quarantine key, then out of the landing folder.

Sealed means encrypted with age, file by file, the names of the files included: nothing is lost, nothing lies
open. Must not be here: why a delivery is refused (`intake`), or the rows of accepted ones that did not fit
(they rest in the vault).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import BinaryIO

import pyrage

from orchestration.digests import digest_file, digest_json
from orchestration.engine.files import replacing, write_durably
from orchestration.errors import ContributionError
from orchestration.house import House
from orchestration.scope.manifest import check_delivery_name

_NAMES = "names.age"
_REMOVED = ".removed"
_ABANDONED_SECONDS = 24 * 3600


def public_name(folder: Path) -> str:
    """How a delivery is called in the log: by its name, unless that is one a sender may not choose."""
    try:
        return check_delivery_name(folder.name)
    except ContributionError:
        return f"unnamed-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:12]}"


def subject(collaboration: str, participant: str, folder: Path) -> str:
    """What a refusal is about, by sender, name and content: another file under an old name is another one."""
    contents = {os.fsencode(path.relative_to(folder)).hex(): digest_file(path) for path in _files(folder)}
    return f"refused-{digest_json([collaboration, participant, public_name(folder), {**contents}])[7:19]}"


def seal(house: House, folder: Path, name: str) -> str | None:
    """Encrypt every file of the delivery into the quarantine folder `name`; None when there is no file."""
    files = _files(folder)
    if not files:
        return None
    target = house.quarantine / name
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    recipients = [house.sealing_recipient]
    for number, path in enumerate(files):
        # Streams, because a sender's file name need not be text.
        final = target / f"{number}.age"
        with replacing(final) as temporary, path.open("rb") as plain, temporary.open("wb") as sealed:
            _encrypt(plain, sealed, recipients)
    names = json.dumps([os.fsdecode(path.relative_to(folder)) for path in files])
    write_durably(target / _NAMES, pyrage.encrypt(names.encode(), recipients), mode=0o600)
    return name


def _encrypt(plain: BinaryIO, sealed: BinaryIO, recipients: list[pyrage.x25519.Recipient]) -> None:
    """pyrage's, but what the disk says is raised as it was said: pyrage makes text of it."""
    said: list[OSError] = []

    class Writer:
        def write(self, data: bytes) -> int:
            try:
                return sealed.write(data)
            except OSError as error:
                said.append(error)
                raise

        def flush(self) -> None:
            sealed.flush()

    try:
        pyrage.encrypt_io(plain, Writer(), recipients)
    except pyrage.EncryptError as error:
        raise said[0] if said else error from None


def remove(folder: Path) -> None:
    """Take a delivery out of the landing folder, whole; a symlink goes as a link, what it points to stays."""
    if folder.is_symlink():
        folder.unlink()
        return
    gone = folder.with_name(f".{secrets.token_hex(8)}{_REMOVED}")
    folder.rename(gone)
    shutil.rmtree(gone)


def sweep(landing: Path) -> None:
    """Delete what a killed process left here: deliveries taken out, and ones never finished putting in."""
    for gone in landing.glob(f".*{_REMOVED}"):
        shutil.rmtree(gone, ignore_errors=True)
    for unfinished in landing.glob(".*.partial"):
        if unfinished.lstat().st_mtime < time.time() - _ABANDONED_SECONDS:
            shutil.rmtree(unfinished, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """Every regular file of a delivery; links are not followed."""
    if folder.is_symlink():
        return []
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
