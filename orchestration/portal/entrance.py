"""The door: nothing but what is published for everybody is shown to somebody who is not signed in.

Belongs here: cookies, the sign-in page, and finding out who asks. Must not be here: whether a member may
enter (`stages/login`), or what a member sees (`sight`). The second layer, inside `guard`.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestration.errors import Reason
from orchestration.house import House
from orchestration.portal import published_log
from orchestration.portal.exports import json_response
from orchestration.portal.sessions import LONGEST, Sessions
from orchestration.stages import login
from orchestration.stages.login import Entered, Viewer

SIGN_IN = Reason(
    "portal.sign_in",
    "This page is for members of the collaboration.",
    "Sign in at /login, or send a token: `Authorization: Bearer TOKEN`.",
)
BAD_ENTRY = Reason(
    "portal.entry_used",
    "This entry was used before, or is older than two minutes.",
    "Make a new one: `glasshouse serve --as MEMBER`.",
)

COOKIE = "glasshouse_session"
PUBLIC = ("/login", "/enter/", "/static/", *published_log.PUBLIC)
_LARGEST_FORM = 4_096
_AT_ONCE = 2  # checking a password takes 64 MiB and a good part of a second, for whoever asks
_WAITING = 16


class Entrance:
    """ASGI middleware that puts the `Viewer` into the request's state, or leads to the sign-in page."""

    def __init__(self, app: ASGIApp, house: House, sessions: Sessions) -> None:
        self._app = app
        self._house = house
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(PUBLIC):
            await self._app(scope, receive, send)
            return
        viewer = await run_in_threadpool(self._viewer, HTTPConnection(scope))
        if viewer is None:
            await _refusal(scope)(scope, receive, send)
            return
        scope.setdefault("state", {})["viewer"] = viewer
        await self._app(scope, receive, send)

    def _viewer(self, asked: HTTPConnection) -> Viewer | None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return login.viewer_of_token(self._house, token.strip())
        session = self._sessions.find(asked.cookies.get(COOKIE, ""))
        return login.viewer_of(self._house, session.entered) if session else None


def _refusal(scope: Scope) -> Response:
    path = scope["path"]
    if path.endswith((".json", ".csv")):
        document = {"code": SIGN_IN.code, "message": SIGN_IN.message, "next_step": SIGN_IN.next_step}
        return json_response({"error": document}, 401)
    query = scope["query_string"].decode("latin-1")
    asked = f"{path}?{query}" if query else path
    return RedirectResponse(f"/login?{urlencode({'to': asked})}" if asked != "/" else "/login", 303)


class Door:
    """The endpoints `/login`, `/logout` and `/enter/<entry>`."""

    def __init__(self, house: House, sessions: Sessions, url: str | None = None) -> None:
        self._house = house
        self._sessions = sessions
        self._secure = url is not None and url.startswith("https:")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def sign_in(self, request: Request) -> Response:
        """Check a sent form. Raises: PolicyDeniedError, whose text the sign-in page shows."""
        form = request.state.form = await _form(request)
        if self._waiting >= _AT_ONCE + _WAITING:
            raise login.refused()  # like a wrong password: a crowd at the door learns nothing either
        self._waiting += 1
        try:
            async with self._turns:
                entered = await run_in_threadpool(
                    login.enter_with_password,
                    self._house,
                    form.get("collaboration") or _only(self._house),
                    form.get("member", ""),
                    form.get("password", ""),
                    form.get("code", ""),
                )
        finally:
            self._waiting -= 1
        return self._entered(entered, form.get("to", "/"))

    def enter(self, request: Request) -> Response:
        """Use a one-time entry, then show `?to=`. A used one leads away, so that its address is not kept."""
        entered = self._sessions.take(request.path_params["entry"])
        if entered is None:
            return RedirectResponse("/login?entry=used", 303)
        return self._entered(entered, request.query_params.get("to", "/"))

    def sign_out(self, request: Request) -> Response:
        self._sessions.end(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, secure=self._secure, httponly=True, samesite="strict")
        return response

    def _entered(self, entered: Entered, to: str) -> Response:
        # Only a path of this portal: `//other.example` and `https:…` lead elsewhere.
        response = RedirectResponse(to if to.startswith("/") and to[1:2] not in ("/", "\\") else "/", 303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(entered),
            max_age=int(LONGEST.total_seconds()),
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return response


def _only(house: House) -> str:
    """The collaboration that is meant when nobody says which: strangers are told no names."""
    known = list(house.charters)
    return known[0] if len(known) == 1 else ""


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form; what is longer or no text has none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            return {}
    try:
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}
    except ValueError:
        return {}
