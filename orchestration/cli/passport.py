"""`glasshouse audit passport`: does a passport hold, and what became of its release since?

Must not be here: how a passport is verified (`audit/passport`), or what changed (`audit/since`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue
from rich.text import Text

from orchestration.audit.passport import FILENAME, UNREADABLE, Passport, verify_passport
from orchestration.audit.since import Since, what_changed
from orchestration.audit.vocabulary import now, timestamp
from orchestration.cli.console import JsonFlag, emit, harmless
from orchestration.cli.files import public_key_in, text_in
from orchestration.cli.told import minute
from orchestration.errors import IntegrityError
from orchestration.house import House
from orchestration.settings import load_settings

_WORDS = {
    "in_force": "Nothing it rests on has changed since.",
    "expired": "Its days are over.",
    "stale": "It is stale: ask the question anew before you rely on it.",
    "recalled": "It is recalled: do not use it any more.",
    "destroyed": "Its files were removed from the shelf.",
}


def passport(
    file: Annotated[Path, typer.Argument(help="The passport, or the folder of the release.")],
    *,
    key: Annotated[
        Path | None,
        typer.Option(help="The operator's public key: verify offline, without the log of this house."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Verify a passport with its files, and say what changed since; exit code 4 when it does not hold.

    With --key nothing but the files is needed; what changed since only the house's own log can say.
    """
    path = file / FILENAME if file.is_dir() else file
    try:
        envelope: Any = json.loads(text_in(path, "FILE"))
    except (ValueError, RecursionError):
        raise IntegrityError(UNREADABLE) from None
    if not isinstance(envelope, dict):
        raise IntegrityError(UNREADABLE)
    files = {each.name: each for each in path.parent.iterdir() if each.is_file() and each.name != path.name}
    since: Since | None = None
    if key is not None:
        checked = verify_passport(envelope, public_key_in(key, "--key"), files)
    else:
        with House.opened(load_settings()) as house:
            checked = verify_passport(envelope, house.operator.public, files)
            since = what_changed(house.log, checked, now())
    emit(_document(checked, since), lambda: _shown(checked, since), as_json=as_json)


def _document(passport: Passport, since: Since | None) -> JsonValue:
    return {
        "ok": True,
        "release": passport.release,
        "collaboration": passport.charter.collaboration,
        "issued_at": timestamp(passport.issued_at),
        "expires_at": timestamp(passport.expires_at),
        "contributions": [each.id for each in passport.contributions],
        "standing": None if since is None else since.standing,
        "changes": None
        if since is None
        else [
            {
                "seq": change.seq,
                "at": timestamp(change.at),
                "became": change.became,
                "why": change.why,
                "contributions": list(change.contributions),
            }
            for change in since.changes
        ],
    }


def _shown(passport: Passport, since: Since | None) -> Text:
    lines = [
        f"✓ The passport of {passport.release} holds, and so do its files.",
        f"  {len(passport.receipts)} receipts, {len(passport.contributions)} contributions,"
        f" log entry {passport.log.seq} of {passport.log.size}",
        f"  released under a charter of {passport.charter.collaboration},"
        f" until {minute(timestamp(passport.expires_at))}",
    ]
    if since is None:
        lines.append("What changed since, only the log of the house can say: run it there without --key.")
    else:
        lines += [_line(change.at, change.became, change.why, change.seq) for change in since.changes]
        lines.append(_WORDS[since.standing])
    return Text(harmless("\n".join(lines)))


def _line(at: Any, became: str, why: str, seq: int) -> str:
    return f"  {minute(timestamp(at))} {became} (event {seq}): {why}"
