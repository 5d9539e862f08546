"""One participant's view of the log: what concerns it in full, everything else as commitments.

Belongs here: putting a view together, and checking one offline. Must not be here: what concerns whom
(`concerns`). A view is complete: it holds an entry for every event under its checkpoint, so nothing can be
left out or slipped in without the root of the checkpoint changing.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints

from orchestration.audit import checkpoint, merkle
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.concerns import Concerns
from orchestration.audit.events import Event, commitment
from orchestration.audit.log import AuditLog, stored_events
from orchestration.audit.vocabulary import Count, Document, Name
from orchestration.digests import canonical_json
from orchestration.errors import IntegrityError, Reason

UNREADABLE = Reason(
    "view.unreadable",
    "This is not a participant's view of a log.",
    "Use the file exactly as `glasshouse audit view` wrote it.",
)
NOT_THE_LOG = Reason(
    "view.not_the_log",
    "The entries of this view are not the {size} events that its checkpoint covers.",
    "Ask the operator for a fresh view; if it fails again, treat it as tampering.",
)
NOT_THE_EVENT = Reason(
    "view.not_the_event",
    "Event {seq} of this view is not what the log committed to.",
    "Ask the operator for a fresh view; if it fails again, treat it as tampering.",
)

_Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\z")]


class Entry(Document):
    """One event under the checkpoint; `event` and `salt` only where it concerns the participant."""

    seq: Count
    commitment: _Hex32 = Field(description="The leaf's entry: HMAC-SHA256 of the event under its salt.")
    event: dict[str, JsonValue] | None = None
    salt: _Hex32 | None = None


class View(Document):
    """All events under `checkpoint`, as `participant` of `collaboration` may see them."""

    kind: Literal["glasshouse-view/1"] = "glasshouse-view/1"
    collaboration: Name
    participant: Name
    checkpoint: str = Field(description="Signed note, C2SP tlog-checkpoint, with its cosignatures.")
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class CheckedView:
    """A view that holds: `own` are the events it shows, by number."""

    head: Checkpoint
    own: Mapping[int, Event]


def participant_view(log: AuditLog, head: Checkpoint, collaboration: str, participant: str) -> View:
    """What `participant` sees of everything under the checkpoint `head`.

    Raises: IntegrityError when the log is broken, or is not what `head` says.
    """
    concerns = Concerns(collaboration, participant)
    entries = []
    with log.read() as connection:
        for logged in stored_events(connection):
            if logged.seq >= head.size:
                break
            value = logged.commitment.hex()
            if concerns.is_shown(logged.event):
                event = logged.event.model_dump(mode="json")
                entries.append(Entry(seq=logged.seq, commitment=value, event=event, salt=logged.salt.hex()))
            else:
                entries.append(Entry(seq=logged.seq, commitment=value))
        note = checkpoint.whole_note(connection, head)
    view = View(collaboration=collaboration, participant=participant, checkpoint=note, entries=tuple(entries))
    _demand_root(view, head)  # a view that does not hold is never handed out
    return view


def write_view(view: View) -> JsonValue:
    """Commitments of others carry nothing else, not even empty fields."""
    entries: list[JsonValue] = [
        {name: value for name, value in entry.model_dump(mode="json").items() if value is not None}
        for entry in view.entries
    ]
    document: dict[str, JsonValue] = view.model_dump(mode="json", exclude={"entries"})
    return {**document, "entries": entries}


def read_view(text: str) -> View:
    """Raises: IntegrityError `view.unreadable`."""
    try:
        return View.model_validate_json(text)
    except ValueError as error:
        raise IntegrityError(UNREADABLE) from error


def verify_view(view: View, operator_public_key: Mapping[str, Any]) -> CheckedView:
    """Check a view with nothing but the operator's public key.

    Raises: IntegrityError `checkpoint.*`, `view.*`.
    """
    head = checkpoint.verify(view.checkpoint, operator_public_key)
    _demand_root(view, head)
    own = {}
    for entry in view.entries:
        if (entry.event is None) != (entry.salt is None):
            raise IntegrityError(NOT_THE_EVENT, seq=entry.seq)
        if entry.event is not None and entry.salt is not None:
            own[entry.seq] = _event(entry, entry.event, entry.salt)
    return CheckedView(head, own)


def _event(entry: Entry, document: Mapping[str, JsonValue], salt: str) -> Event:
    try:
        content = canonical_json(dict(document))
        event = Event.from_content(content)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(NOT_THE_EVENT, seq=entry.seq) from error
    if not hmac.compare_digest(commitment(content, bytes.fromhex(salt)).hex(), entry.commitment):
        raise IntegrityError(NOT_THE_EVENT, seq=entry.seq)
    return event


def _demand_root(view: View, head: Checkpoint) -> None:
    """The tree over all entries must have the signed head."""
    if [entry.seq for entry in view.entries] != list(range(head.size)):
        raise IntegrityError(NOT_THE_LOG, size=head.size)
    tree = merkle.Tree([merkle.leaf_hash(bytes.fromhex(entry.commitment)) for entry in view.entries])
    if merkle.root(head.size, merkle.tree_reader(tree)) != head.root:
        raise IntegrityError(NOT_THE_LOG, size=head.size)
