"""A participant's own memory of the log: it signs only what grew from everything it saw before.

Belongs here: what the witness remembers, what it demands of the next checkpoint, and when it refuses. Must
not be here: anything of a house. A witness runs at the participant's site with nothing but the published log,
so an operator who rewrites the log and signs it anew still cannot make it forget.

What it remembers lies in one folder for each collaboration and participant: the operator's public key, the
last checkpoint it accepted, and, when something contradicted that, both as evidence. It remembers first and
signs second, so it never signs two histories, whenever it is killed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import JsonValue

from orchestration.audit import checkpoint, cosignature, merkle, tile_reader, tiles
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.cosignature import Cosignature
from orchestration.audit.public_key import read_public_key
from orchestration.audit.tile_reader import Source
from orchestration.audit.vocabulary import timestamp
from orchestration.digests import canonical_json
from orchestration.engine.files import write_durably
from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey

OTHER_OPERATOR = Reason(
    "witness.other_operator",
    "This log is signed by another operator than the one this witness knows.",
    "Ask the operator why, by another channel. Only if all agree, begin a new folder with --operator-key.",
)
ROLLED_BACK = Reason(
    "witness.rolled_back",
    "The log shows {size} events, but this witness has seen {known}: some were taken back.",
    "Do not sign. Tell the other participants and the auditor; both checkpoints are kept in {file}.",
)
SPLIT = Reason(
    "witness.split",
    "There are two different logs of {size} events, both signed by the operator.",
    "Do not sign. Tell the other participants and the auditor; both checkpoints are kept in {file}.",
)
REWRITTEN = Reason(
    "witness.rewritten",
    "The log of {size} events did not grow from the {known} events this witness has seen: they were changed.",
    "Do not sign. Tell the other participants and the auditor; both checkpoints are kept in {file}.",
)
UNPROVEN = Reason(
    "witness.unproven",
    "The published tiles are not those of the signed checkpoint of {size} events.",
    "Ask the operator to publish the log again; if it stays so, treat it as tampering.",
)
UNKNOWN_OPERATOR = Reason(
    "witness.unknown_operator",
    "The log publishes no public key of its operator, and this witness knows none.",
    "Get the operator's public key by another channel and give it with --operator-key.",
)
DAMAGED = Reason(
    "witness.damaged_memory",
    "What this witness remembers of the log cannot be read.",
    "Restore the folder given with --state from a backup; do not begin a new one.",
)

_LATEST = "checkpoint"
_OPERATOR = "operator.json"
_EVIDENCE = "contradiction"
_COSIGNED = "cosigned"


@dataclass(frozen=True)
class Observation:
    """A checkpoint that was accepted and cosigned.

    `note` is the checkpoint with this witness's line below. `known`: size of the one accepted before; none on
    first contact, when `operator` (a key id) was believed because somebody compared it, or on first use.
    """

    head: Checkpoint
    cosignature: Cosignature
    note: str
    operator: str
    known: int | None
    file: Path


def observe(
    source: Source,
    state: Path,
    *,
    collaboration: str,
    participant: str,
    key: SigningKey,
    at: datetime,
    operator: Mapping[str, Any] | None = None,
) -> Observation:
    """Look at the published log once: accept and cosign its checkpoint, or refuse.

    Args:
        source: the published log, in tiles.
        state: folder of what this witness remembers.
        collaboration: whose charter names the participant as witness.
        participant: for whom it witnesses.
        key: of one of its members.
        at: the present moment.
        operator: the public key that must have signed the log; on first contact, if it is not given, the key
            that is published with the log is believed and remembered.

    Raises: IntegrityError `witness.*`, `checkpoint.*`, `tiles.unreadable`; ServiceError `tiles.unavailable`.
    """
    folder = state / collaboration / participant
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / ".lock"):
        trusted = _operator(source, folder, operator)
        head = checkpoint.verify(tile_reader.fetch_text(source, tiles.CHECKPOINT), trusted)
        kept = _kept(folder, trusted)
        _demand_growth(source, folder, kept, head, at)
        if kept is None:
            write_durably(folder / _OPERATOR, canonical_json(dict(trusted)))
        write_durably(folder / _LATEST, head.note.encode())
        line = cosignature.make(head, collaboration, participant, key, at)
        note = f"{head.body}\n{checkpoint.signed_line(head, trusted)}\n{line.line}\n"
        file = folder / f"{_COSIGNED}-{head.size:010d}.txt"
        write_durably(file, note.encode())
    return Observation(head, line, note, str(trusted["keyid"]), kept.size if kept else None, file)


def _operator(source: Source, folder: Path, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The key to trust: the remembered one, or on first contact the given or the published one."""
    path = folder / _OPERATOR
    try:
        if path.exists() or (folder / _LATEST).exists():
            known = read_public_key(path.read_text(encoding="utf-8"))
        elif given is not None:
            return given
        else:
            return read_public_key(tile_reader.fetch_text(source, tiles.OPERATOR))
    except (OSError, ValueError) as error:
        raise IntegrityError(DAMAGED if path.exists() else UNKNOWN_OPERATOR) from error
    origin = tile_reader.fetch_text(source, tiles.CHECKPOINT).partition("\n")[0]
    if (given is not None and dict(given) != known) or origin != checkpoint.origin_of(known):
        raise IntegrityError(OTHER_OPERATOR)
    return known


def _kept(folder: Path, operator: Mapping[str, Any]) -> Checkpoint | None:
    path = folder / _LATEST
    if not path.exists():
        return None
    try:
        return checkpoint.verify(path.read_bytes().decode(), operator)
    except (OSError, ValueError, IntegrityError) as error:
        raise IntegrityError(DAMAGED) from error


def _demand_growth(
    source: Source, folder: Path, kept: Checkpoint | None, head: Checkpoint, at: datetime
) -> None:
    """Refuse, and keep the evidence, unless `head` grew from what was kept."""
    if kept is not None and head.size < kept.size:
        file = _contradiction(folder, ROLLED_BACK, kept, head, at)
        raise IntegrityError(ROLLED_BACK, size=head.size, known=kept.size, file=file)
    if kept is not None and head.size == kept.size:
        if head.root != kept.root:
            file = _contradiction(folder, SPLIT, kept, head, at)
            raise IntegrityError(SPLIT, size=head.size, file=file)
        return
    read = tile_reader.reader(source, head.size)
    if merkle.root(head.size, read) != head.root:
        raise IntegrityError(UNPROVEN, size=head.size)
    if kept is None or kept.size == 0:
        return
    proof = merkle.consistency_proof(kept.size, head.size, read)
    if not merkle.verify_consistency(kept.size, head.size, kept.root, head.root, proof):
        # The proof leads to the signed new root, so the old root it starts from is what the log now claims.
        file = _contradiction(folder, REWRITTEN, kept, head, at, merkle.root(kept.size, read))
        raise IntegrityError(REWRITTEN, size=head.size, known=kept.size, file=file)


def _contradiction(
    folder: Path, reason: Reason, kept: Checkpoint, head: Checkpoint, at: datetime, root: bytes = b""
) -> str:
    """Both checkpoints, each with the operator's signature: proof that there were two histories."""
    document: dict[str, JsonValue] = {
        "code": reason.code,
        "seen_at": timestamp(at),
        "kept": kept.note,
        "contradicting": head.note,
        "kept_root_by_the_contradicting_log": base64.b64encode(root).decode() if root else None,
    }
    name = f"{_EVIDENCE}-{kept.size}-{head.size}-{head.root.hex()[:16]}.json"
    if not (folder / name).exists():
        write_durably(folder / name, canonical_json(document))
    return name
