"""Stage 8: opening an insight: entitlement, a trace in the log, and integrity, in this order of failure.

What is served is the files on the shelf after passport and digests were checked; a denial is recorded like
an opening. Summary detail serves the finding without the table.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue
from sqlalchemy import select

from orchestration.audit import tables
from orchestration.audit.events import AccessDenied, Event, OutputAccessed
from orchestration.audit.passport import FILENAME, Passport, verify_passport
from orchestration.charter.model import Charter
from orchestration.errors import ConfigError, IntegrityError, PolicyDeniedError, Reason
from orchestration.house import House
from orchestration.output.findings import Finding
from orchestration.output.protect import ProtectedTable
from orchestration.participants.entitlement import Release, decide_opening
from orchestration.participants.registry import registered_member

NO_SUCH_RELEASE = Reason(
    "access.no_such_release",
    "There is no release called {release}.",
    "List releases with `glasshouse status`.",
)
SHELF_INCOMPLETE = Reason(
    "access.shelf_incomplete",
    "Files of release {release} are missing from the shelf or unreadable.",
    "Restore the shelf from its backup, or submit the request again.",
)
OTHER_RELEASE = Reason(
    "access.other_release",
    "The folder of release {release} holds another release.",
    "Treat it as tampering; restore the shelf from its backup.",
)
SUMMARY_ONLY = Reason(
    "access.summary_only",
    "The charter gives this member a summary of release {release}, not its files.",
    "Ask a member whose role may see it in full.",
)


@dataclass(frozen=True)
class OpenedInsight:
    """What a receiver gets. `table` and `folder` are None for summary detail."""

    release: Release
    detail: Literal["full", "summary"]
    finding: Finding
    passport: Passport
    table: ProtectedTable | None
    folder: Path | None


def open_insight(house: House, release_id: str, member_id: str, justification: str) -> OpenedInsight:
    """Open a release for a member.

    Raises: ConfigError (`access.no_such_release`); PolicyDeniedError, recorded; IntegrityError when passport,
    log and shelf do not agree.
    """
    collaboration, release = _release(house, release_id)
    charter = house.charter(collaboration)
    try:
        member = registered_member(house.log, collaboration, member_id)
    except PolicyDeniedError as error:
        claimed = "".join(c for c in member_id[:80] if c.isalnum() or c in "._-") or "nobody"
        denied = AccessDenied(release=release.id, member=claimed, code=error.code)
        _record(house, charter, denied, release, claimed, justification)
        raise
    entitlement = decide_opening(charter, release, member, justification=justification, now=datetime.now(UTC))
    if entitlement.detail is None:
        denied = AccessDenied(
            release=release.id, member=member.id, code=entitlement.decision.code or "access.denied"
        )
        _record(house, charter, denied, release, member.id, justification)
        entitlement.decision.require()
    detail: Literal["full", "summary"] = entitlement.detail or "summary"
    folder = house.shelf / release.id
    passport = check_release(house, folder, release.id)
    accessed = OutputAccessed(release=release.id, member=member.id, detail=detail)
    _record(house, charter, accessed, release, member.id, justification)
    finding = Finding.model_validate_json((folder / "finding.json").read_bytes())
    table = ProtectedTable.from_json(_json(folder / "table.json")) if detail == "full" else None
    return OpenedInsight(release, detail, finding, passport, table, folder if detail == "full" else None)


def copy_release(opened: OpenedInsight, target: Path) -> None:
    """Copy an opened release, passport included, to a folder of the receiver's.

    Raises: PolicyDeniedError (`access.summary_only`) when the opening granted only a summary.
    """
    if opened.folder is None:
        raise PolicyDeniedError(SUMMARY_ONLY, release=opened.release.id)
    shutil.copytree(opened.folder, target, dirs_exist_ok=True)


def check_release(house: House, folder: Path, release_id: str) -> Passport:
    """Passport and files of a release, verified against the operator's key and the release's own name.

    Entitlement was decided by that name, so a true release of another name is as wrong as a forged one.

    Raises: IntegrityError.
    """
    try:
        envelope = json.loads((folder / FILENAME).read_bytes())
    except (OSError, ValueError):
        raise IntegrityError(SHELF_INCOMPLETE, release=release_id) from None
    files = {path.name: path for path in folder.iterdir() if path.name != FILENAME}
    passport = verify_passport(envelope, house.operator.public, files)
    if passport.release != release_id:
        raise IntegrityError(OTHER_RELEASE, release=release_id)
    return passport


def _release(house: House, release_id: str) -> tuple[str, Release]:
    with house.log.read() as connection:
        row = connection.execute(
            select(tables.releases).where(tables.releases.c.release == release_id)
        ).one_or_none()
    if row is None:
        raise ConfigError(NO_SUCH_RELEASE, release=ascii(release_id[:80]))
    expires = datetime.fromisoformat(row.expires_at)
    return row.collaboration, Release(row.release, row.request, tuple(json.loads(row.receivers)), expires)


def _record(
    house: House,
    charter: Charter,
    payload: OutputAccessed | AccessDenied,
    release: Release,
    member: str,
    justification: str,
) -> None:
    house.log.append(
        Event(
            collaboration=charter.collaboration,
            subject=release.id,
            actor=member,
            justification=justification.strip(),
            payload=payload,
        )
    )


def _json(path: Path) -> JsonValue:
    document: JsonValue = json.loads(path.read_bytes())
    return document
