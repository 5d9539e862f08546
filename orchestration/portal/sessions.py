"""Who is signed in: sessions and one-time entries, in this process's memory and nowhere else.

Belongs here: making, finding and ending them. Must not be here: cookies and pages (`entrance`), or whether a
member may enter, and whether its way in still counts (`stages/login`). Only hashes of the secrets are held;
stopping the portal ends them all.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestration.audit.vocabulary import now
from orchestration.participants.credentials import token_hash
from orchestration.stages.login import Entered

LONGEST = timedelta(hours=8)
IDLE = timedelta(minutes=30)
ENTRY_VALID = timedelta(minutes=2)
_MOST = 1_000


@dataclass(frozen=True)
class Session:
    """A member who is signed in, or is about to be."""

    entered: Entered
    began: datetime
    seen: datetime

    def alive(self, at: datetime) -> bool:
        return at < self.began + LONGEST and at < self.seen + IDLE


class Sessions:
    """Sessions by the hash of their secret; safe to use from several threads."""

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._entries: dict[str, Session] = {}

    def begin(self, entered: Entered) -> str:
        """The secret of a new session, for the cookie."""
        return self._add(self._sessions, entered)

    def offer(self, entered: Entered) -> str:
        """The secret of an entry that can be used once, within two minutes."""
        return self._add(self._entries, entered)

    def take(self, entry: str) -> Entered | None:
        """Who may use the entry with this secret, which then is gone."""
        with self._lock:
            offered = self._entries.pop(token_hash(entry), None)
        return offered.entered if offered and self._clock() < offered.began + ENTRY_VALID else None

    def find(self, secret: str) -> Session | None:
        """The living session with this secret; being asked for keeps it from falling idle."""
        at, name = self._clock(), token_hash(secret)
        with self._lock:
            session = self._sessions.get(name)
            if session is None or not session.alive(at):
                self._sessions.pop(name, None)
                return None
            self._sessions[name] = replace(session, seen=at)
        return session

    def end(self, secret: str) -> None:
        with self._lock:
            self._sessions.pop(token_hash(secret), None)

    def _add(self, held: dict[str, Session], entered: Entered) -> str:
        secret, at = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            for name in [name for name, session in held.items() if not session.alive(at)]:
                del held[name]
            while len(held) >= _MOST:
                del held[next(iter(held))]
            held[token_hash(secret)] = Session(entered, at, at)
        return secret
