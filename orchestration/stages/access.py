"""Stage 8: opening an insight: entitlement, a trace in the log, and integrity, in this order of failure.

What is served is the files on the shelf after passport and digests were checked; a denial is recorded like
an opening. Summary detail serves the finding without the table.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue
from sqlalchemy import select

from orchestration.audit import tables
from orchestration.audit.events import Event
from orchestration.audit.passport import FILENAME, Passport, verify_passport
from orchestration.audit.stage_events import AccessDenied, OutputAccessed
from orchestration.audit.statement import sign
from orchestration.audit.withdrawal_events import OutdatedBy
from orchestration.audit.witnessed import newest_witnessed
from orchestration.charter.model import Charter
from orchestration.errors import ConfigError, GlasshouseError, IntegrityError, PolicyDeniedError, Reason
from orchestration.house import House
from orchestration.output.findings import Finding
from orchestration.output.protect import ProtectedTable
from orchestration.participants import policy
from orchestration.participants.question import Question
from orchestration.signing import SigningKey
from orchestration.stages import governance

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
DESTROYED = Reason(
    "access.destroyed",
    "The days of release {release} are over: its files were destroyed.",
    "Submit the request again.",
)
NO_DETAIL = Reason(
    "access.no_detail",
    "The charter gives none of the roles of {member} anything of release {release}.",
    "Ask a member whose role may see it, or have the charter's access section changed.",
)
NOT_WITNESSED = Reason(
    "access.not_witnessed",
    "The charter of {collaboration} wants witnesses, and not enough of them have cosigned a checkpoint that"
    " covers release {release}.",
    "Ask the witnesses to look at the log: each runs `glasshouse witness`.",
)

_WITNESSED = ("formal_audit", "private_computation")


@dataclass(frozen=True)
class Release:
    """What the log says of a release. `outdated`: why it no longer rests on what the house holds."""

    id: str
    request: str
    receivers: tuple[str, ...]
    expires_at: datetime
    outdated: OutdatedBy | None = None
    is_destroyed: bool = False


@dataclass(frozen=True)
class OpenedInsight:
    """What a receiver gets. `table` and `folder` are None for summary detail."""

    release: Release
    detail: Literal["full", "summary"]
    finding: Finding
    passport: Passport
    table: ProtectedTable | None
    folder: Path | None


def open_insight(
    house: House, release_id: str, member_id: str, justification: str, key: SigningKey
) -> OpenedInsight:
    """Open a release for a member, who signs for it.

    Args:
        key: the member's own; nobody opens anything in another's name.

    Raises: ConfigError (`access.no_such_release`); PolicyDeniedError, recorded; IntegrityError when passport,
    log and shelf do not agree, or (recorded) when the key is not the member's.
    """
    collaboration, release, seq = _release(house, release_id)
    charter = house.charter(collaboration)
    why = justification.strip()
    try:
        detail = _detail(house, charter, release, member_id, why)
        _require_witnessed(house, charter, release, seq)
    except PolicyDeniedError as error:
        _deny(house, charter, release, member_id, why, error)
        raise
    folder = house.shelf / release.id
    passport = check_release(house, folder, release.id)
    event = Event(
        collaboration=collaboration,
        subject=release.id,
        actor=member_id,
        justification=why,
        payload=OutputAccessed(release=release.id, member=member_id, detail=detail),
    )
    try:
        governance.record(house, sign(event, key))
    except (PolicyDeniedError, IntegrityError) as error:
        _deny(house, charter, release, member_id, why, error)
        raise
    finding = Finding.model_validate_json((folder / "finding.json").read_bytes())
    table = ProtectedTable.from_json(_json(folder / "table.json")) if detail == "full" else None
    return OpenedInsight(release, detail, finding, passport, table, folder if detail == "full" else None)


def _detail(
    house: House, charter: Charter, release: Release, member: str, why: str
) -> Literal["full", "summary"]:
    """What the member may see. Raises: PolicyDeniedError when that is nothing."""
    with house.state(charter.collaboration) as state:
        question = Question(member, "open_insight", release.id, {"justification": why})
        policy.decide(state, question).require()
        detail = charter.access.detail_for(state.roles(member))
    if release.is_destroyed:
        raise PolicyDeniedError(DESTROYED, release=release.id)
    if detail is None:
        raise PolicyDeniedError(NO_DETAIL, member=member, release=release.id)
    return detail


def _require_witnessed(house: House, charter: Charter, release: Release, seq: int) -> None:
    """Under formal audit a release opens once witnesses have seen that the log holds it.

    Raises: PolicyDeniedError (`access.not_witnessed`).
    """
    if charter.maturity not in _WITNESSED:
        return
    if newest_witnessed(house.log, charter) <= seq:
        raise PolicyDeniedError(NOT_WITNESSED, release=release.id, collaboration=charter.collaboration)


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


def _release(house: House, release_id: str) -> tuple[str, Release, int]:
    """Collaboration, release, and the event that released it."""
    with house.log.read() as connection:
        row = connection.execute(
            select(tables.releases).where(tables.releases.c.release == release_id)
        ).one_or_none()
    if row is None:
        raise ConfigError(NO_SUCH_RELEASE, release=ascii(release_id[:80]))
    release = Release(
        row.release,
        row.request,
        tuple(json.loads(row.receivers)),
        datetime.fromisoformat(row.expires_at),
        row.outdated,
        row.destroyed_at is not None,
    )
    return row.collaboration, release, row.seq


def _deny(
    house: House, charter: Charter, release: Release, member: str, why: str, error: GlasshouseError
) -> None:
    """Put the attempt on record, by whomever it was made."""
    claimed = "".join(c for c in member[:80] if c.isalnum() or c in "._-") or "nobody"
    house.log.append(
        Event(
            collaboration=charter.collaboration,
            subject=release.id,
            actor=claimed,
            justification=why,
            payload=AccessDenied(release=release.id, member=claimed, code=error.code),
        )
    )


def _json(path: Path) -> JsonValue:
    document: JsonValue = json.loads(path.read_bytes())
    return document
