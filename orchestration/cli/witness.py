"""`glasshouse witness`: at a participant's own site, watch the log and cosign what only ever grew.

Needs no house: the published log, the participant's key and a folder to remember in are all it has. Must not
be here: what a witness demands (`orchestration/audit/witness`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.text import Text

from orchestration.audit.tile_reader import Folder, Website, open_source
from orchestration.audit.vocabulary import now, timestamp
from orchestration.audit.witness import Observation, observe
from orchestration.cli.console import JsonFlag, emit, refuse, whole
from orchestration.cli.files import public_key_in
from orchestration.cli.options import MemberOption
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.engine.files import write_durably
from orchestration.errors import ConfigError, Reason, ServiceError, public
from orchestration.participants.enrollment import read_public_file
from orchestration.participants.state import participant_of

OTHER_COLLABORATION = Reason(
    "witness.other_collaboration",
    "This key was made for {made_for}, not for {collaboration}: the cosignature would count nowhere.",
    "Check --collaboration, or name the key for it with --key.",
)


def witness(
    source: Annotated[str, typer.Argument(help="The published log: a folder, or http://HOST:PORT/log.")],
    *,
    member: MemberOption,
    collaboration: Annotated[str, typer.Option(help="Whose charter names the witness.")],
    state: Annotated[Path, typer.Option(help="Folder in which the witness remembers; keep it safe.")],
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    operator_key: Annotated[
        Path | None, typer.Option(help="The operator's public key, as you got it by another channel.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the cosigned checkpoint here; do not hand it in.")
    ] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Look again every so many seconds.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check that the log only grew since the last look, and cosign its checkpoint.

    A log that was rewritten, split or rolled back is refused with exit code 4, and stays refused.
    """
    signer = private_key(None, collaboration, member, key, passphrase_file)
    _require_made_for(collaboration, key)
    operator = None if operator_key is None else public_key_in(operator_key, "--operator-key")
    while True:
        try:
            log = open_source(source)
            seen = observe(
                log,
                state,
                collaboration=collaboration,
                participant=participant_of(member),
                key=signer,
                at=now(),
                operator=operator,
            )
            handed = _hand_over(log, seen, out)
            compared = operator is not None
            emit(_document(seen, handed), lambda: _told(seen, handed, compared=compared), as_json=as_json)  # noqa: B023
        except ServiceError as error:
            # The site may be down for a while; anything worse ends the watch.
            if every is None:
                raise
            refuse(public(error), as_json=as_json)
        if every is None:
            return
        time.sleep(every)


def _require_made_for(collaboration: str, key: Path | None) -> None:
    """Nothing published names the collaboration, but the public file beside the key does.

    Raises: ConfigError (`witness.other_collaboration`).
    """
    beside = key.with_suffix(".json") if key is not None else None
    if beside is None or not beside.is_file():
        return
    made_for = read_public_file(beside).collaboration
    if made_for != collaboration:
        raise ConfigError(OTHER_COLLABORATION, made_for=made_for, collaboration=ascii(collaboration[:80]))


def _hand_over(log: Folder | Website, seen: Observation, out: Path | None) -> str:
    """Where the cosigned checkpoint went: the file named, the house that published the log, or our folder."""
    if out is not None:
        write_durably(out, seen.note.encode())
        return str(out)
    if isinstance(log, Website):
        log.post("cosignature", seen.note)
        return log.address
    return str(seen.file)


def _document(seen: Observation, handed: str) -> JsonValue:
    return {
        "origin": seen.head.origin,
        "operator": seen.operator,
        "size": seen.head.size,
        "known": seen.known,
        "root": seen.head.root.hex(),
        "at": timestamp(seen.cosignature.at),
        "cosignature": seen.cosignature.line,
        "given_to": handed,
    }


def _told(seen: Observation, handed: str, *, compared: bool) -> RenderableType:
    size = seen.head.size
    if seen.known is None:
        grown = f"✓ First look at this log: {size} events."
    elif seen.known == size:
        grown = f"✓ Nothing new: still {size} events."
    else:
        grown = f"✓ The log grew from {seen.known} to {size} events, and nothing before was changed."
    lines = [Text(grown)]
    if seen.known is None and not compared:
        lines += [
            whole(f"  Signed by the operator's key {seen.operator}"),
            Text(
                "  Compare it with the operator by another channel: from now on\n  only this one is believed."
            ),
        ]
    lines += [Text(f"  Cosigned as {seen.cosignature.name}:"), whole(f"  {seen.cosignature.line}")]
    given = f"  The cosigned checkpoint is in {handed}" if "://" not in handed else f"  Handed to {handed}"
    return Group(*lines, Text(given))
