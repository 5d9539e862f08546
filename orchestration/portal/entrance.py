"""The door: nothing but what is published for everybody is shown to somebody who is not signed in.

Belongs here: cookies, the sign-in page, and finding out who asks. Must not be here: whether a member may
enter (`stages/login`), or what a member sees (`views`). The second layer, inside `guard`.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestration.errors import PolicyDeniedError, Reason
from orchestration.house import House
from orchestration.portal import published_log
from orchestration.portal.exports import json_response
from orchestration.portal.sessions import LONGEST, Sessions
from orchestration.stages import login
from orchestration.stages.login import Viewer

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
            await _refusal(scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {})["viewer"] = viewer
        await self._app(scope, receive, send)

    def _viewer(self, asked: HTTPConnection) -> Viewer | None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return login.viewer_of_token(self._house, token.strip())
        session = self._sessions.find(asked.cookies.get(COOKIE, ""))
        return login.viewer(self._house, session.collaboration, session.member) if session else None


def _refusal(path: str) -> Response:
    if path.endswith((".json", ".csv")):
        document = {"code": SIGN_IN.code, "message": SIGN_IN.message, "next_step": SIGN_IN.next_step}
        return json_response({"error": document}, 401)
    return RedirectResponse(f"/login?{urlencode({'to': path})}" if path != "/" else "/login", 303)


class Door:
    """The endpoints `/login`, `/logout` and `/enter/<entry>`."""

    def __init__(self, house: House, sessions: Sessions) -> None:
        self._house = house
        self._sessions = sessions

    async def sign_in(self, request: Request) -> Response:
        """Check a sent form. Raises: PolicyDeniedError, whose text the sign-in page shows."""
        form = await _form(request)
        viewer = await run_in_threadpool(
            login.enter_with_password,
            self._house,
            form.get("collaboration", ""),
            form.get("member", ""),
            form.get("password", ""),
            form.get("code", ""),
        )
        return self._entered(viewer.collaboration, viewer.member, form.get("to", "/"))

    def enter(self, request: Request) -> Response:
        """Use a one-time entry, then show `?to=`. Raises: PolicyDeniedError (`portal.entry_used`)."""
        offered = self._sessions.take(request.path_params["entry"])
        if offered is None:
            raise PolicyDeniedError(BAD_ENTRY)
        return self._entered(offered.collaboration, offered.member, request.query_params.get("to", "/"))

    def sign_out(self, request: Request) -> Response:
        self._sessions.end(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _entered(self, collaboration: str, member: str, to: str) -> Response:
        # Only a path of this portal: `//other.example` and `https:…` lead elsewhere.
        response = RedirectResponse(to if to.startswith("/") and to[1:2] not in ("/", "\\") else "/", 303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(collaboration, member),
            max_age=int(LONGEST.total_seconds()),
            httponly=True,
            samesite="strict",
        )
        return response


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
