"""What every request passes before any page: only this machine's names, only reading; strict headers after.

The portal answers on loopback alone: others reach it through a proxy that ends TLS. A browser on this machine
could still be sent here by a foreign page whose name resolves to 127.0.0.1 (DNS rebinding): the Host check
refuses that. The few things that are sent here must come from the portal's own pages, or from no page at all.
Must not be here: anything about pages, or who is signed in (`entrance`).
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING = frozenset({"GET", "HEAD"})
SENDING = frozenset({"/login", "/logout", "/log/cosignature"})  # the only paths that take a POST
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware; the outermost layer, so that refusals and error pages carry the headers too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = refusal(scope) or self._app
        await answer(scope, receive, send_with_headers)


def refusal(scope: Scope) -> PlainTextResponse | None:
    """Why a request is not answered, or None."""
    if host_name(Headers(scope=scope).get("host", "")) not in LOOPBACK_NAMES:
        text = "This portal answers only to http://127.0.0.1 or http://localhost on its own machine.\n"
        return PlainTextResponse(text, status_code=421)
    if scope["method"] == "POST" and scope["path"] in SENDING:
        origin = Headers(scope=scope).get("origin")
        if origin is not None and host_name(origin.partition("://")[2]) not in LOOPBACK_NAMES:
            return PlainTextResponse("This was sent by a page of another site.\n", status_code=403)
        return None
    if scope["method"] not in READING:
        text = "This portal is read-only: use GET or HEAD.\n"
        return PlainTextResponse(text, status_code=405, headers={"Allow": "GET, HEAD"})
    return None


def host_name(host: str) -> str:
    """`LOCALHOST:8321` → `localhost`; what is not a name with an optional port matches nothing."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
